"""A SLURM cluster as a place: a submission is an array, a member one of its tasks."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from orchestrator.config import refuse_on_cluster
from orchestrator.errors import Refused, Unclear
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.base import Admission, Observation
from orchestrator.executors.last_words import last_line, last_lines
from orchestrator.executors.slurm_queries import NoAnswer, NotHere, Row, job_name
from orchestrator.executors.slurm_room import admit, judged
from orchestrator.executors.slurm_words import (
    BY_SLURM,
    FALLEN,
    NOISE,
    STATES,
    Meaning,
    limit_in,
    reason_in_words,
)
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.submissions import Submission, read_handle, read_outcomes

EARLIER_S = 3600.0
"""Accounting is asked so long back before the oldest submission: clocks differ."""
NO_PROFILE = (
    "a SLURM cluster needs its profile: copy slurm/cluster.example.yaml, fill it in, and name it "
    "with --cluster FILE or $ORCHESTRATE_CLUSTER"
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
        return refusals or self._ask_slurm(submission, profile.name)

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
                if lost := [o for o in gone if o.place in recorded and _goes_on(recorded[o.place])]:
                    troubles.append(
                        f"SLURM's queue lacks {len(lost)} job(s), such as {lost[0].array}_"
                        f"{lost[0].index}, of which its accounting says that they have not ended"
                    )
                    denied = set(lost)
                    ours = [one for one in ours if one not in denied]
                rows = recorded | rows  # an older start's end says nothing of what is in the queue
        seen = {}
        for one in ours:
            row = rows.get(one.place)
            if row is None and one.owner != user_name():
                continue  # SLURM may hide other people's jobs: their files speak for them
            if row is not None and row.state not in STATES:
                words = f"SLURM calls {one.array}_{one.index} {row.state}, which means nothing here"
                troubles.append(words)
                continue
            seen[one.token, one.index] = self._sighting(one, row, asked)
        return Observation(seen, tuple(troubles))

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        handles = {token: self._handle(token) for token, _ in members}
        try:
            here = slurm.cluster().name
            tasks = [f"{handles[t][0]}_{index}" for t, index in members if handles[t][1] == here]
            for some in slurm.portions(tasks):
                slurm.ask("scancel", "--quiet", *some)
        except NotHere as error:
            return [f"SLURM was not told to cancel {len(members)} job(s): {error}"]
        except NoAnswer as error:
            raise Unclear(
                f"SLURM was not told to cancel {len(members)} job(s) ({error}). {STANDS}"
            ) from None
        return _elsewhere([handles[token][1] for token, _ in members], here)

    def member_handle(self, handle: str, index: int) -> str:
        array, _, name = handle.partition("@")
        return f"{array}_{index}@{name}"

    def _handle(self, token: str) -> tuple[str, str]:
        """SLURM's number of a submission, and its cluster."""
        array, _, cluster = (read_handle(self.root.submission(token)) or "").partition("@")
        return array, cluster

    def _open_members(self, submission: Submission) -> "Iterator[_Asked]":
        array, cluster = self._handle(submission.token)
        folder = self.root.submission(submission.token)
        ended = {outcome["index"] for outcome in read_outcomes(folder)}
        for index in range(len(submission.jobs)):
            if index not in ended:
                yield _Asked(
                    *(submission.token, index, array, cluster),
                    created=submission.created,
                    owner=submission.owner,
                )

    def _recorded(self, gone: Sequence["_Asked"]) -> dict[tuple[str, int], Row]:
        """What accounting says of members that the queue has no more.

        Raises:
            NoAnswer: it said nothing.
        """
        since = min(one.created for one in gone) - EARLIER_S
        rows = slurm.records(since=since, arrays={one.array for one in gone})
        known = {(row.array, row.index): row for row in rows}
        whole = ((one.place, known.get((one.array, slurm.WHOLE))) for one in gone)
        return {place: row for place, row in whole if row is not None} | known

    def _sighting(self, one: "_Asked", row: Row | None, asked: float) -> Sighting:
        if row is None:
            return Sighting(Sight.ABSENT, asked=asked)
        meaning = STATES[row.state]
        known = Sighting(meaning.sight, asked=asked, restart=row.restart, detail=meaning.text)
        if meaning.sight is Sight.WAITING:
            return replace(known, detail=_why_it_waits(row, meaning), expected=row.start)
        if meaning.sight is Sight.ENDED:
            return replace(known, end=self._end(one, row, meaning, asked))
        return known

    def _end(self, one: "_Asked", row: Row, meaning: Meaning, asked: float) -> End:
        detail = meaning.text
        if detail and row.nodes:
            detail = f"{detail} ({row.state} on {row.nodes})"
        if not detail and (row.exit_code or row.signal):
            detail = self._last_words(one)
        # The script has the highest of its ranks' codes: above 128 if a signal ended one.
        signal = row.signal or max(0, row.exit_code - 128)
        return End(
            time=row.end or asked,
            started=bool(row.nodes),
            by_place=meaning.by_place or bool(BY_SLURM.search(detail)),
            exit_code=None if signal else row.exit_code,
            signal=signal or None,
            rank=self._fallen(one) if signal else 0,
            detail=detail,
            node=row.nodes,
            cancelled=meaning.cancelled,
            kind=meaning.kind,
        )

    def _last_words(self, one: "_Asked") -> str:
        """What a member printed last before it claimed its job."""
        folder = self.root.submission(one.token)
        logs = (folder.member_log(one.index, 0), folder.batch_log(one.index))
        return next((words for log in logs if (words := last_line(log, noise=NOISE))), "")

    def _fallen(self, one: "_Asked") -> int:
        """The rank that a signal ended, as far as srun said so."""
        log = self.root.submission(one.token).batch_log(one.index)
        found = [match for line in last_lines(log) if (match := FALLEN.match(line))]
        return int(found[-1].group(1)) if found else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A member whose end is not known yet."""

    token: str
    index: int
    array: str
    cluster: str
    created: float
    owner: str

    @property
    def name(self) -> str:
        return job_name(self.token)

    @property
    def place(self) -> tuple[str, int]:
        return self.array, self.index


def _goes_on(row: Row) -> bool:
    """Whether it says of a member that it waits or runs."""
    return row.state in STATES and STATES[row.state].sight is not Sight.ENDED


def _why_it_waits(row: Row, meaning: Meaning) -> str:
    words = meaning.text or reason_in_words(row.reason)
    return f"start {row.restart + 1}: {words}" if row.restart else words


def _elsewhere(clusters: Iterable[str], here: str) -> list[str]:
    """That jobs are on other clusters than the one this machine talks to."""
    others = sorted(name for name in clusters if name != here)
    return [
        f"{len(list(group))} job(s) are on cluster '{name}', but SLURM on this machine is that of "
        f"'{here}'; look from there"
        for name, group in groupby(others)
    ]
