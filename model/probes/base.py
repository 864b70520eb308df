"""What a probe is: a measurement of each image, then a summary of all of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.record import Seen

Array = NDArray[Any]
MAP_IMAGES = 6
"""Of so many images, the first, values of single patches are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What probes found: scalars for the journal by metric name, arrays for the archive."""

    scalars: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


class Probe(Protocol):
    """A measurement in two stages, so that images may be measured anywhere and in any portions."""

    @property
    def wants(self) -> frozenset[str]:
        """The names that `model.record.record` must have recorded."""

    def measure(self, seen: Seen, *, registers: int) -> dict[str, Tensor]:
        """Each image's own measurements, on the CPU, axis 0 = image; empty where not applicable.

        Nothing here depends on which other images stand in the batch.
        """

    def summarise(self, measured: Mapping[str, Array]) -> Findings:
        """The findings over all images, from their measurements joined along axis 0."""


def stack_blocks(blocks: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Measurements of every block, ``(B, ...)`` each, as ``(B, depth, ...)`` on the CPU."""
    names = blocks[0] if blocks else ()
    return {name: torch.stack([block[name] for block in blocks], dim=1).cpu() for name in names}


def first_maps(values: Array) -> Array:
    """Values of patches ``(images, patches)`` of the first images as squares (images, h, w)."""
    side = math.isqrt(values.shape[1])
    return values[:MAP_IMAGES].reshape(-1, side, side)


def kurtosis(values: Array) -> np.float64:
    """Pearson's kurtosis of all values (3 for a normal distribution); nan where all are equal."""
    centred = values - values.mean()
    with np.errstate(invalid="ignore"):
        return np.float64((centred**4).mean() / (centred**2).mean() ** 2)
