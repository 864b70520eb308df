"""What is analysed: a job's model or one of timm's, and how each is shown images.

Each rank holds the whole model and looks at its share of the images. A job's model sees them as in
its training's own probes, batch for batch, so that it is measured to the same bits; one of timm's
by the transform that timm evaluates it with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.probes.base import Array
from orchestrator.config import AnalyzeConfig
from orchestrator.errors import SpecError
from orchestrator.worker.claim import Claim
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.loader import evaluation_batches
from orchestrator.worker.data.order import Positions
from orchestrator.worker.data.resize import image_of
from orchestrator.worker.parents import Trained, weights_of
from orchestrator.worker.passes import Look, Series, Sight, blank_image, share_of, taken
from orchestrator.worker.probing.images import mode_of
from orchestrator.worker.probing.specimen import Specimen
from orchestrator.worker.probing.zoo import timm_specimen
from orchestrator.worker.ranks import Ranks

IMAGES = 1000
"""So many are looked at where neither the analysis nor a parent says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where weights are from: after which step and epoch of their job; 0 of those from elsewhere.

    ``sha256``: of the file that held them; of timm's, over all tensors of the model.
    """

    step: int = 0
    epoch: int = 0
    sha256: str


class Subject(Protocol):
    """A model in evaluation mode, as each rank holds it."""

    @property
    def origin(self) -> Origin: ...
    @property
    def images(self) -> int:
        """How many images are looked at, where the analysis does not say."""

    @property
    def model(self) -> VisionTransformer: ...
    @property
    def ranks(self) -> Ranks: ...
    @property
    def blank(self) -> Tensor:
        """A batch of one image, as the model takes it."""

    def share(self, series: Series, look: Look) -> dict[str, Array]:
        """What is found of this rank's images.

        Raises:
            SpecError: the model is of a kind that cannot be looked into.
        """

    def shown(self, images: SplitImages, positions: Positions) -> Array:
        """These images as a person sees what the model does, uint8 ``(n, C, H, W)``."""


@dataclass(frozen=True, slots=True)
class OfJob:
    """A model that a job has trained."""

    trained: Trained
    origin: Origin

    @property
    def images(self) -> int:
        return self.trained.config.probe.images

    @property
    def model(self) -> VisionTransformer:
        return self.trained.model

    @property
    def ranks(self) -> Ranks:
        return self.trained.ranks

    @property
    def blank(self) -> Tensor:
        return blank_image(self.trained)

    def share(self, series: Series, look: Look) -> dict[str, Array]:
        return share_of(self.trained, series, look)

    def shown(self, images: SplitImages, positions: Positions) -> Array:
        (batch,) = evaluation_batches(images, [positions], self.trained.config.model.img_size)
        pixels: Array = batch.images.numpy()
        return pixels


@dataclass(frozen=True, slots=True)
class OfTimm:
    """A model of timm's with its pretrained weights, on the ranks' device."""

    specimen: Specimen
    ranks: Ranks
    origin: Origin

    @property
    def images(self) -> int:
        return IMAGES

    @property
    def model(self) -> VisionTransformer:
        return self.specimen.model

    @property
    def blank(self) -> Tensor:
        return torch.zeros((1, *self._size), device=self.ranks.device)

    @property
    def _size(self) -> tuple[int, int, int]:
        architecture: Any = self.specimen.facts["architecture"]
        channels, height, width = architecture["input_size"]
        return channels, height, width

    def share(self, series: Series, look: Look) -> dict[str, Array]:
        device = self.ranks.device

        def shown(portions: Sequence[Positions]) -> Iterator[tuple[Tensor, Tensor]]:
            for positions in portions:
                labels = torch.from_numpy(series.images.index.label[positions])
                yield self._seen(series.images, positions).to(device), labels.to(device)

        try:
            return taken(self.ranks, series, Sight(shown, self.blank), look)
        except (TypeError, AttributeError) as error:  # an attention or a block of another build
            raise SpecError(f"This model cannot be analysed: {error}") from error

    def shown(self, images: SplitImages, positions: Positions) -> Array:
        pixels: Array = self.specimen.shown(self._seen(images, positions)).numpy()
        return pixels

    def _seen(self, images: SplitImages, positions: Positions) -> Tensor:
        """These images as the model's own evaluation shows them, ``(n, C, H, W)``."""
        mode = mode_of(self.specimen.channels)
        found = (image_of(images.image(int(p))).convert(mode) for p in positions)
        return torch.stack([self.specimen.view(image) for image in found])


def subject_of(claim: Claim, config: AnalyzeConfig, ranks: Ranks) -> Subject:
    """The model that a job is to analyse.

    Raises:
        RootError: its parent has no such weights, or they are damaged.
        WeightsError: timm's weights cannot be had here.
        SpecError: timm has no such model, or it is no vision transformer.
    """
    if config.parent is not None:
        weights, trained = weights_of(claim, config)
        origin = Origin(step=weights.step, epoch=weights.epoch, sha256=weights.sha256)
        return OfJob(Trained.of(trained, weights, ranks), origin)
    specimen = timm_specimen(config.timm)
    specimen.model.to(ranks.device)
    facts: Any = specimen.facts["weights"]
    return OfTimm(specimen, ranks, Origin(sha256=facts["sha256"]))
