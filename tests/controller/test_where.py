import pytest
from support.pool_bench import Bench

from orchestrator.controller.where import (
    LIVE,
    UNSTARTED,
    meant,
    meant_one,
    points_meant,
)
from orchestrator.errors import SpecError
from orchestrator.jobs.store import launched_revision, write_revision

TEXT = "seeds: [0, 1]\n"


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("optim.lr >= 2e-3 and seed == 1", ["b,seed=1", "c,seed=1"]),
        ("lr < 2e-3", ["a,seed=0", "a,seed=1"]),
        ("case in ['b', 'd'] and seed < 1", ["b,seed=0"]),
        ("name == 'c,seed=0'", ["c,seed=0"]),
        ("state == 'PLANNED' and attempts == epoch == 0 and name < 'a,seed=1'", ["a,seed=0"]),
        ("state != 'PLANNED' or outcome == 'finished' or reason != ''", []),
        ("older_code or gate != null or model.gate.bias != null", []),
        ("seed == 0 and data.name == 'digits' and epochs == 10 and lr > 2.5e-3", ["c,seed=0"]),
    ],
)
def test_where_asks_for_settings_cases_and_what_became_of_jobs(
    launched: Bench, where: str, names: list[str]
) -> None:
    assert [job.name for job in meant(launched.root, "s", where)] == names


def test_where_narrows_whatever_else_is_named(launched: Bench) -> None:
    first = meant(launched.root, None, None)[0]

    assert meant(launched.root, None, f"id == '{first.id}'") == [first]
    assert meant(launched.root, "a,seed=1", "seed == 0") == []
    assert len(meant(launched.root, "s", None)) == 6


def test_every_column_of_status_that_is_no_number_for_people_can_be_asked_for(
    launched: Bench,
) -> None:
    for name in LIVE:
        assert len(meant(launched.root, "s", f"{name} == {name}")) == 6


def test_a_job_whose_configuration_cannot_be_read_fulfils_nothing_of_it(launched: Bench) -> None:
    lost = {"id": "dead" * 8, "name": "lost"}
    revision = launched_revision(launched.root, "s")
    write_revision(launched.root, "s", {"jobs": [lost, *revision["jobs"]]})

    assert "lost" not in {job.name for job in meant(launched.root, "s", "not (lr > 1)")}
    assert [job.name for job in meant(launched.root, "s", "name == 'lost'")] == ["lost"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("stat == 'DONE'", "--where: column 1: stat is not a key here; nearest: state"),
        ("lrr > 3", "--where: column 1: lrr is not a key here; nearest: optim.lr"),
        (
            "every_epochs > 3",
            "--where: column 1: every_epochs may be probe.every_epochs or evaluation.every_epochs",
        ),
        ("state = 'DONE'", "--where: column 7: = 'DONE' cannot be read here; write =="),
        (
            "state == 'FAILED' or 'DONE'",
            "--where: column 22: 'DONE': 'DONE' is a text, neither true nor false; compare it (job",
        ),
        ("state > 3", "--where: column 1: state > 3: > takes two numbers or two texts, not 'PLANN"),
    ],
)
def test_a_condition_that_cannot_be_told_is_refused(
    launched: Bench, where: str, message: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        meant(launched.root, "s", where)

    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("s", "seed > 1", "--where holds for none of the 6 jobs of s"),
        (None, "seed > 1", "--where holds for none of the 6 jobs that there are"),
        ("s", "case == 'b'", r"--where holds for 2 jobs: b,seed=0 \(\w{8}\), b,seed=1 "),
        ("s", None, r"'s' means 6 jobs: a,seed=0 .*; name one of them"),
    ],
)
def test_where_one_job_is_wanted_none_and_several_are_refused_by_name(
    launched: Bench, text: str | None, where: str | None, told: str
) -> None:
    one = meant_one(launched.root, "s", "case == 'b' and seed == 1")

    assert one.name == "b,seed=1"
    with pytest.raises(SpecError, match=told):
        meant_one(launched.root, text, where)


def test_points_are_chosen_with_their_states_and_without_a_root(launched: Bench) -> None:
    sweep = launched.load("a", "b", "c", text=TEXT)
    nowhere = launched.folder / "nowhere"

    for root in (launched.root.path, nowhere):
        kept = points_meant(sweep, root, "lr > 1.5e-3 and seed == 0 and state == 'PLANNED'")
        assert [point.name for point in kept.points] == ["b,seed=0", "c,seed=0"]
        with pytest.raises(SpecError, match="holds for none of the 6 points of s"):
            points_meant(sweep, root, "attempts > 0")
    assert points_meant(sweep, nowhere, None) is sweep
    assert not nowhere.exists()
    assert UNSTARTED.keys() == {*LIVE}
