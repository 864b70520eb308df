"""Names of samples, and the choices that rest on nothing but a name."""

import hashlib
import os
import re
from collections.abc import Collection, Iterable
from pathlib import PurePath

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
READABLE = 24  # characters kept of a class's and of a file's name


def hash_of_key(key: str) -> str:
    """The order in which samples are chosen where a fixed, fair order is wanted."""
    return hashlib.sha256(key.encode()).hexdigest()


def validation_keys(keys: Collection[str], share: float) -> frozenset[str]:
    """Of the keys of one class, those for the validation split: the smallest hashes.

    At least one (if there are two) and never all of them.
    """
    wanted = min(len(keys) - 1, max(1, round(len(keys) * share)))
    return frozenset(sorted(keys, key=hash_of_key)[:wanted])


def validation_rule(share: float) -> str:
    """``validation_keys`` in words, for the manifest."""
    return f"of each class, the {share:.6g} of the keys with the smallest sha256 is val"


def key_of_file(path: PurePath) -> str:
    """A sample's key for a file known by its path below the source folder.

    Readable, ASCII, without dots (WebDataset splits a member's name at the first one) and short
    enough for a plain tar header. The hash of the whole path makes it unique, and independent of
    whatever else is in the folder.
    """
    digest = hashlib.sha256(os.fsencode(path.as_posix())).hexdigest()[:16]
    return "-".join((*_readable((path.parent.name, path.stem)), digest))


def shown(path: PurePath) -> str:
    """A path as it can be printed and stored, even if its bytes are not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _readable(names: Iterable[str]) -> Iterable[str]:
    return (UNSAFE.sub("_", name)[:READABLE] for name in names)
