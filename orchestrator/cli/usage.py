"""orchestrate usage [STUDY|SWEEP|JOB]"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    by_option,
    jobs_argument,
    json_option,
    root_option,
    where_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.controller.usage import Group, Report, Shape
    from orchestrator.results.usage import Asked, Figures, Taken


@click.command()
@jobs_argument
@where_option
@by_option
@json_option
@root_option
def usage(
    jobs: str | None, where: str | None, by: tuple[str, ...], as_json: bool, root_path: Path
) -> None:
    """Show what jobs took of what they asked for, and limits that would have sufficed.

    Time, memory, processors and GPUs by what is asked for and by axis; what came to nothing; lines
    to paste into the sweep's `resources`.

    \b
    orchestrate usage
    orchestrate usage exp2 --by model.registers
    orchestrate usage exp2 --where 'state == "DONE"' --json
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import usage as controller
    from orchestrator.controller.where import meant
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    told = controller.report(root, meant(root, jobs, where), by)
    if as_json:
        print_json(controller.as_json(jobs if jobs in root.sweep_names() else None, told))
        return
    _print(told)


def _print(told: "Report") -> None:
    from orchestrator.cli.prose import say

    if not told.shapes:
        click.echo("No job has started yet.")
        return
    for number, shape in enumerate(told.shapes):
        click.echo("\n" * (number > 0) + _heading(shape.asked))
        _print_shape(shape)
    for axis in dict.fromkeys(group.axis for group in told.groups):
        click.echo()
        _print_axis(axis, [group for group in told.groups if group.axis == axis])
    for shape in told.shapes:
        _print_suggestions(shape)
    if told.untold:
        say(
            f"note: {told.untold} of {told.total.starts} starts did not tell what all their ranks "
            "took: of older code, or ended within seconds",
            err=True,
        )


def _heading(asked: "Asked") -> str:
    parts = [_so_many(asked.nodes, "node")] * asked.cluster
    parts.append(_so_many(asked.ranks, "rank"))
    parts += [_so_many(asked.gpus, "GPU")] * (asked.gpus > 0)
    return f"{asked.place}: {', '.join([*parts, _so_many(asked.cpus, 'CPU')])}"


def _print_shape(shape: "Shape") -> None:
    from orchestrator.cli.render import show
    from orchestrator.cli.tables import table

    told = shape.figures
    click.echo(
        f"{_so_many(told.jobs, 'job')}, {told.done} done, {_so_many(told.starts, 'start')}; "
        f"{told.limits_reached} reached the time limit"
    )
    columns = ("", "asked", "median", "most", "of it")
    rows = [_row(name, taken, words) for name, taken, words in _quantities(told) if taken]
    show(table(columns, rows, right=columns[1:]))
    click.echo(_spent(told))


def _quantities(
    told: "Figures",
) -> "Iterator[tuple[str, Taken | None, Callable[[float | None], str]]]":
    from orchestrator.cli.render import duration

    yield "time of a job", told.time_s, duration
    yield "memory of a node", told.memory_gb, _gigabytes
    yield "processors", told.cpus, _count
    yield "memory of a GPU", told.gpu_memory_gb, _gigabytes
    yield "GPU busy", told.gpu_busy, _share
    yield "waiting for data", told.waiting, _share


def _row(name: str, taken: "Taken", words: "Callable[[float | None], str]") -> tuple[str, ...]:
    told = (taken.asked, taken.median, taken.most)
    return (name, *map(words, told), _share(taken.share))


def _spent(told: "Figures") -> str:
    """Hours, of GPUs if there are any, and how many of them came to nothing or were idle."""
    if not told.gpu_hours:
        lost = _of(told.hours_lost, told.hours)
        return f"{_hours(told.hours)} hours, of which {lost} came to nothing"
    idle = told.gpu_hours_idle
    also = "" if idle is None else f"; GPUs idle {_of(idle, told.gpu_hours)}"
    lost = _of(told.gpu_hours_lost, told.gpu_hours)
    return f"{_hours(told.gpu_hours)} GPU-hours, of which {lost} came to nothing{also}"


def _print_axis(axis: str, groups: "Sequence[Group]") -> None:
    from orchestrator.cli.render import duration, show
    from orchestrator.cli.tables import table
    from orchestrator.results.groups import label

    gpus = any(group.figures.gpu_hours for group in groups)
    on_gpus = ("GPU GB", "busy") if gpus else ()
    columns = (axis, "jobs", "time", "GB", "CPUs", *on_gpus, "waits", "hours", "lost")
    rows = []
    for group in groups:
        told = group.figures
        hours, lost = (
            (told.gpu_hours, told.gpu_hours_lost) if gpus else (told.hours, told.hours_lost)
        )
        on_device = (_most(told.gpu_memory_gb, _count), _most(told.gpu_busy, _share))
        row = (
            label(group.value),
            str(told.jobs),
            _most(told.time_s, duration),
            _most(told.memory_gb, _count),
            _most(told.cpus, _count),
            *(on_device if gpus else ()),
            _most(told.waiting, _share),
            _hours(hours),
            _share(lost / hours if hours else None),
        )
        rows.append(row)
    show(table(columns, rows, right=columns[1:]))


def _print_suggestions(shape: "Shape") -> None:
    from orchestrator.results.suggest import HEADROOM

    click.echo()
    if shape.suggested:
        headroom = f"the most seen + {HEADROOM - 1:.0%}"
        click.echo(f"# {shape.asked.place}, {shape.figures.done} jobs done; {headroom}")
        click.echo("resources:")
    for one in shape.suggested:
        click.echo(f"  {one.key}: {one.value}")
        click.echo(f"    # {one.because}")
        if one.saves > 0:
            click.echo(f"    # would have saved {_hours(one.saves)} {one.unit}")
    for missing in shape.missing:
        click.echo(f"# {missing}")
    if not shape.suggested and not shape.missing:
        click.echo(f"# {shape.asked.place}: what is asked for is right")


def _so_many(count: float, what: str) -> str:
    return f"{count:.3g} {what}{'s' * (count != 1)}"


def _most(taken: "Taken | None", words: "Callable[[float | None], str]") -> str:
    return "-" if taken is None else words(taken.most)


def _gigabytes(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} GB"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _of(part: float, whole: float) -> str:
    return f"{_hours(part)} ({part / whole:.0%})" if whole else _hours(part)
