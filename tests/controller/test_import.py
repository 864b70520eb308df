"""A study that comes from another root changes nothing that is here."""

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.place import FakePlace, attempt
from fakes.slurm import submission

from orchestrator.config import RunConfig
from orchestrator.controller import merge
from orchestrator.controller.export import export
from orchestrator.controller.import_ import Fate, Plan
from orchestrator.controller.merge import import_study
from orchestrator.controller.select import select
from orchestrator.controller.survey import survey
from orchestrator.controller.watch import sweeps_to_tend, tend, tend_all
from orchestrator.errors import BusyError, OrchestrateError, RootError, SpecError
from orchestrator.jobs.archive import open_archive, packing
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting
from orchestrator.jobs.facts import End, Ending, read_attempts
from orchestrator.jobs.files import to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, read_orders, write_order
from orchestrator.jobs.records import form_of, write_job
from orchestrator.jobs.state import State
from orchestrator.jobs.store import REVISION_SCHEMA, create_root, write_revision
from orchestrator.jobs.submissions import (
    SCHEMA,
    Submission,
    write_intent,
    write_outcomes,
    write_submitted,
)

CONFIGS = {
    name: RunConfig.from_plain({"data": {"name": "digits"}, "seed": seed})
    for seed, name in enumerate(("a", "b", "c", "d"))
}
IDS = {name: job_id(config) for name, config in CONFIGS.items()}
LONG_AGO = time.time() - 10 * LIVE_S


@dataclass
class Lab:
    """A root in which sweep s, or another, was launched."""

    root: Root
    submissions: list[Submission] = field(default_factory=list)

    def launch(self, *names: str, sweep: str = "s", **more: Any) -> Submission:
        forms = {n: form_of(CONFIGS[n]) for n in names}
        shape = {"placement": {"device": "cpu"}, "resources": {"partition": "cpu"}}
        jobs = [
            {"id": IDS[n], "name": n, "axes": {"seed": CONFIGS[n].seed}, "shape": 0, "form": form}
            for n, form in forms.items()
        ]
        told = {"schema": REVISION_SCHEMA, "name": sweep, "study": "gates", "question": ""}
        told |= {"executor": "fake", "max_parallel": None, "data_root": "/d", "cluster": None}
        told |= {"snapshot": "c0de", "shapes": [shape], "jobs": jobs, **more}
        write_revision(self.root, sweep, told)
        ids = [IDS[name] for name in names]
        one = submission(*ids, executor="fake", names=list(names), forms=[*forms.values()])
        write_submitted(write_intent(self.root, one, ""), "h")
        self.submissions.append(one)
        return one

    def start(self, name: str, ending: Ending | None = None, code: int | None = None) -> None:
        """The newest member of the job starts it; ``code``: that of its end, which is stored."""
        one = next(s for s in reversed(self.submissions) if IDS[name] in s.jobs)
        write_job(self.root, IDS[name], CONFIGS[name])
        number = len(self.root.job(IDS[name]).attempt_numbers()) + 1
        folder = attempt(self.root, IDS[name], one, number, ending)
        folder.environment.write_text("{}")
        folder.usage(0).write_text("{}")
        with JournalWriter(folder.journal, Header(IDS[name], number, None, 10)) as journal:
            journal.point(10, 1, {"val/top1": float(number)})
        for path in folder.path.iterdir():
            os.utime(path, (LONG_AGO, LONG_AGO))
        if code is not None:
            self.end(one, name, code)

    def end(self, one: Submission, name: str, code: int) -> None:
        told = {"index": one.jobs.index(IDS[name]), "time": LONG_AGO + 5, "started": True}
        write_outcomes(self.root.submission(one.token), [{**told, "exit_code": code}])

    def states(self) -> dict[str, str]:
        found = survey(self.root, list(IDS.values())).statuses
        return {name: found[job].state.value for name, job in IDS.items()}

    def exported(self, name: str = "s", **how: Any) -> Path:
        path = self.root.path.parent / f"{name}-{len(list(self.root.path.parent.iterdir()))}.tar.gz"
        export(self.root, name, path, checkpoints=how.get("checkpoints", False))
        return path

    def take(self, path: Path) -> Plan:
        return import_study(self.root.path, open_archive(path))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> FakePlace:
    return FakePlace(monkeypatch)


