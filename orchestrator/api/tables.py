"""What ``--json`` of a verb prints, as a DataFrame: its rows as a table, the rest as ``attrs``."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.api.frames import Row, columns, table
from orchestrator.controller.select import Named
from orchestrator.jobs.journal import History

if TYPE_CHECKING:
    from pandas import DataFrame

Document = Mapping[str, Any]
Places = Mapping[str, Row]
"""By id of a job, its value on each axis."""

STATUS = (
    *("name", "state", "outcome", "reason", "epoch", "epochs", "step", "attempts"),
    *("executor", "handle", "stale_s", "older_code", "older_weights", "rung"),
)
PLAN = (
    *("name", "state", "reason", "hours", "gpu_hours", "cpu_hours", "crossings", "basis"),
    "config",
)
RESULTS = (
    *("n", "missing", "diverged", "stopped", "mean", "std", "low", "high", "job_ids", "mixes"),
    *("values", "flags"),
)
FAILURES = ("kind", "message", "count", "only", "example", "job_ids")
EMERGENCE = (
    *("name", "answer", "after", "by", "blocks", "until", "lasting", "undecided"),
    "lists_of_images",
)
GARBAGE = ("what", "things", "bytes", "of_others", "bytes_of_others")
FLOPS = (
    *("name", "config", "params", "forward_macs", "relative_to_vanilla", "relative_to_first"),
    *("training_macs", "attention"),
)
USAGE = (
    *("axis", "value", "jobs", "done", "starts", "limits_reached", "hours", "hours_lost"),
    *("gpu_hours", "gpu_hours_lost", "gpu_hours_idle"),
)
PAIRS = ("metric", "one", "other", "parts_at", "gap", "gap_at", "common")
PROBES = ("step", "file")


def status(document: Document, places: Places) -> "DataFrame":
    """A row is a job: its place on the axes, its state, and a column for each metric."""
    metrics = dict.fromkeys(name for row in document["jobs"] for name in row["metrics"])
    rows = [
        {**_placed(job, places, "metrics"), **{name: job["metrics"].get(name) for name in metrics}}
        for job in document["jobs"]
    ]
    return table(rows, STATUS, index="id", about=_without(document, "jobs"))


def plan(document: Document, places: Places, beside: Document) -> "DataFrame":
    """A row is a job; ``beside`` joins what the document says of them all."""
    rows = [{**_placed(job, places, "config"), "config": job["config"]} for job in document["jobs"]]
    return table(rows, PLAN, index="id", about={**_without(document, "jobs"), **beside})


def results(document: Document, also: Sequence[str]) -> "DataFrame":
    """A row is a group of jobs, the interval in two columns, each part of a contrast in its own."""
    rows = [_contrasted(_bounded(row)) for row in document["rows"]]
    return table(rows, (*RESULTS, *also), about=_without(document, "rows"))


def failures(document: Document) -> "DataFrame":
    """A row is a group of jobs that failed alike."""
    rows = [{**group, "example": group["example"]["name"]} for group in document["groups"]]
    return table(rows, FAILURES, about=_without(document, "groups"))


def usage(document: Document) -> "DataFrame":
    """A row is all jobs together, then those with a value on an axis."""
    rows = [{"axis": None, "value": None, **document["total"]}, *document["axes"]]
    return table(map(_flat, rows), USAGE, about=_without(document, "total", "axes"))


def compare(document: Document) -> "DataFrame":
    """A row is a metric of two jobs."""
    return table(document["curves"], PAIRS, about=_without(document, "curves"))


def emergence(document: Document) -> "DataFrame":
    """A row is a job; the arms they belong to stand in ``attrs``."""
    rows = [
        {"id": job["id"], "name": job["name"]}
        | {axis: arm[axis] for axis in document["by"]}
        | {"answer": job["answer"], **(job["found"] or {})}
        | {"lists_of_images": job["lists_of_images"]}
        for arm in document["rows"]
        for job in arm["jobs"]
    ]
    arms = [_without(arm, "jobs") for arm in document["rows"]]
    return table(rows, EMERGENCE, index="id", about={**_without(document, "rows"), "arms": arms})


def garbage(document: Document) -> "DataFrame":
    """A row is a kind of thing."""
    return table(document["rows"], GARBAGE, about=_without(document, "rows"))


def flops(arms: Sequence[Document]) -> "DataFrame":
    """A row is an arm."""
    return table(arms, FLOPS)


def probes(files: Mapping[int, Path]) -> "DataFrame":
    """A row is a probe."""
    return table([{"step": step, "file": str(path)} for step, path in files.items()], PROBES)


def history(
    jobs: Sequence[Named],
    histories: Mapping[str, History],
    places: Places,
    metrics: Collection[str],
) -> "DataFrame":
    """A row is one value that a job measured; of ``metrics`` alone, if there are any."""
    points = [
        (job, point, metric, value)
        for job in jobs
        for point in histories[job.id].points
        for metric, value in point.metrics.items()
        if not metrics or metric in metrics
    ]
    axes = next(iter(places.values()), {})
    made: dict[str, list[Any]] = {
        "job": [job.id for job, *_ in points],
        "name": [job.name for job, *_ in points],
        **{axis: [places[job.id][axis] for job, *_ in points] for axis in axes},
        "step": [point.step for _, point, *_ in points],
        "epoch": [point.epoch for _, point, *_ in points],
        "time": [point.time for _, point, *_ in points],
        "metric": [metric for *_, metric, _ in points],
        "value": [value for *_, value in points],
    }
    return columns(made)


def _placed(job: Row, places: Places, *without: str) -> dict[str, Any]:
    """A job's row, with the axes behind its name."""
    named = {"id": job["id"], "name": job["name"]}
    return {**named, **places[job["id"]], **_without(job, "id", "name", *without)}


def _without(document: Document, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def _flat(row: Row) -> Row:
    """With what attempts told of a quantity in columns of its own."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        many = isinstance(value, dict) and key != "value"
        flat |= {f"{key}.{part}": one for part, one in value.items()} if many else {key: value}
    return flat


def _contrasted(row: Row) -> Row:
    """With what a contrast tells in columns of its own; nothing of the baseline's."""
    flat = {key: value for key, value in row.items() if key != "contrast"}
    return flat | {f"contrast.{key}": value for key, value in (row.get("contrast") or {}).items()}


def _bounded(row: Row) -> Row:
    """With the two ends of its interval in place of it."""
    low, high = row["ci95"] or (None, None)
    bounded: dict[str, Any] = {}
    for key, value in row.items():
        bounded |= {"low": low, "high": high} if key == "ci95" else {key: value}
    return bounded
