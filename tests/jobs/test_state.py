from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import ClusterProfile
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting, Sightings, is_live
from orchestrator.jobs.facts import Attempt, End, Ending, JobFacts, Member, RankError, Start
from orchestrator.jobs.orders import AtRung, Order, Standing, standing_orders
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State, status_of

NOW = 100_000.0
BEGAN = NOW - 1000
FIRST, SECOND = "t1", "t2"
OOM = RankError(1, NOW - 50, "OutOfMemoryError", "no room")
LOST_PEER = RankError(1, NOW - 50, "RuntimeError", "[gloo] Connection closed by peer [10.0.0.2]")


def attempt(token: str = FIRST, number: int = 1, **changes: Any) -> Attempt:
    """An attempt that is live by its heartbeat, on another host."""
    start = Start(token, 0, 0, BEGAN, "h:b:1:1", "h", "c", {})
    fields: dict[str, Any] = {
        "from_step": None,
        "ending": None,
        "step": -1,
        "errors": (),
        "heartbeat": NOW - 10,
        "running": None,
    }
    return Attempt(number=number, start=start, **{**fields, **changes})


def member(token: str = FIRST, end: End | None = None, **changes: Any) -> Member:
    """A member that its place took."""
    fields: dict[str, Any] = {"handle": f"h-{token}", "refused": False}
    return Member(
        token=token,
        index=0,
        executor="local",
        created=BEGAN - 10,
        end=end,
        **{**fields, **changes},
    )


def end(**how: Any) -> End:
    return End(**{"time": NOW - 5, "started": True, **how})


FINISHED = attempt(ending=Ending.FINISHED)
LIVE = attempt()
SILENT = attempt(heartbeat=NOW - LIVE_S - 1)
DEAD = attempt(running=False)
STOPPED = attempt(ending=Ending.STOPPED)
RAISED = attempt(ending=Ending.ERROR, errors=(OOM,))
WRONG = attempt(ending=Ending.ERROR, errors=(RankError(0, NOW - 50, "ValueError", "no"),))
BROKEN = attempt(
    ending=Ending.ERROR,
    errors=(RankError(0, NOW - 50, "AcceleratorError", "CUDA error: unspecified launch failure"),),
)
BY_9 = end(signal=9)
EXIT_1 = end(exit_code=1, detail="ImportError: no such module")
LEFT = end(exit_code=0)
NEVER_STARTED = end(started=False, by_place=True, detail="its pool is gone")
POOL_GONE = end(by_place=True, detail="its pool is gone")
OPEN = member(handle=None)
REFUSED = member(handle=None, refused=True)
WAITS = Sighting(Sight.WAITING)
RUNS = Sighting(Sight.RUNNING)
GONE = Sighting(Sight.ABSENT, asked=NOW - 1)
BY_SCANCEL = end(cancelled=True, detail="by bob with scancel")
WITHDRAWN = end(started=False, cancelled=True)


HOLD = Order(what="hold", jobs=["j"], why="trial jobs come first")
RETRY = Order(what="retry", jobs=["j"], tokens=[FIRST])
AFRESH = Order(what="afresh", jobs=["j"], tokens=[FIRST], last={"j": 1})
RUNG = AtRung(sweep="s", rung=2, epoch=6, metric="val/top1", value=41.5, rank=5, of=8, places=4)
STOP = Order(what="stop", jobs=["j"], last={"j": 1}, at=RUNG, why=RUNG.words)
LIFTED = [STOP, Order(what="lift", jobs=["j"], lifts=[STOP.id], tokens=[FIRST])]
REFUSED_FOR = Member(
    "t1", 0, "slurm", BEGAN, None, refused=True, end=None, why_refused="no such QOS"
)


@dataclass(frozen=True)
class Case:
    """A line of the table: what is known, and what follows."""

    fact: str
    state: State
    attempts: Sequence[Attempt] = ()
    members: Sequence[Member] = ()
    seen: Sighting | None = None
    """Of the newest member."""
    cancelled: bool = False
    orders: Sequence[Order] = ()
    due: bool = False
    later: bool = False
    """Whether it will be due by itself, but not yet."""
    reason: str = ""
    outcome: str | None = None

    def status(self) -> JobStatus:
        cancels = [Order(who="ann", what="cancel", jobs=["j"])] * self.cancelled
        orders = standing_orders([*cancels, *self.orders])
        seen: Sightings = {}
        if self.seen:
            seen = {(self.members[-1].token, self.members[-1].index): self.seen}
        gone = orders.discarded.get("j", 0)
        marked = (replace(one, discarded=one.number <= gone) for one in self.attempts)
        facts = JobFacts("j", tuple(marked), tuple(self.members))
        return status_of(facts, orders, seen, NOW)


