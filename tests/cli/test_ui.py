"""MLflow's pages, opened by the command as a user opens them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from support.pool_bench import Bench, until
from support.shown import plant_store
from support.soak import some

from orchestrator.controller.sync import locate_store

pytestmark = pytest.mark.slow
START_S = 120.0


@contextmanager
def opened(bench: Bench, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """``orchestrate ui`` in a session of its own, as a terminal would run it."""
    with (bench.folder / "ui.out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "orchestrator.cli", "ui", *words],
            env={**os.environ, **bench.environment, "TMPDIR": str(bench.folder)},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            until(lambda: "Kept up to date" in said(bench) or process.poll() is not None, START_S)
            yield process
        finally:
            process.kill()
            process.wait()


def said(bench: Bench) -> str:
    return (bench.folder / "ui.out").read_text()


def server_of(bench: Bench) -> str:
    found = re.search(r"(http://127\.0\.0\.1:\d+)/#/experiments/1/runs\?", said(bench))
    assert found, said(bench)
    return found[1]


def servers(bench: Bench) -> list[str]:
    """The processes that serve this root's store; a port may be another server's by now."""
    told = f"MLFLOW_BACKEND_STORE_URI={locate_store(bench.root)}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if told in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
    return found


@pytest.fixture
def run(bench: Bench, empty_store: Path) -> Bench:
    """A root with a job that was done."""
    plant_store(bench.root, empty_store)
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    return bench


def test_the_pages_are_opened_kept_up_to_date_and_closed_by_ctrl_c(run: Bench) -> None:
    with opened(run, "s", "--no-password") as process:
        url = server_of(run)
        with urlopen(f"{url}/") as page:
            assert "<title>MLflow</title>" in page.read().decode()
        second = run.orchestrate("ui")
        sync = run.orchestrate("sync")
        process.send_signal(signal.SIGINT)
        code = process.wait(30)

    assert code == 130
    until(lambda: not servers(run))
    for told in (second, sync):
        assert told.returncode == 1
        assert f"process {process.pid}" in told.stderr
    assert run.orchestrate("sync").returncode == 0


def test_with_a_password_the_pages_are_shown_to_nobody_else(run: Bench) -> None:
    with opened(run, "--password"):
        url = server_of(run)
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{url}/")
        password = re.search(r"User admin, password (\S+) ", said(run))

    assert password
    assert len(password[1]) >= 12


@pytest.mark.parametrize(
    "how", some([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], often=[signal.SIGKILL])
)
def test_whatever_ends_the_command_ends_its_server(run: Bench, how: signal.Signals) -> None:
    with opened(run, "--password") as process:
        assert servers(run)
        process.send_signal(how)
        process.wait(30)

        until(lambda: not servers(run))
    left = list(run.folder.glob("orchestrate-ui-*"))
    assert bool(left) == (how is signal.SIGKILL)
    assert run.orchestrate("sync").returncode == 0


def test_from_afar_the_way_through_ssh_is_told(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    with opened(run):
        port = server_of(run).rpartition(":")[2]

        assert f"  ssh -L {port}:127.0.0.1:{port} " in said(run)
        assert "User admin, password " in said(run)


def test_nothing_launched_is_nothing_to_show(bench: Bench) -> None:
    told = bench.orchestrate("ui")

    assert told.returncode == 1
    assert "Nothing was launched under" in told.stderr
