"""A decode-once copy of the training images: pixels in one memory-mapped file.

One copy of a dataset in one size serves all ranks, helpers and jobs of a user on a node.
"""

import errno
import mmap
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.config import Placement
from orchestrator.errors import BusyError, DataError, SpecError
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.files import TEMPORARY, discard, publishing_folder, to_json
from orchestrator.jobs.lease import leased
from orchestrator.worker.data.decode import Picture
from orchestrator.worker.data.decoding import Sizes, Source, bounded, check_room, fill, measure
from orchestrator.worker.data.images import Images, SplitImages
from orchestrator.worker.data.index import Index, load_index
from orchestrator.worker.data.remote import RemoteImages
from orchestrator.worker.stop import StopFlag, Stopped

FORMAT = 1
"""Raised when the same dataset would give another copy than before."""
PIXELS, SIZES, META = "pixels.bin", "sizes.npz", "meta.json"
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, on every Linux
LOOK_S = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Which copy: of which dataset, how large its images are at most, and where it lies."""

    data_root: Path
    manifest: Manifest
    px: int
    folder: Path

    @property
    def path(self) -> Path:
        """Named by all that decides its content."""
        manifest = self.manifest  # the same tars may have been adopted for other images in them
        content = f"{manifest.name}-{manifest.layout_hash[:16]}-{manifest.content_hash[:16]}"
        return self.folder / f"{content}-{self.px}px-{FORMAT}"

    @property
    def lease(self) -> Path:
        return self.folder / f"{self.path.name}.lease"

    @property
    def source(self) -> Source:
        return Source(self.data_root, self.manifest.name, self.px)

    def is_whole(self) -> bool:
        """Whether all of it is there: a node's cleaning takes files one by one, by their age."""
        return all((self.path / name).is_file() for name in (PIXELS, SIZES, META))

    def index(self) -> Index:
        return load_index(self.data_root, self.manifest, "train")


class DecodedImages:
    """The training images of a copy. What did not decode is asked of its shard again.

    So a corrupt image gets the same answer, in the same words, as where all are read from shards.
    """

    def __init__(self, copy: Copy) -> None:
        self.index = copy.index()
        self._px = copy.px
        self._shards = SplitImages(self.index)
        with np.load(copy.path / SIZES, allow_pickle=False) as arrays:
            self._sizes = Sizes(self.index.channels, **arrays)
        self._starts = self._sizes.starts()
        with (copy.path / PIXELS).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self.index)

    def image(self, position: int) -> Picture:
        """A decoded image, (H, W, C), to be read only.

        Raises:
            CorruptImage: it is no whole image.
            DataError: it cannot be read.
        """
        sizes = self._sizes
        if not sizes.decoded[position]:
            return bounded(self._shards.image(position), self._px)
        shape = (int(sizes.height[position]), int(sizes.width[position]), sizes.channels)
        return np.ndarray(shape, np.uint8, self._map, int(self._starts[position]))

    def close(self) -> None:
        """Let go of the shards; the map ends with the last image that lies in it."""
        self._shards.close()


def open_training_images(
    data_root: Path, manifest: Manifest, px: int | None, placement: Placement, stop: StopFlag
) -> Images:
    """The training images, streaming from shards or, with ``px``, from a copy, made if need be.

    The first rank of a node that comes makes it, with all the processors it may use; the others
    wait. It is open when this returns, so processes that are forked share it.

    Raises:
        SpecError: a copy is asked for of images that are streamed from elsewhere.
        DataError: the dataset cannot be read, or there is no room for the copy.
        Stopped: this process was asked to stop meanwhile; nothing is left that is taken for whole.
    """
    if manifest.remote and px is not None:
        raise SpecError(
            f"data.decoded_px is {px}, but the training images of dataset '{manifest.name}' are "
            "streamed from elsewhere. Use data.decoded_px: null, or adopt files."
        )
    if px is None:
        index = load_index(data_root, manifest, "train")
        return RemoteImages(index, manifest) if manifest.remote else SplitImages(index)
    copy = Copy(data_root=data_root, manifest=manifest, px=px, folder=folder_of(placement))
    told = False
    while not copy.is_whole():
        if any(stop.raised()):
            raise Stopped(stop.raised())
        try:
            with leased(copy.lease, "decode", wait_s=LOOK_S):
                if not copy.is_whole():
                    _make(copy, stop, in_memory=placement.cache == "ram")
        except BusyError as error:
            if not told:
                print(f"Waiting for decoded images: {error}", flush=True)
            told = True
    return DecodedImages(copy)


def folder_of(placement: Placement) -> Path:
    """Where this user's copies lie: local to the node, and nobody else's to write.

    Raises:
        DataError: it cannot be made, or is another user's.
    """
    place = Path(placement.cache_dir or tempfile.gettempdir())
    folder = (MEMORY if placement.cache == "ram" else place) / f"orchestrate-{os.getuid()}"
    other = "Choose another folder with placement.cache_dir (placement.cache: disk)."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as error:
        raise DataError(
            f"{folder}, where decoded images would lie, cannot be made: {error.strerror}. {other}"
        ) from None
    if owner != os.getuid():
        raise DataError(
            f"{folder} is user {owner}'s, and decoded images are read only where nobody else can "
            f"write them. {other}"
        )
    return folder


def _make(copy: Copy, stop: StopFlag, *, in_memory: bool) -> None:
    """Under the lease: whoever left a part of this copy is gone."""
    for left in [*copy.folder.glob(f"{TEMPORARY}{copy.path.name}-*"), copy.path]:
        discard(left)
    sizes = measure(copy.source, stop)
    free = check_room(sizes.bytes, copy.folder, in_memory=in_memory)
    print(
        f"Decoding {len(sizes.height):,} images of '{copy.manifest.name}', their shorter sides at "
        f"most {copy.px} pixels: {sizes.bytes:,} bytes in {copy.path}; {free:,} were free.",
        flush=True,
    )
    try:
        with publishing_folder(copy.path) as folder:
            done = fill(copy.source, sizes, folder / PIXELS, stop)
            np.savez(folder / SIZES, height=done.height, width=done.width, decoded=done.decoded)
            meta = {"dataset": copy.manifest.name, "content_hash": copy.manifest.content_hash}
            (folder / META).write_bytes(to_json(meta | {"px": copy.px, "bytes": done.bytes}))
    except OSError as error:
        if error.errno not in FULL:
            raise
        check_room(sizes.bytes, copy.folder, in_memory=in_memory)
        raise DataError(
            f"{copy.folder} took no more while images were decoded into it ({error.strerror}); "
            f"they need {sizes.bytes:,} bytes. Make room, or choose another folder with "
            "placement.cache_dir."
        ) from None
