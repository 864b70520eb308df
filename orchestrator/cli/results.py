"""orchestrate results SWEEP"""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.results.frame import Group


@click.command()
@click.argument("sweep", metavar="SWEEP")
@click.option("--metric", default="val/top1", show_default=True, help="Mean and spread of this.")
@click.option("--also", multiple=True, metavar="METRIC", help="Show this mean too; repeatable.")
@click.option("--by", multiple=True, metavar="AXIS", help="Group by this; repeatable [all axes].")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@click.option(
    "--norms",
    "picture",
    type=click.Path(path_type=Path),
    metavar="FILE.png|.svg",
    help="Draw the patch norms of every group, too.",
)
@json_option
@root_option
def results(
    sweep: str,
    metric: str,
    also: tuple[str, ...],
    by: tuple[str, ...],
    as_csv: bool,
    picture: Path | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """Compare the jobs of a launched sweep: mean and spread over seeds of the last value.

    \b
    orchestrate results quickstart --also norms/max_over_median
    orchestrate results exp2 --metric val/loss --by model.registers --csv
    """
    from orchestrator.cli.render import print_json
    from orchestrator.jobs.store import launched_revision, open_root
    from orchestrator.results import frame

    root = open_root(root_path)
    revision = launched_revision(root, sweep)
    found = frame.read_results(root, revision)
    frame.check_question(found, (metric, *also), by)
    axes = list(by) or frame.axes_of(found)
    groups = frame.grouped(found, metric, axes, also)
    if picture:
        from orchestrator.results.plots import draw_norms

        for fault in draw_norms(root, groups, picture):
            click.echo(f"warning: {fault}", err=True)
    if as_json:
        print_json(frame.as_json(metric, axes, groups, frame.notes_of(found)))
    elif as_csv:
        _print_csv(metric, axes, groups, also)
    else:
        _print_table(metric, axes, groups, also)
    for note in frame.notes_of(found):
        click.echo(f"note: {note}", err=True)
    for axis in sorted({axis for group in groups for axis in group.mixes}):
        click.echo(f"note: some rows mix points that differ in {axis}; add --by {axis}", err=True)


def _print_csv(
    metric: str, axes: "Sequence[str]", groups: "Sequence[Group]", also: "Sequence[str]"
) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [*axes, "n", "missing", "diverged", f"{metric} mean", "std", "low", "high", *also]
    )
    for group in groups:
        values = [_cell(group.axes[axis]) for axis in axes]
        spread = [group.mean, group.std, *(group.ci95 or (None, None))]
        means = [group.also[name] for name in also]
        writer.writerow([*values, group.n, group.missing, group.diverged, *spread, *means])


def _cell(value: object) -> object:
    """A group of settings as JSON, so that the table can be read back."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _print_table(
    metric: str, axes: "Sequence[str]", groups: "Sequence[Group]", also: "Sequence[str]"
) -> None:
    from orchestrator.cli.render import number, show, table
    from orchestrator.results.frame import label

    unfinished = [what for what in ("missing", "diverged") if any(getattr(g, what) for g in groups)]
    columns = [*axes, "n", *unfinished, metric, *also]
    made = table(columns, (), right=columns[len(axes) :])
    for group in groups:
        spread = "" if group.std is None else f" ± {group.std:.2g}"
        made.add_row(
            *(label(group.axes[axis]) for axis in axes),
            *(str(getattr(group, what)) for what in ("n", *unfinished)),
            f"{number(group.mean)}{spread}",
            *(number(group.also[name]) for name in also),
        )
    show(made)
