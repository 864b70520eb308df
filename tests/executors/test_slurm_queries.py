import time
from pathlib import Path

import pytest
from fakes.slurm import CONFIG, FakeSlurm
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.executors import slurm_queries as queries
from orchestrator.executors.slurm_queries import (
    KEPT_VARIABLES,
    QUEUE_FIELDS,
    WHOLE,
    Cluster,
    NoAnswer,
    Row,
    ask,
    clean_environment,
    cluster,
    indices,
    my_members,
    parse_config,
    parse_queue,
    parse_records,
    queue,
    records,
)

BEGIN, END, NEVER = 1_795_175_571, 1_795_261_971, "N/A"
# As SLURM 22.05 printed them, without the blanks.
QUEUE = {
    f"1|2|o-abc|PENDING|JobArrayTaskLimit|0||{NEVER}|{NEVER}|0": Row(
        "1", 2, "o-abc", "PENDING", "JobArrayTaskLimit", restart=0
    ),
    f"1|0|o-abc|RUNNING|None|0|node1|{BEGIN}|{END}|0": Row(
        "1", 0, "o-abc", "RUNNING", "None", 0, "node1", BEGIN, END
    ),
    f"1|1|o-abc|CANCELLED|None|0|node1|{BEGIN}|1795175573|15": Row(
        "1", 1, "o-abc", "CANCELLED", "None", 0, "node1", BEGIN, 1_795_175_573, signal=15
    ),
    f"4|1|o-w|CANCELLED|None|0||{BEGIN}|{BEGIN}|0": Row(
        "4", 1, "o-w", "CANCELLED", "None", 0, "", BEGIN, BEGIN
    ),
    f"5|0|o-rq|PENDING|BeginTime|1||1795175731|{NEVER}|0": Row(
        "5", 0, "o-rq", "PENDING", "BeginTime", 1, start=1_795_175_731
    ),
    f"5|1|o-rq|FAILED|NonZeroExitCode|0|node2|{BEGIN}|{END}|768": Row(
        "5", 1, "o-rq", "FAILED", "NonZeroExitCode", 0, "node2", BEGIN, END, exit_code=3
    ),
    f"5|6|o-oom|OUT_OF_MEMORY|OutOfMemory|0|node2|{BEGIN}|{END}|125": Row(
        "5", 6, "o-oom", "OUT_OF_MEMORY", "OutOfMemory", 0, "node2", BEGIN, END, signal=125
    ),
    f"9|N/A|o-watch|PENDING|Dependency|0||{NEVER}|{NEVER}|0": Row(
        "9", WHOLE, "o-watch", "PENDING", "Dependency", restart=0
    ),
}
RECORDS = {
    f"1_0|o-abc|CANCELLED by 0|0:0|{BEGIN}|1795175573|node1": [
        Row("1", 0, "o-abc", "CANCELLED", "by 0", None, "node1", BEGIN, 1_795_175_573)
    ],
    "5_[2-3%2]|o-rq|PENDING|0:0|Unknown|Unknown|None assigned": [
        Row("5", index, "o-rq", "PENDING") for index in (2, 3)
    ],
    "4|allocation|CANCELLED by 0|0:0|1795175604|1795175604|None assigned": [
        Row("4", WHOLE, "allocation", "CANCELLED", "by 0", None, "", 1_795_175_604, 1_795_175_604)
    ],
    f"1_3|o-abc|FAILED|3:0|{BEGIN}|{END}|node[1-2]": [
        Row("1", 3, "o-abc", "FAILED", "", None, "node[1-2]", BEGIN, END, exit_code=3)
    ],
    f"1_4|o-abc|OUT_OF_MEMORY|0:125|{BEGIN}|{END}|node1": [
        Row("1", 4, "o-abc", "OUT_OF_MEMORY", "", None, "node1", BEGIN, END, signal=125)
    ],
}
GARBAGE = ("slurm_load_jobs: hm", "1|0|o-abc|RUNN", "\ufffd\ufffd", "<html>|" * 20)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path, monkeypatch)


def padded(line: str) -> str:
    cells = zip(line.split("|"), QUEUE_FIELDS.values(), strict=True)
    return "".join(f"{cell:<{width}}|" for cell, width in cells)


def test_a_line_of_squeue_is_a_member_and_all_of_them_are_read() -> None:
    assert [parse_queue(padded(line)) for line in QUEUE] == [[row] for row in QUEUE.values()]
    assert parse_queue("\n".join(map(padded, QUEUE))) == list(QUEUE.values())
    assert parse_queue("") == []


def test_a_line_of_sacct_is_a_member_or_several_that_wait_or_a_whole_array() -> None:
    assert [parse_records(line) for line in RECORDS] == list(RECORDS.values())
    assert parse_records("") == []


@pytest.mark.parametrize("line", GARBAGE)
def test_an_answer_that_cannot_be_read_is_none_instead_of_one_that_lacks_members(line: str) -> None:
    for parse, good in (
        (parse_queue, padded(next(iter(QUEUE)))),
        (parse_records, next(iter(RECORDS))),
    ):
        with pytest.raises(NoAnswer):
            parse(f"{good}\n{line}\n")


parts = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1])), min_size=1
)


@given(parts, st.sampled_from(["{}", "[{}]", "[{}%7]", "{}%1"]))
def test_members_are_expanded_as_slurm_writes_them(
    ranges: list[tuple[int, int]], written: str
) -> None:
    text = ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)

    found = list(indices(written.format(text)))

    assert found == [index for a, b in ranges for index in range(a, b + 1)]


