"""All probes together: measure portions of images anywhere, summarise once."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.probes import attention_maps, gate_scores, norms
from model.probes.base import Array, Findings, Probe
from model.record import record
from model.vit import ViT

PROBES: tuple[Probe, ...] = (norms, attention_maps, gate_scores)
"""A probe is a module of this package; a new one is a file and a place in this row."""


def measure(model: ViT, images: Tensor) -> dict[str, Tensor]:
    """Every probe's measurements of one portion of images, axis 0 = image, on the CPU.

    The forward pass runs in the caller's precision; the study's definitions ask for float32
    without TF32.
    """
    wants = frozenset[str]().union(*(probe.wants for probe in PROBES))
    measured: dict[str, Tensor] = {}
    with torch.no_grad(), record(model, sorted(wants)) as seen:
        model(images)
        for probe in PROBES:
            measured |= probe.measure(seen, registers=model.config.registers)
    return measured


def summarise(measured: Mapping[str, Array]) -> Findings:
    """Every probe's findings, from the measurements of all images joined along axis 0."""
    found = [probe.summarise(measured) for probe in PROBES]
    return Findings(
        scalars={name: value for each in found for name, value in each.scalars.items()},
        arrays={name: array for each in found for name, array in each.arrays.items()},
    )


def run_probes(model: ViT, images: Tensor) -> Findings:
    """Both stages at once, for images that fit in one forward pass."""
    return summarise({name: tensor.numpy() for name, tensor in measure(model, images).items()})
