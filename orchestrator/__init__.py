"""Sweeps of vision transformers: launched, tended, resumed exactly, compared.

What the command line does, from Python: `Sweep` is a sweep file, `Root` a run root. They come when
they are first named, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orchestrator.errors import (
    BusyError,
    DataError,
    Full,
    OrchestrateError,
    PackageError,
    Refused,
    RootError,
    SpecError,
    StoreError,
    SubmitError,
    Unclear,
)

if TYPE_CHECKING:
    from orchestrator.api.root import Root
    from orchestrator.api.sweep import Sweep

__all__ = [
    "BusyError",
    "DataError",
    "Full",
    "OrchestrateError",
    "PackageError",
    "Refused",
    "Root",
    "RootError",
    "SpecError",
    "StoreError",
    "SubmitError",
    "Sweep",
    "Unclear",
]
_LATER = {"Root": "orchestrator.api.root", "Sweep": "orchestrator.api.sweep"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LATER]
