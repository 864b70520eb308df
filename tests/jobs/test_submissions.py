import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.errors import RootError
from orchestrator.jobs.facts import End, read_submissions, recorded_ends
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.submissions import (
    SCHEMA,
    Submission,
    read_absences,
    read_handle,
    read_outcomes,
    write_absences,
    write_intent,
    write_outcomes,
    write_refused,
    write_submitted,
)

Race = Callable[[Callable[[int], int], int], list[int]]
SUBMITTED = "t"


def submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "executor": "local",
        "jobs": ["a", "b"],
        "names": ["lr=1", "lr=2"],
        "placement": Placement(ranks=2),
        "max_parallel": 1,
        "snapshot": "0123",
        "python": "/usr/bin/python",
        "data_root": "/data",
        "owner": "ann",
    }
    return Submission(**{**fields, **changes})


@pytest.fixture
def folder(root: Root) -> SubmissionFolder:
    return write_intent(root, submission(token=SUBMITTED), "#!/bin/sh\n")


def test_an_intent_is_read_back_and_submissions_come_oldest_first(root: Root) -> None:
    late, early = submission(created=9.0), submission(created=5.0)
    for one in (late, early):
        folder = write_intent(root, one, "#!/bin/sh\necho é \udcff\n")

    assert read_submissions(root) == [early, late]
    assert folder.script.read_bytes() == b"#!/bin/sh\necho \xc3\xa9 \xff\n"
    assert folder.logs.is_dir()


def test_a_token_is_used_once(root: Root, folder: SubmissionFolder) -> None:
    with pytest.raises(FileExistsError):
        write_intent(root, submission(token=SUBMITTED, owner="bob"), "")

    assert Submission.read(folder).owner == "ann"


def test_a_submission_has_a_handle_once_it_was_taken_and_the_first_one_stays(
    folder: SubmissionFolder,
) -> None:
    assert read_handle(folder) is None
    write_submitted(folder, "h1")
    write_submitted(folder, "h2")

    assert read_handle(folder) == "h1"


def test_a_refusal_is_final_whatever_stands_beside_it(folder: SubmissionFolder) -> None:
    write_refused(folder, "no such partition")
    write_submitted(folder, "h1")

    assert read_handle(folder) is None
    assert json.loads(folder.refused.read_bytes())["why"] == "no such partition"


def test_ends_are_stored_and_read_back(root: Root, folder: SubmissionFolder) -> None:
    first = {"index": 0, "time": 5.0, "started": True, "exit_code": 1, "detail": "oh"}
    newer = {"index": 1, "time": 6.0, "started": True, "by_place": True, "steps_gained": 7}
    write_outcomes(folder, [first])
    write_outcomes(folder, [newer])

    assert read_outcomes(folder) == [first, newer]
    assert recorded_ends(root, "t") == {
        0: End(5.0, started=True, exit_code=1, detail="oh"),
        1: End(6.0, started=True, by_place=True),
    }


def test_two_who_store_ends_at_once_replace_nothing(
    root: Root, folder: SubmissionFolder, race: Race
) -> None:
    def work(i: int) -> int:
        for turn in range(10):
            write_outcomes(folder, [{"index": 10 * i + turn, "time": 1.0, "started": True}])
        return 0

    assert race(work, 3) == [0, 0, 0]
    assert recorded_ends(root, "t").keys() == set(range(30))


def test_ends_are_added_where_an_earlier_file_is_missing(folder: SubmissionFolder) -> None:
    paths = [write_outcomes(folder, [{"index": i}]) for i in range(3)]
    paths[0].unlink()
    write_outcomes(folder, [{"index": 3}])

    assert [outcome["index"] for outcome in read_outcomes(folder)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda _: b"", "Expecting value"),
        (lambda content: content[:-20], "Unterminated|Expecting"),
        (lambda content: content.replace(b'"jobs"', b'"jbos"'), "jobs: Field required"),
        (lambda _: b"\xff\xff\xff", "decode"),
    ],
)
def test_a_damaged_intent_is_an_error_that_names_it(
    root: Root, folder: SubmissionFolder, damage: Callable[[bytes], bytes], fault: str
) -> None:
    folder.intent.write_bytes(damage(folder.intent.read_bytes()))

    with pytest.raises(RootError, match=rf"t/intent.json is damaged: .*({fault})"):
        read_submissions(root)


