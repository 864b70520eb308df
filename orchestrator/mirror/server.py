"""MLflow's own server over a store, on this machine's loopback, while somebody looks."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from orchestrator.errors import StoreError
from orchestrator.mirror import HABITS

HOST = "127.0.0.1"
PORTS = range(5000, 5100)
USER = "admin"
START_S, STOP_S = 120.0, 10.0
NO_PROXY = {"NO_PROXY": HOST, "no_proxy": HOST}
"""For clients of a server here, whatever proxy leads to others."""
DIRECTLY = build_opener(ProxyHandler({}))
LISTENING = "0A"
"""As /proc/net/tcp has it."""
PLAIN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""A server of curves and pictures: none of the helpers that evaluate conversations."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. ``password`` None: it asks for none."""

    url: str
    user: str
    password: str | None
    process: "subprocess.Popen[bytes]"

    def credentials(self) -> dict[str, str]:
        """What MLflow's client reads from the environment."""
        if self.password is None:
            return {}
        return {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}

    def is_up(self) -> bool:
        """Whether its process lives."""
        return self.process.poll() is None


@contextmanager
def serve(
    uri: str, log: Path, *, artifacts: Path, port: int | None, protected: bool
) -> Iterator[Server]:
    """Serve the store at ``uri`` until the block has ended, or this process, however it dies.

    (The latter with util-linux's ``setpriv``, which every Debian has.)

    Args:
        uri: a database's.
        log: a file for what the server prints.
        artifacts: a folder for the pictures of experiments that others make in it.
        port: None takes the first free one from 5000 on.
        protected: whether it asks for a password, made for this time.

    Raises:
        StoreError: the port is taken, or the server does not come up.
    """
    password = secrets.token_urlsafe(12) if protected else None
    with tempfile.TemporaryDirectory(prefix="orchestrate-ui-") as private:
        told = {"MLFLOW_BACKEND_STORE_URI": uri, **_password_settings(Path(private), password)}
        for each in [port] if port else PORTS:
            if _is_taken(each):
                continue
            command = _command(each, artifacts, protected=protected)
            process = _start(
                command, {**os.environ, **HABITS, **PLAIN, **NO_PROXY, **told}, private, log
            )
            try:
                if _came_up(each, process, log):
                    yield Server(f"http://{HOST}:{each}", USER, password, process)
                    return
            finally:
                _stop(process)
    if port:
        raise StoreError(f"Port {port} of {HOST} is taken. Try another one, or leave --port out.")
    raise StoreError(f"Ports {PORTS[0]} to {PORTS[-1]} of {HOST} are taken. Try --port.")


def _start(
    command: list[str], told: Mapping[str, str], folder: str, log: Path
) -> "subprocess.Popen[bytes]":
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            env=told,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _command(port: int, artifacts: Path, *, protected: bool) -> list[str]:
    """What starts a server that ends with this process.

    The store is in its environment: a URI may hold a password, and everybody sees a command.
    """
    bound = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    server = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    return [
        *(*bound, *server, "--workers", "1", "--artifacts-destination", str(artifacts)),
        *(("--app-name", "basic-auth") if protected else ()),
    ]


def _password_settings(private: Path, password: str | None) -> Mapping[str, str]:
    """The environment of a server that asks for this password; it is in no file and no command."""
    if password is None:
        return {}
    settings = private / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = READ\nauth_cache_ttl_seconds = 60\n"
        f"database_uri = sqlite:///{private / 'auth.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
    }


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _came_up(port: int, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    """Whether the server answers; False if somebody took its port meanwhile.

    That it listens itself is looked up: whoever was first on the port would answer as well, and
    show another store.

    Raises:
        StoreError: it ended, or was too slow.
    """
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(URLError, OSError):
            if _listens(port, process.pid):
                with DIRECTLY.open(f"http://{HOST}:{port}/health", timeout=5):
                    return True
        time.sleep(0.2)
    if process.poll() is None:
        raise StoreError(f"MLflow's server did not answer within {START_S:.0f} s. Read {log}.")
    told = log.read_text(errors="replace")
    if "address already in use" in told:
        return False
    last = " ".join(told.strip().splitlines()[-1:])[:300]
    raise StoreError(f"MLflow's server did not come up: {last or 'no word'}. Read {log}.")


def _listens(port: int, session: int) -> bool:
    """Whether a process of this session listens on the port of loopback."""
    address = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if (row[1], row[3]) == (address, LISTENING)}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is another user's
            if os.getsid(int(folder.name)) == session and any(
                str(file.readlink()) in sockets for file in (folder / "fd").iterdir()
            ):
                return True
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and what it started: they are a session of their own."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
