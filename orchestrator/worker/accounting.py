"""Where a run's time goes: the only clock of the loop."""

import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self, TypeVar

import numpy as np
import torch

from orchestrator.config import Placement
from orchestrator.config.devices import peak_tflops

QUANTILES = {"p50": 0.5, "p95": 0.95, "max": 1.0}
Item = TypeVar("Item")


@dataclass(slots=True)
class Ticks:
    """When steps end, by the device's own clock: the host is ahead of a GPU."""

    device: torch.device
    marks: list[float | torch.cuda.Event] = field(default_factory=list)

    def mark(self) -> None:
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.monotonic())

    def seconds(self) -> list[float]:
        """From each mark to the next, and none is left; waits until the last was reached."""
        marks, self.marks = self.marks, []
        if marks and isinstance(marks[-1], torch.cuda.Event):
            marks[-1].synchronize()
        return [_between(one, other) for one, other in pairwise(marks)]


@dataclass(slots=True)
class Clock:
    """Speed, where time went, and when a checkpoint is due.

    Time in a ``pause`` is told by what it was for and is no training time.
    """

    ticks: Ticks
    checkpoint_every_s: float
    saved_at: float
    point_began: float
    epoch_began: float
    point_images: int = 0
    epoch_images: int = 0
    waited: float = 0.0
    steps: list[float] = field(default_factory=list)
    pauses: dict[str, float] = field(default_factory=dict)

    @classmethod
    def start(cls, device: torch.device, checkpoint_minutes: float) -> Self:
        now = time.monotonic()
        clock = cls(Ticks(device), checkpoint_minutes * 60, now, now, now)
        clock.ticks.mark()
        return clock

    def waiting(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the time until each is there counts as waiting for data."""
        source = iter(items)
        while True:
            began = time.monotonic()
            try:
                item = next(source)
            except StopIteration:
                return
            self.waited += time.monotonic() - began
            yield item

    def stepped(self, images: int) -> None:
        """A step of so many images, over all ranks, was given to the device."""
        self.ticks.mark()
        self.point_images += images
        self.epoch_images += images

    @contextmanager
    def pause(self, what: str) -> Iterator[None]:
        """What happens meanwhile is no training."""
        self.steps += self.ticks.seconds()
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.pauses[what] = self.pauses.get(what, 0.0) + took
        self.point_began += took
        self.ticks.mark()

    def checkpoint_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.checkpoint_every_s

    def checkpointed(self) -> None:
        self.saved_at = time.monotonic()

    def end_point(self) -> dict[str, float]:
        """The speed since the last training point, over all ranks."""
        now = time.monotonic()
        speed = self.point_images / (now - self.point_began)
        self.point_images, self.point_began = 0, now
        return {"train/images_per_s": speed}

    def end_epoch(self, flops: float | None, peak: float | None) -> dict[str, float]:
        """``time/*`` since the last call, on this rank, and ``train/mfu`` if a peak is known.

        ``flops``: of training on one image; ``peak``: those that all ranks can do in a second.
        """
        self.steps += self.ticks.seconds()
        self.ticks.mark()
        now = time.monotonic()
        whole, self.epoch_began = now - self.epoch_began, now
        training = whole - sum(self.pauses.values())
        told = {
            "time/epoch_s": whole,
            "time/data_wait_share": self.waited / training,
            **{f"time/{what}_s": seconds for what, seconds in self.pauses.items()},
        }
        if self.steps:
            found = np.quantile(self.steps, list(QUANTILES.values())).tolist()
            told |= {f"time/step_{name}_s": v for name, v in zip(QUANTILES, found, strict=True)}
        if flops and peak:
            told["train/mfu"] = self.epoch_images / training * flops / peak
        self.epoch_images, self.waited, self.steps, self.pauses = 0, 0.0, [], {}
        return told


def peak_flops(device: torch.device, placement: Placement) -> float | None:
    """What one rank's device can do in a second: as the placement says, or as its kind is known."""
    if placement.peak_tflops is not None:
        return placement.peak_tflops * 1e12
    if device.type != "cuda":
        return None
    known = peak_tflops(torch.cuda.get_device_name(device))
    return known and known * 1e12


def peak_memory_gb(device: torch.device) -> float:
    """The most memory that was taken so far, in 10^9 bytes: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _between(one: float | torch.cuda.Event, other: float | torch.cuda.Event) -> float:
    if isinstance(one, torch.cuda.Event):
        return float(one.elapsed_time(other)) / 1e3  # type: ignore[arg-type]  # one kind of mark
    return float(other) - one  # type: ignore[arg-type]  # as above
