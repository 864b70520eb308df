"""Places to run: each takes a submission and says what became of its members."""

from importlib import import_module

from orchestrator.executors.base import Executor
from orchestrator.jobs.layout import Root

EXECUTORS = {"local": "orchestrator.executors.local:LocalExecutor"}
"""Name in a sweep file -> class, imported when it is used."""


def executor_named(name: str, root: Root) -> Executor:
    """The place called ``name``, working on ``root``."""
    module, _, attribute = EXECUTORS[name].partition(":")
    executor: Executor = getattr(import_module(module), attribute)(root)
    return executor
