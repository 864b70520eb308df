"""Every architecture is one graph for the compiler."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from support.arms import ACTING, ARMS, TINY
from torch import Tensor

from model.config import GateConfig, ViTConfig
from model.vit import build_vit


ONCE = {
    name: replace(config, depth=1)
    for name, config in ARMS.items()
    if name not in ACTING or config.gate is None or config.gate.position == "sdpa"
}
"""How a gate acts does not depend on where it stands: one place is enough for that."""


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def _check(config: ViTConfig, images: Tensor, backend: str) -> None:
    model, keep = build_vit(config), torch.ones(config.depth, 2, len(images))
    keep[0, 0, 2] = 0
    expected = model(images, keep)
    expected.square().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()

    logits = torch.compile(model, fullgraph=True, backend=backend)(images, keep)
    logits.square().sum().backward()

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONCE)
def test_every_arm_is_one_graph_forward_and_backward(images: Tensor, name: str) -> None:
    _check(ONCE[name], images, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        replace(TINY, depth=1, gate=GateConfig(), registers=2),
        replace(TINY, depth=1, attention="differential"),
    ],
)
def test_inductors_code_gives_the_same(images: Tensor, config: ViTConfig) -> None:
    _check(config, images, "inductor")
