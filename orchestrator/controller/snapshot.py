"""A frozen copy of the code, so that edits never reach jobs that wait."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import BusyError
from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.files import publishing_folder
from orchestrator.jobs.layout import Root


def take_snapshot(root: Root) -> str:
    """Copy our packages as imported to ``snapshots/<hash>/`` unless they are there; the hash.

    Raises:
        BusyError: a source file was edited meanwhile, so that the copy is of no one state.
    """
    files = package_files()
    name = hash_files(files.items())
    target = root.snapshots / name
    if target.is_dir():
        return name
    with suppress(FileExistsError), publishing_folder(target) as folder:
        _copy(files, folder, name)
    return name


def _copy(files: Mapping[str, Path], folder: Path, name: str) -> None:
    copies = {relative: folder / relative for relative in files}
    for relative, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[relative], copy)
    if hash_files(copies.items()) != name:
        raise BusyError("The program's own code was edited while it was copied. Launch again.")
