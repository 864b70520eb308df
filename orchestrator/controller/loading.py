"""A sweep file with all that a plan or a launch of it needs to know of where it would run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import ClusterProfile
from orchestrator.executors import CLUSTERED, EXECUTORS
from orchestrator.jobs.located import locate_data
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep
from orchestrator.sweep.profile import load_profile, locate_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A sweep, checked and expanded, and where it would run.

    ``cluster``: the profile, of a sweep that runs on a cluster and where there is one.
    """

    sweep: Sweep
    root_path: Path
    data_root: Path
    cluster: ClusterProfile | None


def load(  # noqa: PLR0913 - what the command line gives
    path: Path | str,
    *,
    root_path: Path,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    executor: str | None = None,
    cluster_file: str | None = None,
    data_root: str | None = None,
) -> Loaded:
    """Read the sweep file and, if it runs on a cluster, the profile; nothing is written.

    Raises:
        SpecError: the sweep or the profile is wrong, or the named profile is not there.
    """
    sweep = load_sweep(
        path,
        overrides=overrides,
        seeds=seeds,
        executor=executor,
        executors=EXECUTORS,
        root=root_path,
    )
    file = locate_profile(cluster_file) if sweep.executor in CLUSTERED else None
    profile = load_profile(file) if file else None
    return Loaded(
        sweep=sweep,
        root_path=root_path,
        data_root=locate_data(data_root, profile.data_root if profile else None),
        cluster=profile,
    )
