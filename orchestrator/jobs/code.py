"""The code that runs: which files it is made of, and hashes of them."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("orchestrator", "model")
SOURCES = (".py", ".typed")
"""Endings of the files that count."""
DECIDES_RESULTS = ("model", "orchestrator/worker")
"""Folders whose files can change what a job's result is."""


def package_files() -> dict[str, Path]:
    """Every source file of our packages as imported, by its path below the import root."""
    files: dict[str, Path] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        folder = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in SOURCES:
                files[f"{package}/{path.relative_to(folder).as_posix()}"] = path
    return files


def hash_files(files: Iterable[tuple[str, Path]]) -> str:
    """64 bits over names and contents, in the order of names."""
    digest = hashlib.blake2b(digest_size=8)
    for name, path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def code_hash() -> str:
    """Hash of the files that decide results; a DONE job of another hash is of older code."""
    return hash_files(
        (name, path)
        for name, path in package_files().items()
        if name.startswith(tuple(f"{folder}/" for folder in DECIDES_RESULTS))
    )
