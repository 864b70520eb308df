"""Random access to the images of a split."""

import os
from collections import OrderedDict
from typing import Any, Protocol

from orchestrator.errors import DataError
from orchestrator.worker.data.decode import UNREADABLE, Picture, Scratch, fault_of, pixels
from orchestrator.worker.data.index import Index

OPEN_SHARDS = 256  # a set of many shards must not use up a process's file descriptors


class CorruptImage(DataError):  # noqa: N818 - it is a fault of the data
    """All bytes of an image are there, but they are no whole image; ``reason`` says why."""

    def __init__(self, words: str, reason: str = "") -> None:
        super().__init__(words)
        self.reason = reason


class Images(Protocol):
    """The images of a split by position, wherever their pixels come from."""

    index: Index

    def __len__(self) -> int: ...

    def image(self, position: int) -> Picture:
        """A decoded image, (H, W, C); it holds until the next.

        Raises:
            CorruptImage: what is there is not a whole image.
            DataError: it cannot be read.
        """

    def close(self) -> None:
        """Let go of files."""


class SplitImages:
    """Reads any image of a split by its position.

    Reads carry their own offset (``pread``), so a forked process may share the descriptors; a
    pickled one opens its own. For use by one thread at a time.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._open: OrderedDict[int, int] = OrderedDict()
        self._scratch = Scratch()

    def __len__(self) -> int:
        return len(self.index)

    def blob(self, position: int) -> bytes:
        """The stored bytes of an image.

        Raises:
            DataError: its shard is missing, shorter than the index says, or cannot be read.
        """
        size, offset = int(self.index.size[position]), int(self.index.offset[position])
        try:
            blob = os.pread(self._descriptor(int(self.index.shard[position])), size, offset)
        except OSError as error:
            raise self._fault(position, error.strerror or str(error)) from None
        if len(blob) != size:
            raise self._fault(position, f"the shard ends after {len(blob)} of its {size} bytes")
        return blob

    def image(self, position: int) -> Picture:
        """A decoded image: grey or RGB, as the dataset's channels say. It holds until the next.

        Raises:
            CorruptImage: what is there is not a whole image.
            DataError: it cannot be read.
        """
        blob = self.blob(position)
        try:
            return pixels(blob, self.index.channels, self._scratch)
        except UNREADABLE as error:
            reason = fault_of(error)
            words = str(self._fault(position, f"it is no whole image ({reason})"))
            raise CorruptImage(words, reason) from None

    def close(self) -> None:
        """Close the shards; a later read opens them again."""
        while self._open:
            os.close(self._open.popitem()[1])

    def __getstate__(self) -> dict[str, Any]:
        return {"index": self.index, "_open": OrderedDict(), "_scratch": Scratch()}

    def _descriptor(self, shard: int) -> int:
        if shard in self._open:
            self._open.move_to_end(shard)
        else:
            if len(self._open) >= OPEN_SHARDS:
                os.close(self._open.popitem(last=False)[1])
            path = self.index.folder / self.index.shard_files[shard]
            self._open[shard] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._open[shard]

    def _fault(self, position: int, what: str) -> DataError:
        index = self.index
        path = index.folder / index.shard_files[int(index.shard[position])]
        return DataError(
            f"Dataset '{index.dataset}': {index.split} image '{index.name(position)}', at byte "
            f"{index.offset[position]} of {path}, cannot be read: {what}. "
            f"Look for more with: orchestrate data verify {index.dataset}; then remove "
            f"that dataset's folder and prepare it again."
        )
