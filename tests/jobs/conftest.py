"""A fresh run root, and processes that run against each other or are killed."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import create_root

Race = Callable[[Callable[[int], int], int], list[int]]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


@pytest.fixture
def race() -> Race:
    """Run ``work(i)`` in n processes let loose together; their exit codes, -9 if killed."""
    return _race


def _race(work: Callable[[int], int], n: int) -> list[int]:
    wait_here, gate = os.pipe()
    children = [_child(work, i, wait_here, gate) for i in range(n)]
    os.close(gate)
    ends = [os.waitpid(child, 0)[1] for child in children]
    os.close(wait_here)
    return [os.waitstatus_to_exitcode(end) for end in ends]


def _child(work: Callable[[int], int], i: int, wait_here: int, gate: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        os.close(gate)
        os.read(wait_here, 1)
        code = work(i)
    except BaseException:  # noqa: BLE001 - nothing of a child comes back but its exit code
        traceback.print_exc()
    finally:
        os._exit(code)