@pytest.fixture
def there(tmp_path: Path, place: FakePlace) -> Lab:
    """Of sweep s a is done, b failed, c runs, d waits."""
    lab = Lab(create_root(tmp_path / "there" / "runs"))
    lab.launch("a", "b", "c", "d")
    lab.start("a", Ending.FINISHED, 0)
    lab.start("b", Ending.ERROR, 1)
    lab.start("c")
    return lab


@pytest.fixture
def here(tmp_path: Path, place: FakePlace) -> Lab:
    return Lab(create_root(tmp_path / "here" / "runs"))


def files(root: Root) -> dict[str, bytes]:
    """All of a root that is not a lease, a memory or its name."""
    found = (path for path in root.path.rglob("*") if path.is_file())
    named = {str(path.relative_to(root.path)): path for path in found}
    left_out = ("root.json", "cache/", "lease/")
    return {n: path.read_bytes() for n, path in named.items() if not n.startswith(left_out)}


def test_what_had_ended_is_as_it_was_and_of_what_had_not_nobody_knows(
    there: Lab, here: Lab, place: FakePlace
) -> None:
    plan = here.take(there.exported())

    assert there.states()["b"] == "FAILED"
    assert here.states() == {"a": "DONE", "b": "FAILED", "c": "UNKNOWN", "d": "UNKNOWN"}
    assert here.root.job(IDS["a"]).attempt(1).environment.read_text() == "{}"
    assert here.root.job(IDS["a"]).attempt(1).usage(0).read_text() == "{}"
    assert plan.open == {IDS["c"]: "UNKNOWN", IDS["d"]: "UNKNOWN"}
    assert read_attempts(here.root.job(IDS["c"]))[0].heartbeat == pytest.approx(LONG_AGO, abs=1)
    assert plan.counts == {Fate.NEW: 4}


def test_an_end_that_only_the_place_knew_is_in_the_file(
    there: Lab, here: Lab, place: FakePlace
) -> None:
    seen = Sighting(Sight.ENDED, End(LONG_AGO + 9, started=True, signal=9))
    place.seen = {(there.submissions[0].token, 2): seen}
    file = there.exported()
    place.seen = {}
    here.take(file)

    assert here.states()["c"] == "FAILED"
    assert not [n for n in files(there.root) if "outcomes-003" in n], "export writes nothing"


def test_an_imported_sweep_is_tended_by_nobody_until_it_is_launched_here(
    there: Lab, here: Lab, place: FakePlace
) -> None:
    here.take(there.exported())
    assert sweeps_to_tend(here.root, []) == []
    assert tend_all(here.root, []).settled
    with pytest.raises(SpecError, match=r"'s' was imported.*launch its file"):
        sweeps_to_tend(here.root, ["s"])
    tend(here.root, "s")
    handed = [job for one in place.submissions for job in one.jobs]

    assert not {IDS["a"], IDS["c"], IDS["d"]} & set(handed)
    here.launch("a", "b")
    assert sweeps_to_tend(here.root, []) == ["s"]


def test_a_second_import_writes_nothing(there: Lab, here: Lab) -> None:
    write_order(there.root, Order(what="cancel", jobs=[IDS["d"], "f" * 32]))
    file = there.exported()
    here.take(file)
    before = files(here.root)
    plan = here.take(file)

    assert plan.counts == {Fate.SAME: 4}
    assert files(here.root) == before
    assert [order.jobs for order in read_orders(here.root)] == [[IDS["d"]]]
    assert here.states()["d"] == "UNKNOWN"


def test_an_import_into_the_root_it_came_from_changes_nothing_and_restores_what_is_lost(
    there: Lab,
) -> None:
    file, before = there.exported(), files(there.root)
    there.take(file)
    assert files(there.root) == before
    shutil.rmtree(there.root.job(IDS["a"]).path)
    assert there.states()["a"] == "UNKNOWN"
    there.take(file)

    assert there.states()["a"] == "DONE"
    assert files(there.root) == before


