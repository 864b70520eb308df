"""A study in one file: a tar of files of a run root, and a manifest that vouches for them.

The first member says what it is and of which version, the last one which files there are: a file
that was cut off, or edited, is known by that.
"""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from orchestrator.errors import RootError
from orchestrator.jobs.files import naming, sync_folder, to_json

SCHEMA = 2
"""1 had no ``usage.json``."""
HEAD, MANIFEST = "archive.json", "manifest.json"
LIMIT = 1 << 28
"""Bytes of a record: it is kept in memory."""
BLOCK = 1 << 20
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_JOB = r"jobs/(?P<shard>[0-9a-f]{2})/(?P<job>(?P=shard)[0-9a-f]{30})"
_SUBMISSION = r"submissions/[A-Za-z0-9]{1,64}"
NAMES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"datasets/{_NAME}\.json",
        rf"sweeps/{_NAME}/[0-9]+\.json",
        r"orders/[0-9]+-[0-9a-f]+\.json",
        rf"{_SUBMISSION}/(intent|submitted|refused|outcomes-001)\.json",
        rf"{_SUBMISSION}/logs/{_NAME}\.log",
        rf"{_JOB}/job\.json",
        rf"{_JOB}/attempts/[0-9]+/(started|environment|exit)\.json",
        rf"{_JOB}/attempts/[0-9]+/journal\.jsonl",
        rf"{_JOB}/attempts/[0-9]+/rank[0-9]+\.(error\.json|usage\.json|log)",
        rf"{_JOB}/(probes|predictions)/[0-9]+-[0-9]+\.npz",
        rf"{_JOB}/checkpoints/[0-9]+-[0-9]+/(state\.pt|meta\.json)",
        rf"{_JOB}/(weights|best)/[0-9]+-[0-9]+/(weights\.pt|meta\.json)",
    )
)
"""All that may be in one: names of `layout`, so that nothing is ever written elsewhere."""


