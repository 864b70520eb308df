from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.config import GateConfig, ViTConfig
from model.record import record
from model.vit import ViT

Build = Callable[[ViTConfig], ViT]
ALL = ("blocks", "attention", "gates")


@pytest.fixture
def model(tiny: ViTConfig, build: Build) -> ViT:
    return build(replace(tiny, registers=2, gate=GateConfig()))


def test_blocks_are_what_timm_gives_before_the_final_norm(model: ViT, images: Tensor) -> None:
    theirs = model.forward_intermediates(
        images, output_fmt="NLC", return_prefix_tokens=True, intermediates_only=True
    )

    with record(model) as seen:
        model(images)

    assert len(seen["blocks"]) == 3
    for block, (patches, prefix) in zip(seen["blocks"], theirs, strict=True):
        assert torch.equal(block, torch.cat([prefix, patches], dim=1))


def test_every_name_has_one_tensor_per_block(model: ViT, images: Tensor) -> None:
    with record(model, ALL) as seen:
        model(images)

    assert [t.shape for t in seen["blocks"]] == [(6, 19, 32)] * 3
    assert [t.shape for t in seen["attention"]] == [(6, 4, 19, 19)] * 3
    assert [t.shape for t in seen["gates"]] == [(6, 4, 19, 8)] * 3
    assert not any(t.requires_grad for tensors in seen.values() for t in tensors)


def test_recording_changes_no_result_and_leaves_no_hooks(model: ViT, images: Tensor) -> None:
    expected = model(images)

    with record(model, ALL):
        assert torch.equal(model(images), expected)

    assert _hooks(model) == 0


def test_a_model_without_gates_has_none_to_record(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(tiny)

    with record(model, ["gates"]) as seen:
        model(images)

    assert seen["gates"] == []


def test_a_failing_forward_leaves_the_model_clean(model: ViT, images: Tensor) -> None:
    with pytest.raises(ValueError, match="keep"), record(model, ALL):
        model(images, torch.ones(1))

    assert _hooks(model) == 0


def test_recordings_may_nest(model: ViT, images: Tensor) -> None:
    with record(model) as outer, record(model, ["blocks", "gates"]) as inner:
        model(images)

    assert all(torch.equal(a, b) for a, b in zip(outer["blocks"], inner["blocks"], strict=True))
    assert _hooks(model) == 0


def test_a_second_forward_is_refused(model: ViT, images: Tensor) -> None:
    with record(model):
        model(images)
        with pytest.raises(RuntimeError, match="one forward pass"):
            model(images)

    assert _hooks(model) == 0


def test_an_unknown_name_is_refused_with_the_known_ones(model: ViT) -> None:
    with pytest.raises(ValueError, match="cannot record norms; known names: blocks, attention"):
        record(model, ["norms"]).__enter__()


@pytest.mark.slow
def test_a_model_that_was_compiled_before_is_recorded_too(model: ViT, images: Tensor) -> None:
    model.compile(backend="aot_eager")
    expected = model(images)

    with record(model, ALL) as seen:
        logits = model(images)

    torch.testing.assert_close(logits, expected)
    assert {name: len(tensors) for name, tensors in seen.items()} == dict.fromkeys(ALL, 3)


def _hooks(model: ViT) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
