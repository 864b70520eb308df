from collections.abc import Iterator
from typing import Any

import pytest
import torch

from model.config import GateConfig, ViTConfig
from orchestrator.errors import SpecError
from orchestrator.worker import timing
from orchestrator.worker.timing import Conditions, Spread, time_arms

SMALL: dict[str, Any] = {
    "img_size": 8, "patch_size": 4, "num_classes": 3, "dim": 16, "depth": 1, "heads": 2,
}  # fmt: skip
PLAIN = ViTConfig(**SMALL)
DEEP = ViTConfig(**{**SMALL, "depth": 12, "registers": 8})
GATED = ViTConfig(**SMALL, gate=GateConfig())


def here(**changes: Any) -> Conditions:
    asked = {"device": "cpu", "batch": 2, "repeats": 3, "precision": "fp32"}
    return Conditions.here(**{**asked, **changes})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "LEAST_S", 0.0)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ViTConfig, bool]]]:
    """Who was measured, in which order, and whether gradients were kept."""
    taken: list[tuple[str, ViTConfig, bool]] = []

    def measured(kind: str) -> Any:
        def measure(self: Any) -> float:
            with torch.no_grad() if kind == "forward" else torch.enable_grad():
                self.step() if kind == "training" else None
                taken.append((kind, self.model.config, torch.is_grad_enabled()))
            return {"forward": 1.0, "training": 3.0}[kind] * self.model.config.depth

        return measure

    for kind in ("forward", "training"):
        monkeypatch.setattr(timing._Passes, kind, measured(kind))
    return taken


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_arm_has_times_above_zero_and_on_a_cpu_no_peak(precision: str) -> None:
    plain, gated = time_arms([PLAIN, GATED], here(precision=precision))

    for timed in (plain, gated):
        assert 0 < timed.forward_s.low <= timed.forward_s.median <= timed.forward_s.high
        assert timed.training_s.median > 0
        assert timed.peak_bytes is None
    assert plain.forward_ratio == plain.training_ratio == Spread(1, 1, 1)


def test_a_much_deeper_arm_takes_longer() -> None:
    deep, shallow = time_arms([DEEP, PLAIN], here(repeats=5))

    assert deep.forward_s.low > shallow.forward_s.low
    assert deep.training_s.low > shallow.training_s.low


def test_the_first_round_warms_up_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_at_first = iter([1000.0, 1.0, 1.0])
    monkeypatch.setattr(timing._Passes, "forward", lambda _: next(slow_at_first))
    monkeypatch.setattr(timing._Passes, "training", lambda _: 1.0)

    (timed,) = time_arms([PLAIN], here(batch=1, repeats=2))

    assert timed.forward_s == Spread(1.0, 1.0, 1.0)


def test_arms_are_measured_in_turn_and_each_round_begins_with_another(
    turns: list[tuple[str, ViTConfig, bool]],
) -> None:
    time_arms([PLAIN, GATED], here(repeats=2))
    order = [config for kind, config, _ in turns if kind == "forward"]

    rounds = [order[n : n + 2] for n in range(0, len(order), 2)]
    assert rounds == [[GATED, PLAIN], [PLAIN, GATED], [GATED, PLAIN]]


def test_vanilla_is_measured_where_it_is_no_arm(
    turns: list[tuple[str, ViTConfig, bool]],
) -> None:
    timed = time_arms([GATED], here(repeats=1))

    assert len(timed) == 1
    assert {config for _, config, _ in turns} == {GATED, PLAIN}


def test_times_are_per_image_and_ratios_are_of_the_same_round(
    turns: list[tuple[str, ViTConfig, bool]],
) -> None:
    (timed,) = time_arms([DEEP], here(batch=4))

    assert timed.forward_s == Spread(3.0, 3.0, 3.0)
    assert timed.training_s == Spread(9.0, 9.0, 9.0)
    assert timed.forward_ratio == Spread(1, 1, 1)


def test_the_median_of_many_passes_forgets_one_that_was_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.01, 1.0, 1.01, 2.0, 2.09, 3.0, 3.01])
    monkeypatch.setattr(timing, "LEAST_S", 0.105)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))

    seconds = timing._Passes.of(PLAIN, here())._timed(lambda: None)

    assert seconds == pytest.approx(0.01)


def test_the_conditions_say_device_threads_precision_batch_and_rounds() -> None:
    told = str(here(batch=7, repeats=11, precision="bf16"))

    for part in ("cpu", f"{torch.get_num_threads()} thread", "bfloat16", "batch 7", "11 rounds"):
        assert part in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_with_the_next_step() -> None:
    with pytest.raises(SpecError, match="--device cpu"):
        here(device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_peak_holds_at_least_parameters_and_gradients() -> None:
    (timed,) = time_arms([PLAIN], here(device="cuda"))

    parameters = sum(p.numel() for p in timing.build_vit(PLAIN).parameters())
    assert timed.peak_bytes is not None
    assert timed.peak_bytes >= 2 * 4 * parameters
