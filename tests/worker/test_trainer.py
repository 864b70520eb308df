import math
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from orchestrator.config import Placement, RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece
from orchestrator.worker.losses import summed_loss, zero_logit_loss
from orchestrator.worker.mixing import Mixing
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer, drop_path_scales

Tiny = Callable[..., RunConfig]
ALONE = Ranks(0, 1, torch.device("cpu"))
RATE = 1e-3


def portion(images: int = 24, *, chunk: int = 8, step: int = 0, **changes: object) -> Portion:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=generator)
    sizes = [min(chunk, images - start) for start in range(0, images, chunk)]
    pieces = tuple(Piece(number, size) for number, size in enumerate(sizes))
    whole = Portion(step, 0, pixels, labels, pieces, images, stand_in=False)
    return replace(whole, **changes)


def gradients(trainer: Trainer, *portions: Portion) -> dict[str, torch.Tensor]:
    for each in portions:
        trainer.backward(each)
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters()}


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, gradient in one.items():
        torch.testing.assert_close(other[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_micro_batches_add_up_to_the_whole_step(tiny: Tiny) -> None:
    whole = gradients(Trainer.fresh(tiny(), ALONE, Placement()), portion())
    pieces = gradients(Trainer.fresh(tiny(), ALONE, Placement(micro_batch=5)), portion())

    assert_close(whole, pieces)


def test_the_chunks_of_a_step_add_up_to_it_whoever_takes_them(tiny: Tiny) -> None:
    """Two ranks: each scales by its world, and DDP takes the mean."""
    whole = portion()
    first = replace(
        whole,
        images=whole.images[:16],
        labels=whole.labels[:16],
        pieces=whole.pieces[:2],
    )
    second = replace(
        whole, images=whole.images[16:], labels=whole.labels[16:], pieces=whole.pieces[2:]
    )

    assert_close(
        gradients(Trainer.fresh(tiny(), ALONE, Placement()), whole),
        gradients(Trainer.fresh(tiny(), ALONE, Placement()), first, second),
    )


def test_a_stand_in_weighs_nothing(tiny: Tiny) -> None:
    trainer = Trainer.fresh(tiny(), ALONE, Placement())

    found = gradients(trainer, portion(1, stand_in=True))

    assert all(not gradient.any() for gradient in found.values())
    assert trainer.backward(portion(1, stand_in=True)) == 0


def test_a_short_last_step_is_the_mean_over_its_own_images(tiny: Tiny) -> None:
    config = tiny(model__drop_path=0.0)
    trainer = Trainer.fresh(config, ALONE, Placement())
    short = portion(5)

    loss = trainer.backward(short)

    pixels = (short.images.float() / 255 - 0.5) / 0.5
    expected = torch.nn.functional.cross_entropy(trainer.model(pixels), short.labels)
    torch.testing.assert_close(loss.float() / 5, expected)
    wanted = torch.autograd.grad(expected, trainer.model.head.weight)[0]
    torch.testing.assert_close(trainer.model.head.weight.grad, wanted, rtol=1e-4, atol=1e-7)


def test_a_model_is_trained_on_the_scale_its_configuration_names(tiny: Tiny) -> None:
    config = tiny(model__drop_path=0.0, model__in_chans=3, data__normalisation="imagenet")
    trainer, grey = Trainer.fresh(config, ALONE, Placement()), portion(4)
    colours = replace(grey, images=grey.images.expand(-1, 3, -1, -1))

    loss = trainer.backward(colours)

    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    logits = trainer.model((colours.images / 255 - mean) / std)
    expected = torch.nn.functional.cross_entropy(logits, colours.labels, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_drop_path_is_drawn_per_chunk_and_step_and_keeps_the_mean(tiny: Tiny) -> None:
    config = tiny(model__drop_path=0.25, model__depth=4)
    whole = portion(4000, chunk=1000)
    scales = drop_path_scales(config, whole)
    second = replace(whole, images=whole.images[1000:2000], pieces=whole.pieces[1:2])

    assert scales.shape == (4, 2, 4000)
    assert torch.equal(scales[:, :, 1000:2000], drop_path_scales(config, second))
    assert not torch.equal(scales, drop_path_scales(config, replace(whole, step=1)))
    assert scales.unique().tolist() == pytest.approx([0, 4 / 3])
    assert scales.mean().item() == pytest.approx(1, abs=0.02)


def test_data_seed_decides_the_draws_and_follows_the_seed(tiny: Tiny) -> None:
    one, other = tiny(), tiny().model_copy(update={"seed": 1})
    fixed = other.model_copy(update={"train": other.train.model_copy(update={"data_seed": 0})})

    assert not torch.equal(
        drop_path_scales(one, portion(200)), drop_path_scales(other, portion(200))
    )
    assert torch.equal(drop_path_scales(one, portion(200)), drop_path_scales(fixed, portion(200)))


def test_losses_at_zero_logits_are_the_logarithms_they_must_be(tiny: Tiny) -> None:
    zeros, labels = torch.zeros(3, 10), torch.tensor([0, 5, 9])

    ce, bce = tiny().train, tiny(train__loss="bce").train
    assert summed_loss(zeros, labels, ce).item() == pytest.approx(3 * math.log(10))
    assert summed_loss(zeros, labels, bce).item() == pytest.approx(3 * math.log(2))
    assert zero_logit_loss(ce, 10) == math.log(10)
    assert zero_logit_loss(bce, 10) == math.log(2)


def test_a_gradient_that_is_not_finite_changes_no_weight_and_is_counted(tiny: Tiny) -> None:
    trainer = Trainer.fresh(tiny(), ALONE, Placement())
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
    with torch.no_grad():
        trainer.model.head.bias[0] = float("inf")
    before["head.bias"] = trainer.model.head.bias.detach().clone()

    trainer.take(portion(), RATE)

    trainer.read()
    assert (trainer.step, trainer.course.nonfinite) == (1, 1)
    after = trainer.model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_the_norm_that_is_told_is_that_before_clipping(tiny: Tiny) -> None:
    free = Trainer.fresh(tiny(optim__clip_norm=None), ALONE, Placement())
    clipped = Trainer.fresh(tiny(optim__clip_norm=1e-3), ALONE, Placement())
    for trainer in (free, clipped):
        trainer.take(portion(), RATE)
        trainer.read()

    assert clipped.course.window.grad_norm == free.course.window.grad_norm > 1e-3


def test_micro_batches_add_up_to_the_whole_step_where_images_are_mixed(tiny: Tiny) -> None:
    mixed = tiny(train__mixup=0.8, train__cutmix=1.0, train__loss="bce")
    wholes, pieces = (
        gradients(Trainer.fresh(mixed, ALONE, Placement(micro_batch=n)), portion())
        for n in (None, 5)
    )

    assert_close(wholes, pieces)
    other = gradients(Trainer.fresh(tiny(train__loss="bce"), ALONE, Placement()), portion())
    assert not torch.allclose(other["head.weight"], wholes["head.weight"], rtol=0.01)


def test_drop_path_is_the_same_in_every_block_and_evaluation_drops_nothing(tiny: Tiny) -> None:
    config = tiny(model__drop_path=0.05, model__depth=12)
    dropped = (drop_path_scales(config, portion(8000, chunk=2000)) == 0).float().mean(dim=(1, 2))
    model = Trainer.fresh(config, ALONE, Placement()).model.eval()
    image = torch.rand(2, 1, 8, 8)

    assert dropped.tolist() == pytest.approx([0.05] * 12, abs=0.006)
    assert torch.equal(model(image), model(image))


def test_an_average_changes_no_weight_and_none_is_in_no_state(tiny: Tiny) -> None:
    plain, averaging = (
        Trainer.fresh(tiny(**options), ALONE, Placement())
        for options in ({}, {"train__ema_decay": 0.9})
    )
    for trainer in (plain, averaging):
        trainer.take(portion(), RATE)

    assert "average" not in plain.state()
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(averaging.model.state_dict()[name], weight)


def test_a_resumed_average_goes_on(tiny: Tiny) -> None:
    config = tiny(train__ema_decay=0.9)
    whole, second = (Trainer.fresh(config, ALONE, Placement()) for _ in range(2))
    whole.take(portion(), RATE)
    second.resume(deepcopy(whole.state()))
    for trainer in (whole, second):
        trainer.take(portion(step=1), RATE)

    for name, value in whole.state()["average"].items():
        assert torch.equal(second.state()["average"][name], value)


def test_activations_that_are_computed_again_change_no_bit(tiny: Tiny) -> None:
    plain, again = (
        Trainer.fresh(tiny(train__mixup=0.8), ALONE, Placement(activation_checkpointing=on))
        for on in (False, True)
    )
    passes = []
    again.model.blocks[0].register_forward_pre_hook(lambda *_: passes.append(1))

    expected, found = gradients(plain, portion()), gradients(again, portion())

    assert len(passes) == 2
    assert all(torch.equal(found[name], gradient) for name, gradient in expected.items())


class HostReads(TorchDispatchMode):
    """Fails where the host asks for the value of a tensor, as `item` and `if tensor` do.

    But for those of ``spared``, which are the host's own on any device: LAMB's count of steps.
    """

    def __init__(self, spared: Collection[torch.Tensor]) -> None:
        super().__init__()
        self.spared = {one.data_ptr() for one in spared}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            assert args[0].data_ptr() in self.spared, "the host waits for a value"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_a_step_asks_the_device_for_nothing(tiny: Tiny, optimizer: str) -> None:
    config = tiny(optim__name=optimizer, train__mixup=0.8, train__ema_decay=0.9)
    trainer = Trainer.fresh(config, ALONE, Placement(micro_batch=5))
    images, labels = portion().images, portion().labels
    mixing = Mixing.of(config, portion(), ALONE.device)
    keep = drop_path_scales(config, portion())

    trainer.take(portion(), RATE)
    trainer.read()

    with HostReads([group["step"] for group in trainer.optimizer.param_groups if "step" in group]):
        loss = trainer.net(images, labels, keep, mixing.of_part(images, labels, slice(0, 24)))
        torch.autograd.backward(loss / 24)
        trainer.descend(portion(), loss.detach().double(), RATE)
        with pytest.raises(AssertionError, match="waits"):
            trainer.unread[-1].loss.item()


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_a_state_of_an_optimizer_that_worked_parameter_by_parameter_goes_on_all_at_once(
    tiny: Tiny, optimizer: str
) -> None:
    trainer, other = (Trainer.fresh(tiny(optim__name=optimizer), ALONE, Placement()) for _ in "ab")
    trainer.take(portion(), RATE)
    state = deepcopy(trainer.state())
    for group in state["optimizer"]["param_groups"]:
        group |= {"foreach": None, "fused": None}

    other.resume(state)

    now = "fused" if optimizer == "adamw" else "foreach"
    assert all(group[now] is True for group in other.optimizer.param_groups)
    for each in (trainer, other):
        each.take(portion(step=1), RATE)
    for name, weight in trainer.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], weight)
