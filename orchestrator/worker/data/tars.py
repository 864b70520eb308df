"""What lies where in a tar of samples."""

import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import DataError

LABEL = "cls"
IMAGES = ("jpg", "png")


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a shard: its label, and where the bytes of its image are."""

    key: str
    label: int
    offset: int
    size: int


@dataclass(slots=True)
class _Halves:
    labels: dict[str, int] = field(default_factory=dict)
    images: dict[str, tuple[int, int]] = field(default_factory=dict)


def scan(path: Path) -> list[Entry]:
    """The samples of a shard in the order of their images.

    Raises:
        DataError: it is no uncompressed tar, or its members are not pairs of image and label.
    """
    halves = _Halves()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _sort_in(halves, tar, member)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(
            f"{path} is not an uncompressed tar of samples: {error}. Prepare the dataset again."
        ) from None
    alone = halves.images.keys() ^ halves.labels.keys()
    if alone:
        raise DataError(
            f"{path} has {len(alone)} image(s) or label(s) without the other, first "
            f"'{min(alone)}'. Prepare the dataset again."
        )
    return [Entry(key, halves.labels[key], *place) for key, place in halves.images.items()]


def _sort_in(halves: _Halves, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    key, _, suffix = member.name.partition(".")
    content = tar.extractfile(member)
    if content is not None and suffix == LABEL:
        halves.labels[key] = int(content.read())
    elif content is not None and suffix in IMAGES and key not in halves.images:
        halves.images[key] = (member.offset_data, member.size)
    else:
        raise ValueError(f"member '{member.name}' is neither KEY.jpg, KEY.png nor KEY.cls")
