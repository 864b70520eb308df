"""What figures are drawn of: the arrays of one probe, and histograms of several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of values in bins: ``counts`` has n entries, ``edges`` n + 1, ascending."""

    counts: "NDArray[Any]"
    edges: "NDArray[Any]"

    def median(self) -> float:
        """The median, placed inside its bin as if the bin were filled evenly."""
        import numpy as np

        below = np.concatenate([[0], np.cumsum(self.counts)])
        return float(np.interp(below[-1] / 2, below, self.edges))

    def shares(self) -> "NDArray[Any]":
        """Counts over their sum; zeros where nothing was counted."""
        return self.counts / max(float(self.counts.sum()), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one probe left to be drawn."""

    arrays: "Mapping[str, NDArray[Any]]"
    """By the names under which `model.probes` leaves them."""
    images: "NDArray[Any]"
    """Those whose maps are among the arrays, uint8 ``(n, C, H, W)``."""
    epoch: int | None = None
    """Complete epochs; None leaves the titles out, where a caption says what is seen."""

    def titled(self, what: str) -> str:
        """The title of a figure that shows ``what``."""
        return "" if self.epoch is None else f"{what}, epoch {self.epoch}"
