"""Tables of a root are what ``--json`` prints, typed; what is asked for wrongly is our error."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench

from orchestrator import OrchestrateError, Root, RootError, SpecError
from orchestrator.api import tables
from orchestrator.jobs.orders import read_orders


@pytest.fixture
def root(done: Bench) -> Root:
    return Root(done.root.path)


def printed(bench: Bench, *words: str) -> dict[str, Any]:
    return json.loads(bench.orchestrate(*words, "--json").stdout)  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_status_is_that_of_the_command_line_with_axes_and_metrics_as_columns(
    done: Bench, root: Root
) -> None:
    document = printed(done, "status", "s")
    table = root.status("s")

    assert table.attrs == {key: told for key, told in document.items() if key != "jobs"}
    assert [*table.index] == [job["id"] for job in document["jobs"]]
    assert [*table["case"]] == ["a", "b", "c"]
    assert table.loc[table.name == "a", "val/top1"].item() == 91.5
    assert math.isnan(table.set_index("name").loc["b", "train/loss"])
    for job in document["jobs"]:
        told = {k: v for k, v in job.items() if k not in ("id", "metrics") and v is not None}
        assert table.loc[job["id"], list(told)].to_dict() == told
        others = table.loc[job["id"]].drop([*told, "case", "seed", *job["metrics"]])
        assert others.isna().all()


@pytest.mark.slow
def test_columns_have_types_that_an_empty_table_has_too(root: Root) -> None:
    full, empty = root.status("s"), root.status("s", where="epoch > 99")

    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes[empty.columns].to_dict()
    assert (*empty.columns,) == tables.STATUS
    assert full.dtypes[["state", "epoch", "stale_s", "older_code", "val/top1"]].astype(
        str
    ).to_list() == ["str", "int64", "float64", "bool", "float64"]


@pytest.mark.slow
def test_results_failures_and_garbage_are_those_of_the_command_line(
    done: Bench, root: Root
) -> None:
    results = printed(done, "results", "s", "--also", "train/loss")
    table = root.results("s", also="train/loss")
    assert [*table.columns[:4]] == ["case", "n", "missing", "diverged"]
    assert table["mean"].iloc[0] == results["rows"][0]["mean"] == 91.5
    assert [*map(list, table.job_ids)] == [row["job_ids"] for row in results["rows"]]
    assert table.attrs == {key: results[key] for key in results if key != "rows"}

    failures = printed(done, "failures", "s")
    groups = root.failures("s")
    assert [*groups.message] == [group["message"] for group in failures["groups"]]
    assert [*groups.example] == [group["example"]["name"] for group in failures["groups"]]
    assert groups.attrs["rates"] == failures["rates"]

    garbage = printed(done, "gc")
    assert [*root.gc().what] == [row["what"] for row in garbage["rows"]]
    assert root.gc().attrs["kept"] == garbage["kept"]


@pytest.mark.slow
def test_usage_and_a_comparison_are_those_of_the_command_line(done: Bench, root: Root) -> None:
    usage = printed(done, "usage", "s", "--by", "optim.lr")
    table = root.usage("s", by="optim.lr")
    assert math.isnan(table.value[0])
    assert table.jobs.to_list() == [3, 1, 1, 1]
    assert table.value[1:].to_list() == [row["value"] for row in usage["axes"]]
    assert table.hours[0] == usage["total"]["hours"]
    assert table["time_s.n"][0] == usage["total"]["time_s"]["n"]
    assert table.attrs["shapes"] == usage["shapes"]

    compared = printed(done, "compare", "s/a", "s/c")
    curves = root.compare("s/a", "s/c")
    assert [*curves.metric] == [row["metric"] for row in compared["curves"]]
    assert curves.attrs["differs"] == compared["differs"]


@pytest.mark.slow
def test_emergence_is_told_job_by_job_with_the_arms_beside(done: Bench, root: Root) -> None:
    document = printed(done, "emergence", "s")
    table = root.emergence("s")

    told = [job for row in document["rows"] for job in row["jobs"]]
    assert [*table.index] == [job["id"] for job in told]
    assert [*table.answer] == [job["answer"] for job in told]
    assert table.by.isna().all()
    assert [arm["seeds"] for arm in table.attrs["arms"]] == [1, 1, 1]
    assert table.attrs["rule"] == document["rule"]


@pytest.mark.slow
def test_a_condition_chooses_the_jobs_of_every_table(root: Root) -> None:
    only = 'case == "b"'

    assert [*root.status("s", where=only).name] == ["b"]
    assert [*root.results("s", where=only).case] == ["b"]
    assert [*root.emergence("s", where=only).name] == ["b"]
    assert {*root.history("s", where=only).name} == {"b"}
    assert root.failures("s", where='case == "a"').attrs["failed"] == 0
    assert len(root.gc(where=only)) == 0


@pytest.mark.slow
def test_a_history_is_what_the_journals_say_a_value_a_row(root: Root) -> None:
    history = root.history("s")

    assert [*history.columns[:3]] == ["job", "name", "case"]
    told = history.set_index(["name", "metric"])
    assert told.loc[("a", "train/loss"), ["step", "value"]].to_list() == [100, 0.25]
    assert math.isnan(told.loc[("c", "val/top1"), "value"])
    assert {*root.history("s", metrics="val/top1").metric} == {"val/top1"}
    assert len(root.history("s", where="epoch > 99")) == 0
    assert len(root.probes("s/a")) == 0


@pytest.mark.slow
def test_words_about_a_job_are_those_of_the_command_line(done: Bench, root: Root) -> None:
    assert root.why("s/b") == done.orchestrate("why", "s/b").stdout.rstrip("\n")
    assert root.logs("s/a") == done.orchestrate("logs", "s/a").stdout


@pytest.mark.slow
def test_what_the_command_line_asks_about_is_refused_without_yes(done: Bench, root: Root) -> None:
    with pytest.raises(SpecError, match=r"cancels 1 jobs \(b\).*yes=True"):
        root.cancel("s/b")

    assert read_orders(done.root) == []
    assert root.cancel("s/a").jobs == ()


@pytest.mark.slow
def test_a_study_goes_into_a_file_and_into_another_root(tmp_path: Path, root: Root) -> None:
    other = Root(tmp_path / "other")
    root.export("s", tmp_path / "s.tar.gz")

    assert other.import_(tmp_path / "s.tar.gz", dry_run=True).counts.total() == 3
    assert not other.path.exists()
    other.import_(tmp_path / "s.tar.gz")
    assert other.status("s").state.to_list() == root.status("s").state.to_list()


@pytest.mark.slow
def test_mistakes_are_errors_of_ours_and_nothing_is_printed(
    tmp_path: Path, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RootError):
        Root(tmp_path / "none").status()
    for ask in (
        lambda: root.status("nothing"),
        lambda: root.status(where="epoch >"),
        lambda: root.results("s", by="colour"),
        lambda: root.logs("s/a", attempt=7),
        lambda: root.retry("nothing"),
    ):
        with pytest.raises(OrchestrateError):
            ask()

    assert capsys.readouterr() == ("", "")
