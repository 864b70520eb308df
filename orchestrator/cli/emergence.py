"""orchestrate emergence SWEEP"""

from pathlib import Path

import click

from orchestrator.cli.options import json_option, root_option


@click.command()
@click.argument("sweep", metavar="SWEEP")
@click.option("--by", multiple=True, metavar="AXIS", help="Group by this; repeatable [all axes].")
@json_option
@root_option
def emergence(sweep: str, by: tuple[str, ...], as_json: bool, root_path: Path) -> None:
    """Say when high-norm artifacts emerged in each job of a launched sweep, if they did.

    A block is positive at a probe if surely more than 0.1 % of its patch tokens are outliers, and
    these receive at least 5 times the attention of the median patch in a later block. Artifacts
    emerged at the first of 3 consecutive probes with one and the same positive block; the answer
    is the interval of epochs since the probe before.

    \b
    orchestrate emergence exp1
    orchestrate emergence exp2 --by model.registers --json
    """
    from orchestrator.cli.render import print_json, show, table
    from orchestrator.jobs.store import launched_revision, open_root
    from orchestrator.results import frame
    from orchestrator.results.emergence import arms_of, notes_of
    from orchestrator.results.emergence import as_json as plain

    root = open_root(root_path)
    results = frame.read_results(root, launched_revision(root, sweep))
    frame.check_question(results, (), by)
    axes = list(by) or frame.axes_of(results)
    arms = arms_of(root, frame.grouped(results, "", axes), results)
    if as_json:
        print_json(plain(axes, arms))
        return
    rows = (
        (
            *(frame.label(arm.axes[axis]) for axis in axes),
            arm.summary if first else "",
            answer.name,
            answer.text,
        )
        for arm in arms
        for first, answer in ((i == 0, a) for i, a in enumerate(arm.answers))
    )
    show(table([*axes, "emerged in", "job", "emerged"], rows))
    for note in notes_of(arms):
        click.echo(f"note: {note}")
