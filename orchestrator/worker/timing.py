"""How long architectures take per image, side by side on the device at hand."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import ViTConfig
from model.flops import vanilla
from model.vit import ViT, build_vit
from orchestrator.worker.data.track import Track, silently
from orchestrator.worker.device import choose_device
from orchestrator.worker.environment import FACTS

Precision = Literal["fp32", "bf16"]

BATCH = {"cpu": 8, "cuda": 128}
"""Images at once, where nobody says: enough to keep the device busy."""
LEAST_S = 0.1
"""A measurement is the median of as many passes as fill this time."""
PRECISIONS: Mapping[Precision, str] = {"fp32": "float32", "bf16": "bfloat16 autocast"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which times were measured; a time without them says nothing.

    Attributes:
        device: ``cpu`` or ``cuda``.
        name: what the machine calls it.
        threads: of torch, on the CPU.
        precision: of products; parameters are float32.
        batch: images of one pass.
        repeats: rounds; each arm is measured once in each.
    """

    device: str
    name: str
    threads: int
    precision: Precision
    tf32: bool
    batch: int
    repeats: int
    torch: str

    @classmethod
    def here(
        cls, *, device: str | None, batch: int | None, repeats: int, precision: Precision
    ) -> Self:
        """On the named device, else on a GPU if there is one.

        Raises:
            SpecError: the device is not there.
        """
        device = choose_device(device)
        return cls(
            device=device,
            name=torch.cuda.get_device_name()
            if device == "cuda"
            else str(FACTS["processor"]() or platform.machine()),
            threads=torch.get_num_threads(),
            precision=precision,
            tf32=device == "cuda" and torch.backends.cuda.matmul.allow_tf32,
            batch=batch or BATCH[device],
            repeats=repeats,
            torch=torch.__version__,
        )

    def __str__(self) -> str:
        threads = f", {self.threads} thread(s)" if self.device == "cpu" else ""
        tf32 = " with TF32" if self.tf32 else ""
        return (
            f"{self.name} ({self.device}{threads}), {PRECISIONS[self.precision]}{tf32}, "
            f"batch {self.batch}, {self.repeats} rounds, torch {self.torch}"
        )

    def to_plain(self) -> dict[str, Any]:
        """As ``flops --json`` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        return cls(median, low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One architecture: seconds per image, and times over vanilla's of the same round.

    ``training`` is a forward and a backward pass, without optimiser, data, and drop path.
    ``peak_bytes``: the most that training took of a GPU's memory, parameters included; else None.
    """

    forward_s: Spread
    training_s: Spread
    forward_ratio: Spread
    training_ratio: Spread
    peak_bytes: int | None

    def to_plain(self) -> dict[str, Any]:
        """As ``flops --json`` prints it."""
        return asdict(self)


def time_arms(
    arms: Sequence[ViTConfig], conditions: Conditions, *, track: Track = silently
) -> list[Timed]:
    """Measure architectures in turn, round by round, so that a drift of the machine hits all alike.

    Each is compared with the vanilla transformer of its size, which is measured too where it is no
    arm. The first round warms up and is forgotten; each next one begins with another arm.
    """
    everybody = list(dict.fromkeys([*arms, *map(vanilla, arms)]))
    peaks = {config: _peak_bytes(config, conditions) for config in everybody}
    passes = {config: _Passes.of(config, conditions) for config in everybody}
    forward: dict[ViTConfig, list[float]] = {config: [] for config in everybody}
    training: dict[ViTConfig, list[float]] = {config: [] for config in everybody}
    for turn in track(range(-1, conditions.repeats), conditions.repeats + 1):
        start = turn % len(everybody)
        for config in [*everybody[start:], *everybody[:start]]:
            times = (passes[config].forward(), passes[config].training())
            if turn >= 0:
                forward[config].append(times[0])
                training[config].append(times[1])
    return [
        Timed(
            forward_s=_per_image(forward[config], conditions),
            training_s=_per_image(training[config], conditions),
            forward_ratio=_ratio(forward[config], forward[vanilla(config)]),
            training_ratio=_ratio(training[config], training[vanilla(config)]),
            peak_bytes=peaks[config],
        )
        for config in arms
    ]


def _per_image(seconds: Sequence[float], conditions: Conditions) -> Spread:
    return Spread.of([each / conditions.batch for each in seconds])


def _ratio(seconds: Sequence[float], of_vanilla: Sequence[float]) -> Spread:
    return Spread.of([one / other for one, other in zip(seconds, of_vanilla, strict=True)])


@dataclass(slots=True, eq=False)
class _Passes:
    """A model and a batch, through which it is timed."""

    model: ViT
    images: Tensor
    labels: Tensor
    conditions: Conditions

    @classmethod
    def of(cls, config: ViTConfig, conditions: Conditions) -> Self:
        device, batch = torch.device(conditions.device), conditions.batch
        size = (batch, config.in_chans, config.img_size, config.img_size)
        images = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(device)
        labels = (torch.arange(batch) % config.num_classes).to(device)
        return cls(build_vit(config).to(device), images, labels, conditions)

    def forward(self) -> float:
        """Seconds of one pass without gradients."""
        self.model.eval()
        with torch.no_grad():
            return self._timed(self._logits)

    def training(self) -> float:
        """Seconds of one forward and backward pass."""
        self.model.train()
        return self._timed(self.step)

    def step(self) -> None:
        self.model.zero_grad(set_to_none=True)
        torch.autograd.backward(F.cross_entropy(self._logits(), self.labels))

    def _logits(self) -> Tensor:
        bf16 = self.conditions.precision == "bf16"
        with torch.autocast(self.conditions.device, torch.bfloat16, enabled=bf16):
            logits: Tensor = self.model(self.images)
        return logits.float()

    def _timed(self, act: Callable[[], object]) -> float:
        """The median of as many passes as fill `LEAST_S`: one that was disturbed does not count."""
        seconds: list[float] = []
        while not seconds or sum(seconds) < LEAST_S:
            self._wait()
            began = time.perf_counter()
            act()
            self._wait()
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds)

    def _wait(self) -> None:
        """A GPU answers before it has computed."""
        if self.conditions.device == "cuda":
            torch.cuda.synchronize()


def _peak_bytes(config: ViTConfig, conditions: Conditions) -> int | None:
    """What one training pass takes of a GPU's memory at most, with the device to itself."""
    if conditions.device != "cuda":
        return None
    one = torch.ones(1, 1, device=conditions.device)
    one @ one  # so that the workspace of the BLAS library is there before, for the first arm too
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    passes = _Passes.of(config, conditions)
    passes.model.train()
    torch.cuda.reset_peak_memory_stats()
    passes.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
