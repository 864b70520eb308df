"""orchestrate compare JOB JOB"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.candidates import completed_by, jobs
from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from orchestrator.controller.compare import Comparison, Side
    from orchestrator.results.curves import Answers

ASKED_FIRST = ("train/loss", "val/", "eval/", "norms/", "attention/", "gates/")
NOTE = (
    "These are two runs: seeds of one method differ as well. "
    "Of methods, see: orchestrate results SWEEP"
)

NOT_TESTED = "not tested: that is not surely the end of two runs that finished"
OTHER_IMAGES = "They predicted other images: what they said is not compared."


@click.command()
@click.argument("one", metavar="JOB", shell_complete=completed_by(jobs))
@click.argument("other", metavar="JOB", shell_complete=completed_by(jobs))
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="PREFIX",
    help=f"Only metrics whose names begin so; repeatable [{' '.join(ASKED_FIRST)}].",
)
@json_option
@root_option
def compare(one: str, other: str, metrics: tuple[str, ...], as_json: bool, root_path: Path) -> None:
    """In what two jobs differ, from settings to environment, and in what they measured.

    \b
    orchestrate compare quickstart/vanilla quickstart/gate-sdpa
    orchestrate compare 1f3a 77ab --metric train/ --metric stability/
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import compare as controller
    from orchestrator.controller.select import select_one
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    found = controller.compare(root, select_one(root, one), select_one(root, other))
    if as_json:
        print_json(controller.as_json(found))
    else:
        show_comparison(found, metrics or ASKED_FIRST)


def show_comparison(found: "Comparison", prefixes: tuple[str, ...]) -> None:
    """Print it, of metrics those whose names begin so."""
    from orchestrator.cli.prose import say
    from orchestrator.cli.render import number, show
    from orchestrator.cli.tables import table

    say(f"one:   {_side(found.one)}\nother: {_side(found.other)}\n")
    for side, name in ((found.one, "one"), (found.other, "other")):
        for fault in side.faults:
            say(f"Of {name}: {fault}.\n")
    rows = [(d.aspect, d.what, _value(d.one), _value(d.other)) for d in found.differs]
    if rows:
        show(table(("", "differs in", "one", "other"), rows))
    else:
        say("They differ in nothing that is known: settings, code, weights, data, environment.")
    curves = [c for c in found.curves if c.metric.startswith(prefixes)]
    if curves:
        numbers = ("one", "other", "largest gap", "at step", "differ from step")
        measured = []
        for c in curves:
            since = "never" if c.parts_at is None and c.common else _step(c.parts_at)
            gap = (number(c.gap), _step(c.gap_at))
            measured.append((c.metric, number(c.one), number(c.other), *gap, since))
        click.echo()
        show(table(("last value of", *numbers), measured, right=numbers))
    if found.answers:
        say(f"\n{_answers(found.answers, found.one.predicted, found.other.predicted)}")
    elif found.images_differ:
        say(f"\n{OTHER_IMAGES}")
    say(NOTE)


def _side(side: "Side") -> str:
    ended = side.ending.value if side.ending else "not over"
    return f"{side.job.name} ({side.job.id[:8]}), {ended}, epoch {side.epoch}"


def _answers(found: "Answers", one: int | None, other: int | None) -> str:
    """``one``, ``other``: after how many epochs they said so."""
    tested = f"McNemar: p = {found.p:.2g}" if found.p is not None else NOT_TESTED
    known = one is not None and other is not None
    when = f"after epoch {_step(one)} of one, {_step(other)} of other"
    return (
        f"Of {found.images} images both have {found.both} right, one alone {found.one}, other "
        f"alone {found.other}; {when if known else 'after which epochs is not known'} ({tested})."
    )


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return ", ".join(map(_value, value))
    return "-" if value is None else str(value)


def _step(step: int | None) -> str:
    return "-" if step is None else f"{step:,}"
