from collections.abc import Callable

import pytest

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
