"""Fixtures that every test may use: the digits, and a user's own corner of the disk."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _nothing_from_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRATE_ROOT", "ORCHESTRATE_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the digits; tests must not write to it."""
    from orchestrator.worker.data.digits import prepare_digits

    data_root = tmp_path_factory.mktemp("data")
    prepare_digits(data_root, "digits")
    return data_root
