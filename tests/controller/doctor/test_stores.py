"""Each check of what is stored finds what is planted: datasets, cache, MLflow's store."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orchestrator.controller.doctor import stores
from orchestrator.controller.doctor.finding import Finding, Level, Patient
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.store import bind_dataset, create_root


@pytest.fixture
def patient(tmp_path: Path, digits: Path) -> Patient:
    create_root(tmp_path / "runs")
    shutil.copytree(digits, tmp_path / "data")
    return Patient(root_path=tmp_path / "runs", data_root=tmp_path / "data")


class Health(BaseHTTPRequestHandler):
    """A tracking server that says only whether it is well."""

    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    made = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def only(findings: Iterator[Finding]) -> tuple[Level, str]:
    (one,) = findings
    return one.level, one.found


def named(patient: Patient, store: str) -> Patient:
    return Patient(root_path=patient.root_path, data_root=patient.data_root, store=store)


def test_a_whole_dataset_passes_and_a_shard_that_was_cut_is_bad(patient: Patient) -> None:
    sound = only(stores.check_data(patient))
    shard = next((patient.data_root / "digits").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    cut = only(stores.check_data(patient))

    assert sound[0] is Level.OK
    assert "digits: 1,347 + 450 images" in sound[1]
    assert (cut[0], f"{shard} has" in cut[1]) == (Level.BAD, True)


def test_a_dataset_of_other_content_or_layout_than_the_root_knows_is_told(
    patient: Patient,
) -> None:
    assert patient.root is not None
    bind_dataset(patient.root, load_manifest(patient.data_root, "digits"))
    record = patient.root.dataset("digits")
    found = []
    for key in ("layout_hash", "content_hash"):
        record.write_text(json.dumps({**json.loads(record.read_text()), key: "0" * 64}))
        found.append(only(stores.check_data(patient))[0])

    assert found == [Level.WARN, Level.BAD]


def test_a_data_root_without_datasets_is_told(patient: Patient) -> None:
    shutil.rmtree(patient.data_root)

    assert only(stores.check_data(patient))[0] is Level.WARN


def test_a_damaged_cache_is_told(patient: Patient) -> None:
    assert patient.root is not None
    sound = only(stores.check_cache(patient))
    patient.root.settled.parent.mkdir()
    patient.root.settled.write_text("9 other\n{}")

    assert sound == (Level.OK, "0 jobs are known to be done for good")
    assert only(stores.check_cache(patient))[0] is Level.WARN


def test_a_store_in_a_file_is_opened(patient: Patient, tmp_path: Path, empty_store: Path) -> None:
    none = only(stores.check_mlflow(patient))
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    file = named(patient, f"sqlite:///{tmp_path}/mlflow.db")
    sound = only(stores.check_mlflow(file))
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)

    assert (none[0], "is not there yet" in none[1]) == (Level.OK, True)
    assert (sound[0], "0 runs" in sound[1]) == (Level.OK, True)
    assert only(stores.check_mlflow(file))[0] is Level.BAD


def test_a_server_is_asked_how_it_is_and_a_silent_one_is_bad(
    patient: Patient, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"127.0.0.1:{server.server_port}"
    found = {}
    for code in (200, 401, 503):
        monkeypatch.setattr(Health, "code", code)
        secret = named(patient, f"http://ann:hunter2@{where}")
        found[code] = only(stores.check_mlflow(secret))
    listens = only(stores.check_mlflow(named(patient, f"postgresql+psycopg://{where}/mlflow")))
    silent = only(stores.check_mlflow(named(patient, "http://127.0.0.1:9")))

    assert [level for level, _ in found.values()] == [Level.OK, Level.OK, Level.BAD]
    assert "hunter2" not in str(found)
    assert (listens[0], silent[0]) == (Level.OK, Level.BAD)


def test_mlflow_is_needed_only_where_a_store_is_named(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "find_spec", lambda _: None)

    assert only(stores.check_mlflow(patient))[0] is Level.WARN
    assert only(stores.check_mlflow(named(patient, "http://127.0.0.1:9")))[0] is Level.BAD
