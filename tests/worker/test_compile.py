"""Training that is compiled: the same numbers, one graph for each size of pass, for every arm."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest
import torch
from support.arms import ARMS, PLACED
from torch._dynamo.utils import counters

from model.probes.suite import measure
from model.variants import VARIANTS
from model.vit import build_vit
from orchestrator.config import Placement, RunConfig
from orchestrator.errors import SpecError
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece
from orchestrator.worker.mixing import Mixing
from orchestrator.worker.objective import Objective
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer, drop_path_scales

CPU = torch.device("cpu")
ALONE = Ranks(0, 1, CPU)
RATE = 1e-3
LACK = missing_compiler("cpu")
needs_compiler = pytest.mark.skipif(bool(LACK), reason=str(LACK))
EACH = (*VARIANTS, *(name for name in PLACED if name.endswith("elementwise-token")))
"""Every variant, and a gate at every position."""


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def portion(images: int, step: int, size: int = 8, channels: int = 1) -> Portion:
    generator = torch.Generator().manual_seed(step)
    shape = (images, channels, size, size)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 5, (images,), generator=generator)
    return Portion(step, 0, pixels, labels, (Piece(0, images),), images, stand_in=False)


def trained(trainer: Trainer, steps: range) -> list[float]:
    """Losses of steps of 24 images, every third of which is a shorter one of 5."""
    losses = []
    for step in steps:
        trainer.take(portion(5 if step % 3 == 2 else 24, step), RATE)
        trainer.read()
        losses.append(trainer.course.recent[-1])
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_every_arm_is_one_graph_from_images_to_loss(
    tiny: Callable[..., RunConfig], name: str
) -> None:
    arm = {f"model__{key}": value for key, value in asdict(ARMS[name]).items()}
    config = tiny(train__mixup=0.8, train__cutmix=1.0, train__precision="bf16", **arm)
    objective, asked = Objective(build_vit(ARMS[name]), config), portion(4, 0, 32, 3)
    mixed = Mixing.of(config, asked, CPU).of_part(asked.images, asked.labels, slice(0, 4))
    graph: Any = torch.compile(objective, fullgraph=True, dynamic=False, backend="eager")

    graph(asked.images, asked.labels, drop_path_scales(config, asked), mixed).backward()

    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
@needs_compiler
def test_a_compiled_run_trains_as_the_other_and_resumes_in_the_same_bits(
    tiny: Callable[..., RunConfig],
) -> None:
    config = tiny(train__mixup=0.8, train__cutmix=1.0, train__ema_decay=0.9)
    whole, parts = (
        Trainer.fresh(config, ALONE, Placement(compile=True, micro_batch=10)) for _ in range(2)
    )
    plain = Trainer.fresh(config, ALONE, Placement())

    losses = trained(whole, range(9))
    graphs = counters["stats"]["unique_graphs"]
    first = trained(parts, range(5))
    state = deepcopy(parts.state())
    torch._dynamo.reset()  # as in a new process
    parts = Trainer.fresh(config, ALONE, Placement(compile=True, micro_batch=10))
    parts.resume(state)

    assert graphs == 3  # of 10 images, of the 4 that are left of a step, of the 5 of a shorter one
    assert first + trained(parts, range(5, 9)) == losses
    for name, weight in whole.weights().items():
        assert torch.equal(parts.weights()[name], weight)
    assert losses == pytest.approx(trained(plain, range(9)), rel=1e-5)


@pytest.mark.slow
@needs_compiler
def test_looking_at_a_model_whose_blocks_are_compiled_runs_it_uncompiled(
    tiny: Callable[..., RunConfig],
) -> None:
    plain, compiled = (Trainer.fresh(tiny(), ALONE, Placement()) for _ in range(2))
    for block in compiled.model.blocks:
        block.compile(fullgraph=True, dynamic=False)
    trained(compiled, range(1))
    plain.resume(compiled.state())
    graphs, images = counters["stats"]["unique_graphs"], torch.rand(3, 1, 8, 8)

    with plain.looked_at(), compiled.looked_at(), torch.no_grad():
        logits = [one.model(images) for one in (plain, compiled)]
        found = [measure(one.model, images) for one in (plain, compiled)]

    assert counters["stats"]["unique_graphs"] == graphs > 0
    assert torch.equal(*logits)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0, equal_nan=True)


def test_without_a_compiler_a_rank_says_so_before_it_trains(
    tiny: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")

    with pytest.raises(SpecError, match=r"no no-such-compiler with .* cpu; .*\$CXX"):
        Trainer.fresh(tiny(), ALONE, Placement(compile=True))
