"""orchestrate emergence STUDY|SWEEP..."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    by_option,
    json_option,
    root_option,
    studies_argument,
    where_option,
)
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.results.emergence import Arm


@click.command()
@studies_argument
@where_option
@by_option
@json_option
@root_option
def emergence(
    sweeps: tuple[str, ...], where: str | None, by: tuple[str, ...], as_json: bool, root_path: Path
) -> None:
    """Say when high-norm artifacts emerged in each job of launched sweeps, if they did.

    A block is positive at a probe if surely more than 0.1 % of its patch tokens are outliers, and
    these receive at least 5 times the attention of the median patch in a later block. Artifacts
    emerged at the first of 3 consecutive probes with one and the same positive block; the answer
    is the interval of epochs since the probe before.

    \b
    orchestrate emergence exp1
    orchestrate emergence exp2 --by model.registers --json
    """
    from orchestrator.cli.render import print_json, show
    from orchestrator.cli.tables import table
    from orchestrator.controller.subjects import jobs_meant
    from orchestrator.jobs.store import open_root
    from orchestrator.results.emergence import arms_of, notes_of, that_train
    from orchestrator.results.emergence import as_json as plain
    from orchestrator.results.groups import grouped
    from orchestrator.results.result import axes_of, check_question, read_results

    root = open_root(root_path)
    results = that_train(read_results(root, jobs_meant(root, sweeps, where)))
    check_question(results, (), by)
    axes = list(by) or axes_of(results)
    arms = arms_of(root, grouped(results, "", axes), results)
    if as_json:
        print_json(plain(axes, arms))
        return
    columns = [*axes, "emerged in", "job", "emerged"]
    show(table(columns, [row for arm in arms for row in _rows(arm, axes)]))
    for note in notes_of(arms):
        say(f"note: {note}")


def _rows(arm: "Arm", axes: "Sequence[str]") -> "Iterator[list[str]]":
    """A line for each job; what all share stands in the first, and in no job's name."""
    from orchestrator.cli.tables import own_parts
    from orchestrator.results.groups import label

    head = [*(label(arm.axes[axis]) for axis in axes), arm.summary]
    names = own_parts([answer.name for answer in arm.answers])
    for answer, name in zip(arm.answers, names, strict=True):
        yield [*head, name, answer.text]
        head = [""] * len(head)
