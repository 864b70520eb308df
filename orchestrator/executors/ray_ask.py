"""What a Ray cluster says of itself, asked by a process of its own that leaves again.

    python -P -m orchestrator.executors.ray_ask HOST:PORT

prints its nodes as JSON. Ray can be asked only on one of them, and by the versions of Ray and
Python that it runs; whatever is wrong of that is Ray's own last word.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping

from orchestrator.errors import Unclear
from orchestrator.executors.ray_share import GB, Node

OWN_KEY = (
    "export RAY_AUTH_MODE=token\n"
    "export RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n')\n"
)
"""Shell that makes the key of a cluster that is to be started. Ray wants it before it is imported,
and where there is none, makes one and leaves it in the user's home."""
PATIENCE_S = 60.0
PROBE_S = 5.0
LET_RANKS_SAVE: Mapping[str, str] = {"RAY_kill_child_processes_on_worker_exit": "0"}
"""Without it, processes of Ray that end kill what they have started; ours ask it to stop."""
QUIET: Mapping[str, str] = {
    **LET_RANKS_SAVE,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_worker_niceness": "0",
}
"""What Ray hears before it is imported: it reports nothing to anybody, writes no metrics of trials,
hides GPUs from who asked for none, leaves signals, folders and priorities as they are."""


def nodes_of(address: str) -> tuple[Node, ...]:
    """The nodes that are alive, with all that they have.

    Raises:
        Unclear: nobody answers at ``address``, or Ray does not let this machine in.
    """
    if (silence := unreachable(address)) is not None:
        raise Unclear(silence)
    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "orchestrator.executors.ray_ask", address],
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise Unclear(
            f"the Ray cluster at {address} did not answer in {PATIENCE_S:.0f} s"
        ) from None
    except subprocess.CalledProcessError as error:
        words = [line.strip() for line in error.stderr.splitlines() if line.strip()]
        said = words[-1] if words else f"exit code {error.returncode}"
        raise Unclear(
            f"the Ray cluster at {address} did not let this machine in ({said}); launch on one of "
            "its nodes, with the Python and the Ray that it runs"
        ) from None
    return tuple(Node(**one) for one in json.loads(asked.stdout.splitlines()[-1]))


def unreachable(address: str) -> str | None:
    """That nobody listens at ``address``, in words; None if somebody does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PROBE_S).close()
    except OSError as error:
        return (
            f"no Ray cluster answers at {address} ({error}); start one (ray start --head, or "
            "slurm/ray_cluster), or name another --address"
        )
    return None


def main(address: str) -> None:
    """Print the nodes of the cluster at ``address``."""
    import ray  # noqa: PLC0415 - an extra, and slow

    ray.init(address=address, log_to_driver=False, configure_logging=False)
    found = [
        {
            "name": node["NodeManagerHostname"],
            "cpus": node["Resources"].get("CPU", 0.0),
            "gpus": node["Resources"].get("GPU", 0.0),
            "memory_gb": node["Resources"].get("memory", 0.0) / GB,
        }
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]
    ray.shutdown()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
