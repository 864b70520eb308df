"""orchestrate doctor"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    cluster_option,
    json_option,
    root_option,
    site_data_option,
    store_option,
)

if TYPE_CHECKING:
    from orchestrator.controller.doctor.finding import Finding

STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}
WAIT_S = 300.0


@click.command()
@click.option("--submit", is_flag=True, help="Also ask a node of the cluster, by a small job.")
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=WAIT_S,
    help=f"How long --submit waits for that job [{WAIT_S:.0f}].",
)
@cluster_option
@site_data_option
@store_option
@json_option
@root_option
def doctor(
    submit: bool,
    wait_s: float,
    cluster_file: str | None,
    data_root: str | None,
    store: str | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """Check a site before a study begins: ok, warn or bad, and what to do.

    Python and packages, the run root's file system, rights and clocks, data,
    MLflow's store, SLURM and the cluster's profile. Exits with 1 if anything is bad.

    \b
    orchestrate doctor
    orchestrate doctor --cluster slurm/cluster.yaml --submit
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller.doctor import checkup
    from orchestrator.controller.doctor.finding import Level, Patient
    from orchestrator.jobs.located import locate_data
    from orchestrator.sweep.profile import load_profile, locate_profile

    path = locate_profile(cluster_file)
    profile = load_profile(path) if path else None
    patient = Patient(
        root_path=root_path,
        data_root=locate_data(data_root, profile.data_root if profile else None),
        cluster=profile,
        store=store,
    )
    found = list(checkup.examine(patient, submit_s=wait_s if submit else None))
    if as_json:
        print_json(checkup.as_json(found))
    else:
        _show(found)
    sys.exit(1 if checkup.worst(found) is Level.BAD else 0)


def _show(found: "Sequence[tuple[str, Finding]]") -> None:
    from collections import Counter

    from rich.console import RenderableType
    from rich.text import Text

    from orchestrator.cli.render import show
    from orchestrator.cli.tables import table

    last = ""
    rows: list[list[RenderableType]] = []
    for name, one in found:
        what = Text(one.found)
        if one.advice:
            what.append(f"\n{one.advice}", style="italic")
        rows.append([Text(one.level, style=STYLES[one.level]), "" if name == last else name, what])
        last = name
    show(table(("", "check", "what was found, and what to do"), rows))
    counts = Counter(one.level.value for _, one in found)
    click.echo(", ".join(f"{counts[level]} {level}" for level in STYLES if counts[level]))
