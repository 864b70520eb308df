"""All probes together: measure portions of images anywhere, summarise once."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.probes import activations, attention_maps, gate_scores, norms, outlier_tokens, weights
from model.probes.base import Array, Findings, Measure, Probe, Subject
from model.record import watch

PROBES: tuple[Probe, ...] = (norms, activations, attention_maps, outlier_tokens, gate_scores)
"""A probe is a module of this package; a new one is a file and a place in this row."""
ONCE = frozenset({"embedding", "final"})
"""Places that show something once, and not for every block."""


def measure(model: VisionTransformer, images: Tensor) -> dict[str, Tensor]:
    """Every probe's measurements of one portion of images, axis 0 = image, on the CPU.

    One forward pass, as the caller set the model up; the study's definitions ask for evaluation
    mode and float32 without TF32. Each block is reduced as it appears.
    """
    subject = Subject.of(model, images)
    found: dict[str, list[dict[str, Tensor]]] = {}
    receivers = {
        place: _reducer(found.setdefault(place, []), measures, subject)
        for place, measures in _by_place().items()
    }
    with torch.no_grad(), watch(model, receivers):
        model(images)
    measured: dict[str, Tensor] = {}
    for place, blocks in found.items():
        for name in blocks[0] if blocks else ():
            stacked = torch.stack([block[name] for block in blocks], dim=1)
            measured[name] = stacked[:, 0] if place in ONCE else stacked
    return measured


def summarise(measured: Mapping[str, Array], subject: Subject) -> Findings:
    """Every probe's findings, from the measurements of all images joined along axis 0."""
    return reduce(or_, (probe.summarise(measured, subject) for probe in PROBES))


def run_probes(model: VisionTransformer, images: Tensor) -> Findings:
    """Everything at once, for images that fit in one forward pass."""
    measured = {name: tensor.numpy() for name, tensor in measure(model, images).items()}
    return summarise(measured, Subject.of(model, images)) | weights.layer_scales(model)


def _by_place() -> dict[str, list[Measure]]:
    """What all probes measure, by the place where they do."""
    by_place: dict[str, list[Measure]] = {}
    for probe in PROBES:
        for place, take in probe.measures.items():
            by_place.setdefault(place, []).append(take)
    return by_place


def _reducer(
    found: list[dict[str, Tensor]], measures: list[Measure], subject: Subject
) -> Callable[[Any], None]:
    """A receiver that keeps the measurements of what it gets, and not the thing itself."""

    def receive(shown: Any) -> None:
        taken = [take(shown, subject) for take in measures]
        found.append({name: value.cpu() for each in taken for name, value in each.items()})

    return receive
