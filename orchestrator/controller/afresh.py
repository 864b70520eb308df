"""Which jobs of a sweep are to begin afresh, by what a user types."""

from collections.abc import Collection, Sequence
from pathlib import Path

from orchestrator.controller.decide import can_begin_afresh, may_be_under_way
from orchestrator.controller.launched import of_older_code
from orchestrator.controller.parents import of_older_weights
from orchestrator.controller.select import SHORTEST_PREFIX
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import SpecError
from orchestrator.jobs.state import State
from orchestrator.jobs.store import root_there
from orchestrator.sweep.expand import Point, Sweep

ALL, OLDER = "all", "older"


def to_begin_afresh(sweep: Sweep, root_path: Path, words: Sequence[str]) -> dict[str, str]:
    """Names by id of the sweep's jobs that ``words`` mean and that have something to discard.

    Raises:
        SpecError: a word means no point of the sweep, or a job that runs or waits, or may do so.
    """
    if (root := root_there(root_path)) is None:
        return {}
    found = survey(root, [point.id for point in sweep.points])
    older = set[str]()
    if OLDER in words:
        older = of_older_code(sweep, found) | of_older_weights(root, sweep.points, found)
    chosen: dict[str, str] = {}
    for word in words:
        points = [point for point in sweep.points if _is_meant(word, point, found, older)]
        if not points and word not in (ALL, OLDER):
            raise SpecError(
                f"--fresh {word}: {sweep.name} has no such point. Write {ALL}, {OLDER}, the name "
                f"of a point such as {sweep.points[0].name}, or the beginning of a job's id."
            )
        chosen |= {point.id: point.name for point in points}
    busy = [name for job, name in chosen.items() if may_be_under_way(found, job)]
    if busy and not {ALL, OLDER} & {*words}:
        raise SpecError(
            f"--fresh: {', '.join(busy)} runs or waits, or may do so. Cancel first: orchestrate "
            f"cancel {sweep.name}/{busy[0]}"
        )
    return {job: name for job, name in chosen.items() if can_begin_afresh(found, job)}


def _is_meant(word: str, point: Point, found: Survey, older: Collection[str]) -> bool:
    if word == ALL:
        return True
    if word == OLDER:
        return point.id in older and found.statuses[point.id].state is State.DONE
    return word == point.name or (len(word) >= SHORTEST_PREFIX and point.id.startswith(word))
