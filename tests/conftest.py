"""Fixtures that every test may use: the digits, and a user's own corner of the disk."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.environment import FOREIGN
from support.finished import run_to_its_end
from support.pool_bench import Bench

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a busy machine is no fault
# Tests interrupt what they start; a shell has what it starts with & ignore that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
PACKAGES = ("mine", "yours", "linked")
"""What users' packages are called in tests."""
NEEDS = {"slurm": "a real SLURM", "browser": "a real Chromium"}
"""What tests with these markers need of the machine, and get where it is asked for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    for marker, needs in NEEDS.items():
        parser.addoption(f"--{marker}", action="store_true", help=f"also tests that need {needs}")
    parser.addoption("--pages", metavar="DIR", help="keep pictures of the pages that tests opened")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, needs in NEEDS.items():
        if not config.getoption(f"--{marker}"):
            skip = pytest.mark.skip(reason=f"needs {needs}: make test {marker.upper()}=1")
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(skip)
    installed = any(config.getoption(f"--{marker}") for marker in NEEDS)
    if not installed and shutil.which("tmux") is None:
        skip = pytest.mark.skip(reason="needs tmux: make test BROWSER=1 installs it")
        for item in items:
            if item.get_closest_marker("tmux"):
                item.add_marker(skip)
    # Side by side they begin with those that take or wait long, so that all end at one time.
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slurm") is None,
            "end_to_end" not in item.path.parts,
        )
    )


@pytest.fixture(autouse=True)
def _nothing_from_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_package_of_a_user_that_another_test_has_loaded() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the digits; tests must not write to it."""
    from orchestrator.worker.data.digits import prepare_digits

    data_root = tmp_path_factory.mktemp("data")
    prepare_digits(data_root, "digits")
    return data_root


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with its tables: making them takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def bench(tmp_path: Path, digits: Path) -> Iterator[Bench]:
    """A run root whose workers are stand-ins for the real one."""
    made = Bench(tmp_path, digits)
    made.set_up()
    yield made
    made.tear_down()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    """A root whose sweep s is over, which no test may change: see ``run_to_its_end``."""
    bench = Bench(tmp_path_factory.mktemp("done"), digits)
    bench.set_up()
    run_to_its_end(bench)
    (bench.attempts_on(bench.id_of("a"))[0].path / "rank0.log").write_text("x\n" * 100_000)
    yield bench
    bench.tear_down()
