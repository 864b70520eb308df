"""Finding and loading a cluster profile: a site's facts, as strictly read as a sweep."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic_core import ErrorDetails

from orchestrator.config import ClusterProfile
from orchestrator.errors import SpecError
from orchestrator.sweep.edge import owner_of, read_section
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.keys import unlisted_key
from orchestrator.sweep.strict_yaml import KeyPath, read_document

VARIABLE = "ORCHESTRATE_CLUSTER"
IN_PROJECT = Path("slurm/cluster.yaml")


def load_profile(path: Path | str) -> ClusterProfile:
    """Read and check the profile at ``path``.

    Raises:
        SpecError: one line for every fault: file, line, key, what is wrong, what is allowed.
    """
    document = read_document(Path(path))
    faults = Faults()
    profile = read_section(
        document, ClusterProfile, faults, what="a cluster profile", words=_unknown
    )
    faults.refuse()
    assert profile is not None
    return profile


def locate_profile(option: str | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The profile's file: ``--cluster``, ``$ORCHESTRATE_CLUSTER``, the user's, the project's.

    None if there is none of them.

    Raises:
        SpecError: the option or the variable names a file that is not there.
    """
    named = (("--cluster", option), (f"${VARIABLE}", environment.get(VARIABLE)))
    for who, name in named:
        if name:
            return _existing(who, Path(name))
    return next((path for path in _habitual(environment) if path.is_file()), None)


def _existing(who: str, path: Path) -> Path:
    if not path.is_file():
        raise SpecError(
            f"{who}: there is no file {path}; name a cluster profile, "
            "which starts as a copy of slurm/cluster.example.yaml"
        )
    return path


def _habitual(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where a profile is taken from if it exists."""
    if settings := environment.get("XDG_CONFIG_HOME"):
        yield Path(settings) / "orchestrate/cluster.yaml"
    elif home := environment.get("HOME"):
        yield Path(home) / ".config/orchestrate/cluster.yaml"
    yield IN_PROJECT


def _unknown(detail: ErrorDetails, path: KeyPath) -> str | None:
    """That the fault is a key nobody knows, if it is."""
    if detail["type"] != "extra_forbidden":
        return None
    return unlisted_key(str(path[-1]), owner_of(ClusterProfile, path).model_fields)
