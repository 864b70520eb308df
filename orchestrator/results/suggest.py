"""What the next jobs of a shape might ask for instead, by what those before them took."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.results.usage import AttemptUse, figures

ENOUGH = 3
"""Jobs that must be done before anything is suggested."""
HEADROOM = 1.2
"""What is asked for, over the most that was taken."""
WAITS = 0.05
"""Jobs that wait longer for data, by share of time, do not want fewer processors."""
GPU_FILLED = 0.9
"""Of a GPU's time or memory, what jobs that share it may come to."""
TIME_STEPS = ((60, 5), (6 * 60, 15), (24 * 60, 60), (math.inf, 6 * 60))
"""Up to so many minutes, limits are rounded up to these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A line of a sweep's ``resources``: why, and what it would have saved of what (``unit``)."""

    key: str
    value: str | int
    because: str
    saves: float
    unit: str

    def to_plain(self) -> dict[str, Any]:
        """As ``usage --json`` prints it."""
        return asdict(self)


Found = list[Suggestion] | str
"""What is suggested, or why nothing is; an empty list: it is right as it is."""


def suggest(attempts: Sequence[AttemptUse]) -> tuple[list[Suggestion], list[str]]:
    """For attempts of one shape: lines that differ from what it asks for, and what is missing.

    Nothing is suggested below what was taken, nor above what the partition has.
    """
    done = sum(one.whole_s is not None for one in attempts)
    if not attempts[0].asked.cluster:
        return [], ["this machine hands nothing out; limits are suggested for jobs of a cluster"]
    if done < ENOUGH:
        return [], [f"{done} of the {ENOUGH} jobs are done from which limits are suggested"]
    lines: list[Suggestion] = []
    missing = []
    for rule in (_time, _memory, _cpus, _sharing):
        found = rule(attempts)
        if isinstance(found, str):
            missing.append(found)
        else:
            lines += found
    return lines, missing


def _time(attempts: Sequence[AttemptUse]) -> Found:
    asked, taken = attempts[0].asked, figures(attempts).time_s
    assert taken is not None, "some are done"
    wanted = round_up_minutes((taken.most * HEADROOM + asked.stop_s) / 60)
    if asked.most_time_s is not None:
        wanted = min(wanted, asked.most_time_s // 60)
    if asked.time_s is not None and wanted * 60 == asked.time_s:
        return []
    if wanted * 60 < taken.most:
        return (
            f"time: the longest job takes {in_words(taken.most)}, and the partition gives a start "
            f"at most {in_words(wanted * 60)}; jobs go on from their checkpoints"
        )
    return [
        Suggestion(
            key="time",
            value=duration(wanted),
            because=f"the longest of {taken.n} jobs took {in_words(taken.most)}",
            saves=(asked.time_s - wanted * 60) / 3600 if asked.time_s else 0.0,
            unit="hours of each limit",
        )
    ]


def _memory(attempts: Sequence[AttemptUse]) -> Found:
    asked, taken = attempts[0].asked, figures(attempts).memory_gb
    lacked = sum(one.lacked_memory for one in attempts)
    if not asked.asks_memory:
        return []
    if lacked:
        return f"mem_gb_per_node: {lacked} start(s) ended for want of memory; ask for more"
    if taken is None or taken.n < ENOUGH:
        return _untold("mem_gb_per_node", 0 if taken is None else taken.n)
    wanted = math.ceil(taken.most * HEADROOM)
    if asked.most_memory_gb is not None:
        wanted = max(math.ceil(taken.most), min(wanted, math.floor(asked.most_memory_gb)))
    if asked.memory_gb == wanted:
        return []
    node_hours = asked.nodes * figures(attempts).hours
    return [
        Suggestion(
            key="mem_gb_per_node",
            value=wanted,
            because=f"the most that {taken.n} starts took was {taken.most:.3g} GB",
            saves=(asked.memory_gb - wanted) * node_hours if asked.memory_gb else 0.0,
            unit="GB-hours",
        )
    ]


def _cpus(attempts: Sequence[AttemptUse]) -> Found:
    asked, told = attempts[0].asked, figures(attempts)
    key = asked.cpus_key
    if told.cpus is None or told.cpus.n < ENOUGH:
        return _untold(key, 0 if told.cpus is None else told.cpus.n)
    each = asked.cpus // asked.ranks
    wanted = max(1, math.ceil(told.cpus.most / asked.ranks * HEADROOM))
    if told.waiting is not None and told.waiting.most > WAITS and wanted < each:
        return (
            f"{key}: no fewer than {each}, since jobs wait for data {told.waiting.most:.0%} of "
            "the time; more placement.loader_workers may help"
        )
    if wanted == each:
        return []
    return [
        Suggestion(
            key=key,
            value=wanted,
            because=f"the most that {told.cpus.n} starts kept busy was "
            f"{told.cpus.most / asked.ranks:.3g} of {each}",
            saves=(each - wanted) * asked.ranks * told.hours,
            unit="CPU-hours",
        )
    ]


def _sharing(attempts: Sequence[AttemptUse]) -> Found:
    """How many jobs fit a GPU by its memory and by the time in which it idles."""
    asked, told = attempts[0].asked, figures(attempts)
    if not asked.gpus or asked.nodes > 1:
        return []
    memory, busy = told.gpu_memory_gb, told.gpu_busy
    if memory is None or busy is None or busy.n < ENOUGH:
        return _untold("jobs_per_gpu", 0 if busy is None else busy.n)
    assert memory.asked is not None, "a GPU has memory"
    capacity = min(one.gpu_capacity_gb for one in attempts if one.gpu_capacity_gb)
    by_memory = GPU_FILLED * capacity / (memory.most * HEADROOM)
    # The counter is of all jobs on the device.
    by_time = GPU_FILLED * asked.jobs_per_gpu / busy.most if busy.most else by_memory
    wanted = int(min(by_memory, by_time))
    if wanted <= asked.jobs_per_gpu:
        return []
    because = (
        f"a GPU was busy {busy.most:.0%} of the time at most, {memory.most:.3g} of its "
        f"{capacity:.3g} GB taken"
    )
    saved = told.gpu_hours * (1 - asked.jobs_per_gpu / wanted)
    line = Suggestion(
        key="jobs_per_gpu",
        value=wanted,
        because=because,
        saves=saved,
        unit="GPU-hours, if sharing slows nothing down",
    )
    if asked.jobs_per_allocation >= wanted:
        return [line]
    whole = "only jobs of one allocation share a GPU"
    room = Suggestion(
        key="jobs_per_allocation", value=wanted, because=whole, saves=0.0, unit=line.unit
    )
    return [room, line]


def _untold(key: str, n: int) -> str:
    return f"{key}: {n} start(s) told what they took; {ENOUGH} are needed"


def round_up_minutes(minutes: float) -> int:
    """A limit as a person would write it, of at least so many minutes."""
    step = next(step for most, step in TIME_STEPS if minutes <= most)
    return max(step, math.ceil(minutes / step) * step)


def duration(minutes: int) -> str:
    """A ``Duration`` of a sweep file: ``1d12h``."""
    days, rest = divmod(minutes, 24 * 60)
    parts = ((days, "d"), (rest // 60, "h"), (rest % 60, "m"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def in_words(seconds: float) -> str:
    """A time to three digits, in minutes or hours."""
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
