"""Mixup and CutMix: what is drawn for the chunks of a step, and what that makes of its images.

Each chunk is mixed in one of the two ways by one share, and every image with its mirror image in
the chunk's order: the first with the last. So does DeiT's loop within the batch of each of its
GPUs. What is drawn depends on seed, step and chunk alone, and pairs stay within a chunk, so that
neither ranks nor micro-batches change what is mixed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from orchestrator.config import RunConfig
from orchestrator.config.train import TrainConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece
from orchestrator.worker.device import brought
from orchestrator.worker.draws import beta, uniforms
from orchestrator.worker.losses import one_hot

Box = tuple[int, int, int, int]  # top, bottom, left, right
NOWHERE = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Draw:
    """How a chunk is mixed.

    ``blend``: an image's share in its own pixels, outside of ``box``; inside, its partner's are
    seen. ``share``: its part in its own target, which is what is left to it of all pixels.
    """

    blend: float
    box: Box
    share: float


class Mixed(NamedTuple):
    """What images are mixed with, and how; everything per image."""

    partners: Tensor  # uint8 (n, C, H, W)
    partner_labels: Tensor  # int64 (n,)
    blend: Tensor  # float32 (n,)
    box: Tensor  # int64 (n, 4): top, bottom, left, right
    share: Tensor  # float32 (n,)

    def images(self, own: Tensor, partners: Tensor) -> Tensor:
        """Mixed images ``(n, C, H, W)``."""
        weight = self._weight(*own.shape[2:]).to(own.dtype)
        return own * weight + partners * (1 - weight)

    def targets(self, labels: Tensor, classes: int) -> Tensor:
        """Mixed one-hot targets ``(n, classes)``, float32."""
        share, own = self.share[:, None], one_hot(labels, classes)
        return own * share + one_hot(self.partner_labels, classes) * (1 - share)

    def _weight(self, height: int, width: int) -> Tensor:
        """An image's weight in each of its pixels, ``(n, 1, H, W)``."""
        top, bottom, left, right = self.box[:, :, None].unbind(1)  # each (n, 1)
        row, column = (torch.arange(side, device=self.box.device) for side in (height, width))
        inside = ((row >= top) & (row < bottom))[:, :, None] & (
            (column >= left) & (column < right)
        )[:, None, :]
        return self.blend[:, None, None, None] * ~inside[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Mixing:
    """How a portion of images is mixed; everything per image, so that it can be cut anywhere."""

    partner: Tensor  # int64 (n,)
    blend: Tensor  # float32 (n,)
    box: Tensor  # int64 (n, 4): top, bottom, left, right
    share: Tensor  # float32 (n,)

    @classmethod
    def of(cls, config: RunConfig, portion: Portion, device: torch.device) -> Self:
        """What is drawn for the chunks of a portion."""
        sizes = torch.tensor([piece.images for piece in portion.pieces])
        draws = [draw(config, portion.step, piece.chunk) for piece in portion.pieces]

        def spread(values: list[float] | list[Box]) -> Tensor:
            return brought(torch.tensor(values).repeat_interleave(sizes, dim=0), device)

        return cls(
            partner=brought(torch.cat(list(_mirrored(portion.pieces))), device),
            blend=spread([one.blend for one in draws]),
            box=spread([one.box for one in draws]),
            share=spread([one.share for one in draws]),
        )

    def of_part(self, images: Tensor, labels: Tensor, part: slice) -> Mixed:
        """What the images in ``part`` are mixed with; ``images`` and ``labels`` are all of them."""
        partner = self.partner[part]
        return Mixed(
            images[partner], labels[partner], self.blend[part], self.box[part], self.share[part]
        )


def is_mixed(train: TrainConfig) -> bool:
    return bool(train.mixup or train.cutmix)


def draw(config: RunConfig, step: int, chunk: int) -> Draw:
    """How one chunk of a step is mixed.

    mixup (Zhang et al., arXiv 1710.09412): a share from Beta(mixup, mixup). CutMix (Yun et al.,
    arXiv 1905.04899): a box of the image's shape, of sides sqrt(1 - share) of its own, round a
    point that is uniform in the image; what is beyond the edge is cut off, and the share follows.
    """
    train, size = config.train, config.model.img_size
    key = ("mix", config.data_seed, step, chunk)
    switch, down, right = uniforms(3, *key).tolist()
    cut = train.cutmix > 0 and (not train.mixup or switch < train.switch_prob)
    share = beta(train.cutmix if cut else train.mixup, *key, "share")
    if not cut:
        return Draw(share, NOWHERE, share)
    box = box_of(size, share, int(down * size), int(right * size))
    top, bottom, left, right = box
    return Draw(1.0, box, 1 - (bottom - top) * (right - left) / size**2)


def box_of(size: int, share: float, row: int, column: int) -> Box:
    """The part inside the image of a box round a point that takes 1 - ``share`` of its area.

    Its sides are rounded down to even numbers of pixels, as in CutMix's own code.
    """
    half = int(size * math.sqrt(1 - share)) // 2
    top, left = max(row - half, 0), max(column - half, 0)
    return top, min(row + half, size), left, min(column + half, size)


def _mirrored(pieces: tuple[Piece, ...]) -> Iterator[Tensor]:
    start = 0
    for piece in pieces:
        yield torch.arange(start + piece.images - 1, start - 1, -1)
        start += piece.images
