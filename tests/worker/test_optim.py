from collections.abc import Callable

import pytest
import torch
from timm.scheduler import CosineLRScheduler

from model.vit import build_vit
from orchestrator.config import RunConfig
from orchestrator.config.optim import OptimConfig
from orchestrator.worker.optim import build_optimizer, learning_rate

Tiny = Callable[..., RunConfig]
CONFIG = OptimConfig(lr=4e-3, warmup_epochs=5, warmup_lr=1e-6, min_lr=1e-5)


def rate(step: int, config: OptimConfig = CONFIG) -> float:
    return learning_rate(step, steps=1000, steps_per_epoch=10, config=config)


def test_the_first_step_has_the_warm_up_rate_and_the_peak_comes_when_the_warm_up_ends() -> None:
    assert rate(0) == 1e-6
    assert rate(25) == pytest.approx((1e-6 + 4e-3) / 2)
    assert rate(50) == 4e-3


def test_the_cosine_is_halfway_down_in_the_middle_and_ends_at_the_smallest_rate() -> None:
    assert rate(50 + 475) == pytest.approx((4e-3 + 1e-5) / 2)
    assert rate(1000) == pytest.approx(1e-5)


def test_the_rate_rises_through_the_warm_up_and_never_rises_after_it() -> None:
    rates = [rate(step) for step in range(1001)]

    assert rates[:51] == sorted(rates[:51])
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_without_warm_up_the_first_step_has_the_peak_rate() -> None:
    assert rate(0, OptimConfig(lr=3e-3, warmup_epochs=0)) == 3e-3


# By row: an epoch's number for timm's scheduler, which is one less than ours, and its rate.
DEIT_RATES = [
    (0, 1e-6), (1, 8.008e-4), (4, 3.2002e-3), (5, 3.99961545e-3), (9, 3.99875413e-3),
    (399, 2.01283e-3), (798, 1.00615305e-5),
]  # fmt: skip
BY_EPOCHS = OptimConfig(lr=4e-3, warmup_epochs=5, min_lr=1e-5, schedule="epoch")


def epoch_rate(epoch: int, step: int = 0, config: OptimConfig = BY_EPOCHS) -> float:
    return learning_rate(63 * epoch + step, steps=63 * 800, steps_per_epoch=63, config=config)


@pytest.mark.parametrize(("told", "rate"), DEIT_RATES)
def test_by_epochs_the_rates_are_those_of_the_published_logs(told: int, rate: float) -> None:
    assert epoch_rate(told + 1) == pytest.approx(rate, rel=3e-6)
    assert epoch_rate(told + 1, 62) == epoch_rate(told + 1)


def test_by_epochs_the_first_two_have_the_rate_of_the_start() -> None:
    assert epoch_rate(0) == epoch_rate(0, 62) == epoch_rate(1) == 1e-6


def test_by_epochs_the_rates_are_those_of_timm_s_scheduler() -> None:
    group = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=4e-3)
    theirs = CosineLRScheduler(
        group, t_initial=800, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6, t_in_epochs=True
    )
    for epoch in range(800):
        assert epoch_rate(epoch) == pytest.approx(group.param_groups[0]["lr"], rel=1e-12)
        theirs.step(epoch)


def test_by_epochs_without_warm_up_the_first_epoch_has_the_peak_rate() -> None:
    assert epoch_rate(0, config=OptimConfig(schedule="epoch", warmup_epochs=0, lr=3e-3)) == 3e-3


LAMB = OptimConfig(name="lamb", lr=1e-2)


def stepped(tiny: Tiny, config: OptimConfig, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """By how much one step on random gradients moved every parameter."""
    model = build_vit(tiny(model__layer_scale=1e-4, model__registers=1).model)
    optimizer = build_optimizer(model, config)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def test_lamb_scales_the_steps_of_what_decays_to_its_norm_and_leaves_the_rest_to_adam(
    tiny: Tiny,
) -> None:
    model = build_vit(tiny(model__layer_scale=1e-4, model__registers=1).model)
    exempt = model.no_weight_decay()
    moved, adam = stepped(tiny, LAMB), stepped(tiny, LAMB.model_copy(update={"name": "adamw"}))

    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and name not in exempt:
            assert moved[name].norm().item() == pytest.approx(1e-2 * parameter.norm().item())
        else:
            torch.testing.assert_close(moved[name], adam[name], rtol=1e-4, atol=1e-7)


def test_lamb_moves_layer_scale_in_its_first_step(tiny: Tiny) -> None:
    """Scaled by its norm of 1e-4 it would stand still."""
    moved = stepped(tiny, LAMB)["blocks.0.ls1.gamma"].abs()

    assert moved.tolist() == pytest.approx([1e-2] * len(moved), rel=1e-3)


def test_lamb_clips_no_gradient_of_its_own(tiny: Tiny) -> None:
    """A clipped one would leave other moments; the trainer clips, and tells the norm."""
    config = tiny()
    model = build_vit(config.model)
    optimizer = build_optimizer(model, LAMB)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    optimizer.step()

    assert optimizer.state[model.head.weight]["exp_avg"].unique().tolist() == pytest.approx([10.0])


def test_only_matrices_decay(tiny: Tiny) -> None:
    config = tiny(model__registers=2, model__gate={"position": "sdpa"}, model__layer_scale=1e-4)
    model = build_vit(config.model)
    optimizer = build_optimizer(model, config.optim)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, bare = ({names[id(p)] for p in group["params"]} for group in optimizer.param_groups)

    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    assert {"pos_embed", "cls_token", "reg_token", "blocks.0.ls1.gamma", "norm.weight"} <= bare
    assert {"blocks.0.attn.gate.weight", "blocks.1.mlp.fc1.weight", "head.weight"} <= decayed
    assert not any(name.endswith("bias") for name in decayed)
    assert decayed | bare == set(names.values())


def test_what_is_never_trained_is_in_no_group(tiny: Tiny) -> None:
    config = tiny(model__attention="static_random")
    model = build_vit(config.model)
    groups = build_optimizer(model, config.optim).param_groups

    assert all(parameter.requires_grad for group in groups for parameter in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters())) - 2


def test_input_independent_gates_learned_values_and_lambdas_do_not_decay(tiny: Tiny) -> None:
    arms = {
        ".gate.bias": tiny(model__gate={"input": "none"}),
        ".extra_key": tiny(model__attention="extra_key_value"),
        ".extra_value": tiny(model__attention="value_bias"),
        ".lambda_q1": tiny(model__attention="differential"),
    }
    for ending, config in arms.items():
        model = build_vit(config.model)
        _, bare = build_optimizer(model, config.optim).param_groups
        spared = {id(parameter) for parameter in bare["params"]}
        found = [p for name, p in model.named_parameters() if name.endswith(ending)]
        assert len(found) == 2
        assert {id(parameter) for parameter in found} <= spared
