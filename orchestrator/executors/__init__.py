"""Places to run: each takes a submission and says what became of its members."""

from importlib import import_module

from orchestrator.errors import RootError
from orchestrator.executors.base import Executor
from orchestrator.jobs.layout import Root

EXECUTORS = {
    "local": "orchestrator.executors.local:LocalExecutor",
    "ray": "orchestrator.executors.ray_tune:RayExecutor",
    "slurm": "orchestrator.executors.slurm:SlurmExecutor",
}
"""Name in a sweep file -> class, imported when it is used."""
ON_RAY = "ray"
CLUSTERED = frozenset({"slurm"})
"""Executors that need a cluster's profile."""


def executor_named(name: str, root: Root) -> Executor:
    """The place called ``name``, working on ``root``.

    Raises:
        RootError: this program has no such executor; a newer one submitted to it.
    """
    if name not in EXECUTORS:
        raise RootError(
            f"The run root {root.path} has submissions to executor '{name}', but this program "
            f"knows only {', '.join(EXECUTORS)}. Use the newer program that made them."
        )
    module, _, attribute = EXECUTORS[name].partition(":")
    executor: Executor = getattr(import_module(module), attribute)(root)
    return executor
