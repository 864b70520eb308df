"""How steadily a run trains: what each step told, folded into windows, epochs and a verdict.

On the host, from numbers that the device had collected; nothing here is asked for at every step.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple, Self

import numpy as np

NONFINITE_LIMIT = 10
"""So many steps in a row without a finite gradient are a divergence."""
BAD_EPOCHS_LIMIT = 2
"""So are so many epochs in a row, after warm-up, with a loss clearly above that of zero logits."""
MARGIN = 1.01
"""Clearly is by one in a hundred: a model that has yet to begin lies on both sides."""
SPIKE_WINDOW = 200
"""A loss is held against those of so many steps before it; until there are as many, none is."""
SPIKE_DEVIATIONS = 6.0
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Step(NamedTuple):
    """What one optimiser step told."""

    loss: float
    """Mean over the images of the step."""
    grad_norm: float
    """L2 norm of the gradient of the whole step, before clipping."""
    images: int


@dataclass(slots=True)
class Window:
    """Sums over the steps since the last training point."""

    loss: float = 0.0
    images: int = 0
    grad_norm: float = 0.0
    steps: int = 0

    def take(self, step: Step) -> None:
        self.loss += step.loss * step.images
        self.images += step.images
        self.grad_norm += step.grad_norm
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """``train/loss`` per image and ``train/grad_norm`` per step."""
        return {
            "train/loss": self.loss / self.images,
            "train/grad_norm": self.grad_norm / self.steps,
        }


@dataclass(slots=True)
class Epoch:
    """The steps of the epoch that is under way."""

    loss: float = 0.0
    images: int = 0
    """Of the steps with a finite loss, whose sum the former is."""
    norms: list[float] = field(default_factory=list)
    spikes: int = 0

    @property
    def mean_loss(self) -> float:
        """Per image, of the steps with a finite loss; nan if there is none."""
        return self.loss / self.images if self.images else math.nan

    def metrics(self) -> dict[str, float]:
        """``stability/*``: mean loss, quantiles of the gradient norm, spikes, non-finite steps.

        The mean is of finite losses; quantiles and the largest are of finite norms, and absent if
        there is none.
        """
        finite = [norm for norm in self.norms if math.isfinite(norm)]
        told = {
            "stability/epoch_loss": self.mean_loss,
            "stability/loss_spikes": float(self.spikes),
            "stability/nonfinite_steps": float(len(self.norms) - len(finite)),
        }
        if finite:
            values = np.quantile(finite, list(QUANTILES.values())).tolist()
            told |= {f"stability/grad_norm_{n}": v for n, v in zip(QUANTILES, values, strict=True)}
            told["stability/grad_norm_max"] = max(finite)
        return told


@dataclass(slots=True)
class Course:
    """What the steps so far tell; all of it is part of the state that resumes."""

    window: Window = field(default_factory=Window)
    epoch: Epoch = field(default_factory=Epoch)
    recent: list[float] = field(default_factory=list)
    """Losses of the last ``SPIKE_WINDOW`` steps that had a finite one."""
    nonfinite: int = 0
    """Steps in a row, up to now, without a finite gradient."""
    longest_nonfinite: int = 0
    bad_epochs: int = 0
    """Epochs in a row, up to now, after warm-up, with a loss clearly above that of zero logits."""

    def take(self, step: Step) -> None:
        self.window.take(step)
        self.epoch.norms.append(step.grad_norm)
        self.epoch.spikes += is_spike(step.loss, self.recent)
        if math.isfinite(step.loss):  # one that is not would be all of a mean, and in no order
            self.epoch.loss += step.loss * step.images
            self.epoch.images += step.images
            self.recent = [*self.recent, step.loss][-SPIKE_WINDOW:]
        self.nonfinite = 0 if math.isfinite(step.grad_norm) else self.nonfinite + 1
        self.longest_nonfinite = max(self.longest_nonfinite, self.nonfinite)

    def end_window(self) -> dict[str, float]:
        """The metrics of a training point; a new window begins."""
        window, self.window = self.window, Window()
        return window.metrics()

    def end_epoch(self, *, limit: float | None) -> dict[str, float]:
        """The metrics of an epoch; a new one begins.

        ``limit``: the loss of zero logits, which a bad epoch clearly exceeds; None in warm-up.
        """
        epoch, self.epoch = self.epoch, Epoch()
        good = limit is None or epoch.mean_loss <= MARGIN * limit  # nan is bad
        self.bad_epochs = 0 if good else self.bad_epochs + 1
        return epoch.metrics()

    @property
    def divergence(self) -> str | None:
        """In words, why the run counts as diverged; None: it does not."""
        if self.longest_nonfinite >= NONFINITE_LIMIT:
            return f"{NONFINITE_LIMIT} steps in a row had no finite gradient"
        if self.bad_epochs >= BAD_EPOCHS_LIMIT:
            return (
                f"the loss of {BAD_EPOCHS_LIMIT} epochs in a row after warm-up was above that of "
                "a model that knows nothing (zero logits)"
            )
        return None

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        nested = {"window": Window(**plain["window"]), "epoch": Epoch(**plain["epoch"])}
        return cls(**{**plain, **nested})


def is_spike(loss: float, before: Sequence[float]) -> bool:
    """Whether a loss exceeds the median of those of 200 steps before it by 6 times their MAD.

    MAD: the median of the absolute deviations from the median, as it is. A loss that is no number
    is none; its gradient is counted as not finite.
    """
    if len(before) < SPIKE_WINDOW:
        return False
    middle = median(before)
    deviation = median(abs(one - middle) for one in before)
    return loss > middle + SPIKE_DEVIATIONS * deviation
