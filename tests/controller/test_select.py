import pytest
from support.pool_bench import Bench

from orchestrator.controller.select import select, select_one
from orchestrator.errors import SpecError
from orchestrator.jobs.store import write_revision


@pytest.fixture
def named(bench: Bench) -> Bench:
    """Sweep one: points a and b; sweep two: b, another job, and c; one's first revision: d.

    They are the study both.
    """
    revisions = {
        "one": [{"d": "dddd1111"}, {"a": "aaaa1111", "b": "bbbb1111"}],
        "two": [{"b": "bbbb2222", "c": "aaaa1111"}],
    }
    for sweep, contents in revisions.items():
        for points in contents:
            jobs = [{"id": id_, "name": name} for name, id_ in points.items()]
            write_revision(bench.root, sweep, {"study": "both", "jobs": jobs})
            for id_ in points.values():
                record = bench.root.job(id_).record
                record.parent.mkdir(parents=True, exist_ok=True)
                record.write_text("{}")
    return bench


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (None, ["aaaa1111", "bbbb1111", "bbbb2222", "dddd1111"]),
        ("one", ["aaaa1111", "bbbb1111"]),
        ("both", ["aaaa1111", "bbbb1111", "bbbb2222"]),
        ("a", ["aaaa1111"]),
        ("one/b", ["bbbb1111"]),
        ("two/b", ["bbbb2222"]),
        ("bbbb", ["bbbb1111", "bbbb2222"]),
        ("dddd11", ["dddd1111"]),
    ],
)
def test_a_text_means_a_study_a_sweep_a_point_or_the_beginning_of_ids(
    named: Bench, text: str | None, ids: list[str]
) -> None:
    assert [job.id for job in select(named.root, text)] == ids


def test_a_job_that_the_sweep_dropped_is_called_by_its_id(named: Bench) -> None:
    assert select_one(named.root, "dddd1111").name == "dddd1111"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b", r"several sweeps \(one, two\).*one/b"),
        ("aaa", "Nothing .* 'aaa'. Sweeps there: one, two; studies: both;"),
        ("three", "Nothing .* 'three'"),
    ],
)
def test_what_means_nothing_or_too_much_is_refused_with_what_there_is(
    named: Bench, text: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        select(named.root, text)


def test_one_job_must_be_meant_where_one_is_shown(named: Bench) -> None:
    with pytest.raises(SpecError, match=r"'one' means 2 jobs \(a, b"):
        select_one(named.root, "one")


def test_a_job_that_waits_is_meant_though_no_sweep_has_it_any_more_and_it_has_no_folder(
    bench: Bench,
) -> None:
    bench.script("a", "wait")
    bench.script("b", "wait")
    bench.orchestrate("launch", str(bench.sweep("a", "b", "c")))  # two at a time
    waits = bench.id_of("c")
    bench.orchestrate("launch", str(bench.sweep("a", "b")))

    assert not bench.root.job(waits).path.exists()
    assert waits in {job.id for job in select(bench.root, None)}
    assert select_one(bench.root, waits[:8]).id == waits
