"""Looking at images with all ranks: every image once, and on each rank as many passes.

The forward pass of a sharded model is collective. A rank that has fewer images takes its last
passes on a blank one, of which nothing is kept.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.probes.base import Array
from model.vit import ViT
from orchestrator.config import RunConfig
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.loader import evaluation_batches, rank_portions
from orchestrator.worker.data.order import Positions
from orchestrator.worker.pixels import normalised
from orchestrator.worker.ranks import Ranks

Look = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""What is found of each image, by name: of pixels ``(n, C, H, W)`` and labels ``(n,)``."""


class Held(Protocol):
    """A model, the configuration that it is of, and the ranks that hold it."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def model(self) -> ViT: ...
    @property
    def ranks(self) -> Ranks: ...


@dataclass(frozen=True, slots=True)
class Series:
    """The images at some positions of a split, and how they are brought in."""

    images: SplitImages
    positions: Positions
    batch_size: int
    """Images of a pass, of one rank."""
    helpers: Helpers

    def __len__(self) -> int:
        return len(self.positions)

    def passes(self, world: int) -> int:
        """How many each rank takes."""
        return math.ceil(len(self) / world / self.batch_size)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """How a model is shown images.

    Attributes:
        shown: pixels as the model takes them and labels, of portions of positions.
        blank: a batch of one image, of which nothing is kept.
    """

    shown: Callable[[Sequence[Positions]], Iterable[tuple[Tensor, Tensor]]]
    blank: Tensor


def share_of(held: Held, series: Series, look: Look) -> dict[str, Array]:
    """What is found of this rank's images: every ``world``-th position, from its rank on."""
    config, ranks = held.config, held.ranks

    def shown(portions: Sequence[Positions]) -> Iterator[tuple[Tensor, Tensor]]:
        size = config.model.img_size
        for batch in evaluation_batches(series.images, portions, size, series.helpers):
            pixels = normalised(batch.images.to(ranks.device), config.data.normalisation)
            yield pixels, batch.labels.to(ranks.device)

    return taken(ranks, series, Sight(shown, blank_image(held)), look)


def taken(ranks: Ranks, series: Series, sight: Sight, look: Look) -> dict[str, Array]:
    """What is found of this rank's images, by whatever way they are shown to the model."""
    portions = rank_portions(
        series.positions, batch_size=series.batch_size, rank=ranks.rank, world=ranks.world
    )
    found = [look(pixels, labels) for pixels, labels in sight.shown(portions)]
    nothing = torch.zeros(1, dtype=torch.int64, device=ranks.device)
    for _ in range(series.passes(ranks.world) - len(portions)):
        padding = look(sight.blank, nothing)
        found.append({name: values[:0] for name, values in padding.items()})
    names = found[0] if found else {}
    return {name: torch.cat([part[name] for part in found]).cpu().numpy() for name in names}


def in_order(ranks: Ranks, mine: Mapping[str, Array], total: int) -> dict[str, Array] | None:
    """The shares of all ranks in the order of positions; None on all ranks but the first."""
    shares = ranks.gather(dict(mine))
    if shares is None:
        return None
    return {name: _interleaved([share[name] for share in shares], total) for name in shares[0]}


def blank_image(held: Held) -> Tensor:
    """A batch of one black image, as the model takes it."""
    model = held.config.model
    size = (1, model.in_chans, model.img_size, model.img_size)
    return torch.zeros(size, device=held.ranks.device)


def _interleaved(shares: list[Array], total: int) -> Array:
    joined = np.empty((total, *shares[0].shape[1:]), dtype=shares[0].dtype)
    for rank, share in enumerate(shares):
        joined[rank :: len(shares)] = share
    return joined
