"""Tars that another tool wrote, as a dataset: an index and a manifest beside links to them.

A tar that is named by a URL is fetched once. One for validation is kept, since what is measured
must be exact; of one for training only the index is, and training streams it again: see ``remote``.
"""

import glob
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from webdataset.shardlists import expand_urls

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import SPLITS, Manifest, Members, Shard, Split
from orchestrator.worker.data.decode import UNREADABLE, facts_of, fault_of, pixels
from orchestrator.worker.data.digests import sha256_of_file
from orchestrator.worker.data.foreign import ForeignEntry, Label, labelled, scan_foreign
from orchestrator.worker.data.packed import Packed, Row
from orchestrator.worker.data.packing import USUAL, Packing, finish
from orchestrator.worker.data.parallel import in_processes, processors
from orchestrator.worker.data.remote import fetch, is_command, is_remote
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import new_folder, refuse_the_taken

Tar = Path | str
"""A file, or a URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What is to be adopted: tars by split, in order, and what is known of their samples.

    ``classes``: names in the order of labels; None: the names that are found, sorted, or numbers.
    """

    name: str
    source: str
    tars: Mapping[Split, Sequence[Tar]]
    members: Members
    classes: tuple[str, ...] | None = None
    label_space: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A tar, and what it is called in the dataset's folder."""

    split: Split
    file: str
    tar: Tar


@dataclass(frozen=True, slots=True)
class Seen:
    """A tar of which every image was read. ``rows`` still lack the number of their label, -1."""

    entries: tuple[ForeignEntry, ...]
    rows: tuple[Row, ...]
    faults: tuple[str, ...]
    bytes: int
    sha256: str


def adopt(data_root: Path, adoption: Adoption, options: Packing = USUAL) -> Manifest:
    """Make dataset ``adoption.name`` of tars that stay where they are.

    Every image is decoded in full once. Keys need be unique within a tar only.

    Raises:
        DataError: there is such a dataset, a tar is not one of samples, a label is no class, a
            class would be empty, or images cannot be read and are not to be skipped.
    """
    path = data_root / adoption.name
    refuse_the_taken(path)
    places = [
        Place(split, f"{split}-{number:05d}.tar", tar)
        for split in SPLITS
        for number, tar in enumerate(adoption.tars.get(split, ()))
    ]
    _refuse_twins(places)
    processes = options.processes or processors()
    with new_folder(path) as folder:
        work = partial(_bring, folder, adoption.members)
        seen = list(options.track(in_processes(work, places, processes), len(places)))
        _refuse_faults(places, seen, options)
        classes = adoption.classes or _classes(e.label for one in seen for e in one.entries)
        packed = [_packed(place, one, classes) for place, one in zip(places, seen, strict=True)]
        return finish(folder, _about(adoption, classes), packed)


def find_tars(patterns: Sequence[str]) -> list[Tar]:
    """The files that patterns with ``*`` and ``{000..099}`` name; of a pattern, in sorted order.

    A URL may have ``{000..099}``; a command, ``pipe:...``, is taken as it is.

    Raises:
        DataError: a pattern names none, or there are files and URLs.
    """
    found: list[Tar] = []
    for pattern in patterns:
        if is_command(pattern):
            found.append(pattern)
            continue
        for path in expand_urls(pattern):
            found += [path] if is_remote(path) else _files(path)
    if len({isinstance(tar, str) for tar in found}) > 1:
        raise DataError(
            "The tars of a split are files or URLs, not both: " + ", ".join(patterns) + "."
        )
    return found


def _files(pattern: str) -> list[Path]:
    names = sorted(glob.glob(str(Path(pattern).expanduser())))  # noqa: PTH207 - any folder
    if not names:
        raise DataError(
            f"There is no file {pattern}. Give tars that are there; patterns have *, ?, [] "
            "and {000..099}, and stand in quotes."
        )
    return [Path(name) for name in names]


