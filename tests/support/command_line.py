"""The command line as its own process, on a root and data of a test's own."""

import os
import subprocess
import sys
from pathlib import Path


def orchestrate(*words: str, root: Path, data: Path) -> str:
    """What it prints; it must end well."""
    environment = {**os.environ, "ORCHESTRATE_ROOT": str(root), "ORCHESTRATE_DATA": str(data)}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
