"""Training shards that lie elsewhere, as a stream: by HTTP, or from a command of the user's.

What a stream cannot do is said in ``LIMITS``. Its samples are found again in the dataset's index by
shard and key, so that labels, views and what is not to be shown are the same as of shards that are
here; only their order is not.
"""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from webdataset.filters import shuffle
from webdataset.gopen import gopen
from webdataset.tariterators import tar_file_expander, url_opener

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import MANIFEST, Manifest, Members
from orchestrator.worker.data.decode import UNREADABLE, Picture, Scratch, fault_of, pixels
from orchestrator.worker.data.foreign import key_of_image
from orchestrator.worker.data.images import CorruptImage
from orchestrator.worker.data.index import Index
from orchestrator.worker.draws import permutation, uniforms

COMMAND = "pipe:"
ADDRESSES = ("http://", "https://")
SCHEMES = (*ADDRESSES, COMMAND)
BUFFER = 1000
"""Encoded images that are shuffled with each other: about 100 MB of ImageNet's."""
LIMITS = (
    "Training shards are streamed: images are shuffled within a buffer of {buffer:,} and not over "
    "the whole epoch; each of {streams} stream(s) reads shards of its own, begins them again where "
    "they are too few for its share, and leaves out what is beyond it; and a job that goes on in "
    "the middle of an epoch draws the rest of it from a new shuffle, so that some images come "
    "twice in that epoch and others do not. Adopt files for exact epochs."
)


class Streamed(NamedTuple):
    """A sample of a stream, known by its position in the index."""

    position: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """Which of how many; ``start``: the step of the epoch from which a resumed job goes on."""

    number: int
    streams: int
    start: int


class RemoteImages:
    """The training images of a dataset whose shards are elsewhere: in order of arrival alone."""

    def __init__(self, index: Index, manifest: Manifest) -> None:
        self.index = index
        self.urls = tuple(manifest.remote)
        self.members = manifest.members or Members()
        self._scratch = Scratch()
        keys = zip(index.shard.tolist(), index.key.tolist(), strict=True)
        self._positions = {(shard, key.decode()): at for at, (shard, key) in enumerate(keys)}
        refuse_strangers_commands(index.folder / MANIFEST, self.urls)

    def __len__(self) -> int:
        return len(self.index)

    def image(self, position: int) -> Picture:
        """Raises: DataError, always: no image can be asked for."""
        raise DataError(
            f"Dataset '{self.index.dataset}': {self.index.name(position)} is streamed from "
            "elsewhere, and cannot be asked for by itself."
        )

    def decoded(self, position: int, blob: bytes) -> Picture:
        """A sample's image. It holds until the next.

        Raises:
            CorruptImage: it is no whole image.
        """
        try:
            return pixels(blob, self.index.channels, self._scratch)
        except UNREADABLE as error:
            reason = fault_of(error)
            name, url = self.index.name(position), self.urls[int(self.index.shard[position])]
            words = f"Dataset '{self.index.dataset}': '{name}' of {url} is no whole image"
            raise CorruptImage(f"{words} ({reason}). Adopt it again.", reason) from None

    def close(self) -> None:
        """Nothing is open between two streams."""

    def stream(self, seed: int, epoch: int, place: Stream) -> Iterator[Streamed]:
        """Samples without end: all of the stream's shards, then others; by these numbers alone.

        Raises:
            DataError: a shard cannot be read, or is not what was adopted.
        """
        for turn in count():
            key = (seed, epoch, place.start, turn)
            order = permutation(len(self.urls), "shards", *key)
            own = order[place.number :: place.streams].tolist()
            chance = random.Random(int(uniforms(1, "stream", *key, place.number)[0] * 2**53))  # noqa: S311
            yield from shuffle(BUFFER, rng=chance)(self._in_order(own))

    def refuse_too_many(self, streams: int) -> None:
        """Raises: DataError: there are fewer shards than streams."""
        if streams > len(self.urls):
            raise DataError(
                f"Dataset '{self.index.dataset}' is streamed from {len(self.urls)} shard(s), and "
                f"each of {streams} streams (ranks times loader_workers) reads its own. Use fewer "
                "placement.ranks or placement.loader_workers."
            )

    def _in_order(self, numbers: list[int]) -> Iterator[Streamed]:
        for number in numbers:
            yield from self._shard(number)

    def _shard(self, number: int) -> Iterator[Streamed]:
        url = self.urls[number]
        missing = int((self.index.shard == number).sum())
        try:
            for file in tar_file_expander(url_opener([{"url": url}]), eof_value=None):
                key = key_of_image(file["fname"], self.members)
                position = self._positions.get((number, key)) if key is not None else None
                if position is None:
                    continue  # another field, or an image that was left out
                self._refuse_another(url, position, len(file["data"]))
                missing -= 1
                yield Streamed(position, file["data"])
        except Exception as error:
            if isinstance(error, DataError):
                raise
            raise _unreadable(self.index.dataset, url, error) from None
        if missing:
            raise self._another(url, f"{missing} of its images are missing")

    def _refuse_another(self, url: str, position: int, size: int) -> None:
        known = int(self.index.size[position])
        if size != known:
            name = self.index.name(position)
            raise self._another(url, f"'{name}' has {size} bytes, not {known}")

    def _another(self, url: str, what: str) -> DataError:
        name = self.index.dataset
        return DataError(
            f"Dataset '{name}': {url} is no longer what was adopted: {what}. Adopt it again "
            "under another name."
        )


def is_remote(tar: str) -> bool:
    """Whether this is a URL or a command, and no file."""
    return tar.startswith(SCHEMES)


def is_command(tar: str) -> bool:
    """Whether this is a command whose output is a tar."""
    return tar.startswith(COMMAND)


def fetch(url: str, file: Path) -> None:
    """Write what a URL gives to a new file.

    Raises:
        DataError: it cannot be read to its end.
    """
    try:
        source = gopen(url)
        with file.open("xb") as target:
            shutil.copyfileobj(source, target)
        source.close()
    except OSError as error:
        raise _unreadable(file.parent.name, url, error) from None


def refuse_strangers_commands(manifest: Path, urls: tuple[str, ...]) -> None:
    """Make sure that a command is the user's own; one is all that is no plain address.

    Raises:
        DataError: there is one, and somebody else may have written it.
    """
    commands = [url for url in urls if not url.startswith(ADDRESSES)]
    owner, mode = manifest.stat().st_uid, manifest.stat().st_mode
    if commands and (owner != os.getuid() or mode & 0o022):
        raise DataError(
            f"{manifest} has the command '{commands[0]}', and is user {owner}'s, or others may "
            "write it: only commands of your own are run. Adopt the dataset yourself."
        )


def _unreadable(dataset: str, url: str, error: Exception) -> DataError:
    return DataError(
        f"Dataset '{dataset}': {url} cannot be read to its end: {error}. See whether it can be "
        "read from this machine (http needs the program curl), then try again."
    )
