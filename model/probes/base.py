"""What a probe is: a measurement of each image, then a summary of all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

Array = NDArray[Any]
MAP_IMAGES = 6
"""Of so many images, the first, values of single patches are kept as maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What probes must know of a model to read its tokens, which stand class, registers, patches.

    Attributes:
        cls: class tokens; 1, 0 in a model that pools its patches, 2 in a distilled DeiT.
        registers: register tokens.
        grid: rows and columns of patches.
        no_gate_statistics: why gates have no statistics; None where they have, or no gate.
    """

    cls: int = 1
    registers: int = 0
    grid: tuple[int, int]
    no_gate_statistics: str | None = None

    @classmethod
    def of(cls, model: VisionTransformer, images: Tensor) -> Self:
        """A model, ours or timm's, that is given images of this size."""
        height, width = images.shape[-2:]
        return cls(
            cls=model.num_prefix_tokens - model.num_reg_tokens,
            registers=model.num_reg_tokens,
            grid=tuple(model.patch_embed.dynamic_feat_size((height, width))),
            no_gate_statistics=_no_gate_statistics(model),
        )

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches."""
        return self.cls + self.registers

    @property
    def patches(self) -> int:
        """Number of patches."""
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        """Length of the token sequence."""
        return self.prefix + self.patches

    def kinds(self, values: Tensor, *, dim: int) -> tuple[Tensor, Tensor, Tensor]:
        """Values along an axis of tokens, split into class tokens, registers and patches.

        Raises:
            ValueError: the axis does not have as many tokens.
        """
        if values.shape[dim] != self.tokens:
            raise ValueError(
                f"{values.shape[dim]} tokens; {self.cls} class, {self.registers} register and "
                f"{self.patches} patch tokens are {self.tokens}"
            )
        cls, registers, patches = torch.split(
            values, [self.cls, self.registers, self.patches], dim=dim
        )
        return cls, registers, patches

    def first_maps(self, values: Array) -> Array:
        """Values of patches ``(images, patches)`` of the first images as maps (images, h, w)."""
        return values[:MAP_IMAGES].reshape(-1, *self.grid)


def _no_gate_statistics(model: VisionTransformer) -> str | None:
    """Statistics of gates are those of sigmoids that multiply, as timm's do, and most of ours."""
    gate = getattr(getattr(model, "config", None), "gate", None)
    activation, mode = getattr(gate, "activation", "sigmoid"), getattr(gate, "mode", "multiply")
    if (activation, mode) == ("sigmoid", "multiply"):
        return None
    return f"defined for sigmoid gates that multiply; this one is {activation}, {mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What probes found: scalars for the journal by metric name, arrays for the archive."""

    scalars: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def __or__(self, other: "Findings") -> "Findings":
        return Findings(
            scalars=self.scalars | other.scalars,
            arrays=self.arrays | other.arrays,
        )


Measure = Callable[[Any, Subject], dict[str, Tensor]]
"""Each image's own measurements, axis 0 = image, of what one place of `model.record` shows."""


class Probe(Protocol):
    """A measurement in two stages, so that images may be measured anywhere and in any portions."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """What to measure at which place of `model.record.watch`, block by block.

        Nothing here depends on which other images stand in the batch, nor on other blocks.
        """

    def summarise(self, measured: Mapping[str, Array], subject: Subject) -> Findings:
        """The findings over all images, from all probes' measurements of them.

        They are joined along axis 0, with depth as axis 1 where the place has something for every
        block. Empty where not applicable.
        """


def kurtosis(values: Array) -> np.float64:
    """Pearson's kurtosis of all values (3 for a normal distribution); nan where all are equal."""
    centred = values - values.mean()
    with np.errstate(invalid="ignore"):
        return np.float64((centred**4).mean() / (centred**2).mean() ** 2)


def ratio(part: Array, whole: Array) -> Array:
    """``part / whole``; something over nothing is infinite, nothing over nothing nan."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: Array = np.divide(part, whole)
    return quotient
