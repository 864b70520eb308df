"""Which of some jobs are meant by ``--where``: an expression over settings and what became of them.

A setting is called by its whole key, or by an end of it that no other has, as in the names of
points: ``optim.lr`` or ``lr``. Beside settings there are ``id``, ``name``, ``case`` and what
``status`` shows: ``LIVE``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from orchestrator.config import ChildConfig, JobConfig, RunConfig
from orchestrator.controller.select import Named, select
from orchestrator.controller.status import Row, look_at, rows_of
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import settings_in
from orchestrator.jobs.state import State
from orchestrator.jobs.store import forms_of, root_there
from orchestrator.sweep import keys
from orchestrator.sweep.axes import CASE
from orchestrator.sweep.expand import Point, Sweep
from orchestrator.sweep.expressions import Expression, ExpressionError, parse
from orchestrator.sweep.operators import Value

LIVE = (
    *("state", "outcome", "reason", "epoch", "step", "attempts"),
    *("older_code", "older_weights"),
)
OWN = ("id", "name", CASE)
SETTINGS = (*keys.LEAVES, *sorted(keys.NULLABLE_SECTIONS))
UNSTARTED: Mapping[str, Value] = {
    "state": str(State.PLANNED),
    "outcome": None,
    "reason": "",
    "epoch": 0,
    "step": 0,
    "attempts": 0,
    "older_code": False,
    "older_weights": False,
}
"""``LIVE`` of a job where there is no run root yet."""
NAMED = 8
"""So many jobs are named in a message."""
Settings = tuple[JobConfig | None, RunConfig | None]
"""A job's configuration, and that by which its model is trained; None: it cannot be read, or the
model is trained elsewhere."""


class Job(Protocol):
    """What an expression asks of a job, or of a point that may become one."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def axes(self) -> Mapping[str, Any] | None: ...


J = TypeVar("J", bound=Job)


def meant(root: Root, text: str | None, where: str | None) -> list[Named]:
    """The jobs that ``text`` means, see ``select``, for which ``where`` holds, if it is given.

    A job whose configuration cannot be read fulfils no condition on its settings.

    Raises:
        SpecError: ``text`` means nothing, ``where`` is no expression, or has no value for a job.
    """
    return holding(root, select(root, text), where)


def meant_one(root: Root, text: str | None, where: str | None) -> Named:
    """The one job that is meant.

    Raises:
        SpecError: as ``meant``; or none is meant, or several are.
    """
    jobs = select(root, text)
    found = holding(root, jobs, where)
    if not found:
        raise SpecError(f"--where holds for none of the {len(jobs)} jobs {_of(text)}")
    if len(found) > 1:
        names = ", ".join(f"{job.name} ({job.id[:8]})" for job in found[:NAMED])
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        asked = "--where holds for" if where is not None else f"'{text}' means"
        raise SpecError(f"{asked} {len(found)} jobs: {names}{more}; name one of them")
    return found[0]


def holding(root: Root, jobs: Sequence[Named], where: str | None) -> list[Named]:
    """Those of the jobs for which ``where`` holds; all, if it is not given.

    Raises:
        SpecError: as ``meant``.
    """
    if where is None:
        return [*jobs]

    parents = forms_of(root, {job.parent.id for job in jobs if job.parent})

    def recorded(job: Named) -> Settings:
        config, trained, _ = settings_in(root, job.id, job.form, parents)
        return config, trained

    return _chosen(jobs, where, recorded, lambda: _rows(root, jobs))


def points_meant(sweep: Sweep, root_path: Path, where: str | None) -> Sweep:
    """The sweep with those of its points for which ``where`` holds; all, if it is not given.

    Raises:
        SpecError: as ``meant``; or it holds for none of them.
    """
    if where is None:
        return sweep
    root = root_there(root_path)
    jobs = [Named(p.id, p.name, sweep.name, p.form, p.axes, p.parent) for p in sweep.points]

    def written(point: Point) -> Settings:
        return point.config, point.trained

    points = _chosen(sweep.points, where, written, lambda: _rows(root, jobs) if root else {})
    if not points:
        told = f"--where holds for none of the {len(sweep.points)} points of {sweep.name}"
        raise SpecError(told)
    return replace(sweep, points=tuple(points))


def _of(text: str | None) -> str:
    return f"of {text}" if text else "that there are"


def _rows(root: Root, jobs: Sequence[Named]) -> dict[str, Row]:
    return {row.id: row for row in rows_of(root, jobs, look_at(root, jobs))}


def _chosen(
    jobs: Sequence[J],
    where: str,
    settings: Callable[[J], Settings],
    look: Callable[[], Mapping[str, Row]],
) -> list[J]:
    """Those for which it holds; one ``look`` is made, and only where a name needs it."""
    try:
        expression = parse(where, refuse)
    except ExpressionError as error:
        raise SpecError(f"--where: {error}") from None
    rows = {} if set(LIVE).isdisjoint(expression.names) else look()
    return [job for job in jobs if _holds(expression, job, rows.get(job.id), settings)]


def _holds(
    expression: Expression,
    job: J,
    row: Row | None,
    settings: Callable[[J], Settings],
) -> bool:
    values: dict[str, Value] = {"id": job.id, "name": job.name, CASE: (job.axes or {}).get(CASE)}
    values |= {name: plain(getattr(row, name)) for name in LIVE} if row else UNSTARTED
    wanted = [name for name in expression.names if name not in (*OWN, *LIVE)]
    if wanted:
        config, trained = settings(job)
        for name in wanted:
            (key,) = keys_named(name)
            asked = config if key in keys.OWN_OF_CHILDREN else trained
            if asked is None and not _looks_elsewhere(config):
                return False
            values[name] = _setting(asked, key)
    try:
        return expression.holds(values.__getitem__)
    except ExpressionError as error:
        raise SpecError(f"--where: {error} (job {job.name})") from None


def _looks_elsewhere(config: JobConfig | None) -> bool:
    """Whether a job looks at a model that no job of ours has trained, and that has no settings."""
    return isinstance(config, ChildConfig) and config.parent is None


def _setting(config: Any, key: str) -> Value:
    """A setting of a configuration; of a group that may be null, true or null."""
    for part in key.split("."):
        config = getattr(config, part, None)
    return plain(config) if key not in keys.SECTIONS else (config is not None or None)


def plain(value: Any) -> Value:
    """Without the classes of our own words: messages show them as they are typed."""
    return str(value) if isinstance(value, str) else value


def keys_named(name: str) -> list[str]:
    """The settings that ``name`` may mean."""
    if name in SETTINGS:
        return [name]
    return [key for key in SETTINGS if key.endswith(f".{name}")]


def refuse(name: str) -> str | None:
    if name in (*OWN, *LIVE):
        return None
    found = keys_named(name)
    if len(found) > 1:
        return f"{name} may be {' or '.join(found)}; write which"
    return None if found else keys.unlisted_key(name, (*LIVE, *OWN, *SETTINGS))
