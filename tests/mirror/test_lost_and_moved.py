"""A store keeps what it shows of jobs that were lost, and goes with a root that is moved."""

import shutil
from pathlib import Path

import pytest
from mirror.conftest import Lab
from mlflow import MlflowClient

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.layout import Root
from orchestrator.mirror.sync import artifacts


def finished(lab: Lab, *names: str) -> None:
    for name in names:
        one = lab.submit(name)
        lab.measure(one, name, range(0, 50, 10), ending=Ending.FINISHED)
        lab.end_member(one, exit_code=0)


def test_a_job_whose_folder_or_journal_is_lost_is_named_and_keeps_its_run(lab: Lab) -> None:
    finished(lab, "purged", "torn", "whole")
    lab.sync()
    before = lab.dump()
    shutil.rmtree(lab.root.job(lab.jobs["purged"]).path)
    lab.root.job(lab.jobs["torn"]).attempt(1).journal.write_bytes(b"{")
    finished(lab, "new")
    done = lab.sync()

    assert (done.created, done.updated) == (1, 1)
    assert done.refused == {
        "purged": "its folder is gone",
        "torn": "its journal is missing or damaged: it ends at step 0 of 40",
    }
    after = lab.dump()
    assert {job: after[job] for job in before} == before


@pytest.fixture
def own(tmp_path: Path, lab: Lab, empty_store: Path) -> Lab:
    """Jobs in a root with a store of its own."""
    lab.root.mlflow.mkdir()
    shutil.copyfile(empty_store, lab.root.mlflow / "mlflow.db")
    lab.uri = f"sqlite:///{lab.root.mlflow}/mlflow.db"
    return lab


def moved(lab: Lab, to: Path) -> None:
    lab.root.path.rename(to)
    lab.root = Root(to)
    lab.uri = f"sqlite:///{lab.root.mlflow}/mlflow.db"


def test_a_moved_roots_store_has_the_same_runs_and_its_pictures_beside_it(
    own: Lab, tmp_path: Path
) -> None:
    finished(own, "a")
    own.measure(own.submit("b"), "b", range(0, 40, 10), saved=30)
    own.sync()
    client = MlflowClient(tracking_uri=own.uri)
    client.create_experiment("by hand", artifact_location="file:///elsewhere")
    old, before = own.root.path, own.dump()
    assert all(len(run["pictures"]) >= 2 for run in before.values())
    moved(own, tmp_path / "archive of a%b")

    assert own.sync().updated == 0
    assert own.dump() == before
    finished(own, "c")
    own.sync()
    shown = {run["name"]: run["pictures"] for run in own.dump().values()}
    assert len(shown["c"]) == len(shown["a"])
    assert not old.exists()
    client = MlflowClient(tracking_uri=own.uri)
    homes = {one.name: one.artifact_location for one in client.search_experiments()}
    assert homes[own.study] == artifacts(own.root).as_uri()
    assert homes["by hand"] == "file:///elsewhere"


def test_the_pictures_in_a_store_that_somebody_named_stay_where_they_are(
    lab: Lab, tmp_path: Path
) -> None:
    finished(lab, "a")
    lab.sync()
    before = artifacts(lab.root).as_uri()
    lab.root.path.rename(tmp_path / "archive")
    lab.root = Root(tmp_path / "archive")
    lab.sync()

    found = MlflowClient(tracking_uri=lab.uri).get_experiment_by_name(lab.study)
    assert found.artifact_location == before
