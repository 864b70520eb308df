"""A real SLURM for the tests of this folder: one for each process that runs tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dev_cluster import DevCluster
from support.site import Site, reference_metrics


@pytest.fixture(scope="session")
def dev_cluster() -> Iterator[DevCluster]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    cluster = DevCluster(Path(f"/tmp/orchestrate-slurm-tests-{worker}"), 17100 + 100 * worker)
    cluster.down()  # what a killed run of the tests left
    cluster.up("--nodes", "2")
    yield cluster
    cluster.down()


@pytest.fixture
def site(dev_cluster: DevCluster, tmp_path: Path, digits: Path) -> Iterator[Site]:
    """A run root whose jobs run on the dev cluster, which is idle before."""
    dev_cluster.release_everything()
    made = Site(tmp_path, digits, dev_cluster)
    yield made
    made.tear_down()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, object]:
    """What the job of ``Site.sweep`` measures on this machine when nothing happens to it."""
    return reference_metrics(tmp_path_factory.mktemp("reference"), digits)
