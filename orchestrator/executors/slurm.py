"""A SLURM cluster as a place: a submission is an array, a member one of its tasks, or in one."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter

from orchestrator.config import refuse_on_cluster
from orchestrator.errors import Refused, Unclear
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.base import Admission, Observation
from orchestrator.executors.pool_log import read_pools
from orchestrator.executors.slurm_packed import Packed
from orchestrator.executors.slurm_queries import NoAnswer, NotHere, Row, job_name
from orchestrator.executors.slurm_room import admit, judged
from orchestrator.executors.slurm_rows import Asked, goes_on, sighting_of
from orchestrator.executors.slurm_words import STATES, limit_in
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sightings
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.submissions import (
    Submission,
    read_handle,
    read_outcomes,
    read_taken,
    taken_by,
)

EARLIER_S = 3600.0
"""Accounting is asked so long back before the oldest submission: clocks differ."""
NO_PROFILE = (
    "a SLURM cluster needs its profile: copy slurm/cluster.example.yaml, fill it in, and name it "
    "with --cluster FILE or $ORCHESTRATE_CLUSTER; or say --executor local"
)
NOT_NOW = "Requested node configuration is not available"
STANDS = (
    "The order stands, and none of them starts again; to stop what runs, cancel again where SLURM "
    "answers, or let a watch do it: orchestrate watch"
)


@dataclass(frozen=True, slots=True)
class SlurmExecutor:
    """The cluster that this machine's SLURM commands talk to."""

    root: Root
    interval_s: float = 15.0

    def check(self, submission: Submission) -> list[str]:
        if submission.cluster is None:
            return [NO_PROFILE]
        profile, path = submission.cluster, str(self.root.path)
        refusals = refuse_on_cluster(profile, submission.resources, submission.placement)
        if os.pathsep in path or not path.isprintable():
            refusals.append(
                f"the run root {path!r} has a '{os.pathsep}', or what cannot be seen, in its path; "
                "choose another one with --root"
            )
        return refusals or self._ask_slurm(_filled(submission), profile.name)

    def _ask_slurm(self, submission: Submission, name: str) -> list[str]:
        """Why SLURM itself would refuse it."""
        try:
            here = slurm.cluster().name
        except NoAnswer as error:
            return [f"SLURM did not answer ({error}); try again"]
        if here != name:
            words = (
                f"the cluster's profile is of '{name}', but SLURM on this machine is that of "
                f"'{here}'; name another profile with --cluster FILE"
            )
            return [words]
        try:
            slurm.ask("sbatch", "--test-only", text=self.render(submission))
        except NoAnswer as error:
            # Of nodes that are drained for a while SLURM says that there are none, but takes jobs;
            # and that its queue is full now says nothing of the shape.
            passes = NOT_NOW in str(error) or limit_in(str(error))
            return [] if passes else [f"SLURM would not take it ({error})"]
        return []

    def admit(
        self, submissions: Sequence[Submission], *, under_way: int, reserved: int, gpus: int
    ) -> Admission:
        return admit(self.root, submissions, under_way=under_way, reserved=reserved, gpus=gpus)

    def render(self, submission: Submission) -> str:
        from orchestrator.executors.slurm_script import render

        return render(self.root, submission)

    def submit(self, submission: Submission) -> str:
        from orchestrator.executors.slurm_script import hand_over

        assert submission.cluster is not None
        try:
            return f"{hand_over(self.root, submission)}@{submission.cluster.name}"
        except Refused as refusal:
            raise judged(self.root, submission, refusal) from None

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        if not tokens:
            return {}
        names = {job_name(token): token for token in tokens}
        intents = [Submission.read(self.root.submission(token)) for token in tokens]
        since = min(intent.created for intent in intents)
        try:
            here = slurm.cluster()
            if foreign := {i.cluster.name for i in intents if i.cluster} - {here.name}:
                raise Unclear(_elsewhere(sorted(foreign), here.name)[0])
            rows = slurm.queue(names)
            missing = names.keys() - {row.name for row in rows}
            if missing and here.accounting:
                rows += slurm.records(since=since - EARLIER_S, names=missing)
        except NoAnswer as error:
            raise Unclear(str(error)) from None
        return {names[row.name]: f"{row.array}@{here.name}" for row in rows if row.name in names}

    def observe(self, submissions: Sequence[Submission]) -> Observation:
        asked = file_time(self.root.path)
        members = [one for s in submissions for one in self._open_members(s)]
        try:
            here = slurm.cluster()
            ours = [one for one in members if one.cluster == here.name]
            names = {one.name for one in ours}
            rows = {(r.array, r.index): r for r in slurm.queue(names)} if names else {}
        except NoAnswer as error:
            return Observation({}, (f"SLURM did not answer ({error})",))
        troubles = _elsewhere([one.cluster for one in members], here.name)
        gone = [one for one in ours if one.place not in rows]
        if gone and here.accounting:
            try:
                recorded = self._recorded(gone)
            except NoAnswer as error:
                troubles.append(f"SLURM's accounting did not answer ({error})")
                ours = [one for one in ours if one.place in rows]
            else:
                if lost := [o for o in gone if o.place in recorded and goes_on(recorded[o.place])]:
                    troubles.append(
                        f"SLURM's queue lacks {len(lost)} job(s), such as {lost[0].array}_"
                        f"{lost[0].index}, of which its accounting says that they have not ended"
                    )
                    denied = set(lost)
                    ours = [one for one in ours if one not in denied]
                rows = recorded | rows  # an older start's end says nothing of what is in the queue
        # SLURM may hide other people's jobs: their files speak for them.
        told = [(one, rows.get(one.place)) for one in ours]
        told = [(one, row) for one, row in told if row is not None or one.owner == user_name()]
        troubles += [
            f"SLURM calls {row.array}_{row.index} {row.state}, which means nothing here"
            for _, row in told
            if row is not None and row.state not in STATES
        ]
        seen: Sightings = {
            (one.token, one.index): sighting_of(self.root, one, row, asked)
            for one, row in told
            if row is None or row.state in STATES
        }
        for submission in filter(attrgetter("packed"), submissions):
            seen = self._with_members(submission, seen)
        return Observation(seen, tuple(troubles))

    def _with_members(self, submission: Submission, seen: Sightings) -> Sightings:
        """What is seen, a submission's members in place of the allocations that they share.

        SLURM was asked first: of an allocation that is over the records are complete then.
        """
        token, folder = submission.token, self.root.submission(submission.token)
        others = {name: one for name, one in seen.items() if name[0] != token}
        allocations = {index: one for (name, index), one in seen.items() if name == token}
        pools = read_pools(folder)
        started = {index: start[0] for index, start in pools.started.items()}
        packed = Packed(
            array=self._handle(token)[0],
            taken=started | read_taken(folder, but=started.keys() | pools.ended.keys()),
            pools=pools,
            allocations=allocations,
            count=submission.allocations,
        )
        known = {outcome["index"] for outcome in read_outcomes(folder)}
        members = {n: packed.sighting(n) for n in range(len(submission.jobs)) if n not in known}
        return others | {(token, index): one for index, one in members.items() if one is not None}

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        handles = {token: self._handle(token) for token, _ in members}
        try:
            here = slurm.cluster().name
            tasks = [task for task, cluster in self._tasks(members, handles) if cluster == here]
            for some in slurm.portions(tasks):
                slurm.ask("scancel", "--quiet", *some)
        except NotHere as error:
            return [f"SLURM was not told to cancel {len(members)} job(s): {error}"]
        except NoAnswer as error:
            raise Unclear(
                f"SLURM was not told to cancel {len(members)} job(s) ({error}). {STANDS}"
            ) from None
        return _elsewhere([handles[token][1] for token, _ in members], here)

    def member_handle(self, handle: str, token: str, index: int) -> str:
        """A member that shares its allocation has that one's name, and none before it is taken."""
        array, _, name = handle.partition("@")
        folder = self.root.submission(token)
        number = taken_by(folder, index) if _shares_allocations(folder) else index
        return handle if number is None else f"{array}_{number}@{name}"

    def _tasks(
        self, members: Collection[tuple[str, int]], handles: Mapping[str, tuple[str, str]]
    ) -> Iterator[tuple[str, str]]:
        """What scancel is told of these members, and on which cluster.

        Jobs that share allocations are asked to stop by their pools, which read the orders; SLURM
        ends their array only once none of it is wanted any more.
        """
        for token, index in members:
            if not _shares_allocations(self.root.submission(token)):
                array, cluster = handles[token]
                yield f"{array}_{index}", cluster
        for token in {token for token, _ in members}:
            leaving = {index for one, index in members if one == token}
            shared = _shares_allocations(self.root.submission(token))
            if shared and not self._wanted(token) - leaving:
                yield handles[token]

    def _wanted(self, token: str) -> set[int]:
        """Members of a submission that have not ended, and that no order ends."""
        folder = self.root.submission(token)
        stored = {outcome["index"] for outcome in read_outcomes(folder)}
        ended = stored | read_pools(folder).ended.keys()
        standing = standing_orders(read_orders(self.root))
        jobs = Submission.read(folder).jobs
        return {i for i, job in enumerate(jobs) if i not in ended and not standing.ends(job)}

    def _handle(self, token: str) -> tuple[str, str]:
        """SLURM's number of a submission, and its cluster."""
        array, _, cluster = (read_handle(self.root.submission(token)) or "").partition("@")
        return array, cluster

    def _open_members(self, submission: Submission) -> Iterator[Asked]:
        """Those of an array; where jobs share allocations, all of these."""
        array, cluster = self._handle(submission.token)
        folder = self.root.submission(submission.token)
        stored = {outcome["index"] for outcome in read_outcomes(folder)}
        over = set() if submission.packed else stored
        for index in set(range(submission.allocations)) - over:
            yield Asked(
                *(submission.token, index, array, cluster),
                created=submission.created,
                owner=submission.owner,
                packed=submission.packed,
            )

    def _recorded(self, gone: Sequence[Asked]) -> dict[tuple[str, int], Row]:
        """What accounting says of members that the queue has no more.

        Raises:
            NoAnswer: it said nothing.
        """
        since = min(one.created for one in gone) - EARLIER_S
        rows = slurm.records(since=since, arrays={one.array for one in gone})
        known = {(row.array, row.index): row for row in rows}
        whole = ((one.place, known.get((one.array, slurm.WHOLE))) for one in gone)
        return {place: row for place, row in whole if row is not None} | known


def _filled(submission: Submission) -> Submission:
    """The same with a job for each place of an allocation."""
    parts = {name: getattr(submission, name) for name in ("jobs", "names", "forms")}
    return submission.model_copy(
        update={name: part[:1] * submission.jobs_each for name, part in parts.items()}
    )


def _elsewhere(clusters: Iterable[str], here: str) -> list[str]:
    """That jobs are on other clusters than the one this machine talks to."""
    others = sorted(name for name in clusters if name != here)
    return [
        f"{len(list(group))} job(s) are on cluster '{name}', but SLURM on this machine is that of "
        f"'{here}'; look from there"
        for name, group in groupby(others)
    ]


@cache
def _shares_allocations(submission: SubmissionFolder) -> bool:
    """Whether members of a submission share allocations, as it says from the first: asked once."""
    return submission.taken.is_dir()
