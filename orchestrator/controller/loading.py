"""A sweep file with all that a plan or a launch of it needs to know of where it would run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from orchestrator.config import ClusterProfile, RaySite
from orchestrator.errors import SpecError
from orchestrator.executors import CLUSTERED, EXECUTORS, ON_RAY
from orchestrator.jobs.located import locate_data
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep
from orchestrator.sweep.profile import load_profile, locate_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A sweep, checked and expanded, and where it would run.

    ``cluster``: the profile, of a sweep that runs on a cluster and where there is one. ``ray``:
    which Ray cluster, of a sweep that runs on Ray.
    """

    sweep: Sweep
    root_path: Path
    data_root: Path
    cluster: ClusterProfile | None
    ray: RaySite | None


def load(  # noqa: PLR0913 - what the command line gives
    path: Path | str,
    *,
    root_path: Path,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    executor: str | None = None,
    cluster_file: str | None = None,
    address: str | None = None,
    data_root: str | None = None,
) -> Loaded:
    """Read the sweep file and, if it runs on a cluster, the profile; nothing is written.

    Raises:
        SpecError: the sweep, the profile or the address is wrong, or the named profile is not
            there.
    """
    sweep = load_sweep(
        path,
        overrides=overrides,
        seeds=seeds,
        executor=executor,
        executors=EXECUTORS,
        root=root_path,
    )
    on_ray = sweep.executor == ON_RAY
    if address is not None and not on_ray:
        raise SpecError(f"--address is that of a Ray cluster; the executor is {sweep.executor}")
    file = locate_profile(cluster_file) if on_ray or sweep.executor in CLUSTERED else None
    profile = load_profile(file) if file else None
    return Loaded(
        sweep=sweep,
        root_path=root_path,
        data_root=locate_data(data_root, profile.data_root if profile else None),
        cluster=None if on_ray else profile,
        ray=_ray_site(address, profile) if on_ray else None,
    )


def _ray_site(
    address: str | None,
    profile: ClusterProfile | None,
    environment: Mapping[str, str] = os.environ,
) -> RaySite:
    """The Ray cluster that is meant: by ``--address``, ``$RAY_ADDRESS``, the profile; else none.

    Raises:
        SpecError: option or variable hold no address.
    """
    for who, text in (("--address", address), ("$RAY_ADDRESS", environment.get("RAY_ADDRESS"))):
        if text:
            try:
                return RaySite(address=text)
            except ValidationError as error:
                words = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise SpecError(f"{who}: {words}") from None
    return (profile.ray if profile else None) or RaySite()
