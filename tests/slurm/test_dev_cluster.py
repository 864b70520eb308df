"""The real SLURM that ``slurm/dev_cluster`` starts, and that nothing stays behind."""

import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.dev_cluster import SCRIPT, DevCluster
from support.pool_bench import until

pytestmark = pytest.mark.slurm


@pytest.fixture
def elsewhere() -> Iterator[DevCluster]:
    """A cluster that is not up, away from the other tests' one."""
    folder = Path(tempfile.mkdtemp(prefix="dev-"))
    folder.rmdir()
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    cluster = DevCluster(folder, 17150 + 100 * worker)
    yield cluster
    cluster.down()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, beside which its parts are found."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    loader = importlib.machinery.SourceFileLoader("dev_cluster_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, loaded)
    loader.exec_module(loaded)
    return loaded


def test_its_nodes_are_idle_and_accounting_knows_it(dev_cluster: DevCluster) -> None:
    dev_cluster.release_everything()

    assert set(dev_cluster.nodes().values()) == {"idle"}
    assert dev_cluster.run("sacctmgr", "-nP", "show", "cluster", "format=cluster") == "dev"
    assert dev_cluster.script("status").returncode == 0


def test_members_of_an_array_have_gpus_of_their_own_and_are_in_accounting(
    dev_cluster: DevCluster, tmp_path: Path
) -> None:
    dev_cluster.release_everything()
    script = (
        f"echo $SLURMD_NODENAME:$CUDA_VISIBLE_DEVICES >{tmp_path}/$SLURM_ARRAY_TASK_ID; sleep 2"
    )
    options = ["--parsable", "--array=0-3", "--gpus-per-node=2", "--output=/dev/null"]
    job = dev_cluster.run("sbatch", *options, "--wrap", script)
    show = ["sacct", "-X", "-n", "-P", "-j", job, "-S", "now-1hour", "-o", "JobID,State"]
    until(lambda: dev_cluster.run(*show).count("COMPLETED") == 4, 240)

    got = {(tmp_path / str(index)).read_text().strip() for index in range(4)}
    assert job.startswith(str(dev_cluster.port)), "a number that no cluster beside this one gives"
    assert got == {"node1:0,1", "node1:2,3", "node2:0,1", "node2:2,3"}


@pytest.mark.soak
def test_a_job_of_main_takes_the_place_of_one_of_spare_which_runs_again(
    dev_cluster: DevCluster, tmp_path: Path
) -> None:
    dev_cluster.release_everything()
    starts = tmp_path / "starts"
    whole = ["--parsable", "--nodes=2", "--exclusive", "--output=/dev/null"]
    script = f"echo ${{SLURM_RESTART_COUNT:-0}} >>{starts}; sleep 600"
    low = dev_cluster.run("sbatch", *whole, "--partition=spare", "--wrap", script)
    until(starts.exists)
    dev_cluster.run("sbatch", *whole, "--wrap", "sleep 1")
    until(lambda: dev_cluster.run("squeue", "-h", "-j", low, "-o", "%T") == "PENDING", 240)

    def runs_again() -> bool:
        dev_cluster.hurry()
        return starts.read_text() == "0\n1\n"

    until(runs_again, 240)
    rows = ["sacct", "-X", "-D", "-n", "-P", "-j", low, "-o", "State"]
    until(lambda: dev_cluster.run(*rows).split() == ["PREEMPTED", "RUNNING"])
    dev_cluster.release_everything()


def test_up_again_starts_nothing(dev_cluster: DevCluster) -> None:
    before = dev_cluster.pids()

    assert "nothing" in dev_cluster.up()
    assert dev_cluster.pids() == before


def test_up_with_other_options_is_refused(dev_cluster: DevCluster) -> None:
    refused = dev_cluster.script("up", "--cpus", "3")

    assert refused.returncode == 1
    assert "First: down" in refused.stderr


def test_a_killed_slurmd_is_noticed_and_started_again_and_down_leaves_nothing(
    elsewhere: DevCluster,
) -> None:
    elsewhere.up("--nodes", "3", "--gpus", "0", "--no-accounting", "--name", "other")
    elsewhere.run("sbatch", "--output=/dev/null", "--wrap", "setsid sleep 600 & sleep 600")
    until(lambda: elsewhere.run("squeue", "-h", "-o", "%T") == "RUNNING")
    before = elsewhere.pids()

    elsewhere.kill_node("node1")
    told = elsewhere.script("status")
    assert (told.returncode, elsewhere.dead()) == (1, {"node1"})
    assert "slurm/dev_cluster up" in told.stdout
    elsewhere.start_node("node1")
    after = elsewhere.pids()
    assert {name for name in after if after[name] != before[name]} == {"node1"}

    jobs = _processes_with(elsewhere)
    assert len(jobs) >= 3
    elsewhere.down()
    assert not elsewhere.folder.exists()
    assert not _processes_with(elsewhere)
    assert not [pid for pid in (*after.values(), *jobs) if _runs(pid)]
    assert elsewhere.script("status").returncode == 1


