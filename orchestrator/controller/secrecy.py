"""What a launch would store, searched for secrets before anything is created."""

import shlex
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from orchestrator.config import ClusterProfile
from orchestrator.controller.origin import sections
from orchestrator.jobs.secrets import IN_SETTINGS, Finding, find_secrets, refuse_secrets
from orchestrator.sweep.expand import Sweep


def check_settings(sweep: Sweep, cluster: ClusterProfile | None) -> None:
    """Make sure that neither the sweep nor the cluster's profile holds a secret.

    Raises:
        SpecError: one does; every place is named.
    """
    told = _texts_of_sweep(sweep)
    found = (one for name, text in told for one in find_secrets(name, text, IN_SETTINGS))
    refuse_secrets(chain(found, secrets_in_profile(cluster) if cluster else ()))


def secrets_in_profile(cluster: ClusterProfile) -> Iterator[Finding]:
    """Secrets in a cluster's profile."""
    for name, text in _texts_of_profile(cluster):
        yield from find_secrets(name, text, IN_SETTINGS)


def secrets_in_code(files: Mapping[str, Path], diff: str) -> Iterator[Finding]:
    """Secrets in source files, and in what ``diff`` takes out of them: the rest it shows is there.

    What was taken out is told by the command that shows it, and the line of its answer.
    """
    for name, path in files.items():
        yield from find_secrets(name, path.read_text(errors="replace"))
    for section in sections(diff):
        name = section.partition("\n")[0].rpartition(" b/")[2]
        removed = "\n".join(ln if ln.startswith("-") else "" for ln in section.split("\n"))
        yield from find_secrets(f"git diff HEAD -- {name}", removed)


def _texts_of_sweep(sweep: Sweep) -> Iterator[tuple[str, str]]:
    for source in sweep.sources:
        yield source.path, source.text
    if sweep.notify is not None:  # split, a word no longer stands beside what it belongs to
        yield "notify", shlex.join(sweep.notify.words)
    for override in sweep.overrides:
        yield f"--set {override.partition('=')[0]}", override


def _texts_of_profile(cluster: ClusterProfile) -> Iterator[tuple[str, str]]:
    profile = f"the profile of {cluster.name}"
    yield f"{profile}, setup", "\n".join(cluster.setup)
    yield f"{profile}, launch_prefix", " ".join(cluster.launch_prefix)
    yield f"{profile}, notify", shlex.join(cluster.notify or [])
    for option, value in cluster.extra.items():
        yield f"{profile}, extra.{option}", f"{option}={value}"