def twice(one: Attempt, other: Attempt) -> list[Attempt]:
    """Two attempts of two submissions."""
    return [one, replace(other, number=2, start=replace(other.start, token=SECOND))]


S = State
# In the order of the rows; within a row, first what it beats.
TABLE = [
    Case("finished", S.DONE, [FINISHED], [member()], outcome="finished"),
    Case(
        "diverged is done",
        S.DONE,
        [attempt(ending=Ending.DIVERGED)],
        [member(end=LEFT)],
        outcome="diverged",
    ),
    Case(
        "done beats a live attempt",
        S.DONE,
        twice(FINISHED, LIVE),
        [member(end=LEFT), member("t2")],
        seen=RUNS,
        outcome="finished",
    ),
    Case(
        "done beats its member that still runs",
        S.DONE,
        [FINISHED],
        [member()],
        RUNS,
        outcome="finished",
    ),
    Case("done beats an open intent", S.DONE, [FINISHED], [OPEN], outcome="finished"),
    Case("done beats a cancel", S.DONE, [FINISHED], cancelled=True, outcome="finished"),
    Case(
        "done beats a bad end",
        S.DONE,
        [replace(FINISHED, errors=(OOM,))],
        [member(end=EXIT_1)],
        outcome="finished",
    ),
    Case("live", S.RUNNING, [LIVE], [member()], RUNS),
    Case("live beats an unanswered member", S.RUNNING, [LIVE], [member()]),
    Case("live beats an open intent", S.RUNNING, [LIVE], [OPEN]),
    Case("live beats a refusal", S.RUNNING, [LIVE], [REFUSED]),
    Case("live without any member", S.RUNNING, [LIVE]),
    Case("live beats a waiting member", S.RUNNING, [LIVE], [member("t2")], WAITS),
    Case(
        "live beats a cancel order",
        S.RUNNING,
        [LIVE],
        [member()],
        cancelled=True,
        reason="is being cancelled",
    ),
    Case(
        "an end that knows of no start is no proof of death",
        S.RUNNING,
        [LIVE],
        [member(end=NEVER_STARTED)],
    ),
    Case(
        "an end before the attempt began is no proof of death",
        S.RUNNING,
        [LIVE],
        [member(end=end(time=BEGAN - 1, exit_code=1))],
    ),
    Case("seen running, claims soon", S.RUNNING, [], [member()], RUNS, reason="starting"),
    Case("seen running, heartbeat late", S.RUNNING, [SILENT], [member()], RUNS),
    Case("seen running, its worker gone", S.RUNNING, [DEAD], [member()], RUNS),
    Case("seen running, wrote why it failed", S.RUNNING, [RAISED], [member()], RUNS),
    Case(
        "seen running after another failed",
        S.RUNNING,
        [RAISED],
        [member(end=EXIT_1), member("t2")],
        RUNS,
        reason="starting",
    ),
    Case("waits", S.QUEUED, [], [member()], WAITS, reason="waits for a free place"),
    Case(
        "a waiting member beats a cancel order",
        S.QUEUED,
        [],
        [member()],
        WAITS,
        cancelled=True,
        reason="is being cancelled",
    ),
    Case(
        "a waiting member beats an open intent",
        S.QUEUED,
        [],
        [OPEN, member("t2")],
        WAITS,
        reason="waits",
    ),
    Case("waits after a preemption", S.QUEUED, [STOPPED], [member(end=LEFT), member("t2")], WAITS),
    Case(
        "waits again under its old name, its last heartbeat young",
        S.QUEUED,
        [LIVE],
        [member()],
        Sighting(Sight.WAITING, asked=NOW - 1, detail="begins at noon"),
        reason="begins at noon",
    ),
    Case(
        "seen waiting before it beat",
        S.RUNNING,
        [LIVE],
        [member()],
        Sighting(Sight.WAITING, asked=NOW - 60),
    ),
    Case(
        "started again, its new worker still to claim",
        S.RUNNING,
        [LIVE],
        [member()],
        Sighting(Sight.RUNNING, asked=NOW - 1, restart=1, detail="starts again"),
        reason="starts again",
    ),
    Case("unknown to its place", S.UNKNOWN, [], [member()], GONE, reason="does not know it"),
    Case("unknown to its place, and live", S.RUNNING, [LIVE], [member()], GONE),
    Case(
        "stopped, and perhaps waiting to start again",
        S.UNKNOWN,
        [STOPPED],
        [member(restarts=True)],
        reason="local does not say",
    ),
    Case("open intent", S.UNKNOWN, [], [OPEN], reason="submission t1 was not confirmed"),
    Case("no answer", S.UNKNOWN, [], [member()], reason="local does not say"),
    Case("no answer, heartbeat late", S.UNKNOWN, [SILENT], [member()]),
    Case("no answer beats a cancel order", S.UNKNOWN, [], [member()], cancelled=True),
    Case("an old open intent", S.UNKNOWN, [RAISED], [OPEN, member("t2", EXIT_1)]),
    Case(
        "a search stopped it",
        S.STOPPED,
        [STOPPED],
        [member(end=LEFT)],
        orders=[STOP],
        reason="rung 2 (epoch 6) of s: val/top1 41.5 is number 5 of 8, 4 go on",
    ),
    Case(
        "stopped through its place", S.STOPPED, [STOPPED], [member(end=BY_SCANCEL)], orders=[STOP]
    ),
    Case("stopped, though it failed as it left", S.STOPPED, [RAISED], [member()], orders=[STOP]),
    Case("stopped, then killed", S.STOPPED, [DEAD], [member(end=BY_9)], orders=[STOP]),
    Case("cancelled before it ran", S.CANCELLED, cancelled=True, reason="by ann"),
    Case("cancelled and stopped", S.CANCELLED, [STOPPED], [member(end=LEFT)], cancelled=True),
    Case("cancelled after a failure", S.CANCELLED, [RAISED], [member(end=EXIT_1)], cancelled=True),
    Case(
        "cancelled through its place",
        S.CANCELLED,
        [STOPPED],
        [member(end=BY_SCANCEL)],
        reason="by bob with scancel",
    ),
    Case("cancelled through its place while it waited", S.CANCELLED, [], [member(end=WITHDRAWN)]),
    Case(
        "cancelled through its place, launched and refused",
        S.CANCELLED,
        [STOPPED],
        [member(end=BY_SCANCEL), member("t2", handle=None, refused=True)],
    ),
    Case(
        "cancelled through its place, launched and preempted",
        S.PREEMPTED,
        twice(STOPPED, STOPPED),
        [member(end=BY_SCANCEL), member("t2", POOL_GONE)],
        due=True,
    ),
    Case("the cancel lifted", S.PREEMPTED, [STOPPED], [member(end=LEFT)], due=True),
    Case(
        "stopped by a signal",
        S.PREEMPTED,
        [STOPPED],
        [member(end=end(exit_code=75))],
        due=True,
        reason="stopped by a signal",
    ),
    Case(
        "stopped, after a failure",
        S.PREEMPTED,
        twice(RAISED, STOPPED),
        [member(end=EXIT_1), member("t2", LEFT)],
        due=True,
    ),
    Case(
        "stopped, by a member that counts as refused",
        S.PREEMPTED,
        twice(RAISED, STOPPED),
        [member(end=EXIT_1), member("t2", handle=None, refused=True)],
        due=True,
    ),
    Case(
        "pool gone after the start",
        S.PREEMPTED,
        [DEAD],
        [member(end=POOL_GONE)],
        due=True,
        reason="its pool is gone",
    ),
    Case(
        "pool gone after the start, no word",
        S.PREEMPTED,
        [DEAD],
        [member(end=end(by_place=True))],
        due=True,
        reason="ended by its place",
    ),
    Case(
        "preempted, then its next member never claimed",
        S.PREEMPTED,
        [STOPPED],
        [member(end=LEFT), member("t2", POOL_GONE)],
        due=True,
    ),
    Case(
        "preempted, then its next member never started",
        S.PREEMPTED,
        [STOPPED],
        [member(end=LEFT), member("t2", NEVER_STARTED)],
        due=True,
    ),
    Case(
        "exit 1 before the claim",
        S.FAILED,
        [],
        [member(end=EXIT_1)],
        reason="ImportError: no such module",
    ),
    Case(
        "exit 1 before the claim, after a preemption",
        S.FAILED,
        [STOPPED],
        [member(end=LEFT), member("t2", EXIT_1)],
        reason="ImportError: no such module",
    ),
    Case(
        "killed by 9",
        S.FAILED,
        [DEAD],
        [member(end=BY_9)],
        later=True,
        reason="killed with signal 9",
    ),
    Case(
        "an exception",
        S.FAILED,
        [RAISED],
        [member(end=EXIT_1)],
        reason="OutOfMemoryError: no room",
    ),
    Case(
        "unknown to its place, its own word heard",
        S.FAILED,
        [RAISED],
        [member(restarts=True)],
        GONE,
        reason="OutOfMemoryError: no room",
    ),
    Case(
        "an exception beats the place's end",
        S.FAILED,
        [replace(DEAD, errors=(OOM,))],
        [member(end=POOL_GONE)],
        reason="OutOfMemoryError: no room",
    ),
    Case(
        "what a neighbour of the fallen makes of it does not",
        S.PREEMPTED,
        [replace(DEAD, ending=Ending.ERROR, errors=(LOST_PEER,))],
        [member(end=POOL_GONE)],
        reason="its pool is gone",
        due=True,
    ),
    Case(
        "exit 1 before the claim, then refused",
        S.FAILED,
        [],
        [member(end=EXIT_1), member("t2", handle=None, refused=True)],
        reason="ImportError",
    ),
    Case("vanished", S.FAILED, [DEAD], later=True, reason="its process is gone"),
    Case("vanished a while ago", S.FAILED, [replace(DEAD, heartbeat=NOW - 60)], due=True),
    Case(
        "ended, nobody knows how",
        S.FAILED,
        [DEAD],
        [member()],
        Sighting(Sight.ENDED),
        later=True,
    ),
    Case(
        "just seen to end",
        S.FAILED,
        [DEAD],
        [member()],
        Sighting(Sight.ENDED, BY_9),
        later=True,
        reason="killed",
    ),
    Case(
        "a failure, then a member that found nothing to do",
        S.FAILED,
        [RAISED],
        [member(end=EXIT_1), member("t2", LEFT)],
        reason="OutOfMemoryError",
    ),
    Case("new", S.PLANNED, due=True),
    Case("refused", S.PLANNED, [], [REFUSED], due=True),
    Case("refused, whatever its place sees", S.PLANNED, [], [REFUSED], RUNS, due=True),
    Case("pool gone before the start", S.PLANNED, [], [member(end=NEVER_STARTED)], due=True),
    Case("pool gone before the claim", S.PLANNED, [], [member(end=POOL_GONE)], due=True),
    Case(
        "three pools gone before the claim",
        S.PLANNED,
        [],
        [member(end=NEVER_STARTED), member(SECOND, end=POOL_GONE), member("t3", end=POOL_GONE)],
    ),
    Case("found nothing to do", S.PLANNED, [], [member(end=LEFT)], due=True),
    Case("a cancel before the start, lifted", S.PLANNED, [], [member(end=NEVER_STARTED)], due=True),
]


