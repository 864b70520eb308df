"""A sweep as launched, for tests that choose among its jobs."""

import pytest
from support.pool_bench import Bench

from orchestrator.jobs.store import write_revision

TEXT = "seeds: [0, 1]\n"


@pytest.fixture
def launched(bench: Bench) -> Bench:
    """Sweep s as launched, before anything was submitted; cases differ in the learning rate."""
    points = bench.load("a", "b", "c", text=TEXT).points
    jobs = [
        {"id": p.id, "name": p.name, "axes": dict(p.axes), "form": dict(p.form)} for p in points
    ]
    write_revision(bench.root, "s", {"jobs": jobs})
    return bench