def test_a_job_that_was_trained_here_otherwise_is_left_alone_and_so_is_its_state(
    there: Lab, here: Lab
) -> None:
    here.launch("a", "c", question="another")
    here.start("a", Ending.ERROR, 1)
    here.start("c", Ending.ERROR, 1)
    write_order(there.root, Order(what="cancel", jobs=list(IDS.values())))
    mine = {name: content for name, content in files(here.root).items() if "jobs/" in name}
    before = {name: state for name, state in here.states().items() if name in "ac"}
    plan = here.take(there.exported())

    assert plan.counts == {Fate.OTHER: 2, Fate.NEW: 2}
    assert plan.other_sweeps == ["s"]
    assert {n: c for n, c in files(here.root).items() if n in mine} == mine
    assert before == {"a": "FAILED", "c": "FAILED"}
    assert here.states() == {**before, "b": "CANCELLED", "d": "UNKNOWN"}
    assert read_orders(here.root)[0].jobs == [IDS["b"], IDS["d"]]


def test_a_job_that_waits_here_is_left_alone_by_what_another_root_decided_and_submitted(
    there: Lab, here: Lab, place: FakePlace
) -> None:
    """Neither root has an attempt of d, and here b was not even submitted."""
    mine = here.launch("d", sweep="mine")
    place.seen = {(mine.token, 0): Sighting(Sight.WAITING)}
    write_job(here.root, IDS["b"], CONFIGS["b"])
    there.launch("b", "d")
    shutil.rmtree(there.root.job(IDS["b"]).attempts)
    for what in ("cancel", "hold"):
        write_order(there.root, Order(what=what, jobs=[IDS["b"], IDS["d"]]))
    file = there.exported()

    for _ in range(2):
        plan = here.take(file)
        assert {plan.fates[IDS["b"]], plan.fates[IDS["d"]]} == {Fate.OTHER}
        assert read_orders(here.root) == []
        assert (here.states()["b"], here.states()["d"]) == ("PLANNED", "QUEUED")
        members = survey(here.root, [IDS["d"]]).facts[IDS["d"]].members
        assert [member.token for member in members if not member.end] == [mine.token]


def test_of_a_job_that_was_submitted_in_neither_root_each_decides_for_itself(
    there: Lab, here: Lab
) -> None:
    for lab in (there, here):
        lab.launch("b", sweep="planned")
        shutil.rmtree(lab.root.path / "submissions")
        shutil.rmtree(lab.root.job(IDS["b"]).attempts, ignore_errors=True)
    write_order(there.root, Order(what="cancel", jobs=[IDS["b"]]))
    plan = here.take(there.exported("planned"))

    assert plan.counts == {Fate.SAME: 1}
    assert (there.states()["b"], here.states()["b"]) == ("CANCELLED", "PLANNED")


def test_an_imported_job_that_was_launched_here_is_no_longer_the_other_root_s_to_cancel(
    there: Lab, here: Lab
) -> None:
    here.take(there.exported())
    here.launch("b")
    write_order(there.root, Order(what="cancel", jobs=[IDS["b"]]))
    plan = here.take(there.exported())

    assert plan.fates[IDS["b"]] is Fate.OTHER
    assert read_orders(here.root) == []


