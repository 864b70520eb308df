"""Fixtures that every test may use: the digits, and a user's own corner of the disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pool_bench import Bench

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slurm", action="store_true", help="also the tests that need a real SLURM")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slurm"):
        return
    for item in items:
        if item.get_closest_marker("slurm"):
            item.add_marker(pytest.mark.skip(reason="needs a real SLURM: make test SLURM=1"))


@pytest.fixture(autouse=True)
def _nothing_from_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRATE_ROOT", "ORCHESTRATE_DATA", "ORCHESTRATE_CLUSTER", "SLURM_CONF"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the digits; tests must not write to it."""
    from orchestrator.worker.data.digits import prepare_digits

    data_root = tmp_path_factory.mktemp("data")
    prepare_digits(data_root, "digits")
    return data_root


@pytest.fixture
def bench(tmp_path: Path, digits: Path) -> Iterator[Bench]:
    """A run root whose workers are stand-ins for the real one."""
    made = Bench(tmp_path, digits)
    made.set_up()
    yield made
    made.tear_down()
