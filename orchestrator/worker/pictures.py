"""Drawing what a probe found, beside training and never at its expense."""

import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from model.figures import PICTURES, Probed, png
from model.probes.base import MAP_IMAGES, Array, Findings
from orchestrator.config import RunConfig
from orchestrator.jobs.probes import PICTURE, THUMBNAILS
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import probe_positions
from orchestrator.worker.data.loader import evaluation_batches

THUMBNAIL_PX = 96
"""Longest side of the images that are kept beside their maps: six of them take about 100 kB."""


def pictures(
    config: RunConfig, images: SplitImages, findings: Findings, epoch: int
) -> dict[str, Array]:
    """`drawn`, of the images that training's probe begins with."""
    return drawn(lambda: first_images(config, images), findings, epoch)


def drawn(show: Callable[[], Array], findings: Findings, epoch: int) -> dict[str, Array]:
    """Every picture that applies, as ``picture/<name>``: the bytes of a PNG, uint8.

    ``show`` gives the probe batch's first images, of which there are maps, uint8 (n, C, H, W).
    Beside the pictures those are kept, reduced, so that arms can be compared on them later. What
    cannot be drawn is left out, and the log says why.
    """
    made = {}
    with _aloud("pictures"):
        shown = show()
        made[THUMBNAILS] = reduced(shown)
        probed = Probed(arrays=findings.arrays, images=shown, epoch=epoch)
        for name, draw in PICTURES.items():
            with _aloud(name):
                if figure := draw(probed):
                    made[PICTURE + name] = np.frombuffer(png(figure), np.uint8)
    return made


def first_images(config: RunConfig, images: SplitImages) -> Array:
    """The pixels of the probe batch's first images, of which there are maps, uint8 (n, C, H, W)."""
    positions = probe_positions(images.index, config.probe.images)[:MAP_IMAGES]
    (batch,) = evaluation_batches(images, [positions], config.model.img_size)
    pixels: Array = batch.images.numpy()
    return pixels


def reduced(images: Array, longest: int = THUMBNAIL_PX) -> Array:
    """Images uint8 ``(n, C, H, W)`` of one size, averaged over squares until no side is longer."""
    factor = math.ceil(max(images.shape[2:]) / longest)
    height, width = (side // factor * factor for side in images.shape[2:])
    cut = images[:, :, :height, :width]
    squares = cut.reshape(*images.shape[:2], height // factor, factor, width // factor, factor)
    small: Array = np.rint(squares.mean(axis=(3, 5))).astype(np.uint8)
    return small


@contextmanager
def _aloud(what: str) -> Iterator[None]:
    """Whatever fails inside is printed and forgotten: the job goes on without ``what``."""
    try:
        yield
    except Exception:  # noqa: BLE001  # drawing may meet anything a foreign library raises
        print(f"warning: {what} could not be drawn; the job goes on without.")
        traceback.print_exc()
