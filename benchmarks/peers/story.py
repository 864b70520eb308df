"""What is measured of each competitor, in this order: launch, looks, relaunches, ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from peers.measure import Bench, Competitor, Files, Missing, Run

STEPS = {
    "launch": "launch",
    "status while waiting": "status of jobs that wait",
    "relaunch while waiting": "unchanged relaunch while they wait",
    "first status when ended": "first status after they ended",
    "status when ended": "status of jobs that ended",
    "relaunch when ended": "unchanged relaunch after they ended",
}
TWICE = ("status while waiting", "status when ended")
"""Steps of which the second time counts: the first one fills what caches there are."""


@dataclass(frozen=True)
class Measured:
    """A step of one competitor, over all repeats."""

    runs: tuple[Run, ...]
    files: Files | None = None

    @property
    def seconds(self) -> float:
        return min(run.seconds for run in self.runs)

    @property
    def cpu_s(self) -> float:
        return min(run.cpu_s for run in self.runs)

    @property
    def median_s(self) -> float:
        return median(run.seconds for run in self.runs)

    @property
    def last(self) -> Run:
        return self.runs[-1]


Told = dict[str, Measured | Missing]


def tell(one: Competitor, folder: Path, *, jobs: int, delay_s: float) -> Told:
    """Every step of a competitor with so many jobs, in a fresh folder."""
    if one.most is not None and jobs > one.most:
        return dict.fromkeys(STEPS, Missing(f"measured up to {one.most:,} jobs: {one.why_no_more}"))
    bench = Bench.make(one, folder, jobs=jobs, delay_s=delay_s)
    return dict(_steps(bench))


def _steps(bench: Bench) -> Iterator[tuple[str, Measured | Missing]]:
    for step in STEPS:
        if step == "first status when ended":
            bench.end()
        if step == "launch":
            launched = bench.launch()
            if isinstance(launched, Missing):
                yield step, launched
            else:
                yield step, Measured((launched[0],), launched[1])
            continue
        run = bench.run(step)
        if step in TWICE and not bench.one.once:
            run = bench.run(step)
        yield step, run if isinstance(run, Missing) else Measured((run,))


def together(first: Told, second: Told) -> Told:
    """The same steps of one competitor, of both repeats."""
    return {step: _both(one, second.get(step, one)) for step, one in first.items()}


def _both(one: Measured | Missing, other: Measured | Missing) -> Measured | Missing:
    if isinstance(one, Missing) or isinstance(other, Missing) or one is other:
        return one
    return Measured(one.runs + other.runs, one.files)
