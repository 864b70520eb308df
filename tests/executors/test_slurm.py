import re
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile, queue_line, record_line, submission, submitted

from orchestrator.errors import Refused, Unclear
from orchestrator.executors import slurm_script
from orchestrator.executors.slurm import SlurmExecutor
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_outcomes

BEGIN, END = "1795175571", "1795261971"
NODE = {"NodeList": "node1", "StartTime": BEGIN, "EndTime": END}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "site", monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


@pytest.fixture
def place(root: Root) -> SlurmExecutor:
    return SlurmExecutor(root)


def sights(place: SlurmExecutor, *submissions: Submission) -> dict[str, Sight]:
    """What is seen, by the members' names."""
    seen = place.observe(submissions).seen
    names = {(s.token, n): name for s in submissions for n, name in enumerate(s.names)}
    return {names[member]: sighting.sight for member, sighting in seen.items()}


def only(place: SlurmExecutor, one: Submission) -> Sighting:
    """What is seen of the only member, without trouble."""
    observation = place.observe([one])
    assert observation.troubles == ()
    return observation.seen[one.token, 0]


# Looking


def test_what_a_complete_answer_lacks_is_absent(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b", "c"))
    slurm.answer("squeue", queue_line(one, 0, "PENDING"), queue_line(one, 1, "RUNNING", **NODE))
    before = time.time() - 1

    observation = place.observe([one])

    assert observation.troubles == ()
    assert sights(place, one) == {"a": Sight.WAITING, "b": Sight.RUNNING, "c": Sight.ABSENT}
    assert all(before < seen.asked < time.time() + 1 for seen in observation.seen.values())


@pytest.mark.parametrize("command", ["scontrol", "squeue"])
@pytest.mark.parametrize(
    "fault",
    [
        {"code": 1, "errors": "Unable to contact slurm controller (connect failure)"},
        {"errors": "error: the answer was cut short"},
    ],
)
def test_without_an_answer_nothing_is_seen_and_one_trouble_says_so(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, command: str, fault: dict[str, Any]
) -> None:
    one = submitted(root, submission("a", "b"))
    slurm.answer(command, queue_line(one, 0, "RUNNING"), **fault)

    observation = place.observe([one])

    assert observation.seen == {}
    (trouble,) = observation.troubles
    assert trouble.startswith(f"SLURM did not answer ({command}: ")
    assert fault["errors"] in trouble


def test_an_answer_that_is_cut_short_makes_nobody_absent(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b"))
    slurm.answer("squeue", queue_line(one, 0, "RUNNING"), queue_line(one, 1, "PENDING")[:200])

    observation = place.observe([one])

    assert Sight.ABSENT not in {seen.sight for seen in observation.seen.values()}
    assert len(observation.troubles) == 1


def test_what_the_queue_has_no_more_accounting_tells(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b", "c", "d", created=1_000_000.0))
    slurm.answer("squeue", queue_line(one, 0, "RUNNING"))
    slurm.answer(
        "sacct",
        record_line(one, 0, "NODE_FAIL"),
        record_line(one, 1, "COMPLETED"),
        record_line(one, 2, "CANCELLED by 0", NodeList="None assigned"),
        record_line(one, 3, "RUNNING"),
    )

    observation = place.observe([one])

    seen = observation.seen
    assert [seen[one.token, n].sight for n in range(3)] == ["running", "ended", "ended"]
    assert (one.token, 3) not in seen, "accounting denies that it is gone: nobody knows"
    assert observation.troubles == (
        (
            "SLURM's queue lacks 1 job(s), such as 7_3, of which its accounting says that they "
            "have not ended"
        ),
    )
    assert seen[one.token, 1].end == End(1795175573, started=True, exit_code=0, node="node1")
    withdrawn = seen[one.token, 2].end
    assert withdrawn
    assert (withdrawn.cancelled, withdrawn.started, withdrawn.node) == (True, False, "")
    (words,) = slurm.calls("sacct")
    assert f"--starttime=uts{1_000_000 - 3600}" in words


def test_the_record_of_a_whole_array_that_never_started_speaks_for_each_member(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b", "c"), "4@alpha")
    whole = f"4|allocation|CANCELLED by 0|0:0|{BEGIN}|{BEGIN}|None assigned"
    slurm.answer("sacct", whole, record_line(one, 1, "FAILED", "4", ExitCode="2:0"))

    seen = place.observe([one]).seen

    ends = [seen[one.token, n].end for n in range(3)]
    assert [end and end.cancelled for end in ends] == [True, False, True]
    assert [end and end.started for end in ends] == [False, True, False]


def test_where_accounting_is_off_it_is_never_asked(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    slurm.is_cluster(accounting=False)
    one = submitted(root, submission("a"))

    assert sights(place, one) == {"a": Sight.ABSENT}
    assert place.find([one.token]) == {}
    assert slurm.calls("sacct") == []


def test_where_accounting_does_not_answer_only_what_it_was_asked_of_is_left_out(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b"))
    slurm.answer("squeue", queue_line(one, 0, "RUNNING"))
    slurm.answer("sacct", record_line(one, 1, "COMPLETED"), errors="sacct: error: slurmdbd is down")

    observation = place.observe([one])

    assert list(observation.seen) == [(one.token, 0)]
    (trouble,) = observation.troubles
    assert trouble == ("SLURM's accounting did not answer (sacct: sacct: error: slurmdbd is down)")


def test_one_look_is_one_question_to_the_queue_and_one_to_accounting_for_all(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    many = [submitted(root, submission("a", "b"), f"{n}@alpha") for n in range(20)]

    assert len(place.observe(many).seen) == 40
    asked = [call[0] for call in slurm.calls()]
    assert sorted(asked) == ["sacct", "scontrol", "squeue"]
    place.observe(many)
    assert [call[0] for call in slurm.calls()[3:]] == ["squeue", "sacct"]


def test_members_whose_end_is_stored_are_not_asked_about(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b"))
    write_outcomes(root.submission(one.token), [{"index": 0, "time": 5.0, "started": True}])

    assert sights(place, one) == {"b": Sight.ABSENT}


def test_somebody_elses_members_are_seen_but_never_missed_for_slurm_may_hide_them(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b", "c", owner="somebody else"))
    slurm.answer("squeue", queue_line(one, 0, "RUNNING"))
    slurm.answer("sacct", record_line(one, 1, "COMPLETED"))

    assert sights(place, one) == {"a": Sight.RUNNING, "b": Sight.ENDED}
    assert place.observe([one]).troubles == ()


def test_of_another_clusters_jobs_nothing_is_claimed_and_nobody_else_is_asked(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    ours, theirs = submission("a"), submission("b", "c")
    submitted(root, ours, "7@alpha")
    submitted(root, theirs, "7@beta")
    slurm.answer("squeue", queue_line(ours, 0, "RUNNING"), queue_line(theirs, 0, "COMPLETED"))

    observation = place.observe([ours, theirs])

    assert list(observation.seen) == [(ours.token, 0)]
    assert observation.troubles == (
        (
            "2 job(s) are on cluster 'beta', but SLURM on this machine is that of 'alpha'; "
            "look from there"
        ),
    )
    (words,) = slurm.calls("squeue")
    assert f"--name=o-{ours.token}" in words


def test_the_queue_is_not_asked_for_everybodys_jobs_where_none_of_ours_are_here(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    theirs = submitted(root, submission("b"), "7@beta")

    assert place.observe([theirs]).seen == {}
    assert slurm.calls("squeue") == []


@pytest.mark.parametrize("command", ["squeue", "sacct"])
def test_a_state_that_this_program_does_not_know_is_a_trouble_and_not_an_end(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, command: str
) -> None:
    one = submitted(root, submission("a"))
    line = queue_line if command == "squeue" else record_line
    slurm.answer(command, line(one, 0, "TELEPORTED"))

    observation = place.observe([one])

    assert observation.seen == {}
    (trouble,) = observation.troubles
    assert "TELEPORTED" in trouble


def test_a_requeued_member_waits_with_its_restart_its_reason_and_when_it_may_start(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a"))
    slurm.answer(
        "squeue",
        queue_line(one, 0, "PENDING", Reason="BeginTime", RestartCnt="1", StartTime="1795175731"),
    )

    seen = only(place, one)

    assert (seen.sight, seen.restart, seen.expected) == (Sight.WAITING, 1, 1795175731.0)
    assert seen.detail == "start 2: BeginTime: SLURM lets it begin again a little later"


@pytest.mark.parametrize(
    ("state", "code", "detail", "known"),
    [
        ("COMPLETED", "0", "", {"exit_code": 0}),
        ("FAILED", "768", "ImportError: torch", {"exit_code": 3}),
        ("FAILED", "11", "ImportError: torch", {"signal": 11}),
        (
            "CANCELLED",
            "15",
            "cancelled with scancel (CANCELLED on node1)",
            {"signal": 15, "cancelled": True},
        ),
        (
            "NODE_FAIL",
            "0",
            "a node failed (NODE_FAIL on node1)",
            {"exit_code": 0, "by_place": True},
        ),
        (
            "OUT_OF_MEMORY",
            "125",
            "out of memory on its node (OUT_OF_MEMORY on node1)",
            {"signal": 125, "kind": "memory"},
        ),
    ],
)
def test_an_end_tells_when_where_and_how_and_what_was_printed_last(
    slurm: FakeSlurm,
    root: Root,
    place: SlurmExecutor,
    *,
    state: str,
    code: str,
    detail: str,
    known: dict[str, Any],
) -> None:
    one = submitted(root, submission("a"))
    root.submission(one.token).member_log(0, 0).write_text("Traceback\nImportError: torch\n\n")
    slurm.answer("squeue", queue_line(one, 0, state, exit_code=code, **NODE))

    seen = only(place, one)

    assert seen.sight is Sight.ENDED
    assert seen.end == End(float(END), started=True, detail=detail, node="node1", **known)


@pytest.mark.parametrize("log", ["0-rank0.log", "0-batch.log"])
@pytest.mark.parametrize(
    ("words", "by_place"),
    [
        (
            "slurmstepd-node2: error: *** STEP 7.0 ON node2 CANCELLED AT 2026-11-21T10:12:51 ***",
            True,
        ),
        ("slurmstepd: error: *** JOB 7 ON node2 CANCELLED AT 2026 DUE TO NODE FAILURE ***", True),
        ("slurmstepd: error: Exceeded job memory limit", False),
        ("ValueError: CANCELLED", False),
    ],
)
def test_a_failure_that_is_slurms_own_doing_is_told_by_the_log(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, log: str, words: str, *, by_place: bool
) -> None:
    one = submitted(root, submission("a"))
    (root.submission(one.token).logs / log).write_text(f"epoch 3\n{words}\n")
    slurm.answer("squeue", queue_line(one, 0, "FAILED", exit_code="256", **NODE))

    end = only(place, one).end

    assert end
    assert (end.by_place, end.detail) == (by_place, words)


# Handing over


def test_sbatch_is_given_the_very_text_that_is_shown_without_a_surrounding_jobs_variables(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = submission("a", "b", max_parallel=1)
    folder = write_intent(root, one, place.render(one))
    (slurm.bin / "sbatch").unlink()
    (slurm.bin / "sbatch").write_text(
        f"#!/bin/sh\nenv > {slurm.bin}/env; cat $1 > {slurm.bin}/text; echo Submitted batch job 7\n"
    )
    (slurm.bin / "sbatch").chmod(0o755)
    monkeypatch.setenv("SBATCH_PARTITION", "wrong")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")

    assert place.submit(one) == "7@alpha"
    assert (slurm.bin / "text").read_text() == folder.script.read_text() == place.render(one)
    told = (slurm.bin / "env").read_text()
    assert "SBATCH_PARTITION" not in told
    assert "SLURM_CONF=/etc/slurm.conf" in told


WORDS = {
    "sbatch: error: Batch job submission failed: Invalid account or account/partition": Refused,
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy": Refused,
    "sbatch: error: invalid partition specified: gpux": Refused,
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv": Unclear,
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller": Unclear,
    "sbatch: error: slurm_receive_msg: Zero Bytes were transmitted or received": Unclear,
    "sbatch: error: Batch job submission failed: Communication connection failure": Unclear,
    "": Unclear,
}


@pytest.mark.parametrize("words", WORDS)
def test_a_no_of_sbatch_is_told_apart_from_no_answer(
    slurm: FakeSlurm,
    root: Root,
    place: SlurmExecutor,
    capfd: pytest.CaptureFixture[str],
    words: str,
) -> None:
    one = submission("a")
    write_intent(root, one, "")
    slurm.answer("sbatch", errors=words, code=1)

    with pytest.raises(WORDS[words]) as caught:
        place.submit(one)

    assert type(caught.value) is WORDS[words]
    assert words.removeprefix("sbatch: error: ") in str(caught.value)
    assert "sbatch" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("answer", ["", "Your order was heard\n"])
def test_a_yes_without_a_number_is_unclear(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, answer: str
) -> None:
    one = submission("a")
    write_intent(root, one, "")
    slurm.answer("sbatch", answer)

    with pytest.raises(Unclear, match="not with a job's number"):
        place.submit(one)


def test_an_sbatch_that_hangs_is_given_up_and_unclear(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_script, "SBATCH_S", 0.2)
    one = submission("a")
    write_intent(root, one, "")
    slurm.answer("sbatch", "Submitted batch job 7", after_s=20)

    with pytest.raises(Unclear, match="no answer"):
        place.submit(one)


def test_a_machine_without_sbatch_refuses(root: Root, place: SlurmExecutor, tmp_path: Path) -> None:
    one = submission("a")
    write_intent(root, one, "")
    with pytest.MonkeyPatch.context() as bare:
        (tmp_path / "tools").mkdir()
        for tool in ("env", "timeout"):
            (tmp_path / "tools" / tool).symlink_to(f"/usr/bin/{tool}")
        bare.setenv("PATH", str(tmp_path / "tools"))
        with pytest.raises(Refused, match=r"sbatch.*No such file"):
            place.submit(one)


# Finding


def test_what_squeue_or_else_accounting_knows_by_name_is_found(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    waits, over, never = (submission("a", created=at) for at in (9e6, 1e6, 9e6))
    for one in (waits, over, never):
        write_intent(root, one, "")
    slurm.answer("squeue", queue_line(waits, 0, "PENDING", "31"))
    slurm.answer("sacct", record_line(over, 0, "COMPLETED", "30"))

    found = place.find([waits.token, over.token, never.token])

    assert found == {waits.token: "31@alpha", over.token: "30@alpha"}
    (words,) = slurm.calls("sacct")
    assert f"--starttime=uts{1_000_000 - 3600}" in words
    names = next(word for word in words if word.startswith("--name="))
    assert set(names.removeprefix("--name=").split(",")) == {f"o-{s.token}" for s in (over, never)}


@pytest.mark.parametrize("command", ["scontrol", "squeue", "sacct"])
def test_a_partial_answer_finds_nobody_missing(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor, command: str
) -> None:
    one = submission("a")
    write_intent(root, one, "")
    slurm.answer(command, errors=f"{command}: error: down", code=1)

    with pytest.raises(Unclear, match=f"{command}: error: down"):
        place.find([one.token])


def test_an_intent_for_another_cluster_is_not_missed_here(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    theirs = submission("a", cluster=profile(name="beta"))
    write_intent(root, theirs, "")

    with pytest.raises(Unclear, match="beta"):
        place.find([theirs.token])


# Cancelling


def test_members_are_cancelled_by_slurms_names_in_one_call(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a", "b"), "7@alpha")
    two = submitted(root, submission("c"), "8@alpha")
    place.cancel([(one.token, 1), (two.token, 0)])

    assert slurm.calls("scancel") == [["--quiet", "7_1", "8_0"]]


def test_another_clusters_numbers_are_never_cancelled_here(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    ours = submitted(root, submission("a"), "7@alpha")
    theirs = submitted(root, submission("b"), "8@beta")

    (told,) = place.cancel([(ours.token, 0), (theirs.token, 0)])
    (alone,) = place.cancel([(theirs.token, 0)])

    assert told == alone
    assert "1 job(s) are on cluster 'beta', but SLURM on this machine is that of 'alpha'" in told
    assert slurm.calls("scancel") == [["--quiet", "7_0"]]


def test_a_cancel_that_was_not_heard_is_unclear_and_says_what_holds(
    slurm: FakeSlurm, root: Root, place: SlurmExecutor
) -> None:
    one = submitted(root, submission("a"))
    slurm.answer("scancel", errors="scancel: error: no controller", code=1)

    with pytest.raises(
        Unclear, match=r"1 job\(s\) \(scancel: .*no controller\)\. The order stands"
    ):
        place.cancel([(one.token, 0)])


# Checking


def test_a_shape_is_shown_to_sbatch_and_nothing_is_made(slurm: FakeSlurm, tmp_path: Path) -> None:
    place, one = SlurmExecutor(Root(tmp_path / "none yet/runs")), submission("a")
    slurm.answer("sbatch", errors="sbatch: Job 9 to start at 1795175571 using 1 processors")

    assert place.check(one) == []
    assert slurm.tested() == place.render(one)
    assert not (tmp_path / "none yet").exists()


def test_what_sbatch_says_of_a_shape_is_told(slurm: FakeSlurm, place: SlurmExecutor) -> None:
    slurm.answer("sbatch", errors="allocation failure: Invalid qos specification\n", code=1)

    assert place.check(submission("a")) == [
        "SLURM would not take it (sbatch: allocation failure: Invalid qos specification)"
    ]


REFUSED = {
    "no profile": ({"cluster": None}, "needs its profile: copy slurm/cluster.example.yaml"),
    "another cluster's": ({"cluster": profile(name="beta")}, "of 'beta', but .* that of 'alpha'"),
    "no such partition": ({"resources": {"partition": "cpx"}}, "no partition 'cpx'; nearest: cpu"),
    "too many GPUs": ({"placement": {"ranks": 9}, "resources": {}}, "9 GPUs per node"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_never_run_is_refused_before_sbatch_is_asked(
    slurm: FakeSlurm, place: SlurmExecutor, case: str
) -> None:
    changes, words = REFUSED[case]

    (refusal,) = place.check(submission("a", **changes))

    assert re.search(words, refusal)
    assert slurm.calls("sbatch") == []


@pytest.mark.parametrize("path", ["/x:y/runs", "/new\nline/runs"])
def test_a_root_that_no_script_or_module_path_can_hold_is_refused(
    slurm: FakeSlurm, path: str
) -> None:
    refusals = SlurmExecutor(Root(Path(path))).check(submission("a"))

    assert len(refusals) == 1
    assert "--root" in refusals[0]


# Admitting


def test_arrays_are_cut_to_what_slurm_and_the_profile_say(
    slurm: FakeSlurm, place: SlurmExecutor
) -> None:
    names = [f"j{n}" for n in range(150)]
    slurm.answer("squeue.me", *(f"9_{n}" for n in range(30)))

    def admitted(
        *, most: int | None = None, under_way: int = 0, reserved: int = 0, **changes: Any
    ) -> list[int]:
        one = submission(*names, max_parallel=most, cluster=profile(**changes))
        taken = place.admit([one], under_way=under_way, reserved=reserved, gpus=0)
        return [len(part.jobs) for part in taken.now]

    assert admitted(reserved=2) == [100, 50]
    assert admitted(max_array=70) == [70, 70, 10]
    assert admitted(most=1) == [100]
    assert admitted(most=3, under_way=3) == []
    assert slurm.calls("squeue.me") == []
    assert admitted(max_submit=80) == [50]
    assert admitted(max_submit=80, reserved=2) == [48]
    assert admitted(max_submit=20) == []


def test_what_cannot_be_asked_is_not_guessed(slurm: FakeSlurm, place: SlurmExecutor) -> None:
    slurm.answer("squeue.me", errors="squeue: error: down", code=1)

    one = submission("a", cluster=profile(max_submit=3))

    with pytest.raises(Unclear, match="how much it takes"):
        place.admit([one], under_way=0, reserved=0, gpus=0)


def test_a_member_is_called_as_slurm_calls_it(place: SlurmExecutor) -> None:
    assert place.member_handle("7@alpha", "0123456789ab", 3) == "7_3@alpha"
