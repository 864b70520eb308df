"""What is known of jobs that share allocations, row by row, and what scancel is told of them."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.slurm import FakeSlurm, queue_line, submission, submitted

from orchestrator.executors.pool_log import PoolLogWriter, Pools
from orchestrator.executors.slurm import SlurmExecutor
from orchestrator.executors.slurm_packed import Packed
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.processes import this_process
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, take

NOW = 1e6
RUNS, WAITS = (
    Sighting(Sight.RUNNING, restart=1),
    Sighting(Sight.WAITING, detail="start 2: Priority"),
)
ABSENT = Sighting(Sight.ABSENT, asked=NOW)


def ended(**how: object) -> Sighting:
    known = {"time": NOW - 500, "started": True, "exit_code": 0, "node": "node1", **how}
    return Sighting(Sight.ENDED, End(**known), asked=NOW)  # type: ignore[arg-type]


LOST = ended(by_place=True, detail="a node failed (NODE_FAIL on node1)")
FAILED = ended(exit_code=1, detail="ModuleNotFoundError: No module named 'pydantic'")
TIMED = ended(exit_code=79)
SCANCEL = ended(cancelled=True, exit_code=None, signal=15, detail="cancelled with scancel")
MEMORY = ended(exit_code=None, signal=9, kind="memory", detail="out of memory on its node")
OWN = End(NOW - 900, started=True, signal=9)
NONE_STARTED = Pools()
# Member 0 ended, 1 runs in this start of its allocation, 2 ran in the one before, 3 was just taken.
POOLS = Pools(started={0: (0, 1), 1: (0, 1), 2: (0, 0)}, ended={0: OWN})
TAKEN = {0: 0, 1: 0, 2: 0, 3: 0}


def seen(
    index: int, *allocations: Sighting | None, pools: Pools = POOLS, count: int | None = None
) -> Sighting | None:
    """Member ``index`` of a submission with these allocations; None: SLURM did not speak of it."""
    told = {number: one for number, one in enumerate(allocations) if one is not None}
    taken = TAKEN if pools is POOLS else {}
    return Packed("7", taken, pools, told, count or len(allocations)).sighting(index)


def sights(*allocations: Sighting | None) -> list[Sight | None]:
    """Of the members 0 to 3, and of 4, which nobody has taken."""
    found = [seen(index, *allocations) for index in range(5)]
    return [one.sight if one else None for one in found]


E, R, W, A = Sight.ENDED, Sight.RUNNING, Sight.WAITING, Sight.ABSENT


@pytest.mark.parametrize(
    ("allocations", "expected"),
    [
        ((RUNS,), [E, R, W, W, W]),
        ((WAITS,), [E, W, W, W, W]),
        ((ABSENT,), [E, A, A, A, A]),
        ((LOST,), [E, E, E, E, E]),
        ((None,), [E, None, None, None, None]),
        # Who has it speaks for a member; of one that nobody has, whoever may still take it.
        ((LOST, RUNS), [E, E, E, E, W]),
        ((LOST, WAITS), [E, E, E, E, W]),
        ((LOST, ABSENT), [E, E, E, E, A]),
        ((LOST, None), [E, E, E, E, None]),
        ((None, RUNS), [E, None, None, None, W]),
        # SLURM had not said yet how often it started it.
        ((replace(RUNS, restart=None),), [E, R, R, W, W]),
    ],
)
def test_a_member_is_seen_through_its_allocation_and_its_pool(
    allocations: tuple[Sighting | None, ...], expected: list[Sight | None]
) -> None:
    assert sights(*allocations) == expected


def test_who_waits_in_a_running_allocation_is_told_where() -> None:
    taken, free = seen(3, RUNS), seen(4, LOST, RUNS)

    assert taken
    assert free
    assert (taken.detail, free.detail) == (
        "waits for a free place in 7_0",
        "waits for a free place in 7_1",
    )


@pytest.mark.parametrize(
    ("allocation", "index", "pools", "known"),
    [
        (LOST, 1, POOLS, {"started": True, "by_place": True, "exit_code": 0}),
        (TIMED, 1, POOLS, {"started": True, "by_place": True, "exit_code": 79}),
        (FAILED, 1, POOLS, {"started": True, "by_place": True}),
        (FAILED, 4, POOLS, {"started": False, "by_place": True}),
        (FAILED, 4, NONE_STARTED, {"started": True, "by_place": False, "exit_code": 1}),
        (SCANCEL, 1, POOLS, {"started": True, "cancelled": True, "by_place": False}),
        (SCANCEL, 4, POOLS, {"started": False, "cancelled": True, "by_place": False}),
        (MEMORY, 1, POOLS, {"started": True, "kind": "memory", "by_place": False}),
        (MEMORY, 3, POOLS, {"started": False, "by_place": True}),
    ],
)
def test_an_allocation_that_ends_was_the_place_of_what_it_held(
    allocation: Sighting, index: int, pools: Pools, known: dict[str, object]
) -> None:
    found = seen(index, allocation, pools=pools)

    assert found
    assert found.end
    assert {name: getattr(found.end, name) for name in known} == known
    own_doing = found.end.started and pools is NONE_STARTED
    assert found.end.detail.startswith("its allocation 7_0 ended: ") is not own_doing


def test_what_a_pool_that_left_in_order_wrote_last_is_awaited() -> None:
    just_now = ended(time=NOW - 5)

    assert seen(1, just_now) is None
    assert seen(4, just_now) is None
    assert seen(0, just_now) == Sighting(Sight.ENDED, OWN)
    assert seen(1, ended()) is not None


# The executor


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "site", monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


def packed(root: Root, *names: str, places: int = 2) -> Submission:
    resources = {"partition": "cpu", "jobs_per_allocation": places}
    return submitted(root, submission(*names, resources=resources))


def test_one_look_tells_of_every_member_whatever_its_number_and_names_its_allocation(
    slurm: FakeSlurm, root: Root
) -> None:
    place, one = SlurmExecutor(root), packed(root, *"abcdef", places=3)
    folder = root.submission(one.token)
    for index, allocation in ((0, 1), (1, 1), (4, 0)):
        take(folder, index, allocation)
    pool = PoolLogWriter(folder.allocation_pool(1, 0))
    pool.start(0, this_process(), ())
    pool.start(1, this_process(), ())
    pool.end(1, End(time.time(), started=True, exit_code=3, detail="last words"))
    node = {"NodeList": "node1"}
    slurm.answer("squeue", queue_line(one, 0, "PENDING"), queue_line(one, 1, "RUNNING", **node))

    observed = place.observe([one])

    names = {one.names[index]: sighting.sight for (_, index), sighting in observed.seen.items()}
    assert names == {"a": R, "b": E, "c": W, "d": W, "e": W, "f": W}
    assert observed.troubles == ()
    handles = [place.member_handle("7@alpha", one.token, index) for index in (0, 4, 5)]
    assert handles == ["7_1@alpha", "7_0@alpha", "7@alpha"]
    assert take(folder, 0, 0) is False


def test_slurm_ends_the_array_only_once_nobody_wants_anything_of_it(
    slurm: FakeSlurm, root: Root
) -> None:
    place, one = SlurmExecutor(root), packed(root, *"abcd")
    pool = PoolLogWriter(root.submission(one.token).allocation_pool(0, 0))
    pool.end(3, End(time.time(), started=True, exit_code=0))

    assert place.cancel([(one.token, 0), (one.token, 1)]) == []
    assert slurm.calls("scancel") == []
    write_order(root, Order(what="cancel", jobs=["a", "b"]))
    assert place.cancel([(one.token, 2)]) == []
    assert slurm.calls("scancel") == [["--quiet", "7"]]


def test_sbatch_is_shown_an_allocation_that_is_full(slurm: FakeSlurm, root: Root) -> None:
    asked = {"partition": "gpu", "jobs_per_allocation": 8, "jobs_per_gpu": 2, "mem_gb_per_node": 3}

    assert SlurmExecutor(root).check(submission("a", placement={}, resources=asked)) == []
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", slurm.tested(), re.MULTILINE))
    assert (options["gpus-per-node"], options["mem"]) == ("4", "24576M")
    assert (options["cpus-per-task"], options["array"]) == ("8", "0-0%1")
