"""How much a cluster takes at once: what sbatch says when it is full, and the budget of GPUs."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.rounds import Rounds

from orchestrator.controller.watch import tend
from orchestrator.errors import Refused
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.state import REFUSED_LIMIT, State

POLICY = (
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit "
    "limit, user's size and/or time limits)"
)
OWN = f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}"
SHARED = f"sbatch: error: QOSGrpSubmitJobsLimit\n{POLICY}"
TWELVE = tuple(f"{number:02d}" for number in range(12))


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(tmp_path, monkeypatch)


def answers(rounds: Rounds) -> list[bool]:
    """Of every refused submission, whether it was because the cluster was full."""
    found = rounds.root.path.glob("submissions/*/refused.json")
    return [json.loads(path.read_bytes()).get("full", False) for path in found]


@pytest.mark.parametrize("words", [OWN, SHARED, POLICY])
def test_where_nobody_wrote_a_limit_down_the_queue_is_filled_to_it_and_fed_as_room_comes(
    rounds: Rounds, words: str
) -> None:
    rounds.launched("s", *TWELVE)
    rounds.site.takes(5, words)
    first = rounds.round()
    assert rounds.open() == [*TWELVE[:5]]
    (note,) = first.notes
    assert note.startswith("the cluster takes no more jobs of yours now (")
    assert note.endswith("; 7 wait for room")
    tried = rounds.site.calls()["sbatch"]
    again = rounds.round()
    assert rounds.site.calls()["sbatch"] == tried, "what was learnt is not asked again"
    assert (again.settled, again.notes) == (False, (note,))
    while not rounds.round().settled:
        assert 1 <= len(rounds.open()) <= 5
        rounds.work(2)

    assert set(rounds.states(*TWELVE).values()) == {State.DONE}
    assert set(rounds.site.asked(rounds.root).values()) == {1}
    assert set(answers(rounds)) == {True}


def test_a_limit_that_rises_is_noticed_when_what_was_learnt_is_no_longer_believed(
    rounds: Rounds,
) -> None:
    rounds.launched("s", *TWELVE)
    rounds.site.takes(3, OWN)
    rounds.round()
    rounds.site.takes(None)
    rounds.round()
    assert len(rounds.open()) == 3
    room = rounds.root.room("alpha")
    known = json.loads(room.read_bytes())
    known["partitions"]["cpu"]["until"] = 0
    room.write_text(json.dumps(known))
    rounds.round()
    assert len(rounds.open()) == 4, "one more is tried"
    rounds.round()

    assert len(rounds.open()) == 12


@pytest.mark.parametrize("content", ["", "{", '{"schema": 9}', '{"schema": 1, "partitions": 3}'])
def test_what_was_learnt_may_be_lost_at_any_time(rounds: Rounds, content: str) -> None:
    rounds.launched("s", *TWELVE)
    rounds.site.takes(3, OWN)
    rounds.round()
    rounds.root.room("alpha").write_text(content)
    rounds.work(2)
    rounds.round()

    assert len(rounds.open()) == 3


def test_that_a_cluster_is_full_never_counts_against_a_job(rounds: Rounds) -> None:
    rounds.launched("s", "a")
    rounds.site.takes(0, SHARED)
    for _ in range(REFUSED_LIMIT + 2):
        assert not rounds.round().settled
        rounds.root.room("alpha").unlink()
    (status,) = rounds.round().found.statuses.values()
    assert (status.state, status.due) == (State.PLANNED, True)
    assert "waits to be submitted: the cluster takes no more jobs" in status.reason
    rounds.site.takes(None)
    rounds.root.room("alpha").unlink()
    rounds.round()

    assert rounds.open() == ["a"]


def test_a_refusal_that_an_older_program_wrote_counts_as_one(rounds: Rounds) -> None:
    rounds.launched("s", "a")
    for _ in range(REFUSED_LIMIT):
        rounds.site.takes(0, SHARED)
        tend(rounds.root, "s")
        rounds.root.room("alpha").unlink()
    for path in rounds.root.path.glob("submissions/*/refused.json"):
        path.write_text('{"why": "no such account", "time": 5.0}')

    look = rounds.round()
    assert look.settled
    assert "refused: no such account" in look.found.statuses["a"].reason


@pytest.mark.parametrize("words", [OWN, POLICY])
def test_a_limit_that_keeps_out_the_only_job_of_a_user_is_a_no(rounds: Rounds, words: str) -> None:
    rounds.launched("s", "a", "b")
    rounds.site.takes(0, words)

    with pytest.raises(Refused, match=r"job submit limit.*none of your jobs are in its queue"):
        rounds.round()
    assert sorted(answers(rounds)) == [False, True]


def test_a_slurm_that_is_busy_is_not_asked_again_and_again(rounds: Rounds) -> None:
    rounds.launched("s", *TWELVE)
    rounds.site.errs("sbatch", "busy")
    look = rounds.round()
    assert rounds.site.calls()["sbatch"] == 2, "it takes minutes to say so"
    assert "Resource temporarily unavailable" in look.notes[0]
    rounds.site.mended()
    rounds.root.room("alpha").unlink()
    rounds.round()

    assert rounds.open() == [*TWELVE]


def test_a_full_partition_does_not_keep_jobs_out_of_another(rounds: Rounds) -> None:
    rounds.launched("s", "a", "b")
    rounds.launched("t", "c", resources={"partition": "gpu"}, placement={"device": "cpu"})
    rounds.site.takes(0, SHARED)
    rounds.round("s", "t")
    rounds.site.takes(None)
    known = json.loads(rounds.root.room("alpha").read_bytes())["partitions"]
    assert known.keys() == {"cpu", "gpu"}
    del known["gpu"]
    rounds.root.room("alpha").write_text(json.dumps({"schema": 1, "partitions": known}))
    rounds.round("s", "t")

    assert rounds.open() == ["c"]


def test_parts_of_an_array_together_keep_to_what_the_sweep_may_run(rounds: Rounds) -> None:
    rounds.launched("s", *TWELVE, max_parallel=4)
    rounds.site.takes(7, OWN)
    rounds.round()

    taken = [s for s in read_submissions(rounds.root) if rounds.root.submission(s.token).submitted]
    handed = [s for s in taken if rounds.root.submission(s.token).submitted.exists()]
    assert sum(min(s.max_parallel or 99, len(s.jobs)) for s in handed) <= 4
    assert rounds.open()


# The budget of GPUs

TWO_GPUS = {"resources": {"partition": "gpu", "gpus_per_node": 2}}


@pytest.fixture
def frugal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(tmp_path, monkeypatch, max_gpus=7)


def test_all_sweeps_of_a_root_together_keep_to_the_budget_of_gpus(frugal: Rounds) -> None:
    frugal.launched("s", *"abcd", **TWO_GPUS)
    frugal.launched("t", *"efgh", resources={"partition": "gpu", "nodes": 2, "gpus_per_node": 1})
    frugal.launched("u", "x", "y")
    look = frugal.round("s", "t", "u")
    assert frugal.open() == [*"abcxy"], "without GPUs a job costs nothing"
    asked = "of the 7 GPUs that this run root may ask alpha for (max_gpus in its profile) {} are"
    assert [note.partition(" asked for; ")[0] for note in look.notes] == [
        asked.format(0),
        asked.format(6),
    ]
    assert [note.partition("; ")[2] for note in look.notes] == [
        "1 wait for room",
        "4 wait for room",
    ]
    while not look.settled:
        frugal.work(1)
        look = frugal.round("s", "t", "u")
        assert 2 * len([job for job in frugal.open() if job < "x"]) <= 7

    assert set(frugal.states(*"abcdefghxy").values()) == {State.DONE}


def test_jobs_of_a_sweep_that_nobody_watches_any_more_give_their_gpus_back(frugal: Rounds) -> None:
    frugal.launched("s", *"abc", **TWO_GPUS)
    frugal.launched("t", "d", **TWO_GPUS)
    frugal.round("s")
    frugal.round("t")
    assert frugal.open() == [*"abc"]
    for task in frugal.site.tasks():
        task.becomes("NODE_FAIL")
    frugal.round("t")

    assert frugal.open() == ["d"]


def test_an_allocation_that_jobs_share_costs_what_it_asks_for(frugal: Rounds) -> None:
    shared = {"partition": "gpu", "gpus_per_node": 2, "jobs_per_allocation": 4, "jobs_per_gpu": 2}
    frugal.launched("s", *"abcdef", resources=shared)
    frugal.launched("t", *"gh", **TWO_GPUS)
    frugal.round("s", "t")

    taken = [sorted(one.names) for one in read_submissions(frugal.root)]
    assert taken == [[*"abcd"], ["g"]]
    assert len(list(frugal.site.tasks())) == 2


def test_a_submission_of_which_it_is_not_known_whether_it_was_taken_counts(frugal: Rounds) -> None:
    frugal.launched("s", *"abc", **TWO_GPUS)
    frugal.site.errs("sbatch", "unheard")
    frugal.round("s")
    frugal.site.mended()
    frugal.site.errs("squeue", "down")
    frugal.launched("t", "d", **TWO_GPUS)
    frugal.round("t")
    assert frugal.open() == [*"abc"]

    (one,) = read_submissions(frugal.root)
    assert not frugal.root.submission(one.token).submitted.exists()


def test_a_job_that_alone_exceeds_the_budget_is_refused_with_the_numbers(frugal: Rounds) -> None:
    from orchestrator.config import ClusterProfile, Placement, Resources, refuse_on_cluster

    asked = Resources.from_plain({"partition": "gpu", "nodes": 2, "gpus_per_node": 4})
    profile = ClusterProfile.from_plain(frugal.profile)

    (refusal,) = refuse_on_cluster(profile, asked, Placement.from_plain({"ranks": 2}))

    assert "8 GPUs for one job (2 node(s) x 4)" in refusal
    assert "all jobs together ask for 7 (max_gpus)" in refusal


def test_two_watches_at_once_together_keep_to_the_budget(frugal: Rounds) -> None:
    frugal.launched("s", *"abcdef", **TWO_GPUS)
    frugal.launched("t", *"ghijkl", **TWO_GPUS)
    left = True
    with ThreadPoolExecutor(2) as both:
        while left:
            looks = list(both.map(frugal.round, ["s", "t"]))
            assert 2 * len(frugal.open()) <= 7
            frugal.work(2)
            left = not all(look.settled for look in looks)

    assert set(frugal.states(*"abcdefghijkl").values()) == {State.DONE}
    assert set(frugal.site.asked(frugal.root).values()) == {1}