WORDS_OF_ATTEMPTS = [
    Case(
        "no answer, but it said itself that it stopped",
        S.PREEMPTED,
        [STOPPED],
        [member()],
        due=True,
    ),
    Case("no answer, but it said itself that it failed", S.FAILED, [RAISED], [member()]),
    Case(
        "finished, while its successor resumed below",
        S.RUNNING,
        [
            attempt(ending=Ending.FINISHED, step=100, from_step=-1),
            attempt(SECOND, 2, from_step=60),
        ],
        [member(), member(SECOND)],
    ),
    Case(
        "finished before its successor looked",
        S.DONE,
        [attempt(ending=Ending.FINISHED, step=100), attempt(SECOND, 2, from_step=100)],
        outcome="finished",
    ),
    Case(
        "five starts from one and the same step",
        S.PREEMPTED,
        [attempt(f"t{n}", n, ending=Ending.STOPPED, from_step=40) for n in range(1, 6)],
        reason="gained no checkpoint",
    ),
    Case(
        "five starts, one of which gained",
        S.PREEMPTED,
        [attempt(f"t{n}", n, ending=Ending.STOPPED, from_step=40 + n // 5) for n in range(1, 6)],
        due=True,
    ),
]


@pytest.mark.parametrize("case", [*TABLE, *WORDS_OF_ATTEMPTS], ids=lambda case: case.fact)
def test_a_row_of_the_table_holds(case: Case) -> None:
    status = case.status()

    assert (status.state, status.due) == (case.state, case.due)
    assert (status.due_at is not None) is case.later
    assert status.outcome == case.outcome
    assert case.reason in status.reason
    if case.state is State.RUNNING:
        assert status.reason == case.reason


def test_the_table_walks_every_state_in_the_order_of_the_rows() -> None:
    walked = list(dict.fromkeys(case.state for case in TABLE))

    assert walked == list(State)


ORDERED = [
    Case(
        "stopped while it runs",
        S.RUNNING,
        [LIVE],
        [member()],
        RUNS,
        orders=[STOP],
        reason=f"is being stopped: {RUNG.words}",
    ),
    Case("stopped while it waits", S.QUEUED, [STOPPED], [member()], WAITS, orders=[STOP]),
    Case("stopped when done", S.DONE, [FINISHED], [member()], orders=[STOP], outcome="finished"),
    Case("stopped and cancelled", S.CANCELLED, [STOPPED], cancelled=True, orders=[STOP]),
    Case("stopped and held", S.STOPPED, [STOPPED], [member(end=LEFT)], orders=[STOP, HOLD]),
    Case("its stop lifted", S.PREEMPTED, [STOPPED], [member(end=LEFT)], orders=LIFTED, due=True),
    Case(
        "its stop lifted after scancel",
        S.PREEMPTED,
        [STOPPED],
        [member(end=BY_SCANCEL)],
        orders=LIFTED,
        due=True,
    ),
    Case(
        "afresh after a stop",
        S.PLANNED,
        [STOPPED],
        [member(end=LEFT)],
        orders=[STOP, AFRESH],
        due=True,
    ),
    Case(
        "stopped anew after it began afresh",
        S.STOPPED,
        [STOPPED, attempt(SECOND, 2, ending=Ending.STOPPED)],
        [member(end=LEFT), member(SECOND, LEFT)],
        orders=[STOP, AFRESH, STOP.model_copy(update={"id": "1" * 32, "last": {"j": 2}})],
    ),
    Case("held", S.PLANNED, orders=[HOLD], reason="held: trial jobs come first"),
    Case("held, its member withdrawn", S.PLANNED, [], [member(end=WITHDRAWN)], orders=[HOLD]),
    Case("held while it waits", S.QUEUED, [], [member()], WAITS, orders=[HOLD], reason="withdrawn"),
    Case("held while it runs", S.RUNNING, [LIVE], [member()], RUNS, orders=[HOLD]),
    Case("held when done", S.DONE, [FINISHED], [member()], orders=[HOLD], outcome="finished"),
    Case(
        "held after a preemption",
        S.PREEMPTED,
        [STOPPED],
        [member(end=LEFT)],
        orders=[HOLD],
        reason="stopped by a signal",
    ),
    Case("held and cancelled", S.CANCELLED, cancelled=True, orders=[HOLD], reason="by ann"),
    Case("retried", S.FAILED, [WRONG], [member(end=EXIT_1)], orders=[RETRY], due=True),
    Case(
        "retried, and failed again",
        S.FAILED,
        twice(WRONG, WRONG),
        [member(end=EXIT_1), member(SECOND, EXIT_1)],
        orders=[RETRY],
    ),
    Case("retried before it claimed", S.FAILED, [], [member(end=EXIT_1)], orders=[RETRY], due=True),
    Case("retried after a refusal", S.PLANNED, [], [REFUSED] * 5, orders=[RETRY], due=True),
    Case("retried after scancel", S.PLANNED, [], [member(end=WITHDRAWN)], orders=[RETRY], due=True),
    Case("retried while it runs", S.RUNNING, [LIVE], [member()], RUNS, orders=[RETRY]),
    Case(
        "retried when done",
        S.DONE,
        [FINISHED],
        [member(end=LEFT)],
        orders=[RETRY],
        outcome="finished",
    ),
    Case("afresh", S.PLANNED, [FINISHED], [member(end=LEFT)], orders=[AFRESH], due=True),
    Case(
        "afresh after a failure",
        S.PLANNED,
        [WRONG],
        [member(end=EXIT_1)],
        orders=[AFRESH],
        due=True,
    ),
    Case(
        "afresh, its failure before a claim",
        S.PLANNED,
        [],
        [member(end=EXIT_1)],
        orders=[AFRESH],
        due=True,
    ),
    Case("afresh, and alive after all", S.RUNNING, [LIVE], [member()], RUNS, orders=[AFRESH]),
    Case("afresh, of unknown fate", S.UNKNOWN, [SILENT], [member()], orders=[AFRESH]),
    Case(
        "afresh, and done again",
        S.DONE,
        twice(FINISHED, FINISHED),
        [member(end=LEFT), member(SECOND, LEFT)],
        orders=[AFRESH],
        outcome="finished",
    ),
    Case(
        "afresh, and failed then",
        S.FAILED,
        twice(FINISHED, replace(WRONG, from_step=-1)),
        [member(end=LEFT), member(SECOND, EXIT_1)],
        orders=[AFRESH],
    ),
    Case(
        "afresh, and stopped then",
        S.PREEMPTED,
        twice(FINISHED, STOPPED),
        [member(end=LEFT), member(SECOND, LEFT)],
        orders=[AFRESH],
        due=True,
    ),
]


@pytest.mark.parametrize("case", ORDERED, ids=lambda case: case.fact)
def test_orders_decide_what_is_due_and_what_counts(case: Case) -> None:
    status = case.status()

    assert (status.state, status.due, status.outcome) == (case.state, case.due, case.outcome)
    assert case.reason in status.reason
    assert not (case.orders == [HOLD] and (status.due or status.due_at))


def test_a_job_that_is_refused_again_and_again_is_given_up_whatever_became_of_it_before() -> None:
    refused = [member(f"r{n}", handle=None, refused=True) for n in range(5)]
    for attempts in ([STOPPED], [DEAD]):
        ends = [member(FIRST, end=LEFT if attempts == [STOPPED] else BY_9)]

        def status(count: int, attempts: Any = attempts, ends: Any = ends) -> JobStatus:
            facts = JobFacts("j", tuple(attempts), (*ends, *refused[:count]))
            return status_of(facts, Standing(), {}, NOW + 10_000)

        assert (status(4).due, status(5).due, status(5).given_up) == (True, False, True)


def preempted(*starts: tuple[int, int], cluster: ClusterProfile | None = None) -> JobStatus:
    """By the steps from which each start went on and which it saved last."""
    attempts = [
        attempt(f"t{n}", n, running=False, from_step=begin, saved=saved)
        for n, (begin, saved) in enumerate(starts, start=1)
    ]
    members = [member(one.start.token, POOL_GONE, cluster=cluster) for one in attempts]
    facts = JobFacts("j", tuple(attempts), tuple(members))
    return status_of(facts, Standing(), {}, NOW)


def test_a_site_may_say_how_often_and_how_soon_what_its_places_end_goes_on() -> None:
    site = ClusterProfile.from_plain(
        {
            "name": "a",
            "partitions": {"p": {}},
            "reasons": {"node": {"retries": 0, "back_off_s": 60}},
        }
    )

    gained, lost = preempted((-1, 50), cluster=site), preempted((50, 50), cluster=site)

    assert (gained.due, gained.due_at) == (False, NOW - 5 + 60)
    assert lost.given_up
    assert preempted((-1, 50)).due
    assert preempted(*[(50, 50)] * 4).due
    assert preempted(*[(50, 50)] * 5).given_up
    assert preempted((50, 60), *[(60, 60)] * 4).due


def test_starts_of_one_member_that_its_place_began_again_count_each() -> None:
    attempts = [
        attempt(FIRST, n, running=False, from_step=50, saved=50 if n == 5 else -1)
        for n in range(1, 6)
    ]

    def status(count: int) -> JobStatus:
        facts = JobFacts("j", tuple(attempts[:count]), (member(FIRST, POOL_GONE),))
        return status_of(facts, Standing(), {}, NOW)

    assert (status(4).due, status(5).given_up) == (True, True)


def test_what_a_retried_job_was_given_up_for_spends_no_budget_of_its_next_starts() -> None:
    members = tuple(member(name, BY_9) for name in ("t1", "t2", "t3", "t4"))

    def status(*spent: str) -> JobStatus:
        standing = standing_orders([Order(what="retry", jobs=["j"], tokens=[*spent])])
        return status_of(JobFacts("j", (), members), standing, {}, NOW + 10_000)

    assert (status().tries, status().given_up) == (4, True)
    assert (status("t1", "t2").tries, status("t1", "t2").due) == (2, True)
    assert (status("t1", "t2", "t3", "t4").tries, status("t1", "t2", "t3", "t4").due) == (0, True)


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        ("exception", (WRONG, EXIT_1)),
        ("gpu_memory", (RAISED, EXIT_1)),
        ("killed", (DEAD, BY_9)),
        ("killed", (None, BY_9)),
        ("crashed", (DEAD, end(signal=11))),
        ("exit", (None, end(exit_code=3))),
        ("import", (None, EXIT_1)),
        ("gpu", (BROKEN, EXIT_1)),
        ("vanished", (DEAD, None)),
    ],
)
def test_a_failure_is_due_until_the_budget_of_its_kind_is_spent(
    kind: str, one: tuple[Attempt | None, End | None]
) -> None:
    seen: Sightings = {}
    due = []
    for times in range(1, RULES[kind].retries + 3):
        names = [f"t{n}" for n in range(times)]
        attempts = [
            replace(one[0], number=n + 1, start=replace(one[0].start, token=name))
            for n, name in enumerate(names)
            if one[0]
        ]
        members = [member(name, one[1]) for name in names if one[1]]
        facts = JobFacts("j", tuple(attempts), tuple(members))
        status = status_of(facts, Standing(), seen, NOW + 10_000)
        assert (status.state, status.kind, status.tries) == (State.FAILED, kind, times)
        assert status.given_up is not status.due
        due.append(status.due)

    retries = RULES[kind].retries
    assert due == [True] * retries + [False, False]


