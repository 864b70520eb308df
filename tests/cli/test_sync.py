import shutil
from pathlib import Path

import pytest
from support.kept import leave_state, leave_weights
from support.pool_bench import Bench, until
from support.shown import plant_store, statuses

pytestmark = pytest.mark.slow
NOBODY = "http://127.0.0.1:9"
"""The port of discard, at which nobody listens."""
QUICKLY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.fixture
def kept(bench: Bench, empty_store: Path) -> Bench:
    """A root that has a store of its own, as a sync left it that had nothing to show."""
    plant_store(bench.root, empty_store)
    return bench


def test_a_sync_tells_what_it_did_and_a_second_one_does_nothing(kept: Bench) -> None:
    kept.script("a", "claim", 'point 10 {"val/top1": 91.5, "train/loss": 0.25}', "finish")
    kept.script("b", "claim", "fail it was wrong")
    kept.orchestrate("launch", str(kept.sweep("a", "b")))
    kept.orchestrate("watch", "s")
    shutil.rmtree(kept.root.mirror)
    file = kept.root.path / "mlflow" / "mlflow.db"
    file.unlink()
    first = kept.orchestrate("sync")
    second = kept.orchestrate("sync", "s")

    assert first.stdout == (
        f"sqlite:///{file}: 2 runs brought up to date, 2 of them new, 1 points, 0 pictures\n"
    )
    assert "0 runs brought up to date" in second.stdout
    assert statuses(kept.root, "s") == {"a": "FINISHED", "b": "FAILED"}


def test_a_sync_after_gc_makes_no_run_and_sends_no_point_again(kept: Bench) -> None:
    kept.script("a", "claim", 'point 10 {"val/top1": 91.5}', "finish")
    kept.orchestrate("launch", str(kept.sweep("a")), "--wait")
    job = kept.root.job(kept.id_of("a"))
    leave_state(job, 1, 100)
    leave_weights(job, 1, 100)
    assert kept.orchestrate("gc", "s", "--yes").returncode == 0

    again = kept.orchestrate("sync")

    assert list(job.checkpoints.iterdir()) == []
    assert "0 of them new, 0 points" in again.stdout
    assert statuses(kept.root, "s") == {"a": "FINISHED"}


def test_a_name_that_nothing_has_is_answered_with_those_there_are(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    told = bench.orchestrate("sync", "t")

    assert told.returncode == 1
    assert "No study or sweep 't' was launched" in told.stderr
    assert "There are: s" in told.stderr
    assert not (bench.root.path / "mlflow").exists()


def test_a_store_that_is_away_is_told_in_one_line_without_its_password(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    told = bench.orchestrate("sync", "--store", "http://me:secret@127.0.0.1:9", **QUICKLY)

    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "error: MLflow at http://127.0.0.1:9 did not take it" in told.stderr
    assert "secret" not in told.stderr


def test_a_watch_keeps_the_store_up_to_date_to_the_end(kept: Bench) -> None:
    kept.script("a", "claim", 'point 10 {"val/top1": 91.5}', "finish")
    told = kept.orchestrate("launch", str(kept.sweep("a", "b")), "--wait")

    assert told.returncode == 0
    assert statuses(kept.root, "s") == {"a": "FINISHED", "b": "FINISHED"}


def test_one_round_of_a_watch_shows_what_it_saw(kept: Bench) -> None:
    kept.script("a", "claim", "wait", "finish")
    kept.orchestrate("launch", str(kept.sweep("a")))
    until(lambda: any(map(kept.attempts_on, kept.root.job_folders())))
    kept.orchestrate("watch", "--once")

    assert statuses(kept.root, "s") == {"a": "RUNNING"}


def test_a_watch_goes_on_without_a_store_that_is_away(bench: Bench) -> None:
    away = {"MLFLOW_TRACKING_URI": NOBODY, **QUICKLY}
    told = bench.orchestrate("launch", str(bench.sweep("a", "b")), "--wait", **away)

    assert told.returncode == 0
    assert told.stdout.count(f"note: MLflow at {NOBODY} did not take it") == 1


def test_a_watch_makes_no_store_that_nobody_asked_for(bench: Bench) -> None:
    assert bench.orchestrate("launch", str(bench.sweep("a")), "--wait").returncode == 0

    assert not (bench.root.path / "mlflow").exists()