def test_no_member_is_no_number() -> None:
    assert [list(indices(text)) for text in ("", "N/A", "(null)", "[]")] == [[], [], [], []]


def test_a_surrounding_job_or_a_users_habits_do_not_reach_slurms_commands(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    habits = ["SBATCH_PARTITION", "SQUEUE_FORMAT", "SLURM_JOB_ID", "SACCT_FORMAT", "SCANCEL_STATE"]
    habits += ["SRUN_DEBUG", "SALLOC_QOS", "SINFO_ALL", "SLURM_CLUSTERS"]
    kept = {"SLURM_CONF": "/etc/s.conf", "PATH": "/bin", "MY_SLURM_NOTES": "1", "HOME": "/root"}

    clean = clean_environment({**dict.fromkeys(habits, "x"), **kept, "SLURM_JWT": "j"})

    assert clean == {**kept, "SLURM_JWT": "j", "SLURM_TIME_FORMAT": "%s", "LC_ALL": "C"}
    assert {"SLURM_CONF"} < KEPT_VARIABLES
    for name in ("SLURM_JOB_ID", "SLURM_CONF"):
        monkeypatch.setenv(name, "here")
    ask("srun")
    told = slurm.environment("srun")
    assert "SLURM_JOB_ID" not in told
    assert (told["SLURM_CONF"], told["SLURM_TIME_FORMAT"]) == ("here", "%s")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"code": 1, "errors": "slurm_load_jobs  error:\n down\n"}, "slurm_load_jobs error: down"),
        ({"code": 3}, "exit code 3"),
        ({"code": 1, "lines": ["said aloud"]}, "said aloud"),
        ({"lines": ["1|0|"], "errors": "squeue: error: half of it is missing"}, "half of it"),
    ],
)
def test_a_command_that_failed_is_no_answer_even_at_exit_code_0(
    slurm: FakeSlurm, answer: dict, words: str
) -> None:
    slurm.answer("squeue", *answer.pop("lines", ()), **answer)

    with pytest.raises(NoAnswer, match=f"^squeue: .*{words}"):
        ask("squeue")


def test_a_warning_is_no_failure(slurm: FakeSlurm) -> None:
    slurm.answer("squeue", "7", errors="squeue: warning: old configuration")

    assert ask("squeue") == "7\n"


def test_a_command_that_hangs_or_is_missing_is_no_answer(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "ANSWER_S", 0.2)
    slurm.answer("squeue", after_s=20)
    began = time.monotonic()

    with pytest.raises(NoAnswer, match="squeue did not answer within"):
        ask("squeue")
    with pytest.raises(NoAnswer, match="this machine has no sdiag-of-old"):
        ask("sdiag-of-old")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("storage", "accounting"),
    [
        ("accounting_storage/slurmdbd", True),
        ("accounting_storage/none", False),
        ("(null)", False),
    ],
)
def test_the_configuration_tells_name_largest_array_and_accounting(
    storage: str, *, accounting: bool
) -> None:
    config = CONFIG.format(accounting=storage, name="alpha")

    assert parse_config(config) == Cluster("alpha", max_array=100, accounting=accounting)


@pytest.mark.parametrize("answer", ["", "Slurmctld(primary) at alpha is DOWN\n"])
def test_a_configuration_without_a_name_is_no_answer_and_is_asked_for_again(
    slurm: FakeSlurm, answer: str
) -> None:
    slurm.answer("scontrol", answer)
    with pytest.raises(NoAnswer, match="scontrol"):
        cluster()
    slurm.is_cluster("beta")

    assert cluster().name == "beta"


def test_the_cluster_is_asked_once_and_again_only_where_it_did_not_answer(slurm: FakeSlurm) -> None:
    slurm.answer("scontrol", code=1)
    with pytest.raises(NoAnswer):
        cluster()
    slurm.is_cluster()

    assert [cluster().name, cluster().name] == ["alpha", "alpha"]
    assert len(slurm.calls("scontrol")) == 2


def test_squeue_is_asked_for_every_state_and_field_of_the_names(slurm: FakeSlurm) -> None:
    slurm.answer("squeue", *map(padded, QUEUE))

    assert queue({"o-b", "o-a"}) == list(QUEUE.values())
    (words,) = slurm.calls("squeue")
    assert {"--array", "--states=all", "--noheader", "--name=o-a,o-b"} < set(words)
    fields = next(word for word in words if word.startswith("--Format=")).removeprefix("--Format=")
    assert fields == ",".join(f"{field}:{width}|" for field, width in QUEUE_FIELDS.items())


def test_sacct_is_told_since_when_and_of_which_arrays_or_names(slurm: FakeSlurm) -> None:
    slurm.answer("sacct", *RECORDS)

    assert len(records(since=1795175571.9, arrays=["1", "5"])) == 6
    records(since=0, names=["o-a", "o-b"])

    first, second = slurm.calls("sacct")
    assert {"--starttime=uts1795175571", "--jobs=1,5", "--parsable2", "--allocations"} < set(first)
    assert {"--starttime=uts0", "--name=o-a,o-b"} < set(second)


def test_every_member_of_this_user_counts_against_its_limit(slurm: FakeSlurm) -> None:
    slurm.answer("squeue.me", "o-abc", "o-abc", "my other job")

    assert my_members() == ["o-abc", "o-abc", "my other job"]
