"""A PostgreSQL of one's own, if its package is there."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
USER = "postgres"


@contextmanager
def postgres() -> Iterator[str]:
    """The URI of an empty database, which is gone with the block."""
    assert BINARIES is not None
    home = Path("/tmp") / f"orchestrate-postgres-{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    run = []
    if os.getuid() == 0:  # which PostgreSQL refuses to be
        os.chown(home, pwd.getpwnam(USER).pw_uid, -1)
        run = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = home / "data"
    made = [*run, BINARIES / "initdb", "-D", data, "-A", "trust", "-U", USER, "-N"]
    subprocess.run(made, check=True, capture_output=True, cwd="/")
    settings = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [*run, BINARIES / "pg_ctl", "-D", data, "-w", "-l", home / "log"]
    subprocess.run([*control, "-o", settings, "start"], check=True, capture_output=True, cwd="/")
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}"
    finally:
        subprocess.run(
            [*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/"
        )
        shutil.rmtree(home, ignore_errors=True)
