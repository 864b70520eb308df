"""What SLURM's row, and the logs, say of a member of an array: a job, or an allocation of some."""

from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.executors.last_words import last_line, last_lines
from orchestrator.executors.slurm_queries import Row, job_name
from orchestrator.executors.slurm_words import (
    BY_SLURM,
    FALLEN,
    NOISE,
    STATES,
    Meaning,
    reason_in_words,
)
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root


@dataclass(frozen=True, slots=True)
class Asked:
    """A member of an array whose end is not known yet."""

    token: str
    index: int
    array: str
    cluster: str
    created: float
    owner: str
    packed: bool = False
    """Whether it is an allocation that several members share."""

    @property
    def name(self) -> str:
        return job_name(self.token)

    @property
    def place(self) -> tuple[str, int]:
        return self.array, self.index


def sighting_of(root: Root, one: Asked, row: Row | None, asked: float) -> Sighting:
    """A member as its row tells it; ``row`` None: SLURM answered, and does not know it."""
    if row is None:
        return Sighting(Sight.ABSENT, asked=asked)
    meaning = STATES[row.state]
    known = Sighting(meaning.sight, asked=asked, restart=row.restart, detail=meaning.text)
    if meaning.sight is Sight.WAITING:
        return replace(known, detail=_why_it_waits(row, meaning), expected=row.start)
    if meaning.sight is Sight.ENDED:
        return replace(known, end=_end(root, one, row, meaning, asked))
    return known


def _end(root: Root, one: Asked, row: Row, meaning: Meaning, asked: float) -> End:
    detail = meaning.text
    if detail and row.nodes:
        detail = f"{detail} ({row.state} on {row.nodes})"
    if not detail and (row.exit_code or row.signal):
        detail = _last_words(root, one)
    # The script has the highest of its ranks' codes: above 128 if a signal ended one.
    signal = row.signal or max(0, row.exit_code - 128)
    return End(
        time=row.end or asked,
        started=bool(row.nodes),
        by_place=meaning.by_place or bool(BY_SLURM.search(detail)),
        exit_code=None if signal else row.exit_code,
        signal=signal or None,
        rank=_fallen(root, one) if signal else 0,
        detail=detail,
        node=row.nodes,
        cancelled=meaning.cancelled,
        kind=meaning.kind,
    )


def _last_words(root: Root, one: Asked) -> str:
    """What a member printed last before it claimed its job."""
    words = (last_line(log, noise=NOISE) for log in _logs(root, one))
    return next(filter(None, words), "")


def _fallen(root: Root, one: Asked) -> int:
    """The rank that a signal ended, as far as srun said so."""
    _, batch = _logs(root, one)
    found = [match for line in last_lines(batch) if (match := FALLEN.match(line))]
    return int(found[-1].group(1)) if found else 0


def _logs(root: Root, one: Asked) -> tuple[Path, Path]:
    """What was printed by what srun started, and by the script around it."""
    folder, number = root.submission(one.token), one.index
    if one.packed:
        return folder.allocation_log(number), folder.allocation_batch_log(number)
    return folder.member_log(number, 0), folder.batch_log(number)


def goes_on(row: Row) -> bool:
    """Whether it says of a member that it waits or runs."""
    return row.state in STATES and STATES[row.state].sight is not Sight.ENDED


def _why_it_waits(row: Row, meaning: Meaning) -> str:
    words = meaning.text or reason_in_words(row.reason)
    return f"start {row.restart + 1}: {words}" if row.restart else words
