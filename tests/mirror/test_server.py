"""The mirror and a real MLflow server: with a password, tired, away for a while, on PostgreSQL."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from fakes.tired_server import WAYS, tired
from mirror.conftest import Lab
from support.postgres import BINARIES, postgres

from orchestrator.errors import BusyError, StoreError
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.lease import leased
from orchestrator.mirror import store
from orchestrator.mirror.server import Server, serve
from orchestrator.mirror.sync import serving, sync


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    """A server that asks for a password."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with serve(
        uri, folder / "log", artifacts=folder / "artifacts", port=None, protected=True
    ) as one:
        yield one


@pytest.fixture
def _password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror alone asks again, and at once."""
    monkeypatch.setattr(store, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def far(lab: Lab, request: pytest.FixtureRequest) -> Lab:
    """A lab with something to show, in an experiment of its own."""
    lab.study = request.node.name
    one = lab.submit("done", "runs")
    lab.measure(one, "done", range(0, 50, 10), ending=Ending.FINISHED)
    lab.measure(one, "runs", range(0, 40, 10), saved=20)
    return lab


@pytest.mark.usefixtures("_password")
def test_a_server_with_a_password_shows_what_a_file_shows(far: Lab, server: Server) -> None:
    far.sync()
    calm = far.dump()
    far.uri = server.url
    far.sync()

    assert far.dump() == calm


def test_without_the_password_nothing_is_shown_and_one_line_says_so(
    far: Lab, server: Server
) -> None:
    far.uri = server.url

    with pytest.raises(StoreError) as refusal:
        far.sync()

    assert "not authenticated" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{server.url}/")


@pytest.mark.usefixtures("_password", "_impatience")
def test_a_server_that_fails_every_third_request_is_complete_in_the_end(
    far: Lab, server: Server
) -> None:
    far.sync()
    calm = far.dump()
    with tired(server.url) as (url, failures):
        far.uri = url
        far.sync()

    far.uri = server.url
    assert far.dump() == calm
    assert sorted(failures) == sorted(WAYS)


@pytest.mark.usefixtures("_password", "_impatience")
def test_an_outage_costs_a_line_and_the_next_sync_catches_up(far: Lab, server: Server) -> None:
    far.sync()
    calm = far.dump()
    far.uri = "http://127.0.0.1:9"  # the port of discard: nobody listens
    with pytest.raises(StoreError, match=r"http://127.0.0.1:9 did not take it.*catches up"):
        far.sync()
    far.uri = server.url
    far.sync()

    assert far.dump() == calm


def test_the_pages_are_told_to_send_no_telemetry(server: Server) -> None:
    address = f"{server.url}/ajax-api/3.0/mlflow/ui-telemetry"
    secret = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()

    with urlopen(Request(address, headers={"Authorization": f"Basic {secret}"})) as answer:
        assert json.load(answer)["disable_ui_telemetry"] is True


def test_loading_the_mirror_starts_no_telemetry() -> None:
    code = "import orchestrator.mirror.sync, mlflow.telemetry as t; print(t.get_telemetry_client())"
    surroundings = {"PATH": os.environ["PATH"]}  # nothing that says "these are tests"
    done = subprocess.run(
        [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True
    )

    assert done.stdout == "None\n"


def test_what_is_served_is_left_to_whoever_serves_it(lab: Lab) -> None:
    lab.measure(lab.submit("a"), "a", range(0, 30, 10), saved=20)
    with leased(serving(lab.root, lab.uri), "ui"):
        with pytest.raises(BusyError, match="kept up to date by 'ui' of"):
            lab.sync()
        assert sync(lab.root, lab.uri, [lab.shown()], through=lab.uri).created == 1


def test_a_taken_port_is_named(lab: Lab, server: Server) -> None:
    port = int(server.url.rpartition(":")[2])

    with (
        pytest.raises(StoreError, match=f"Port {port} of 127.0.0.1 is taken"),
        serve(lab.uri, lab.root.path / "log", artifacts=lab.root.path, port=port, protected=False),
    ):
        pass


def test_a_server_that_does_not_come_up_says_why(lab: Lab) -> None:
    log = lab.root.path / "log"

    with (
        pytest.raises(StoreError, match=r"did not come up: .*log\."),
        serve("sqlite:////dev/null/x.db", log, artifacts=lab.root.path, port=None, protected=False),
    ):
        pass


@pytest.mark.skipif(BINARIES is None, reason="needs PostgreSQL: apt-get install postgresql")
def test_postgresql_behind_a_server_shows_what_a_file_shows(far: Lab, tmp_path: Path) -> None:
    far.sync()
    calm = far.dump()
    with (
        postgres() as uri,
        serve(uri, tmp_path / "log", artifacts=tmp_path, port=None, protected=False) as server,
    ):
        far.uri = server.url
        far.sync()
        again = far.sync()

        assert far.dump() == calm
        assert (again.created, again.updated) == (0, 0)