def test_a_failure_is_due_after_a_while_that_doubles_with_each_of_its_kind() -> None:
    names, ended = ("t1", "t2", "t3"), NOW - 5
    for times, wait in ((1, 30), (2, 60)):
        facts = JobFacts("j", (), tuple(member(name, BY_9) for name in names[:times]))
        before, after = (status_of(facts, Standing(), {}, ended + wait + late) for late in (-1, 0))

        assert (before.due, before.due_at, before.given_up) == (False, ended + wait, False)
        assert (after.due, after.due_at) == (True, None)


def test_an_end_in_the_future_by_a_clock_that_is_ahead_is_waited_for_no_longer() -> None:
    facts = JobFacts("j", (), (member("t1", end(signal=9, time=NOW + 3600)),))

    assert status_of(facts, Standing(), {}, NOW).due_at == NOW + RULES["killed"].back_off_s


def test_a_start_that_gained_a_checkpoint_spends_no_budget() -> None:
    fruitful = [attempt(f"t{n}", n, running=False, from_step=10 * n) for n in range(1, 8)]
    fruitless = [replace(one, from_step=10) for one in fruitful]
    last = replace(fruitless[-1], saved=20)

    def tries(attempts: Sequence[Attempt]) -> tuple[int, bool]:
        members = tuple(member(one.start.token, BY_9) for one in attempts)
        status = status_of(JobFacts("j", tuple(attempts), members), Standing(), {}, NOW + 10_000)
        return status.tries, status.due

    assert tries(fruitful) == (1, True)
    assert tries(fruitless[:3]) == (3, False)
    assert tries([*fruitless[:2], last]) == (2, True)
    assert tries([replace(last, number=1)]) == (0, True)


