"""What lies where in a tar of samples that another tool wrote.

A member is ``KEY.FIELD``: the field, compared in lower case, is one of those in ``Members``, and
the key is all before it, with dots and folders if it has some. Members of other fields, folders,
and hidden files are passed over; the members of a sample may lie anywhere in the tar, and pax
headers are followed. The order of samples is that of their images.
"""

import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Members
from orchestrator.worker.data.tars import Entry

Label = int | str
"""A number, or a class's name."""


@dataclass(frozen=True, slots=True)
class ForeignEntry:
    """One sample of such a tar: its label, and where the bytes of its image are."""

    key: str
    label: Label
    offset: int
    size: int


@dataclass(slots=True)
class _Halves:
    labels: dict[str, Label] = field(default_factory=dict)
    images: dict[str, tuple[int, int]] = field(default_factory=dict)


def scan_foreign(path: Path, members: Members) -> list[ForeignEntry]:
    """The samples of a tar in the order of their images.

    Raises:
        DataError: it is no uncompressed tar, or its members are not pairs of image and label.
    """
    halves = _Halves()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _sort_in(halves, tar, member, members)
    except (tarfile.TarError, OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as an uncompressed tar of samples: {error}. Unpack it if it is "
            "compressed; say with --image and --label what its samples' fields are."
        ) from None
    _refuse_halves(path, halves, members)
    return [ForeignEntry(key, halves.labels[key], *place) for key, place in halves.images.items()]


def labelled(entries: Sequence[ForeignEntry], classes: Sequence[str]) -> list[Entry]:
    """The samples with their labels as numbers.

    Raises:
        DataError: a label is none of these classes.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    for entry in entries:
        if entry.label not in (numbers if isinstance(entry.label, str) else range(len(classes))):
            raise DataError(
                f"Sample '{entry.key}' has the label {entry.label!r}, which is none of the "
                f"{len(classes)} classes (numbers 0 to {len(classes) - 1}, or their names). Give "
                "the list of classes with --classes, or the label's field with --label."
            )
    return [
        Entry(e.key, numbers[e.label] if isinstance(e.label, str) else e.label, e.offset, e.size)
        for e in entries
    ]


def _sort_in(
    halves: _Halves, tar: tarfile.TarFile, member: tarfile.TarInfo, members: Members
) -> None:
    if member.isdir():
        return
    key, kind = _known(member.name, members)
    if not kind:
        return
    if not member.isreg() or member.issparse():
        raise ValueError(f"member '{member.name}' is a link or has holes, not a plain file")
    if key in (halves.labels if kind == "label" else halves.images):
        raise ValueError(f"there are two {kind}s of the key '{key}'")
    if kind == "label":
        content = tar.extractfile(member)
        assert content is not None
        halves.labels[key] = _label(key, content.read(), members)
    else:
        halves.images[key] = (member.offset_data, member.size)


def key_of_image(name: str, members: Members) -> str | None:
    """The key of the image that a member of this name is; None: it is none."""
    key, kind = _known(name, members)
    return key if kind == "image" else None


def _known(name: str, members: Members) -> tuple[str, str]:
    """As ``_split``; hidden files are nothing."""
    name = name.removeprefix("./")
    return ("", "") if PurePosixPath(name).name.startswith(".") else _split(name, members)


def _split(name: str, members: Members) -> tuple[str, str]:
    """The key, and whether this is an image or a label; of the fields that fit, the longest."""
    fields = {**dict.fromkeys(members.image, "image"), members.label: "label"}
    for one in sorted(fields, key=len, reverse=True):
        if name.lower().endswith(f".{one.lower()}"):
            key = name[: -len(one) - 1]
            return os.fsencode(key).decode(errors="backslashreplace"), fields[one]
    return name, ""


def _label(key: str, content: bytes, members: Members) -> Label:
    """A number wherever the text is one."""
    text = content.decode().strip()
    if members.within is not None:
        record = json.loads(text)
        if not isinstance(record, dict) or members.within not in record:
            there = ", ".join(sorted(record)) if isinstance(record, dict) else "no object"
            raise ValueError(f"the label of '{key}' has no '{members.within}' (there: {there})")
        text = str(record[members.within])
    if not text:
        raise ValueError(f"the label of '{key}' is empty")
    return int(text) if text.isascii() and text.isdigit() else text


def _refuse_halves(path: Path, halves: _Halves, members: Members) -> None:
    alone = sorted(halves.images.keys() - halves.labels.keys())
    if alone:
        raise DataError(
            f"{path} has {len(alone)} image(s) without a label '.{members.label}', first "
            f"'{alone[0]}'. Say with --label where labels are; with --image which field is the "
            f"image, if samples have several (now: {', '.join(members.image)})."
        )
    if not halves.images:
        raise DataError(
            f"{path} has no image in a field {', '.join(members.image)}. Say with --image which "
            "field is the image."
        )
