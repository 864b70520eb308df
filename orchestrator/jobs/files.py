"""Publishing on a shared file system: a reader sees a whole file or folder, or none."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.config.section import Section
from orchestrator.errors import RootError

Record = TypeVar("Record", bound=Section)


def to_json(value: Any) -> bytes:
    """Readable JSON with sorted keys, as it stands in every record of the root."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object at ``path``.

    Raises:
        FileNotFoundError: there is none.
        RootError: it is damaged. A killed writer cannot do that: records are published whole.
    """
    try:
        record = json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(path, str(error)) from None
    if not isinstance(record, dict):
        raise damaged(path, "it holds no JSON object")
    return record


def checked(kind: type[Record], plain: dict[str, Any], path: Path) -> Record:
    """The record of this kind that ``path`` holds.

    Raises:
        RootError: it is damaged; its first fault is named.
    """
    try:
        return kind.from_record(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def damaged(path: Path, fault: str) -> RootError:
    """The error that says so."""
    return RootError(f"{path} is damaged: {fault}. Restore it from a backup.")


def publish(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole and durable, replacing what is there."""
    temporary = _beside(path)
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def publish_once(path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path`` unless something is there; True if this call wrote it."""
    temporary = _beside(path)
    try:
        _write_durably(temporary, content)
        os.link(temporary, path)
    except FileExistsError:
        # NFS may carry out a link, lose the answer and try again: the count of links tells.
        return temporary.stat().st_nlink > 1
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


@contextmanager
def publishing_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder beside ``path``; it becomes ``path`` when the block ends well.

    Raises:
        FileExistsError: ``path`` is there and not empty: somebody was first.
    """
    temporary = _beside(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_tree(temporary)
        _rename_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def is_temporary(path: Path) -> bool:
    """Whether ``path`` is an unpublished leftover of a writer, alive or killed."""
    return path.name.startswith(".tmp-")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the file system that name no file, as those of writing do, name ``path``."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def sync_tree(folder: Path) -> None:
    """Make every file below ``folder``, and the folders themselves, durable."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            with naming(path), path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Make a folder's list of names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex[:12]}")


def _rename_folder(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # what ext4 says where XFS says EEXIST
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None


def _write_durably(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
