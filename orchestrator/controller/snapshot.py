"""A frozen copy of the code, so that edits never reach jobs that wait."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.controller.origin import Origin, find_origin
from orchestrator.controller.secrecy import secrets_in_code
from orchestrator.errors import BusyError
from orchestrator.jobs.code import NONE, hash_files, package_files
from orchestrator.jobs.files import naming, publishing_folder, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.secrets import refuse_secrets


@dataclass(frozen=True, slots=True)
class Checked:
    """Code that may be copied: its hash, and where it came from; None: it is copied already."""

    name: str
    origin: Origin | None


def take_snapshot(
    root: Root, own: Mapping[str, Path] = NONE, checked: Checked | None = None
) -> str:
    """Copy our packages to ``snapshots/<hash>/`` unless they are there; the hash.

    Ours as they are imported, a user's ``own`` from their folders. The hash is that of
    the sources alone; ``origin.json`` beside them says where they came from. What `check_code`
    found a moment ago is not looked for again.

    Raises:
        BusyError: a source file was edited meanwhile, so that the copy is of no one state.
        SpecError: a source file holds a secret, or a user's folder is gone.
    """
    files = package_files(own)
    name = hash_files(files.items())
    target = root.snapshots / name
    if target.is_dir():
        return name
    known = checked.origin if checked is not None and checked.name == name else None
    origin = known or _harmless_origin(files)
    with suppress(FileExistsError), publishing_folder(target) as folder:
        _copy(files, folder, name)
        (folder / root.origin(name).name).write_bytes(to_json(origin.to_plain()))
    return name


def check_code(root: Root, own: Mapping[str, Path] = NONE) -> Checked:
    """Make sure that a snapshot could be taken, before anything is created.

    Raises:
        SpecError: a source file, or how it differs from its commit, holds a secret, or a user's
            folder is gone.
    """
    files = package_files(own)
    name = hash_files(files.items())
    there = (root.snapshots / name).is_dir()
    return Checked(name, None if there else _harmless_origin(files))


def _harmless_origin(files: Mapping[str, Path]) -> Origin:
    origin = find_origin(files)
    diff = "".join(one.diff for one in (origin, *origin.own.values()))
    refuse_secrets(secrets_in_code(files, diff))
    return origin


def _copy(files: Mapping[str, Path], folder: Path, name: str) -> None:
    copies = {relative: folder / relative for relative in files}
    for relative, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = files[relative].read_bytes()
        with naming(copy):
            copy.write_bytes(content)
    if hash_files(copies.items()) != name:
        raise BusyError("The program's own code was edited while it was copied. Launch again.")
