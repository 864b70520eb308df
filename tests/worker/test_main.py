import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from orchestrator import config
from orchestrator.config import JobConfig
from orchestrator.errors import DataError, OrchestrateError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.records import read_job
from orchestrator.jobs.store import bind_dataset
from orchestrator.worker import main as module
from orchestrator.worker.claim import Claim, Membership, claim
from orchestrator.worker.main import TASKS
from orchestrator.worker.place import Place
from orchestrator.worker.records import Outcome
from orchestrator.worker.stop import StopFlag, Stopped

Submit = Callable[[], Membership]


@pytest.fixture
def share(member: Submit, digits: Path) -> Claim:
    me = member()
    here = me.submission.model_copy(update={"data_root": str(digits)})
    me = Membership(me.root, here, 0)
    attempt = claim(me, Place(), 1)
    assert not isinstance(attempt, str)
    return Claim(me, Place(), attempt, None)


def config_of(share: Claim) -> JobConfig:
    return read_job(share.me.root, share.me.job)


def test_there_is_a_program_for_every_task_that_a_configuration_allows() -> None:
    assert set(TASKS) == set(config.TASKS)
    for location in TASKS.values():
        name, _, attribute = location.partition(":")
        assert callable(getattr(import_module(name), attribute))


def test_an_attempt_records_the_data_it_sees(share: Claim, digits: Path) -> None:
    manifest = load_manifest(digits, "digits")
    start = json.loads(share.attempt.started.read_bytes())

    assert start["content_hash"] == manifest.content_hash
    assert start["layout_hash"] == manifest.layout_hash


def test_a_job_does_not_go_on_with_another_order_of_samples(share: Claim) -> None:
    start = json.loads(share.attempt.started.read_bytes())
    publish(share.attempt.started, to_json({**start, "layout_hash": "other shards"}))
    module._check_data(share, config_of(share))

    share.folder.checkpoints.mkdir()

    with pytest.raises(DataError, match=r"than when attempt 1 trained on it \(other shards\)"):
        module._check_data(share, config_of(share))


def test_a_dataset_of_other_content_than_the_root_knows_is_refused(
    share: Claim, digits: Path
) -> None:
    manifest = load_manifest(digits, "digits")
    bind_dataset(share.me.root, manifest.model_copy(update={"content_hash": "other content"}))

    with pytest.raises(OrchestrateError, match="other content"):
        module._check_data(share, config_of(share))


def test_what_else_a_task_found_stands_in_its_exit(
    share: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Outcome(Ending.FINISHED, {"weights_sha256": "5afe"})
    monkeypatch.setattr(module, "_do_task", lambda *_: done)

    assert module._run(share, StopFlag()) == 0
    exited = json.loads(share.attempt.exit.read_bytes())
    assert (exited["end"], exited["weights_sha256"]) == ("finished", "5afe")


@pytest.mark.parametrize(
    ("raised", "code", "ending"),
    [
        (None, 0, Ending.FINISHED),
        (Stopped([True, False]), 75, Ending.STOPPED),
        (Stopped([False, True]), 79, Ending.STOPPED),
        (Stopped([True, True]), 75, Ending.STOPPED),
        (ValueError("no  such\nthing"), 1, Ending.ERROR),
    ],
)
def test_every_end_is_written_down(
    share: Claim,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception | None,
    code: int,
    ending: Ending,
) -> None:
    def task(*_: object) -> Ending:
        if raised:
            raise raised
        return Ending.FINISHED

    monkeypatch.setattr(module, "_do_task", task)

    assert module._run(share, StopFlag()) == code
    (attempt,) = read_attempts(share.folder)
    assert attempt.ending is ending
    wanted = [("ValueError", "no such thing")] if ending is Ending.ERROR else []
    assert [(error.exception, error.message) for error in attempt.errors] == wanted
