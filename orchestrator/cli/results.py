"""orchestrate results STUDY|SWEEP..."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.candidates import axes, completed_by, metrics
from orchestrator.cli.options import (
    by_option,
    json_option,
    root_option,
    studies_argument,
    where_option,
)
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from orchestrator.results.answer import Answer
    from orchestrator.results.sheet import Sheet


@click.command()
@studies_argument
@where_option
@click.option(
    "--metric",
    default="val/top1",
    show_default=True,
    help="Mean and spread of this.",
    shell_complete=completed_by(metrics),
)
@click.option(
    "--also",
    multiple=True,
    metavar="METRIC",
    help="Show this mean too; repeatable.",
    shell_complete=completed_by(metrics),
)
@by_option
@click.option(
    "--at",
    default="last",
    show_default=True,
    metavar="MOMENT",
    help="When: last, best, epoch=N; macs=X or hours=X of training, alone: the smallest total.",
)
@click.option(
    "--baseline",
    metavar="EXPRESSION",
    help="Compare all rows with the one for which it holds, such as 'case == \"vanilla\"'.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True),
    help="Differences that do not matter are within it [0.5 points; of other metrics none].",
)
@click.option(
    "--choose",
    metavar="AXIS",
    help="Choose its value on one seed, report the others.",
    shell_complete=completed_by(axes),
)
@click.option("--on-seed", type=int, default=0, show_default=True, help="The seed to choose on.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a table of Markdown.")
@click.option("--latex", "as_latex", is_flag=True, help="Print a table of LaTeX (booktabs).")
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
    sweeps: tuple[str, ...],
    where: str | None,
    metric: str,
    also: tuple[str, ...],
    by: tuple[str, ...],
    at: str,
    baseline: str | None,
    margin: float | None,
    choose: str | None,
    on_seed: int,
    as_csv: bool,
    as_markdown: bool,
    as_latex: bool,
    picture: Path | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """Compare the jobs of launched sweeps, or of a study: mean and spread over seeds.

    \b
    orchestrate results quickstart --also norms/max_over_median
    orchestrate results gated-vit --by model.registers --baseline 'registers == 0'
    orchestrate results exp2 exp3 --choose optim.lr --at macs --latex
    orchestrate results exp2 --where 'lr < 4e-3 and seed != 3' --csv
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller.results import answer
    from orchestrator.jobs.store import open_root
    from orchestrator.results.answer import Question
    from orchestrator.results.answer import as_json as plain_json
    from orchestrator.results.notes import notes_of

    if as_csv + as_markdown + as_latex + as_json > 1:
        raise click.UsageError("say one of --csv, --markdown, --latex and --json")
    root = open_root(root_path)
    asked = Question(
        metric=metric,
        also=also,
        by=by,
        at=at,
        baseline=baseline,
        margin=margin,
        choose=choose,
        on_seed=on_seed,
    )
    found = answer(root, sweeps, where, asked)
    if picture:
        from orchestrator.results.plots import draw_norms

        for fault in draw_norms(root, found.groups, picture):
            say(f"warning: {fault}", err=True)
    if as_json:
        print_json(plain_json(found, [*found.faults, *notes_of(found)]))
    else:
        forms = {"csv": as_csv, "markdown": as_markdown, "latex": as_latex}
        _show(found, next((form for form, wanted in forms.items() if wanted), ""))
    aside = [*found.faults, *(notes_of(found) if as_csv else [])]
    aside += [
        f"some rows mix points that differ in {axis}; add --by {axis}"
        for axis in sorted({axis for group in found.groups for axis in group.mixes})
    ]
    for note in aside:
        say(f"note: {note}", err=True)


def _show(found: "Answer", form: str) -> None:
    """Print the table, with its notes below; ``form``: csv, markdown, latex, or for a person."""
    from orchestrator.results import writers
    from orchestrator.results.sheet import plain, shown

    if form == "csv":
        click.echo(writers.as_csv(plain(found)))
    elif form == "markdown":
        click.echo(writers.as_markdown(shown(found, wide=True)))
    elif form == "latex":
        click.echo(writers.as_latex(shown(found, wide=True)))
    else:
        show_sheet(shown(found, wide=False))


def show_sheet(sheet: "Sheet") -> None:
    """Print it with its notes below."""
    from orchestrator.cli.render import show
    from orchestrator.cli.tables import table

    numbers = [name for name in sheet.columns if name in sheet.numbers]
    show(table(sheet.columns, sheet.rows, right=numbers))
    for place, note in enumerate(sheet.notes):
        say(note if place else f"\n{note}")