def _refuse_twins(places: Sequence[Place]) -> None:
    tars = (place.tar for place in places)
    times = Counter(tar.resolve() if isinstance(tar, Path) else tar for tar in tars)
    twins = [str(tar) for tar, count in times.items() if count > 1]
    if twins:
        raise DataError(
            f"{len(twins)} tar(s) are named more than once, first {twins[0]}. Name each tar once, "
            "for training or for validation."
        )


def _bring(folder: Path, members: Members, place: Place) -> Seen:
    """Look at a tar, and leave in the dataset's folder what is kept of it."""
    file = folder / place.file
    if isinstance(place.tar, Path):
        file.symlink_to(place.tar.resolve())
        return _see(members, place.tar)
    fetch(place.tar, file)
    try:
        seen = _see(members, file)
    except DataError as error:
        raise DataError(str(error).replace(str(file), place.tar)) from None
    if place.split == "train":
        file.unlink()
    return seen


def _see(members: Members, tar: Path) -> Seen:
    entries = scan_foreign(tar, members)
    rows, readable, faults = [], [], []
    with tar.open("rb") as file:
        for entry in entries:
            file.seek(entry.offset)
            try:
                rows.append(_row(entry, file.read(entry.size)))
                readable.append(entry)
            except UNREADABLE as error:
                faults.append(f"{entry.key}: {fault_of(error)}")
    return Seen(
        tuple(readable), tuple(rows), tuple(faults), tar.stat().st_size, sha256_of_file(tar)
    )


def _row(entry: ForeignEntry, blob: bytes) -> Row:
    facts = facts_of(blob)
    pixels(blob, 1 if facts.grey else 3)
    digest = hashlib.sha256(blob).hexdigest()
    place = (entry.offset, entry.size)
    return Row(entry.key, -1, *place, digest, facts.width, facts.height, facts.grey)


def _refuse_faults(places: Sequence[Place], seen: Sequence[Seen], options: Packing) -> None:
    pairs = zip(places, seen, strict=True)
    faults = [f"{place.tar}/{line}" for place, one in pairs for line in one.faults]
    if faults and not options.skip_unreadable:
        lines = "\n  ".join(faults)
        raise DataError(
            f"{len(faults)} image(s) cannot be read:\n  {lines}\nNothing was stored. Repair these "
            "tars, or leave the images out with: --skip-unreadable"
        )


def _classes(labels: Iterable[Label]) -> tuple[str, ...]:
    """Names that were found, sorted; or, where labels are numbers, the numbers up to the largest.

    Raises:
        DataError: some are numbers and some are names.
    """
    found = set(labels)
    numbers = {label for label in found if isinstance(label, int)}
    names = {label for label in found if isinstance(label, str)}
    if numbers and names:
        raise DataError(
            f"Of the labels, {len(numbers)} are numbers, such as {min(numbers)}, and "
            f"{len(names)} are names, such as '{min(names)}'. Give the names in the order of "
            "numbers with --classes."
        )
    if names:
        return tuple(sorted(names))
    return tuple(map(str, range(max(numbers, default=-1) + 1)))


def _packed(place: Place, seen: Seen, classes: Sequence[str]) -> Packed:
    file = place.file
    entries = labelled(seen.entries, classes)
    rows = (row._replace(label=e.label) for row, e in zip(seen.rows, entries, strict=True))
    return Packed(
        shard=Shard(
            file=file, split=place.split, samples=len(entries), bytes=seen.bytes, sha256=seen.sha256
        ),
        rows=tuple(rows),
        left_out=tuple(f"{file}/{line}" for line in seen.faults),
    )


def _about(adoption: Adoption, classes: tuple[str, ...]) -> About:
    return About(
        name=adoption.name,
        source=adoption.source,
        split_rule="the tars of the source, as they were named for each split",
        classes=classes,
        label_space=adoption.label_space,
        members=adoption.members,
        only_val=not adoption.tars.get("train"),
        remote=tuple(tar for tar in adoption.tars.get("train", ()) if isinstance(tar, str)),
    )
