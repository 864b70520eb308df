"""Decoding every image of a split once, by processes, into one file of pixels."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker.data.decode import UNREADABLE, Picture, facts_of
from orchestrator.worker.data.images import CorruptImage, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.parallel import in_processes, processors
from orchestrator.worker.data.resize import resized
from orchestrator.worker.stop import StopFlag, Stopped

TASK = 2000
"""Images that a process takes at a time."""
MEMORY_INFO, CGROUP, CGROUPS = (
    Path("/proc/meminfo"),
    Path("/proc/self/cgroup"),
    Path("/sys/fs/cgroup"),
)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Source:
    """The training images that are to be decoded, and the bound of their shorter sides."""

    data_root: Path
    dataset: str
    px: int


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """Of every image of a copy: its sides, where its pixels begin, and whether they are there."""

    channels: int
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    decoded: NDArray[np.bool_]

    @property
    def bytes(self) -> int:
        return int((self.height * self.width).sum()) * self.channels

    def starts(self) -> NDArray[np.int64]:
        """Byte offsets of all images, one after the other."""
        ends = np.cumsum(self.height * self.width) * self.channels
        return np.concatenate([[0], ends[:-1]])


def bounded_size(width: int, height: int, px: int) -> tuple[int, int]:
    """Width and height with a shorter side of at most ``px``; nothing is enlarged."""
    shorter = min(width, height)
    if shorter <= px:
        return width, height
    return width * px // shorter, height * px // shorter


def bounded(image: Picture, px: int) -> Picture:
    """An image at its bounded size, by Pillow's antialiased bicubic filter. (H, W, C)."""
    height, width, _ = image.shape
    size = bounded_size(width, height, px)
    if size == (width, height):
        return image
    return np.ascontiguousarray(resized(image, (0, 0, width, height), size).transpose(1, 2, 0))


def measure(source: Source, stop: StopFlag) -> Sizes:
    """The sizes in a copy, from the headers of the images; of what has none, nothing."""
    images = _images(source.data_root, source.dataset)
    found = _in_all(partial(_sides, source), _tasks(len(images)), stop)
    sides = np.array([side for part in found for side in part], dtype=np.int64).reshape(-1, 2)
    nothing = np.zeros(len(images), dtype=np.bool_)
    return Sizes(images.index.channels, sides[:, 1], sides[:, 0], nothing)


def fill(source: Source, sizes: Sizes, file: Path, stop: StopFlag) -> Sizes:
    """Write the pixels; the sizes again, with what was decoded.

    Raises:
        OSError: the disk takes no more; all of the room is asked for beforehand.
        DataError: a shard cannot be read.
        Stopped: this process was asked to stop.
    """
    with file.open("xb") as pixels:
        os.posix_fallocate(pixels.fileno(), 0, max(1, sizes.bytes))  # nothing cannot be mapped
    tasks = _tasks(len(sizes.height))
    starts = sizes.starts().tolist()
    parts = [(task, starts[task.start : task.stop]) for task in tasks]
    decoded = [one for part in _in_all(partial(_decode, source, file), parts, stop) for one in part]
    return Sizes(sizes.channels, sizes.height, sizes.width, np.array(decoded, dtype=np.bool_))


def check_room(wanted: int, folder: Path, *, in_memory: bool) -> int:
    """The bytes that are free where a copy would lie.

    Raises:
        DataError: they are fewer than it needs.
    """
    free = shutil.disk_usage(folder).free
    if in_memory:
        free = min(free, _free_memory())
    if wanted > free:
        raise DataError(
            f"The decoded images need {wanted:,} bytes, but {folder} has {free:,} free. Use a "
            "smaller data.decoded_px (other pixels: another job), another folder with "
            "placement.cache_dir (placement.cache: disk), or data.decoded_px: null, which decodes "
            "at every draw."
        )
    return free


def _in_all(
    work: Callable[..., Result], tasks: Sequence[object], stop: StopFlag
) -> Iterator[Result]:
    """Results of all tasks, from all processors that this process may use, until it is to stop."""
    results = in_processes(work, tasks, processors())
    with closing(results):  # type: ignore[type-var]  # a generator
        try:
            for result in results:
                yield result
                _leave_if_asked(stop)
        except BrokenProcessPool:  # a signal to all processes of the job ends these at once
            _leave_if_asked(stop)
            raise


def _leave_if_asked(stop: StopFlag) -> None:
    if any(stop.raised()):
        raise Stopped(stop.raised())


def _tasks(images: int) -> list[range]:
    return [range(start, min(start + TASK, images)) for start in range(0, images, TASK)]


@cache
def _images(data_root: Path, dataset: str) -> SplitImages:
    return SplitImages(load_index(data_root, load_manifest(data_root, dataset), "train"))


def _sides(source: Source, positions: range) -> list[tuple[int, int]]:
    images = _images(source.data_root, source.dataset)
    return [_side(images.blob(position), source.px) for position in positions]


def _side(blob: bytes, px: int) -> tuple[int, int]:
    try:
        facts = facts_of(blob)
    except UNREADABLE:
        return 0, 0
    return bounded_size(facts.width, facts.height, px)


def _decode(source: Source, file: Path, part: tuple[range, list[int]]) -> list[bool]:
    images = _images(source.data_root, source.dataset)
    decoded = []
    with file.open("r+b") as pixels:
        for position, start in zip(*part, strict=True):
            try:
                image = bounded(images.image(position), source.px)
            except CorruptImage:
                decoded.append(False)
                continue
            pixels.seek(start)
            pixels.write(image.tobytes())
            decoded.append(True)
    return decoded


def _free_memory() -> int:
    """What this process may still take, by the machine and by the limits of its control groups."""
    lines = (line.split() for line in MEMORY_INFO.read_text().splitlines())
    free = [1024 * next(int(value) for name, value, *_ in lines if name == "MemAvailable:")]
    own = next((line[3:] for line in CGROUP.read_text().splitlines() if line[:3] == "0::"), "/")
    group = CGROUPS / own.lstrip("/")
    for folder in (group, *group.parents):
        limit, used = folder / "memory.max", folder / "memory.current"
        if limit.is_file() and (most := limit.read_text().strip()) != "max":
            free.append(int(most) - int(used.read_text()))
    return min(free)