def test_an_import_that_was_killed_between_two_jobs_completes_and_decides_nothing_twice(
    there: Lab, here: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_order(there.root, Order(what="cancel", jobs=[IDS["c"], IDS["d"], "f" * 32]))
    file = there.exported()
    whole = Lab(create_root(tmp_path / "whole" / "runs"))
    whole.take(file)

    def killed(stage: Path, root: Root, names: list[str], check: Any) -> None:
        publish(stage, root, [n for n in names if IDS["d"] not in n], check)
        if names[0].startswith("jobs/"):
            raise KeyboardInterrupt

    publish = merge._publish
    with monkeypatch.context() as once:
        once.setattr(merge, "_publish", killed)
        with pytest.raises(KeyboardInterrupt):
            here.take(file)
    plan = here.take(file)

    assert plan.counts == {Fate.SAME: 3, Fate.NEW: 1}
    assert without_mark(here.root) == without_mark(whole.root)
    assert (here.states()["d"], whole.states()["d"]) == ("UNKNOWN", "UNKNOWN")
    assert [order.jobs for order in read_orders(here.root)] == [[IDS["c"], IDS["d"]]]


def without_mark(root: Root) -> dict[str, bytes]:
    return {name: content for name, content in files(root).items() if "imported.json" not in name}


def test_a_sweep_that_was_launched_here_stays_this_root_s_when_it_comes_back_with_more(
    there: Lab, here: Lab
) -> None:
    here.take(there.exported())
    here.launch("a", "b", question="more?")
    before = without_mark(there.root)
    plan = there.take(here.exported())

    assert (plan.sweeps, plan.other_sweeps) == ({}, ["s"])
    assert sweeps_to_tend(there.root, ["s"]) == ["s"]
    assert {n: c for n, c in files(there.root).items() if "sweeps/" in n} == {
        n: c for n, c in before.items() if "sweeps/" in n
    }


def test_two_studies_that_share_jobs_bring_all_of_an_order_on_both(there: Lab, here: Lab) -> None:
    there.launch("a", "b", sweep="one", study="first")
    there.start("a", Ending.FINISHED, 0)
    there.launch("b", "c", sweep="two", study="second")
    there.start("c", Ending.FINISHED, 0)
    there.end(there.submissions[0], "c", 1)
    jobs = [IDS[name] for name in "abc"]
    last = {job: len(there.root.job(job).attempt_numbers()) for job in jobs}
    write_order(there.root, Order(what="afresh", jobs=jobs, last=last))
    held = Order(what="hold", jobs=[*jobs, IDS["d"]])
    write_order(there.root, held)
    write_order(there.root, Order(what="lift", jobs=jobs, lifts=[held.id]))
    one, two = there.exported("one"), there.exported("two")
    first, second = ({n for n in open_archive(f).files if "orders/" in n} for f in (one, two))
    assert (len(first), len(second), first & second) == (3, 3, set())
    for file in (one, two, one, two):
        here.take(file)

    standing = survey(here.root, jobs).standing
    assert standing.discarded == last
    assert standing.holds == {}
    assert len(read_orders(here.root)) == 6, "each file brought what the other could not"


def test_members_that_count_for_nothing_where_it_was_exported_tell_no_jobs_apart(
    there: Lab, here: Lab, tmp_path: Path
) -> None:
    here.launch("c", sweep="mine")
    here.start("c", Ending.ERROR, 1)
    here.take(there.exported())
    file, third = here.exported("mine"), Lab(create_root(tmp_path / "third" / "runs"))
    third.take(file)

    assert third.states()["c"] == "FAILED"
    assert [lab.take(file).counts for lab in (third, here)] == [{Fate.SAME: 1}] * 2


def test_a_job_is_not_taken_when_its_start_counts_for_nothing_here(there: Lab, here: Lab) -> None:
    """It was left alone once; taken now it would look as if nobody were at it."""
    here.launch("c", sweep="mine")
    here.start("c", Ending.ERROR, 1)
    file = there.exported()
    here.take(file)
    shutil.rmtree(here.root.job(IDS["c"]).path)
    plan = here.take(file)

    assert plan.fates[IDS["c"]] is Fate.OTHER
    assert here.states()["c"] == "UNKNOWN"


def test_what_ended_since_the_last_import_is_told_to_a_root_that_knows_the_submission(
    there: Lab, here: Lab
) -> None:
    here.take(there.exported())
    there.end(there.submissions[0], "c", 1)
    plan = here.take(there.exported())

    assert plan.counts == {Fate.SAME: 4}
    assert here.states() == {"a": "DONE", "b": "FAILED", "c": "FAILED", "d": "UNKNOWN"}


def test_further_revisions_are_added_to_an_imported_sweep(there: Lab, here: Lab) -> None:
    here.take(there.exported())
    there.launch("a", "b", question="more?")
    plan = here.take(there.exported())

    assert [number for number, _ in plan.sweeps["s"]] == [2]
    assert sweeps_to_tend(here.root, []) == []


@pytest.mark.parametrize("key", ["content_hash", "layout_hash"])
def test_another_dataset_of_the_name_is_refused_before_anything_is_written(
    there: Lab, here: Lab, key: str
) -> None:
    record = {"schema": 1, "name": "digits", "content_hash": "c" * 64, "layout_hash": "l" * 64}
    for lab, more in ((there, {}), (here, {key: "d" * 64})):
        lab.root.dataset("digits").parent.mkdir()
        lab.root.dataset("digits").write_bytes(to_json({**record, **more}))
    before, file = files(here.root), there.exported()
    if key == "layout_hash":
        assert "mixed data" in here.take(file).warnings[0]
        return

    with pytest.raises(OrchestrateError, match=r"'digits' .* content c{12}, .* d{12} .*--root"):
        here.take(file)
    assert files(here.root) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"schema_version": SCHEMA + 1}, rf"has version {SCHEMA + 1}; .* up to {SCHEMA}\."),
        ({"executor": "moon"}, r"executor 'moon', but .* knows only local, ray, slurm"),
        ({"jobs": 3}, r"intent\.json is damaged: jobs"),
    ],
    ids=["a newer version", "an unknown place", "a damaged one"],
)
def test_a_record_that_this_program_cannot_read_is_refused_before_a_root_is_made(
    there: Lab, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    told = json.loads(there.root.submission(there.submissions[0].token).intent.read_bytes())
    archive = open_archive(there.exported())
    strange = tmp_path / "strange.tar.gz"
    with packing(strange, archive.about) as packer:
        for name, content in archive.records.items():
            packer.add(name, to_json({**told, **more}) if "intent" in name else content)

    with pytest.raises(RootError, match=words):
        import_study(tmp_path / "new", open_archive(strange))
    assert not (tmp_path / "new").exists()


def test_a_study_brings_all_its_sweeps_and_a_sweep_only_itself(there: Lab, here: Lab) -> None:
    there.launch("b", sweep="t")
    here.take(there.exported("t"))
    assert [path.name for path in here.root.path.glob("sweeps/*")] == ["t"]
    assert [*here.root.job_folders()] == [IDS["b"]]
    here.take(there.exported("gates"))

    assert sorted(path.name for path in here.root.path.glob("sweeps/*")) == ["s", "t"]
    assert here.states()["a"] == "DONE"


def test_checkpoints_come_only_if_asked_for_and_only_the_newest(there: Lab, here: Lab) -> None:
    saved = there.root.job(IDS["b"]).checkpoints
    for name in ("001-000000010", "002-000000005", ".tmp-x"):
        (saved / name).mkdir(parents=True)
        (saved / name / "state.pt").write_bytes(name.encode())
    weights = there.root.job(IDS["b"]).weights / "001-000000010"
    weights.mkdir(parents=True)
    (weights / "weights.pt").write_bytes(b"w")
    here.take(there.exported())
    assert not here.root.job(IDS["b"]).checkpoints.exists()
    assert not here.root.job(IDS["b"]).weights.exists()
    shutil.rmtree(here.root.path)
    here.take(there.exported(checkpoints=True))

    job = here.root.job(IDS["b"])
    assert [path.name for path in job.checkpoints.iterdir()] == ["001-000000010"]
    assert (job.weights / "001-000000010" / "weights.pt").read_bytes() == b"w"


def test_a_submission_that_is_just_being_handed_over_is_waited_for(there: Lab) -> None:
    there.root.submission(there.submissions[0].token).submitted.unlink()

    with pytest.raises(BusyError, match="no answer from its place yet"):
        there.exported()
    assert not list(there.root.path.parent.glob("*.tar.gz"))


def test_a_file_that_is_there_is_not_written_over(there: Lab) -> None:
    path = there.exported()

    with pytest.raises(SpecError, match="is there already"):
        export(there.root, "s", path, checkpoints=False)
    assert State.DONE in {*there.states().values()}


def test_jobs_that_an_imported_submission_has_beside_the_study_s_are_none_of_this_root_s(
    there: Lab, here: Lab
) -> None:
    there.launch("d", sweep="t", study="other")
    here.take(there.exported("t"))

    assert {job.id for job in select(here.root, None)} == {IDS["d"]}
    with pytest.raises(SpecError, match="Nothing under"):
        select(here.root, IDS["a"])
