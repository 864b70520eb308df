"""Debian's packages of SLURM, installed with none of their services started."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.errors import ClusterError

PACKAGES = "slurm-wlm slurmdbd munge mariadb-server"
COMMANDS = """munged munge slurmctld slurmd srun sbatch scancel squeue sinfo scontrol sacct sacctmgr
slurmdbd mariadbd mariadb-install-db mariadb-admin"""
POLICY = Path("/usr/sbin/policy-rc.d")  # what Debian's packages ask before they start a service


def missing_commands() -> list[str]:
    return [command for command in COMMANDS.split() if not shutil.which(command)]


def install() -> None:
    """Install Debian's packages, none of whose services is started."""
    if not (missing := missing_commands()):
        print("Everything is installed.")
        return
    print("Not there:", ", ".join(missing))
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(f"`install` needs root, and Debian or its like, for: {PACKAGES}")
    get = f"apt-get install --yes --no-install-recommends {PACKAGES}"
    with no_services():
        if run_to_the_end(get) and (run_to_the_end("apt-get update") or run_to_the_end(get)):
            raise ClusterError("apt-get failed, see above.")


@contextmanager
def no_services() -> Iterator[None]:
    """No package starts a service meanwhile; a policy that was there comes back as it was."""
    kept = POLICY.with_name("policy-rc.d.kept-by-dev-cluster")
    if POLICY.exists() and not kept.exists():  # kept: by a run that was killed
        POLICY.rename(kept)
    try:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(POLICY)


def run_to_the_end(command: str) -> int:
    """Its exit code. Ctrl-C reaches it too, and it is waited for: it may be half-way."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with subprocess.Popen(command.split(), env=quiet, stdin=subprocess.DEVNULL) as process:
        return process.wait()