def test_a_daemon_that_fails_is_named_and_nothing_goes_on(
    elsewhere: DevCluster, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = importlib.import_module("dev.files")
    monkeypatch.setattr(files, "SLURM_CONF", files.SLURM_CONF + "NoSuchSetting=1\n")

    with pytest.raises(module.ClusterError, match=r"(?s)slurmctld ended at once.*NoSuchSetting"):
        module.up(elsewhere.folder, {"port": elsewhere.port, "accounting": False})
    assert not _processes_with(elsewhere)


def test_what_may_not_be_started_leaves_nothing(elsewhere: DevCluster) -> None:
    up = [
        sys.executable,
        str(SCRIPT),
        "up",
        "--dir",
        str(elsewhere.folder),
        "--port",
        str(elsewhere.port),
    ]
    taken = elsewhere.port + 3
    with socket.create_server(("127.0.0.1", taken)):
        refusals = {
            f"Port {taken}, for node2": up,
            "SLURM_CONF names /some/slurm.conf": ["env", "SLURM_CONF=/some/slurm.conf", *up],
            "inside a SLURM job": ["env", "SLURM_JOB_ID=7", *up],
            "characters are too many": [*up, "--dir", str(elsewhere.folder / ("x" * 70))],
            "At least: --nodes 2": [*up, "--nodes", "1"],
            "holds something else": [*up, "--dir", "/usr"],
        }
        for reason, command in refusals.items():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (1, ""), reason
            assert reason in done.stderr
    assert not elsewhere.folder.exists()


def test_whoever_is_not_root_is_told_so(
    elsewhere: DevCluster, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(module.ClusterError, match="need root"):
        module.up(elsewhere.folder, {})
    assert not elsewhere.folder.exists()


def test_another_process_of_the_same_number_is_left_alone(elsewhere: DevCluster) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        process = {"pid": bystander.pid, "start": "a former boot:1"}
        options = {"name": "dev", "nodes": 2, "gpus": 4, "cpus": 8, "port": elsewhere.port}
        record = {"options": {**options, "accounting": True}, "daemons": {"slurmctld": process}}
        elsewhere.folder.mkdir()
        (elsewhere.folder / "daemons.json").write_text(json.dumps(record))

        elsewhere.down()
        assert _runs(bystander.pid)
        bystander.kill()


def test_it_is_called_by_any_of_its_names_from_any_folder_and_leaves_no_bytecode(
    elsewhere: DevCluster, tmp_path: Path
) -> None:
    shutil.copytree(SCRIPT.parent, tmp_path / "slurm", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "link").symlink_to("slurm/dev_cluster")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/link").symlink_to("../link")
    places = {
        "slurm/dev_cluster": tmp_path,
        "./dev_cluster": tmp_path / "slurm",
        "bin/link": tmp_path,
        f"{tmp_path}/link": Path("/"),
    }

    for name, place in places.items():
        command = [name, "status", "--dir", str(elsewhere.folder)]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, ""), name
        assert "Nothing is up" in done.stdout
    assert not list(tmp_path.rglob("*.pyc"))


def test_install_with_everything_there_calls_no_apt_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apt-get").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    subprocess.run([sys.executable, str(SCRIPT), "install"], check=True)

    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("before", [None, b"#!/bin/sh\nexit 7"])
def test_a_policy_on_services_comes_back_as_it_was(
    before: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    packages = importlib.import_module("dev.packages")
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    if before:
        policy.write_bytes(before)
        policy.chmod(0o744)

    def interrupted() -> None:
        with packages.no_services():
            assert subprocess.run([policy], check=False).returncode == 101
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (policy.read_bytes() if policy.exists() else None) == before
    assert not before or stat.S_IMODE(policy.stat().st_mode) == 0o744
    assert len(list(tmp_path.iterdir())) == bool(before)


def _processes_with(cluster: DevCluster) -> set[int]:
    """Processes that have the cluster's folder in their command line or environment."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if re.search(rf"{cluster.folder}\b".encode(), words):
            found.add(int(process.name))
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
