"""What is probed: a model with its weights, and how it wants to see an image."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit
from orchestrator.worker.data.augment import evaluation_view
from orchestrator.worker.data.resize import array_of
from orchestrator.worker.pixels import Normalisation, constants, normalised
from orchestrator.worker.probing.weights_file import load_weights, read_weights, weights_hash


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Specimen:
    """A model in evaluation mode on the CPU.

    Attributes:
        view: an image ``(C, H, W)`` as the model's own evaluation shows it, normalised.
        mean: what its normalisation subtracts, per channel; ``std`` what it then divides by.
        facts: what the report says of the model, as JSON takes it.
    """

    model: VisionTransformer
    view: Callable[[Image.Image], Tensor]
    mean: Tensor
    std: Tensor
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Of the images that it takes."""
        return len(self.mean)

    def shown(self, images: Tensor) -> Tensor:
        """Normalised images as a person sees them, uint8."""
        back = images * self.std[:, None, None] + self.mean[:, None, None]
        return (back * 255).round().clamp(0, 255).to(torch.uint8)


def our_specimen(config: ViTConfig, file: Path, normalisation: Normalisation = "half") -> Specimen:
    """A model of ours, from the weights or the checkpoint that a worker left.

    Raises:
        DataError: the file cannot be read, or holds another architecture.
    """
    model = build_vit(config).eval()
    load_weights(model, read_weights(file), file)

    def view(image: Image.Image) -> Tensor:
        pixels = torch.from_numpy(evaluation_view(array_of(image), config.img_size))
        return normalised(pixels, normalisation)

    mean, std = (
        value.flatten().expand(config.in_chans)
        for value in constants(normalisation, torch.device("cpu"))
    )
    facts = {"architecture": asdict(config), **facts_of(model, str(file))}
    return Specimen(model=model, view=view, mean=mean, std=std, facts=facts)


def facts_of(model: VisionTransformer, source: str) -> dict[str, Any]:
    """What is said of a model's size and of its weights.

    ``parameters`` are trained, as those that ``flops`` counts; ``frozen_parameters`` never are.
    """
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return {
        "parameters": sum(p.numel() for p in model.parameters()) - frozen,
        "frozen_parameters": frozen,
        "weights": {"source": source, "sha256": weights_hash(model)},
    }
