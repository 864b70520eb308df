import time
from collections.abc import Callable

import pytest
import torch

from model.flops import count_training_flops
from orchestrator.config import Placement, RunConfig
from orchestrator.worker import accounting
from orchestrator.worker.accounting import Clock, peak_flops, peak_memory_gb

CPU = torch.device("cpu")


class Time:
    """A clock that is set by hand, in the place of the module's ``time``."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Time:
    hand = Time()
    monkeypatch.setattr(accounting, "time", hand)
    return hand


def test_an_epoch_s_time_is_told_apart_into_steps_waiting_and_pauses(hand: Time) -> None:
    clock = Clock.start(CPU, checkpoint_minutes=1)

    def items() -> list[int]:
        for number in range(4):
            hand.now += 0.5  # the data come late
            yield number

    for _ in clock.waiting(items()):
        hand.now += 1.5
        clock.stepped(images=10)
    with clock.pause("evaluate"):
        hand.now += 7
    told = clock.end_epoch(flops=3.0, peak=6.0)

    assert told == {
        "time/epoch_s": 15,
        "time/evaluate_s": 7,
        "time/data_wait_share": 0.25,
        "time/step_p50_s": 2,
        "time/step_p95_s": 2,
        "time/step_max_s": 2,
        "train/mfu": 40 / 8 * 3 / 6,
    }
    hand.now += 2
    assert clock.end_epoch(None, None) == {"time/epoch_s": 2, "time/data_wait_share": 0}


def test_an_epoch_without_a_pause_tells_of_its_own_steps(hand: Time) -> None:
    clock = Clock.start(CPU, checkpoint_minutes=1)
    for seconds in (1, 3):
        for _ in range(2):
            hand.now += seconds
            clock.stepped(images=8)
        assert clock.end_epoch(None, None)["time/step_max_s"] == seconds


def test_a_pause_is_no_part_of_a_step_nor_of_the_speed(hand: Time) -> None:
    clock = Clock.start(CPU, checkpoint_minutes=1)
    for _ in range(2):
        hand.now += 1
        clock.stepped(images=8)
        with clock.pause("checkpoint"):
            hand.now += 100

    assert clock.end_point() == {"train/images_per_s": 8}
    told = clock.end_epoch(None, None)
    assert told["time/step_max_s"] == 1
    assert told["time/checkpoint_s"] == 200


def test_a_checkpoint_is_due_by_time_alone(hand: Time) -> None:
    clock = Clock.start(CPU, checkpoint_minutes=1)
    hand.now += 59
    assert not clock.checkpoint_due()
    hand.now += 1
    assert clock.checkpoint_due()
    clock.checkpointed()
    assert not clock.checkpoint_due()


def test_operations_of_training_on_an_image_are_those_of_the_model(
    tiny: Callable[..., RunConfig],
) -> None:
    """ViT-S/16 at 224 pixels, 1000 classes: 27.478 GFLOP, as torch's own counter has it."""
    vit_s = {"img_size": 224, "patch_size": 16, "in_chans": 3, "num_classes": 1000, "dim": 384}
    settings = {f"model__{key}": value for key, value in vit_s.items()}
    config = tiny(**settings, model__depth=12, model__heads=6)

    assert count_training_flops(config.model) == pytest.approx(27.478e9, rel=1e-4)


def test_a_peak_is_the_placement_s_or_the_kind_s_or_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert peak_flops(CPU, Placement()) is None
    assert peak_flops(CPU, Placement(peak_tflops=0.5)) == 0.5e12
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    assert peak_flops(torch.device("cuda"), Placement()) == 989e12
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "another one")
    assert peak_flops(torch.device("cuda"), Placement()) is None


def test_peak_memory_grows_with_what_is_taken_and_never_shrinks() -> None:
    before = peak_memory_gb(CPU)
    taken = torch.ones(int(before * 1e9) // 4)
    during = peak_memory_gb(CPU)
    del taken

    assert during > before > 0.01
    assert peak_memory_gb(CPU) == during


def test_ticks_of_a_cpu_are_the_times_between_marks() -> None:
    ticks = accounting.Ticks(CPU)
    for _ in range(3):
        ticks.mark()
        time.sleep(0.01)

    assert all(0.01 <= seconds < 5 for seconds in ticks.seconds())
    assert ticks.seconds() == []
