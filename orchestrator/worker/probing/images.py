"""The images that a checkpoint is probed on: a folder of files, or a prepared dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import MANIFEST, load_manifest
from orchestrator.worker.data.decode import MODES, UNREADABLE, fault_of, pixels
from orchestrator.worker.data.folder import IMAGE_SUFFIXES
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import balanced_positions, load_index, probe_positions
from orchestrator.worker.data.resize import image_of


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen images, in the order in which they are probed.

    Attributes:
        source: where they are from, in words.
        keys: their names.
        read: the image at a place of that order, in so many channels.
    """

    source: str
    keys: tuple[str, ...]
    read: Callable[[int, int], Image.Image]


def choose_images(place: Path, count: int) -> Chosen:
    """Up to so many images: equally many of each class, those with the smallest key hashes.

    ``place`` is a prepared dataset, of which the validation split is taken, or a folder with a
    folder of images for each class, or with images alone; of one that has a folder ``val``, that.

    Raises:
        DataError: there is none, or no image in it.
    """
    if (place / MANIFEST).is_file():
        return _of_dataset(place, count)
    if not place.is_dir():
        raise DataError(
            f"There is no folder {place}. Name a folder of images, or of a prepared dataset "
            "(see: orchestrate data prepare --help)."
        )
    return _of_folder(place / "val" if (place / "val").is_dir() else place, count)


def _of_dataset(place: Path, count: int) -> Chosen:
    place = place.resolve()
    manifest = load_manifest(place.parent, place.name)
    images = SplitImages(load_index(place.parent, manifest, "val"))
    positions = [int(p) for p in probe_positions(images.index, count)]
    if not positions:
        raise DataError(f"Dataset '{manifest.name}' has no validation images.")

    def read(number: int, channels: int) -> Image.Image:
        return image_of(images.image(positions[number])).convert(mode_of(channels))

    keys = tuple(images.index.name(position) for position in positions)
    return Chosen(f"dataset {manifest.name}, validation split", keys, read)


def _of_folder(place: Path, count: int) -> Chosen:
    found = sorted(
        path.relative_to(place)
        for path in place.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        if not any(part.startswith(".") for part in path.relative_to(place).parts)
    )
    if not found:
        raise DataError(
            f"There are no images below {place}; looked for {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    classes = {name: n for n, name in enumerate(sorted({path.parent.as_posix() for path in found}))}
    labels = [classes[path.parent.as_posix()] for path in found]
    names = [path.as_posix() for path in found]
    keys = tuple(names[position] for position in balanced_positions(names, labels, count))

    def read(number: int, channels: int) -> Image.Image:
        path = place / keys[number]
        mode_of(channels)
        try:
            return image_of(pixels(path.read_bytes(), channels))
        except UNREADABLE as error:
            raise DataError(
                f"{path} cannot be read as an image: {fault_of(error)}. Repair or remove it."
            ) from None

    return Chosen(f"folder {place}", keys, read)


def mode_of(channels: int) -> str:
    """What Pillow calls images of so many channels.

    Raises:
        SpecError: there are none.
    """
    if channels not in MODES:
        known = " or ".join(map(str, MODES))
        raise SpecError(f"The model takes images of {channels} channels; those here have {known}.")
    return MODES[channels]
