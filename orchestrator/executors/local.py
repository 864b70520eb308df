"""This machine as a place: every submission is a detached pool (see ``pool``)."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from orchestrator.executors import detached
from orchestrator.executors.base import Admission, Observation
from orchestrator.executors.pool_lines import visible_gpus
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

START_S = 30.0


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Runs submissions on this machine, as long as it is on."""

    root: Root
    interval_s: float = 1.0

    def check(self, submission: Submission) -> list[str]:
        refusals = []
        if find_spec("torch") is None:
            refusals.append(
                f"{sys.executable} has no torch, so it cannot train on this machine; "
                "try: pip install 'orchestrate-vit[train]'"
            )
        gpus, placement = len(visible_gpus()), submission.placement
        cores = os.cpu_count() or 1
        if placement.threads_per_rank > cores:
            refusals.append(
                f"placement.threads_per_rank is {placement.threads_per_rank}, but this machine has "
                f"{cores} core(s)"
            )
        on_gpus = placement.device == "cuda" or (placement.device == "auto" and gpus > 0)
        if on_gpus and placement.ranks > gpus:
            refusals.append(
                f"placement.device is {placement.device} and placement.ranks {placement.ranks}, "
                f"but this machine offers {gpus} GPU(s); use fewer ranks, or device: cpu"
            )
        if placement.compile and (lack := missing_compiler("cuda" if on_gpus else "cpu")):
            refusals.append(lack)
        return refusals + detached.refuse_root(self.root)

    def admit(
        self,
        submissions: Sequence[Submission],
        *,
        under_way: int,  # noqa: ARG002
        reserved: int,  # noqa: ARG002
        gpus: int,  # noqa: ARG002
    ) -> Admission:
        """All of them: pools count what the pools before them run. None means a core a thread."""
        return Admission(
            tuple(
                one.model_copy(update={"max_parallel": one.max_parallel or _as_cores_allow(one)})
                for one in submissions
            )
        )

    def render(self, submission: Submission) -> str:
        return detached.script(self.root, submission, "orchestrator.executors.pool")

    def submit(self, submission: Submission) -> str:
        return detached.start(self.root, submission, "pool", START_S)

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        return detached.find(self.root, tokens)

    def observe(self, submissions: Sequence[Submission]) -> Observation:
        return detached.observe(self.root, submissions, "pool")

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        """A live pool reads the orders itself; only what outlived its pool is signalled here."""
        detached.end_orphans(self.root, members)
        return []

    def member_handle(self, handle: str, token: str, index: int) -> str:  # noqa: ARG002
        """A pool's own: its members are found by their index in it."""
        return handle


def _as_cores_allow(submission: Submission) -> int:
    """Jobs at a time on this machine: a core for each thread."""
    placement = submission.placement
    return max(1, len(os.sched_getaffinity(0)) // (placement.ranks * placement.threads_per_rank))
