"""Images of the training split that do not decode: what stands in for them, and how many may be.

The rule: in place of the image at position p stands the first of p + 1, p + 2, ... (the last is
followed by the first) that decodes, with its own label, under the random view that was drawn for
p. It rests on positions alone, so it is the same for any number of ranks and helpers, and after a
resume. Only bytes that are there but are no image are replaced; a shard that is missing or short
ends the job. Images of the validation split are never replaced: what is measured must not change.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.config.data import DataConfig
from orchestrator.errors import DataError
from orchestrator.worker.data.decode import Picture
from orchestrator.worker.data.images import CorruptImage, Images
from orchestrator.worker.data.remote import RemoteImages, Streamed


class Corrupt(NamedTuple):
    """An image that does not decode, and why."""

    position: int
    shard: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.shard}/{self.key}: {self.reason}"


class Shown(NamedTuple):
    """What is shown at a position: the image, where it was taken from, and what it stands for."""

    image: Picture
    position: int
    corrupt: tuple[Corrupt, ...]


def shown_at(images: Images, position: int, data: DataConfig) -> Shown:
    """The image of a position or, if so configured, what stands in for it.

    Raises:
        DataError: it cannot be read; or it does not decode, and neither do as many that follow as
            ``data.max_corrupt`` allows.
    """
    if data.corrupt == "fail":
        return Shown(images.image(position), position, ())
    corrupt: list[Corrupt] = []
    for step in range(len(images)):
        at = (position + step) % len(images)
        try:
            return Shown(images.image(at), at, tuple(corrupt))
        except CorruptImage as error:
            file = images.index.shard_files[int(images.index.shard[at])]
            corrupt.append(Corrupt(at, file, images.index.name(at), error.reason))
            if len(corrupt) > data.max_corrupt:
                break
    raise _too_many(images.index.dataset, corrupt, data.max_corrupt)


def next_shown(stream: Iterator[Streamed], images: RemoteImages, data: DataConfig) -> Shown:
    """The next image of a stream or, if so configured, the next one of it that decodes.

    Raises:
        DataError: as ``shown_at``.
    """
    corrupt: list[Corrupt] = []
    for position, blob in stream:
        try:
            return Shown(images.decoded(position, blob), position, tuple(corrupt))
        except CorruptImage as error:
            if data.corrupt == "fail":
                raise
            file = images.index.shard_files[int(images.index.shard[position])]
            corrupt.append(Corrupt(position, file, images.index.name(position), error.reason))
            if len(corrupt) > data.max_corrupt:
                break
    raise _too_many(images.index.dataset, corrupt, data.max_corrupt)


@dataclass(slots=True)
class Met:
    """What a rank met since it started; ``replaced`` counts draws since it was last asked."""

    data: DataConfig
    images: dict[int, Corrupt] = field(default_factory=dict)
    replaced: int = 0

    def take(self, draws: Iterable[tuple[Corrupt, ...]]) -> None:
        """Count the draws that were replaced; the log names each corrupt image once.

        Raises:
            DataError: this rank met more different ones than ``data.max_corrupt``.
        """
        for corrupt in draws:
            self.replaced += 1
            for one in corrupt:
                if one.position not in self.images:
                    print(f"Replaced, as it does not decode: {one}", flush=True)
                self.images[one.position] = one
        if len(self.images) > self.data.max_corrupt:
            raise _too_many(self.data.name, self.images.values(), self.data.max_corrupt)

    def since(self) -> int:
        """The draws that were replaced since the last call."""
        replaced, self.replaced = self.replaced, 0
        return replaced


def _too_many(dataset: str, corrupt: Iterable[Corrupt], limit: int) -> DataError:
    lines = sorted(map(str, corrupt))
    named = "\n  ".join(lines)
    return DataError(
        f"Dataset '{dataset}': {len(lines)} training images do not decode, and data.max_corrupt is "
        f"{limit}:\n  {named}\nFind all of them with: orchestrate data verify {dataset} --decode; "
        "then prepare the dataset again, or allow as many with data.max_corrupt."
    )