def test_a_damaged_answer_is_an_error_that_names_it(folder: SubmissionFolder) -> None:
    folder.submitted.write_bytes(b"{}")
    Path(folder.path / "outcomes-001.json").write_bytes(b'{"outcomes": [')

    with pytest.raises(RootError, match=r"submitted.json is damaged"):
        read_handle(folder)
    with pytest.raises(RootError, match=r"outcomes-001.json is damaged"):
        read_outcomes(folder)


def test_an_intent_of_schema_1_is_read_with_no_cluster_and_nothing_asked_of_one(
    folder: SubmissionFolder,
) -> None:
    plain = json.loads(folder.intent.read_bytes())
    old = {key: plain[key] for key in plain if key not in ("resources", "cluster")}
    folder.intent.write_text(json.dumps({**old, "schema_version": 1, "max_parallel": 3}))

    found = Submission.read(folder)

    assert (found.resources, found.cluster, found.max_parallel) == (Resources(), None, 3)
    assert found.jobs == ["a", "b"]


def test_an_intent_of_schema_2_is_read_with_no_epochs_kept(folder: SubmissionFolder) -> None:
    plain = json.loads(folder.intent.read_bytes())
    folder.intent.write_text(json.dumps({**plain, "schema_version": 2}))

    assert Submission.read(folder).placement == Placement(ranks=2)


def test_an_intent_says_no_more_than_older_code_reads_unless_epochs_are_kept(root: Root) -> None:
    none, some = submission(), submission(placement=Placement(keep_epochs=(3,)))
    intents = [write_intent(root, one, "").intent.read_bytes() for one in (none, some)]

    plain, keeping = (json.loads(intent) for intent in intents)
    assert (plain["schema_version"], "keep_epochs" in plain["placement"]) == (2, False)
    assert (keeping["schema_version"], keeping["placement"]["keep_epochs"]) == (3, [3])
    assert Submission.read(root.submission(some.token)) == some


def test_an_intent_of_a_newer_schema_is_refused_with_both_numbers(
    folder: SubmissionFolder,
) -> None:
    plain = json.loads(folder.intent.read_bytes())
    folder.intent.write_text(json.dumps({**plain, "schema_version": SCHEMA + 1, "from_afar": 1}))

    with pytest.raises(RootError, match=rf"has version {SCHEMA + 1}; .* up to {SCHEMA}\. Use"):
        Submission.read(folder)


def test_what_is_asked_of_a_cluster_is_read_back(root: Root) -> None:
    cluster = ClusterProfile.from_plain({"name": "alpha", "partitions": {"gpu": {"time": "2d"}}})
    one = submission(cluster=cluster, resources=Resources(nodes=2, time="12h"), max_parallel=None)

    assert Submission.read(write_intent(root, one, "")) == one


def test_a_part_is_a_submission_of_its_own_and_the_whole_is_itself() -> None:
    one = submission(jobs=["a", "b", "c"], names=["x", "y", "z"])
    first, rest = one.part(0, 1), one.part(1, 3)

    assert one.part(0, 3) is one
    assert (first.jobs + rest.jobs, first.names + rest.names) == (one.jobs, one.names)
    assert len({one.token, first.token, rest.token}) == 3
    assert first.model_copy(update={"token": "", "jobs": [], "names": []}) == one.model_copy(
        update={"token": "", "jobs": [], "names": []}
    )


def test_since_when_members_are_missed_is_read_back_and_replaced(folder: SubmissionFolder) -> None:
    assert read_absences(folder) == {}
    write_absences(folder, {0: 5.5, 12: 7.0})
    assert read_absences(folder) == {0: 5.5, 12: 7.0}
    write_absences(folder, {})

    assert read_absences(folder) == {}
