"""A frozen copy of the code, so that edits never reach jobs that wait."""

import shutil
from contextlib import suppress

from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.files import publishing_folder
from orchestrator.jobs.layout import Root


def take_snapshot(root: Root) -> str:
    """Copy our packages as imported to ``snapshots/<hash>/`` unless they are there; the hash."""
    files = package_files()
    name = hash_files(files.items())
    target = root.snapshots / name
    if not target.is_dir():
        with suppress(FileExistsError), publishing_folder(target) as folder:
            for relative, source in files.items():
                copy = folder / relative
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    return name
