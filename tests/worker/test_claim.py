import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fakes.slurm import submission

from orchestrator.config import RunConfig
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.gather import gather, read_submissions
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.records import form_of, read_job, write_job
from orchestrator.jobs.submissions import write_intent, write_outcomes, write_refused
from orchestrator.worker import claim as claiming
from orchestrator.worker.claim import Claim, Membership, claim, wait_for_claim
from orchestrator.worker.place import Place
from orchestrator.worker.records import write_exit

ALONE = Place()
Submit = Callable[[], Membership]


def dead(attempt: AttemptFolder) -> None:
    """Make it look as if the attempt's process had been of a boot long ago."""
    start = json.loads(attempt.started.read_bytes())
    host, _, pid, began = start["process"].rsplit(":", 3)
    start["process"] = f"{host}:another-boot:{pid}:{began}"
    attempt.started.write_text(json.dumps(start))


def test_the_first_claim_is_attempt_one_and_says_who_where_and_with_what(member: Submit) -> None:
    me = member()

    attempt = claim(me, ALONE, 4711)

    assert isinstance(attempt, AttemptFolder)
    start = json.loads(attempt.started.read_bytes())
    assert attempt.number == 1
    assert (start["token"], start["index"], start["port"]) == (me.submission.token, 0, 4711)
    assert start["packages"].keys() >= {"python", "torch", "timm"}
    assert start["process"].split(":")[-2] == str(os.getpid())


def test_a_live_attempt_of_another_submission_is_left_alone(member: Submit) -> None:
    claim(member(), ALONE, 1)

    assert "attempt 1 is running" in claim(member(), ALONE, 2)


def test_a_restart_of_the_same_member_does_not_wait_for_its_former_self(member: Submit) -> None:
    me = member()
    claim(me, ALONE, 1)

    second = claim(me, Place(restart=1), 2)

    assert isinstance(second, AttemptFolder)
    assert second.number == 2


def test_a_dead_attempt_is_followed_by_the_next(member: Submit) -> None:
    dead(claim(member(), ALONE, 1))

    assert claim(member(), ALONE, 2).number == 2


def test_a_silent_attempt_on_another_host_counts_as_live_until_its_heartbeat_is_old(
    member: Submit,
) -> None:
    first = claim(member(), ALONE, 1)
    start = json.loads(first.started.read_bytes())
    start["process"] = "elsewhere:" + start["process"].split(":", 1)[1]
    first.started.write_text(json.dumps(start))

    assert isinstance(claim(member(), ALONE, 2), str)
    os.utime(first.started, (time.time() - 400, time.time() - 400))
    assert claim(member(), ALONE, 2).number == 2


@pytest.mark.parametrize("ending", [Ending.FINISHED, Ending.DIVERGED])
def test_a_job_that_is_done_is_not_claimed_again(member: Submit, ending: Ending) -> None:
    write_exit(claim(member(), ALONE, 1), ending)

    assert claim(member(), ALONE, 2) == "the job is done"


def test_a_job_that_stopped_or_failed_is_claimed_again(member: Submit) -> None:
    for number, ending in enumerate((Ending.STOPPED, Ending.ERROR), start=1):
        write_exit(claim(member(), ALONE, number), ending)

    assert claim(member(), ALONE, 9).number == 3


def test_a_cancelled_job_is_not_claimed_until_the_order_is_lifted(member: Submit) -> None:
    me = member()
    order = Order(what="cancel", jobs=[me.job])
    write_order(me.root, order)

    assert claim(me, ALONE, 1) == "the job was cancelled"
    write_order(me.root, Order(what="lift", jobs=[me.job], lifts=[order.id]))
    assert claim(me, ALONE, 1).number == 1


def test_a_held_job_is_not_claimed(member: Submit) -> None:
    me = member()
    write_order(me.root, Order(what="hold", jobs=[me.job]))

    assert claim(me, ALONE, 1) == "the job is held"


def test_a_job_that_is_done_and_to_begin_afresh_is_claimed_once_and_knows_what_to_discard(
    member: Submit,
) -> None:
    write_exit(claim(member(), ALONE, 1), Ending.FINISHED)
    me = member()
    write_order(me.root, Order(what="afresh", jobs=[me.job], last={me.job: 1}))

    second = claim(me, ALONE, 2)

    assert isinstance(second, AttemptFolder)
    assert Claim(me, ALONE, second, None).discarded == 1
    write_exit(second, Ending.FINISHED)
    assert claim(member(), ALONE, 3) == "the job is done"


