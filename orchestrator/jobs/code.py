"""The code that runs: which files it is made of, and hashes of them."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from orchestrator.errors import SpecError

PACKAGES = ("orchestrator", "model")
SOURCES = (".py", ".typed")
"""Endings of the files that count."""
NONE: Mapping[str, Path] = MappingProxyType({})
DECIDES_RESULTS = ("model", "orchestrator/worker")
"""Folders whose files can change what a job's result is."""


def package_files(own: Mapping[str, Path] = NONE) -> dict[str, Path]:
    """Every source file of our packages as imported, by its path below the import root.

    ``own``: folders by name of a user's packages, whose files are told as well.

    Raises:
        SpecError: such a folder is gone.
    """
    files: dict[str, Path] = {}
    for package in PACKAGES:
        folder = _folder_of(package)
        assert folder is not None
        files |= _sources(package, folder)
    for package, folder in own.items():
        if not is_package(folder):
            raise SpecError(
                f"The package {package} is not at {folder} any more. Put it back, or launch its "
                "sweep again with the folder's new path under packages."
            )
        files |= _sources(package, folder)
    return files


def is_package(folder: Path) -> bool:
    """Whether the folder can be imported under its name."""
    return (folder / "__init__.py").is_file()


def _folder_of(package: str) -> Path | None:
    """Where a package would be imported from, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _sources(package: str, folder: Path) -> dict[str, Path]:
    """Hidden folders and files, which cannot be imported, are left out."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        f"{package}/{relative.as_posix()}": path
        for relative, path in found.items()
        if path.suffix in SOURCES and path.is_file() and not _is_hidden(relative)
    }


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def hash_files(files: Iterable[tuple[str, Path]]) -> str:
    """64 bits over names and contents, in the order of names."""
    digest = hashlib.blake2b(digest_size=8)
    for name, path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


JOIN = "-"
"""Between the hash of our code and that of a user's package."""


@cache
def code_hash() -> str:
    """Hash of the files that decide results; a DONE job of another hash is of older code."""
    return hash_files(
        (name, path)
        for name, path in package_files().items()
        if name.startswith(tuple(f"{folder}/" for folder in DECIDES_RESULTS))
    )


def code_here(package: str) -> str:
    """`code_hash`, and joined to it the hash of the user's package that a job's model is of."""
    folder = _folder_of(package) if package else None
    return code_hash() if folder is None else _joined(package, folder)


def todays_codes(own: Mapping[str, Path]) -> dict[str, str]:
    """By package, what `code_here` of a job that started now would be; ours has the empty name.

    Not among them are packages that are no longer in their folders.
    """
    there = {package: folder for package, folder in own.items() if is_package(folder)}
    return {"": code_hash(), **{name: _joined(name, folder) for name, folder in there.items()}}


def is_older(codes: Iterable[str], package: str, today: Mapping[str, str]) -> bool:
    """Whether a result, made by ``codes``, is of other code than today's.

    Where today's code of its package is not known, our part alone decides.
    """
    if package in today:
        return not {*codes} <= {today[package]}
    return not {without_package(code) for code in codes} <= {today[""]}


def without_package(code: str) -> str:
    """Of the hash of a job's code our part, which jobs of any variant have in common."""
    return code.partition(JOIN)[0]


def _joined(package: str, folder: Path) -> str:
    return f"{code_hash()}{JOIN}{hash_files(_sources(package, folder).items())}"
