"""Ray Tune as a place: every submission is a detached driver, each member one trial of it."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from orchestrator.config import RaySite
from orchestrator.errors import Unclear
from orchestrator.executors import detached
from orchestrator.executors.base import Admission, Observation
from orchestrator.executors.ray_ask import OWN_KEY, QUIET, nodes_of, unreachable
from orchestrator.executors.ray_share import Node, refuse_share, this_machine
from orchestrator.executors.slurm_limits import within_limits
from orchestrator.extras import EXTRAS
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.jobs.evidence import LIVE_S
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

START_S = 90.0
"""A driver begins its record once it is connected, and the first import of Ray may be slow."""


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs submissions on a Ray cluster: one that is there, or one of their own on this machine."""

    root: Root
    interval_s: float = 1.0
    _seen: dict[str, Sequence[Node]] = field(default_factory=dict, compare=False)
    """Nodes by address, as they were when they were first asked for: asking takes seconds."""

    def check(self, submission: Submission) -> list[str]:
        for package in ("ray", "torch"):
            if find_spec(package) is None:
                words = (
                    f"{sys.executable} has no {package}, so it cannot run jobs on Ray; try: "
                    f"pip install 'orchestrate-vit[{EXTRAS[package]}]'"
                )
                return [words]
        if refusals := detached.refuse_root(self.root):
            return refusals
        site, placement = _site(submission), submission.placement
        try:
            nodes, where = self._nodes(site)
        except Unclear as error:
            return [str(error)]
        refusals = refuse_share(submission.resources, placement, nodes, where)
        on_gpus = placement.device != "cpu" and any(node.gpus for node in nodes)
        if site.address is None and placement.compile:
            lack = missing_compiler("cuda" if on_gpus else "cpu")
            refusals += [lack] if lack else []
        return refusals

    def admit(
        self,
        submissions: Sequence[Submission],
        *,
        under_way: int,
        reserved: int,  # noqa: ARG002
        gpus: int,  # noqa: ARG002
    ) -> Admission:
        """All of them, of which Ray runs as many at a time as fit; ``max_parallel`` is shared out.

        Drivers with a cluster of their own run one after the other, so each has all of it. While
        nobody listens at an address nothing is handed over: it would only be refused, each time.
        """
        most, address = submissions[0].max_parallel, _site(submissions[0]).address
        if address is not None and (silence := unreachable(address)) is not None:
            return Admission((), silence)
        if most is None or address is None:
            return Admission(tuple(submissions))
        longest = max(len(one.jobs) for one in submissions)
        share = most - under_way
        return Admission(
            tuple(within_limits(submissions, max_array=longest, room=None, parallel=share))
        )

    def render(self, submission: Submission) -> str:
        quiet = " ".join(f"{name}={value}" for name, value in QUIET.items())
        setup = f"export {quiet}\n{'' if _site(submission).address else OWN_KEY}"
        program = "orchestrator.executors.ray_driver"
        return detached.script(self.root, submission, program, setup)

    def submit(self, submission: Submission) -> str:
        return detached.start(self.root, submission, "driver", START_S)

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        return detached.find(self.root, tokens)

    def observe(self, submissions: Sequence[Submission]) -> Observation:
        return detached.observe(self.root, submissions, "driver", gone_s=LIVE_S)

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        """A live driver reads the orders itself; only what outlived it is signalled here."""
        detached.end_orphans(self.root, members)
        return []

    def member_handle(self, handle: str, token: str, index: int) -> str:  # noqa: ARG002
        """A driver's own: its members are found by their index in it."""
        return handle

    def _nodes(self, site: RaySite) -> tuple[Sequence[Node], str]:
        """What there is to hand out, and how the cluster is called in messages."""
        address = site.address
        if address is None:
            return (this_machine(),), "a cluster on this machine"
        if address not in self._seen:
            self._seen[address] = nodes_of(address)
        return self._seen[address], f"the Ray cluster at {address}"


def _site(submission: Submission) -> RaySite:
    return submission.ray or RaySite()