def test_what_says_stop_stops_whatever_was_gained() -> None:
    gained = replace(RAISED, from_step=10, saved=20)

    status = status_of(
        JobFacts("j", (gained,), (member("t1", EXIT_1),)), Standing(), {}, NOW + 10_000
    )

    assert (status.kind, status.tries, status.given_up) == ("gpu_memory", 0, True)


def test_neither_preemptions_nor_failures_of_another_kind_spend_a_budget() -> None:
    ends = [POOL_GONE, POOL_GONE, POOL_GONE, end(signal=11), BY_9]
    names = [f"t{n}" for n in range(len(ends) + 2)]
    attempts = [attempt(name, n + 1, running=False) for n, name in enumerate(names)]
    attempts[5] = replace(attempts[5], ending=Ending.STOPPED)
    members = [member(n, e) for n, e in zip(names, [*ends, LEFT, None], strict=True)]
    seen = {("t6", 0): Sighting(Sight.ENDED)}

    facts = JobFacts("j", tuple(attempts), tuple(members))

    assert status_of(facts, Standing(), seen, NOW + 60) == JobStatus(
        "j",
        State.FAILED,
        reason=RULES["vanished"].meaning,
        due=True,
        kind="vanished",
        tries=1,
    )


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"detail": "reached its time limit (TIMEOUT on node1)"}, "time"),
        ({"exit_code": 79}, "time"),
        ({"detail": "a node failed (NODE_FAIL on node1)"}, "node"),
        ({"detail": "its pool is gone"}, "node"),
        (
            {"detail": "slurmstepd-node2: error: *** STEP 7.0 ON node2 CANCELLED AT 2026 ***"},
            "node",
        ),
        ({"detail": "preempted (PREEMPTED on node1)"}, "preempted"),
        ({"exit_code": 75}, "preempted"),
    ],
)
def test_why_a_place_ended_a_start_has_a_kind_too(how: dict[str, Any], kind: str) -> None:
    facts = JobFacts("j", (STOPPED,), (member("t1", end(by_place=True, **how)),))

    status = status_of(facts, Standing(), {}, NOW)

    assert (status.state, status.kind, status.due) == (State.PREEMPTED, kind, True)
    assert RULES[kind].retries


