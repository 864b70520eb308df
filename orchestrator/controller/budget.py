"""A budget of GPU-hours: what a sweep's jobs took and would take, held against what they may."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.controller.hours import Estimate, Total, estimates, shares_left
from orchestrator.controller.spent import spent
from orchestrator.controller.submit import Terms
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import SpecError
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.state import State
from orchestrator.jobs.store import root_there
from orchestrator.sweep.expand import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """What is about to be launched: the states that it submits, and who begins afresh."""

    sweep: Sweep
    terms: Terms
    root_path: Path
    states: Collection[State]
    fresh: Collection[str]

    def costs(self, data: Mapping[str, Manifest]) -> tuple[list[Estimate], float]:
        """What the jobs take that it would submit, and the GPU-hours that all took so far."""
        points = list(self.sweep.points)
        root = root_there(self.root_path)
        left = dict.fromkeys((point.id for point in points), 1.0)
        before = 0.0
        if root is not None:
            found = survey(root, [point.id for point in points])
            before = spent(found).gpu_hours
            fresh = {*self.fresh}
            states = {job: status.state for job, status in found.statuses.items()}
            points = [p for p in points if p.id in fresh or states[p.id] in self.states]
            left |= shares_left(root, [p.id for p in points if p.id not in fresh], found)
        return list(estimates(root, points, left, self.terms, data).values()), before


def is_spent(gpu_hours: float, most: float | None) -> bool:
    """Whether so many GPU-hours use up a budget; jobs on CPUs alone take none of any."""
    return most is not None and gpu_hours > 0 and gpu_hours >= most


def budget_spent(sweep: str, found: Survey, most: float | None) -> str | None:
    """That a sweep's jobs have used up their GPU-hours, and what to do; None if they have not."""
    if most is None or not is_spent(so_far := spent(found).gpu_hours, most):
        return None
    return (
        f"the jobs of {sweep} have spent {so_far:.4g} GPU-hours of {most:g} (max_gpu_hours). "
        f"To go on, raise that and launch it again"
    )


def check_budget(
    sweep: str, told: Collection[Estimate], most: float | None, before: float = 0.0
) -> list[str]:
    """Make sure that these jobs stay within ``most`` GPU-hours; what is to be said of it.

    ``before``: what the sweep's jobs took so far.

    Raises:
        SpecError: they would take more.
    """
    if most is None or not told:
        return []
    total = Total.of(told)
    unknown = f"{total.unknown} of {len(told)} jobs are of unknown cost, and not counted"
    if before + total.gpu_hours > most:
        more = f" ({unknown})" if total.unknown else ""
        so_far = f"has spent {before:.4g} GPU-hours and " if before else ""
        raise SpecError(
            f"Sweep '{sweep}' {so_far}would take about {total.gpu_hours:.4g} GPU-hours "
            f"{'more ' if before else ''}for {len(told)} jobs{more}: together more than "
            f"max_gpu_hours {most:g}. Nothing was launched. What costs how much shows: orchestrate "
            "plan; launch fewer points or seeds, or allow more (max_gpu_hours of the sweep, or "
            "--max-gpu-hours)."
        )
    return [f"max_gpu_hours {most:g} is kept as far as is known: {unknown}"] * (total.unknown > 0)
