"""One pass of all probes over the chosen images."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from model.probes.base import MAP_IMAGES, Array, Findings, Subject
from model.probes.register_maps import register_maps
from model.probes.suite import measure, summarise
from model.probes.weights import layer_scales
from orchestrator.errors import SpecError
from orchestrator.worker.data.track import Track, silently
from orchestrator.worker.device import choose_device
from orchestrator.worker.probing.images import Chosen
from orchestrator.worker.probing.specimen import Specimen

VERSIONS = ("orchestrate-vit", "torch", "timm", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the probes found on a specimen.

    ``images`` are the first ones as the model saw them, uint8 (n, C, H, W), of which there are
    maps; ``facts`` what is said of images, machine and versions, as JSON takes it.
    """

    findings: Findings
    images: Array
    facts: dict[str, Any]


def run(
    specimen: Specimen,
    images: Chosen,
    *,
    batch: int,
    device: str | None = None,
    track: Track = silently,
) -> Found:
    """Probe in evaluation mode and float32 without TF32, on a GPU if there is one.

    Raises:
        SpecError: the device is not there, or the model is of a kind that the probes do not know.
        DataError: an image cannot be read.
    """
    place = torch.device(choose_device(device))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = specimen.model.to(place)
    portions = range(0, len(images.keys), batch)
    parts: list[dict[str, Tensor]] = []
    first: Tensor | None = None
    for pixels in track(_batches(specimen, images, batch), len(portions)):
        first = pixels[:MAP_IMAGES] if first is None else first
        try:
            parts.append(measure(model, pixels.to(place)))
        except (TypeError, AttributeError) as error:  # an attention or a block of another build
            raise SpecError(f"This model cannot be probed: {error}") from None
    assert first is not None  # whoever chose the images made sure that there is one
    joined = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    findings = summarise(joined, Subject.of(model, first)) | layer_scales(model)
    findings |= register_maps(model, first.to(place))
    digest = hashlib.sha256("\n".join(images.keys).encode()).hexdigest()
    return Found(
        findings=findings,
        images=specimen.shown(first).numpy(),
        facts={
            "images": {"source": images.source, "count": len(images.keys), "keys_sha256": digest},
            "conditions": {"device": _named(place), "precision": "float32", "batch": batch},
            "versions": {name: version(name) for name in VERSIONS},
        },
    )


def _batches(specimen: Specimen, images: Chosen, batch: int) -> Iterator[Tensor]:
    for start in range(0, len(images.keys), batch):
        numbers = range(start, min(start + batch, len(images.keys)))
        views = [specimen.view(images.read(number, specimen.channels)) for number in numbers]
        yield torch.stack(views)


def _named(place: torch.device) -> str:
    return torch.cuda.get_device_name() if place.type == "cuda" else "cpu"
