"""What ``plan`` shows: jobs by axis and state, what they cost and how that is known."""

import time
from collections.abc import Sequence
from itertools import groupby

import click

from orchestrator.cli.prose import say
from orchestrator.cli.render import in_all, number, show, size
from orchestrator.cli.tables import once, table
from orchestrator.controller.hours import Estimate, Total
from orchestrator.controller.planned import AxisValue, Plan
from orchestrator.jobs.directions import HIGH, direction

MOST_VALUES = 12
"""Of an axis that the table shows."""


def show_plan(planned: Plan, *, script: bool) -> None:
    """Print it; ``script``: with the text that would be submitted for each shape of job."""
    due, jobs = planned.due, len(planned.sweep.points)
    say(f"{planned.sweep.name}: a launch would submit {due} of {jobs} jobs")
    for state, count in planned.counts.items():
        say(f"  {count} {state}")
    if planned.waiting:
        say(f"{len(planned.waiting)} wait, such as: {planned.waiting[0].reason}")
    _show_axes(planned)
    for shape in planned.shapes:
        verdict = "would be refused" if shape.refusals else "would be taken"
        place = planned.sweep.executor
        say(f"{shape.jobs} to be submitted alike, such as {shape.example}: {verdict} ({place})")
        if script:
            click.echo(shape.script)
    if planned.estimates:
        _show_costs(planned)
    if planned.least is not None:
        _show_search(planned, planned.least)
    for (dataset, px), count in planned.decoded.items():
        say(
            f"Images of {dataset} decoded at {px} px take about {size(count)} on each node, if "
            "they are 4:3; their job counts, and looks for room, before it decodes."
        )
    if planned.disk_peak:
        _show_disk(planned)
    if told := str(planned.promise or ""):
        say(told)


def _show_axes(planned: Plan) -> None:
    """A line per value of each axis, as far as an axis has few of them."""
    axes = {axis: list(rows) for axis, rows in groupby(planned.by_axis(), lambda one: one.axis)}
    shown = [row for rows in axes.values() if len(rows) <= MOST_VALUES for row in rows]
    if shown:
        states = [state.value for state in planned.counts]
        columns = ["axis", "value", *states, *_units(shown)]
        rows = [_axis_row(row, columns) for row in shown]
        click.echo()
        show(table(columns, once(rows), right=columns[2:]))
        click.echo()
    for axis, rows_ in axes.items():
        if len(rows_) > MOST_VALUES:
            say(f"axis {axis} has {len(rows_)} values; all of them tells --json")


def _axis_row(row: AxisValue, columns: Sequence[str]) -> list[str]:
    cells = {
        "axis": row.axis,
        "value": row.value,
        "GPU-hours": _of_total(row.total.gpu_hours, row.total),
        "CPU-hours": _of_total(row.total.cpu_hours, row.total),
        **{state.value: str(count) for state, count in row.counts.items()},
    }
    return [cells.get(column, "-") for column in columns]


def _of_total(hours: float, total: Total) -> str:
    """Hours, with a mark where those of some jobs are not known."""
    if not total.unknown:
        return number(hours)
    return f"{number(hours)} + ?" if hours else "?"


def _units(rows: Sequence[AxisValue]) -> list[str]:
    """The kinds of devices that jobs use."""
    gpus = any(row.total.gpu_hours for row in rows)
    cores = any(row.total.cpu_hours for row in rows)
    return ["GPU-hours"] * gpus + ["CPU-hours"] * (cores or not gpus)


def _show_costs(planned: Plan) -> None:
    groups: dict[tuple[bool, int, str], list[Estimate]] = {}
    for one in planned.estimates.values():
        groups.setdefault((one.gpu, one.devices, one.basis), []).append(one)
    columns = ("jobs", "devices", "hours each", "hours in all", "limits met", "how that is known")
    show(table(columns, [_cost_row(*group) for group in groups.items()], right=columns[:5]))
    if planned.flops:
        say(f"Training takes {planned.flops:.2e} floating-point operations.")
    if planned.finish is None:
        say("What a launch would take is not known.")
        return
    under_way = Total.of(planned.under_way)
    more = f", jobs under way {in_all(under_way)} more" if planned.under_way else ""
    unknown = Total.of(planned.estimates.values()).unknown
    but = f", without the {unknown} jobs of unknown cost" if unknown else ""
    say(f"A launch would take about {in_all(Total.of(planned.submitted))}{more}{but}.")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(planned.finish))
    once = f"{planned.at_once} at a time" if planned.at_once else "all at once"
    say(f"Begun now, {once}, all would be done by {when}{but}.")


def _show_search(planned: Plan, least: Total) -> None:
    asha, rungs = planned.sweep.search, planned.sweep.rungs
    assert asha is not None
    better = "high" if direction(asha.metric) == HIGH else "low"
    say(
        f"Search: after epochs {', '.join(map(str, rungs))} a job is judged by {asha.metric} "
        f"({better} is good) beside those that came there before; 1 of {asha.reduction} goes on."
    )
    total = Total.of(planned.estimates.values())
    if planned.estimates and not total.unknown:
        say(
            f"All told between {in_all(least)}, if all but one end at the first of these epochs, "
            f"and {in_all(total)}, if none does; all else here is told as if none did."
        )


def _cost_row(kind: tuple[bool, int, str], jobs: Sequence[Estimate]) -> list[str]:
    gpu, devices, basis = kind
    hours = [one.hours for one in jobs if one.hours is not None]
    crossings = [one.crossings for one in jobs if one.crossings is not None]
    return [
        str(len(jobs)),
        f"{devices} {'GPU' if gpu else 'CPU'}{'s' * (devices > 1)}",
        _range(hours),
        number(sum(hours) * devices) if hours else "?",
        _range(crossings) if crossings else "-",
        basis,
    ]


def _range(numbers: Sequence[float]) -> str:
    if not numbers:
        return "?"
    least, most = (f"{value:.3g}" for value in (min(numbers), max(numbers)))
    return least if least == most else f"{least} to {most}"


def _show_disk(planned: Plan) -> None:
    say(
        f"Checkpoints take up to {size(planned.disk_peak)}, and {size(planned.disk_after_gc)} once "
        f"all is done and orchestrate gc was called; {size(planned.disk_free)} are free there."
    )
    if planned.disk_peak > planned.disk_free:
        say("warning: that is more than is free; choose another --root", err=True)