def test_an_attempt_gets_no_number_of_one_that_was_discarded_and_is_gone(member: Submit) -> None:
    me = member()
    write_order(me.root, Order(what="afresh", jobs=[me.job], last={me.job: 3}))

    assert claim(me, ALONE, 1).number == 4


def test_a_job_that_is_alive_is_not_claimed_because_it_is_to_begin_afresh(member: Submit) -> None:
    me = member()
    claim(me, ALONE, 1)
    write_order(me.root, Order(what="afresh", jobs=[me.job], last={me.job: 1}))

    assert "attempt 1 is running" in claim(member(), ALONE, 2)


def test_a_worker_of_a_refused_submission_leaves(member: Submit) -> None:
    me = member()
    write_refused(me.root.submission(me.submission.token), "too late")

    assert claim(me, ALONE, 1) == "the submission counts as refused"


def test_of_many_workers_at_once_exactly_one_gets_the_job(member: Submit) -> None:
    members = [member() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda me: claim(me, ALONE, 1), members))

    assert sum(isinstance(one, AttemptFolder) for one in found) == 1


def test_the_other_ranks_find_the_attempt_of_their_own_start_only(
    member: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "WAIT_S", 0.3)
    me = member()
    first = claim(me, ALONE, 1)

    assert wait_for_claim(me, Place(rank=1, world=2)) == first
    assert "claimed nothing" in wait_for_claim(me, Place(rank=1, world=2, restart=1))
    assert "claimed nothing" in wait_for_claim(member(), Place(rank=1, world=2))


def test_the_first_claim_writes_the_job_s_record_from_what_launched_it_and_leaves_a_mark(
    root: Root, tiny: Callable[..., RunConfig]
) -> None:
    me = launched(root, tiny(optim__lr=0.25))
    assert not root.job(me.job).path.exists()

    claim(me, ALONE, 1)

    assert read_job(root, me.job) == tiny(optim__lr=0.25)
    assert json.loads(root.job(me.job).record.read_bytes())["id"] == me.job
    assert root.submission(me.submission.token).claim_mark(0).exists()


def test_a_record_that_is_lost_after_a_first_attempt_is_not_written_anew(
    root: Root, tiny: Callable[..., RunConfig]
) -> None:
    me = launched(root, tiny())
    dead(claim(me, ALONE, 1))
    root.job(me.job).record.unlink()

    claim(me, Place(restart=1), 2)

    assert not root.job(me.job).record.exists()


def test_a_record_of_another_configuration_stops_the_claim(
    root: Root, tiny: Callable[..., RunConfig]
) -> None:
    me = launched(root, tiny())
    write_job(root, me.job, tiny(optim__lr=0.25))

    with pytest.raises(OrchestrateError, match="holds another configuration"):
        claim(me, ALONE, 1)
    assert root.job(me.job).attempt_numbers() == []


@pytest.mark.parametrize("step", ["_write_record", "_mark", "publishing_folder"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_worker_that_is_killed_while_it_claims_leaves_a_job_that_is_whole_and_free(
    root: Root,
    tiny: Callable[..., RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    *,
    done: bool,
) -> None:
    first, second = launched(root, tiny()), launched(root, tiny())
    real = getattr(claiming, step)

    def killed(*words: Any) -> Any:
        if done and step != "publishing_folder":
            real(*words)
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(claiming, step, killed)
        with pytest.raises(KeyboardInterrupt):
            claim(first, ALONE, 1)
    gone = {"index": 0, "time": time.time(), "started": True, "signal": 9}
    write_outcomes(root.submission(first.submission.token), [gone])
    (facts,) = gather(root, [first.job], read_submissions(root)).values()
    claimed = claim(second, ALONE, 2)

    assert facts.fault == ""
    assert isinstance(claimed, AttemptFolder)
    assert claimed.number == 1
    assert read_job(root, first.job) == tiny()


def launched(root: Root, config: RunConfig) -> Membership:
    """A member of a submission as a launch makes it, which writes no record of the job."""
    job = job_id(config)
    one = submission(job, executor="local", cluster=None, forms=[form_of(config)])
    write_intent(root, one, "true\n")
    return Membership(root, one, 0)
