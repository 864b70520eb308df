"""A user's own packages of attention variants: found, imported under their names, checked."""

import keyword
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from os.path import abspath
from pathlib import Path
from types import ModuleType

from model.config import ViTConfig, check_fit
from model.variants import Variant, package_of, variant_named
from orchestrator.errors import SpecError
from orchestrator.jobs.code import PACKAGES, is_package
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.faults import Faults

TABLE = "VARIANTS"
TORCH = "torch"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LOADED: set[str] = set()
"""Names under which this process has loaded users' packages."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Those of a sweep, loaded: folders by name."""

    folders: Mapping[str, Path] = field(default_factory=dict)

    def refuse(self, model: ViTConfig) -> str | None:
        """Why a model of a user's package cannot be had; None of any other."""
        name = model.attention
        package = package_of(name)
        if not package:
            return None
        if package not in self.folders:
            known = ", ".join(self.folders) or "none"
            return (
                f"model.attention is {name!r}, but no folder {package} is listed under packages "
                f"(listed: {known}); add it, as in packages: [../{package}]"
            )
        try:
            variant = variant_named(name)
            check_fit(model, variant)
        except ValueError as error:
            return f"model.attention: {error}"
        return _uncountable(name, variant, model, self.folders[package])


def read_packages(chain: Chain, faults: Faults) -> Packages:
    """Load the packages that a sweep lists; their paths start at the file that lists them."""
    spec, document = chain.owner("packages")
    folders: dict[str, Path] = {}
    for number, text in enumerate(spec.packages):
        place = document.place(("packages", number))
        written = Path(document.name).parent / text
        folder = Path(abspath(written))  # noqa: PTH100 - resolved, a link would lose its own name
        if folders.setdefault(folder.name, folder) != folder:
            faults.add(place, f"packages: two packages are called {folder.name}; rename one")
            continue
        try:
            load_package(folder)
        except SpecError as error:
            faults.add(place, f"packages: {error}")
    return Packages(folders)


def load_package(folder: Path, *, as_workers_do: bool = False) -> None:
    """Import the package in ``folder`` under its name, and nothing else that lies beside it.

    Workers, which have it in their snapshot, import it by that name. Here it is loaded anew each
    time, without torch, and leaves no bytecode behind. ``as_workers_do``: whatever else has its
    name here, as its snapshot comes first for a worker.

    Raises:
        SpecError: there is none, its name is taken, it cannot be imported, or its table is wrong.
    """
    name = folder.name
    if not is_package(folder):
        raise SpecError(f"{folder} is no package: it has no __init__.py")
    if not as_workers_do:
        _refuse_name(name, folder)
    _unload(name)
    spec = spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    _LOADED.add(name)
    try:
        with _without_torch(), _without_bytecode():
            spec.loader.exec_module(module)
            _check_table(module)
    except SpecError:
        _unload(name)
        raise
    except (Exception, SystemExit) as error:  # a script among its files may end its process
        _unload(name)
        raise SpecError(_told(error, folder)) from error


def _refuse_name(name: str, folder: Path) -> None:
    """Refuse a name under which something else may be imported, here or by a worker."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise SpecError(f"{folder}: {name} cannot be a package's name; rename the folder")
    taken = None
    if name in PACKAGES:
        taken = "one of this program's packages"
    elif name in sys.stdlib_module_names:
        taken = "a module of Python's own"
    elif name not in _LOADED:
        spec = find_spec(name)
        at = Path(spec.origin) if spec and spec.has_location and spec.origin else None
        if at and at.resolve() != (folder / "__init__.py").resolve():
            taken = f"installed at {at}"
        elif spec and not at and name in packages_distributions():
            taken = "an installed package"
    if taken:
        raise SpecError(f"{folder}: the name {name} is taken, it is {taken}; rename the folder")


def _unload(name: str) -> None:
    """Forget a package that was loaded before, and all modules of it."""
    if name in _LOADED:
        _LOADED.discard(name)
        for module in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[module]


@contextmanager
def _without_torch() -> Iterator[None]:
    """Make every import of torch fail, whether this process has it already or not."""
    parts = [key for key in sys.modules if key == TORCH or key.startswith(f"{TORCH}.")]
    hidden = {key: sys.modules[key] for key in parts}
    sys.modules.update(dict.fromkeys({TORCH, *hidden}))  # type: ignore[arg-type]
    try:
        yield
    finally:
        del sys.modules[TORCH]
        sys.modules.update(hidden)


@contextmanager
def _without_bytecode() -> Iterator[None]:
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _check_table(module: ModuleType) -> None:
    """Make sure that the package has rows, and that those of its own modules lead to a file.

    Raises:
        SpecError: it has none, or one that leads nowhere.
    """
    table = getattr(module, TABLE, None)
    if not isinstance(table, Mapping) or not table:
        raise SpecError(f"{module.__file__} has no table {TABLE} of attention variants")
    for row, variant in table.items():
        where = f"{module.__file__}: {TABLE}[{row!r}]"
        if not isinstance(variant, Variant):
            raise SpecError(f"{where} is {variant!r:.60}; it must be a Variant of model.variants")
        if not str(row).isidentifier():
            raise SpecError(f"{where}: no sweep can name it; call the row by one plain word")
        name, _, attribute = variant.location.partition(":")
        top = name.partition(".")[0]
        if not attribute or find_spec(name if top == module.__name__ else top) is None:
            raise SpecError(
                f"{where} is at {variant.location!r}, which is no module:Class of the package, "
                "nor of another one that is installed"
            )


def _uncountable(name: str, variant: Variant, model: ViTConfig, folder: Path) -> str | None:
    """Why what one block of the variant costs cannot be counted, if so."""
    for what in ("macs", "params", "fixed_macs"):
        try:
            count = getattr(variant, what)(model)
        except Exception as error:  # noqa: BLE001 - whatever a user's formula raises is told
            return f"model.attention: {what} of {name} cannot be counted: {_told(error, folder)}"
        if type(count) is not int or count < 0:
            return f"model.attention: {what} of {name} is {count!r}; it must be a whole number"
    return None


def _told(error: BaseException, folder: Path) -> str:
    """What a user's code raised, and the last of its own lines on the way there."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        (one.filename, one.lineno) for one in frames if Path(one.filename).is_relative_to(folder)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
    file, line = lines[-1] if lines else (folder / "__init__.py", None)
    where = f"{file}:{line}" if line else str(file)
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == TORCH:
        return (
            f"{where}: imports torch; the table must load without it, so name the class as text, "
            f'as in location="{folder.name}.file:Class"'
        )
    return f"{where}: {type(error).__name__}: {error}"
