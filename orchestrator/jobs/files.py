"""Publishing on a shared file system: a reader sees a whole file or folder, or none."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.config.section import Section
from orchestrator.errors import RootError

Record = TypeVar("Record", bound=Section)
TEMPORARY = ".tmp-"
GONE = f"{TEMPORARY}gone-"


def to_json(value: Any) -> bytes:
    """JSON with sorted keys, as it stands in every record of the root.

    People can read it: each member of the outermost object, and of lists of objects in it, has a
    line. (Python indents deeper ones ten times as slowly as it writes them.)
    """
    if not isinstance(value, dict):
        return f"{_on_a_line(value)}\n".encode()
    members = (f" {_on_a_line(key)}: {_on_lines(value[key])}" for key in sorted(value))
    return ("{\n" + ",\n".join(members) + "\n}\n").encode()


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


def refuse_newer(path: Path, found: object, known: int) -> None:
    """Make sure that a record is of a version that this program reads; one without is as old.

    Raises:
        RootError: it is newer; both numbers are named.
    """
    if isinstance(found, int) and found > known:
        raise RootError(
            f"{path} has version {found}; this program reads up to {known}. "
            "Use the newer program that wrote it."
        )


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
        publish_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def publish_folder(temporary: Path, path: Path) -> None:
    """Make a folder that was filled beside ``path`` durable, and rename it to that.

    Raises:
        FileExistsError: ``path`` is there and not empty: somebody was first.
    """
    sync_tree(temporary)
    _rename_folder(temporary, path)
    sync_folder(path.parent)


def is_temporary(path: Path) -> bool:
    """Whether ``path`` is an unpublished leftover of a writer, alive or killed."""
    return path.name.startswith(TEMPORARY)


def is_gone(path: Path) -> bool:
    """Whether ``path`` was published once and set aside: whoever did that may have been killed."""
    return path.name.startswith(GONE)


def set_aside(path: Path) -> Path:
    """Rename ``path``, so that half removed it does not look whole; returns where it is now."""
    aside = path.with_name(f"{GONE}{path.name}-{uuid.uuid4().hex[:12]}")
    path.rename(aside)
    return aside


def remove(path: Path) -> None:
    """Remove a file or folder; killed in between, it leaves what ``is_gone`` knows."""
    discard(set_aside(path) if path.is_dir() and not is_gone(path) else path)


def discard(path: Path) -> None:
    """Remove a file or folder that nobody needs, though somebody may be removing it, too."""
    while path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
    path.unlink(missing_ok=True)


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


def _on_lines(value: Any) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _on_a_line(value)
    return "[\n  " + ",\n  ".join(map(_on_a_line, value)) + "\n ]"


def _on_a_line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY}{path.name}-{uuid.uuid4().hex[:12]}")


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
