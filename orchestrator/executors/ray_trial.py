"""One trial of Ray Tune: a member of a submission, from its ranks' start to their end.

It decides nothing about the job. Tune hears from it when the ranks have started, which epochs they
have measured (then the driver's scheduler lets searches decide; what they decide are orders, which
the driver obeys), and how they ended.
"""

import json
import subprocess
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.executors.pool import CANNOT_START, bearing_with_the_file_server
from orchestrator.executors.pool_lines import Seat
from orchestrator.executors.pool_member import Running, end_of
from orchestrator.executors.ray_marks import begin, is_asked_to_stop
from orchestrator.executors.ray_ranks import Far, FarRank, NodeRanks, Post, gpus_given, start_ranks
from orchestrator.executors.ray_raylet import leave_with_raylet
from orchestrator.executors.ray_share import Share
from orchestrator.jobs.facts import End
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.processes import process
from orchestrator.jobs.submissions import Submission

TICK_S = 0.2
HEAR_S = 1.0
COULD_NOT_START = "its process could not be started: {}"


def run_member(config: dict[str, Any]) -> None:
    """What Tune calls in an actor that has the first node's share of the job.

    ``config``: the run root, the submission's token, the member's index, the job's share.
    """
    root = Root(Path(config["root"]))
    folder = root.submission(config["token"])
    index: int = config["index"]
    if not begin(folder, index):
        return  # it was withdrawn meanwhile
    leave_with_raylet()
    submission = Submission.read(folder)
    try:
        here, fars = _start(root, submission, index, Share(**config["share"]))
    except OSError as error:
        detail = COULD_NOT_START.format(error)
        how = End(time.time(), started=True, exit_code=CANNOT_START, detail=detail)
        tune.report({"how": asdict(how)})
        return
    there = (FarRank(far, position) for far in fars for position in range(far.count))
    gpus = gpus_given()
    tune.report({"process": str(process(here[0].pid)), "gpus": list(gpus)})
    member = Running(index, [*here, *there], Seat(gpus))
    _attend(member, folder, fars, Course(root, submission, index))
    how = end_of(member, root, submission)
    if any(far.lost for far in fars):
        how = replace(how, by_place=True, detail="a node of it is gone")
    if faults := [far.fault for far in fars if far.fault]:
        how = replace(how, detail=COULD_NOT_START.format(faults[0]))
    tune.report({"how": asdict(how)})


def _attend(member: Running, folder: SubmissionFolder, fars: list[Far], course: "Course") -> None:
    """Until all its ranks have ended: pass orders on to them, and tell Tune how far they are."""
    next_hearing = 0.0
    while not member.reap(now := time.monotonic()):
        if now >= next_hearing:
            next_hearing = now + HEAR_S
            for far in fars:
                far.look()
            with bearing_with_the_file_server():
                if is_asked_to_stop(folder, member.index):
                    member.ask(now)
                if (epoch := course.measured()) is not None:
                    tune.report({"measured": epoch})
        member.hurry(now)
        time.sleep(TICK_S)


def _start(
    root: Root, submission: Submission, index: int, share: Share
) -> tuple[list[subprocess.Popen[bytes]], list[Far]]:
    """The ranks of this node, and the other nodes with theirs, in order."""
    folder = root.submission(submission.token)
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    here, *others = (
        Post(node * share.ranks, share.ranks, address, together=share.nodes == 1)
        for node in range(share.nodes)
    )
    ranks = start_ranks(folder, submission, index, here)
    return ranks, [
        Far(_actor(share, node).remote(folder.path, index, post), post.count)
        for node, post in enumerate(others, start=1)
    ]


def _actor(share: Share, node: int) -> Any:
    """What starts the ranks of a further node, with that node's part of the job's share."""
    group, each = get_current_placement_group(), share.bundles()[node]
    assert group is not None, "Tune starts every trial in one"
    return ray.remote(NodeRanks).options(
        num_cpus=each["CPU"],
        num_gpus=each["GPU"],
        max_restarts=0,
        scheduling_strategy=PlacementGroupSchedulingStrategy(
            placement_group=group, placement_group_bundle_index=node
        ),
    )


@dataclass
class Course:
    """How far a member's journal is, read on from where it was read last."""

    root: Root
    submission: Submission
    index: int
    epoch: int = 0
    _read: int = 0
    _journal: Path | None = field(default=None)

    def measured(self) -> int | None:
        """The newest epoch of which there are measurements, if it is news."""
        self._journal = self._journal or self._find()
        if self._journal is None or not self._journal.exists():
            return None
        with self._journal.open("rb") as lines:
            lines.seek(self._read)
            news = lines.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._read += len(whole)
        newest = max((_epoch_of(line) for line in whole.splitlines()), default=0)
        if newest <= self.epoch:
            return None
        self.epoch = newest
        return newest

    def _find(self) -> Path | None:
        """The journal of the attempt that the member has claimed."""
        job = self.root.job(self.submission.jobs[self.index])
        for number in reversed(job.attempt_numbers()):
            attempt = job.attempt(number)
            if attempt.started.exists():
                start = read_record(attempt.started)
                if (start.get("token"), start.get("index")) == (self.submission.token, self.index):
                    return attempt.journal
        return None


def _epoch_of(line: bytes) -> int:
    """Of a point of a journal; 0 of any other line."""
    try:
        return int(json.loads(line).get("epoch", 0))
    except (ValueError, TypeError, AttributeError):
        return 0