Members = Iterator[tuple[tarfile.TarInfo, IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the manifest says of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that was read to its end and found whole.

    ``about``: what the exporter said of it; ``records``: the contents of all that is not of a job.
    """

    path: Path
    about: Mapping[str, Any]
    files: Mapping[str, Entry]
    records: Mapping[str, bytes]

    def jobs(self) -> dict[str, dict[str, Entry]]:
        """The files of each job, by their names in its folder."""
        found: dict[str, dict[str, Entry]] = {}
        for name, entry in self.files.items():
            if name.startswith("jobs/"):
                _, _, job, inside = name.split("/", 3)
                found.setdefault(job, {})[inside] = entry
        return found

    def record(self, name: str) -> dict[str, Any]:
        """The JSON object in a file that is not of a job."""
        plain = _plain(self.records.get(name, b""))
        if plain is None:
            raise _damaged(self.path, f"its {name} is no record")
        return plain

    def unpack(self, folder: Path, wanted: Callable[[str], bool]) -> None:
        """Write the wanted files below ``folder``, with their times.

        Raises:
            RootError: the file was changed since it was looked at.
        """
        with _members(self.path) as members:
            for info, content in members:
                if info.name not in self.files or not wanted(info.name):
                    continue
                target = folder / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with naming(target), target.open("xb") as file:
                    entry = _copied(content, file)
                if entry != self.files[info.name]:
                    raise _damaged(self.path, f"its {info.name} was changed meanwhile")
                os.utime(target, (info.mtime, info.mtime))  # by it the age of a heartbeat is told


@dataclass
class Packer:
    """Puts files into an archive that is being made."""

    tar: tarfile.TarFile
    files: dict[str, Entry] = field(default_factory=dict)

    def add(self, name: str, content: bytes, at: float | None = None) -> None:
        """Add a file of this content."""
        self._add(name, io.BytesIO(content), len(content), time.time() if at is None else at)

    def add_file(self, name: str, path: Path, *, last: int | None = None) -> bool:
        """Add the file at ``path``, or its ``last`` bytes; False if it is not there (any more).

        One that grows meanwhile is taken as long as it was.
        """
        try:
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return False
        with file, naming(path):
            size = file.seek(0, io.SEEK_END)
            kept = size if last is None else min(size, last)
            file.seek(size - kept)
            self._add(name, file, kept, path.stat().st_mtime)
        return True

    def _add(self, name: str, content: IO[bytes], size: int, at: float) -> None:
        hashed = _Hashed(content)
        self.tar.addfile(_info(name, size, at), hashed)
        self.files[name] = Entry(size, hashed.digest.hexdigest())


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


@contextmanager
def packing(path: Path, about: Mapping[str, Any]) -> Iterator[Packer]:
    """Make an archive at ``path``; it is there, whole, when the block has ended well."""
    temporary = path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex[:12]}")
    try:
        with naming(path), temporary.open("xb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
                _put(tar, HEAD, {"schema": SCHEMA, **about})
                packer = Packer(tar)
                yield packer
                files = {name: [one.size, one.sha256] for name, one in packer.files.items()}
                _put(tar, MANIFEST, {"files": files})
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _put(tar: tarfile.TarFile, name: str, plain: Mapping[str, Any]) -> None:
    content = to_json(plain)
    tar.addfile(_info(name, len(content), time.time()), io.BytesIO(content))


def open_archive(path: Path) -> Archive:
    """Read an archive to its end, and hold every file in it against the manifest.

    Raises:
        RootError: there is none, it is cut off or was edited, or it is of a newer version.
    """
    with _members(path) as members:
        about = _about(path, members)
        found, records = _read(path, members)
    if MANIFEST not in records:
        raise _damaged(path, "it has no manifest, which is written last: it was cut off")
    del found[MANIFEST]
    files = _files(path, records.pop(MANIFEST))
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            raise _damaged(path, f"its {name} is not what its manifest says")
    return Archive(path, about, files, records)


def _about(path: Path, members: Members) -> dict[str, Any]:
    """What the first member says.

    Raises:
        RootError: it is of a newer version, or no archive of ours.
    """
    info, content = next(members, (tarfile.TarInfo(), io.BytesIO()))
    plain = _plain(content.read(LIMIT)) if info.name == HEAD else None
    if plain is None or not isinstance(plain.get("schema"), int):
        raise _damaged(path, "it does not begin as an export of a study does")
    if plain["schema"] > SCHEMA:
        raise RootError(
            f"{path} has version {plain['schema']}; this program reads up to {SCHEMA}. "
            "Use the newer program that exported it."
        )
    return plain


def _read(path: Path, members: Members) -> tuple[dict[str, Entry], dict[str, bytes]]:
    """What each member is, and the contents of those that are of no job."""
    found: dict[str, Entry] = {}
    records: dict[str, bytes] = {}
    for info, content in members:
        name, in_job = info.name, info.name.startswith("jobs/")
        plain_file = info.isreg() and not info.issparse() and (in_job or info.size < LIMIT)
        known = name == MANIFEST or any(pattern.fullmatch(name) for pattern in NAMES)
        if not (plain_file and known) or name in found:
            raise _damaged(path, f"'{name}' has no place in it")
        kept = None if in_job else io.BytesIO()
        found[name] = _copied(content, kept)
        if kept is not None:
            records[name] = kept.getvalue()
    return found, records


def _files(path: Path, manifest: bytes) -> dict[str, Entry]:
    try:
        said = (_plain(manifest) or {})["files"]
        return {name: Entry(size, digest) for name, (size, digest) in said.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(path, "its manifest cannot be read") from None


def _plain(content: bytes) -> dict[str, Any] | None:
    """The JSON object that this is, if it is one."""
    with suppress(ValueError):
        plain = json.loads(content)
        return plain if isinstance(plain, dict) else None
    return None


@contextmanager
def _members(path: Path) -> Iterator[Members]:
    """The members of a tar, each with its content, in their order."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            yield _each(tar)
            if tar.fileobj is not None:
                while tar.fileobj.read(BLOCK):  # to gzip's own check at its end
                    pass
    except FileNotFoundError:
        raise RootError(f"There is no file {path}.") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error) or type(error).__name__) from None


def _each(tar: tarfile.TarFile) -> Members:
    for info in tar:
        yield info, (tar.extractfile(info) if info.isreg() else None) or io.BytesIO()


def _copied(content: IO[bytes], to: IO[bytes] | None) -> Entry:
    digest, size = hashlib.sha256(), 0
    while block := content.read(BLOCK):
        digest.update(block)
        size += len(block)
        if to is not None:
            to.write(block)
    return Entry(size, digest.hexdigest())


def _info(name: str, size: int, at: float) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, int(at)
    return info


def _damaged(path: Path, fault: str) -> RootError:
    return RootError(f"{path} is damaged: {fault}. Export it again.")