def test_an_attempt_is_live_until_something_proves_that_it_is_not() -> None:
    alive = (
        (LIVE, None),
        (attempt(running=True), None),
        (attempt(heartbeat=NOW - LIVE_S), None),
        (attempt(heartbeat=NOW + 60), None),
    )
    dead = (
        (FINISHED, None),
        (STOPPED, None),
        (DEAD, None),
        (SILENT, None),
        (LIVE, EXIT_1),
        (LIVE, end(time=BEGAN)),
        (replace(LIVE, start=replace(LIVE.start, time=BEGAN + 0.7)), end(time=BEGAN)),
    )

    assert all(is_live(one, how, NOW) for one, how in alive)
    assert not any(is_live(one, how, NOW) for one, how in dead)


tokens = st.sampled_from(["t1", "t2", "t3"])
ends = st.none() | st.builds(
    End,
    time=st.sampled_from([BEGAN - 1, NOW - 5]),
    started=st.booleans(),
    by_place=st.booleans(),
    exit_code=st.none() | st.sampled_from([0, 1, 75]),
    signal=st.none() | st.sampled_from([9, 11, 15, 40]),
)
some_attempts = st.lists(
    st.builds(
        attempt,
        tokens,
        ending=st.none() | st.sampled_from(Ending),
        errors=st.sampled_from([(), (OOM,)]),
        heartbeat=st.sampled_from([NOW - 10, NOW - 1000]),
        running=st.sampled_from([None, True, False]),
    ),
    max_size=4,
).map(lambda found: [replace(one, number=n) for n, one in enumerate(found, 1)])
some_members = st.lists(
    st.builds(
        member,
        tokens,
        ends,
        handle=st.sampled_from([None, "h"]),
        refused=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda one: one.token,
)
sightings = st.dictionaries(
    st.tuples(tokens, st.just(0)),
    st.one_of(st.just(WAITS), st.just(RUNS), st.builds(Sighting, st.just(Sight.ENDED), ends)),
)
standings = st.lists(
    st.builds(
        Order,
        who=st.just("ann"),
        what=st.sampled_from(["cancel", "hold", "retry", "afresh"]),
        jobs=st.just(["j"]),
        tokens=st.lists(st.sampled_from([FIRST, SECOND]), max_size=2),
    ),
    max_size=2,
).map(standing_orders)


@given(some_attempts, some_members, sightings, standings)
def test_a_live_attempt_is_never_anything_but_done_or_running(
    attempts: list[Attempt], members: list[Member], seen: Sightings, standing: Standing
) -> None:
    facts = JobFacts("j", (*attempts, attempt("t9", len(attempts) + 1)), tuple(members))

    status = status_of(facts, standing, seen, NOW)

    assert status.state in (State.DONE, State.RUNNING)
    assert not status.due


@given(some_attempts, some_members, sightings, standings)
def test_an_unanswered_member_never_becomes_due(
    attempts: list[Attempt], members: list[Member], seen: Sightings, standing: Standing
) -> None:
    facts = JobFacts("j", tuple(attempts), (member("t9"), *members))

    status = status_of(facts, standing, seen, NOW)

    assert not status.due
    assert status.state in (State.DONE, State.RUNNING, State.QUEUED, State.UNKNOWN)


@given(some_attempts, some_members, sightings, standings)
def test_nothing_is_due_against_a_standing_order_or_beside_a_start_under_way(
    attempts: list[Attempt], members: list[Member], seen: Sightings, standing: Standing
) -> None:
    facts = JobFacts("j", tuple(attempts), tuple(members))

    status = status_of(facts, standing, seen, NOW)

    if status.due:
        assert not standing.keeps("j")
        assert status.state in (State.PREEMPTED, State.FAILED, State.PLANNED)
        sights = {
            seen[m.token, m.index].sight
            for m in members
            if not m.refused and not m.end and (m.token, m.index) in seen
        }
        assert not {s for s in sights if s is not Sight.ENDED}


def test_what_keeps_ending_well_before_its_worker_claims_the_job_is_given_up() -> None:
    for times, due in ((2, True), (3, False)):
        members = tuple(member(f"t{n}", LEFT) for n in range(times))

        status = status_of(JobFacts("j", (), members), Standing(), {}, NOW)

        assert (status.state, status.due) == (State.PLANNED, due)
        assert status.reason == f"{times} place(s) ended before a worker claimed it"


def test_what_is_refused_again_and_again_is_given_up_with_the_places_words() -> None:
    for times, due in ((1, True), (4, True), (5, False)):
        status = status_of(JobFacts("j", (), (REFUSED_FOR,) * times), Standing(), {}, NOW)

        assert (status.state, status.due) == (State.PLANNED, due)
        assert status.reason == "refused: no such QOS"
    taken = (*(REFUSED_FOR,) * 5, member("t9", NEVER_STARTED))
    assert status_of(JobFacts("j", (), taken), Standing(), {}, NOW).due
