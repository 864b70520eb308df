import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile, submission
from support.pool_bench import until

from orchestrator.executors.slurm_queries import job_name
from orchestrator.executors.slurm_script import render
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

GOLDEN = Path(__file__).with_name("golden")
TOKEN = "0123456789ab"  # noqa: S105 - a submission's
A100 = {"gpu": {"time": "2d", "gpus_per_node": 8, "gpu_type": "a100"}, "cpu": {"time": "12h"}}
GPUS = {"nodes": 2, "partition": "gpu", "mem_gb_per_node": 180.5, "time": "1d12h"}
CASES: dict[str, dict[str, Any]] = {
    "one_rank": {},
    "nodes_with_gpus": {
        "profile": {
            "partitions": A100,
            "account": "proj42",
            "qos": "long",
            "constraint": "ib&a100",
            "setup": ["module load cuda/12.6", 'source "$HOME/venv/bin/activate"'],
            "launch_prefix": ["apptainer", "exec", "--nv", "/images/torch 2.sif"],
            "scratch": "/local/my scratch",
            "network_interface": "ib0",
            "stop_before_end_s": 300,
            "preemption_grace_s": 45,
            "extra": {"exclusive": "", "reservation": "a study"},
        },
        "placement": {"ranks": 8, "threads_per_rank": 2, "loader_workers": 6},
        "resources": GPUS,
        "max_parallel": 2,
    },
    "gres": {
        "profile": {"partitions": A100, "gpu_request": "gres"},
        "placement": {"ranks": 4},
        "resources": {"cpus_per_gpu": 12},
    },
    "packed": {
        "profile": {"partitions": A100},
        "placement": {"ranks": 2, "loader_workers": 3},
        "resources": {"jobs_per_allocation": 2, "jobs_per_gpu": 2, "mem_gb_per_node": 30},
    },
    "odd_root": {"root": '/my runs/it\'s 100% "new"'},
}
ODD = (
    "a b",
    "it's",
    'say "x"',
    "$HOME ${PATH}",
    "$(touch owned)",
    "`touch owned`",
    "x; touch owned",
    "x && touch owned #",
    "x\\ny\\",
    "*?[a-z]~!",
    "100%d %% %a",
    "-rf --output=x",
    "<in >out",
    "dünn 雪",
)


def case(name: str) -> tuple[Root, Submission]:
    told = dict(CASES[name])
    root = Root(Path(told.pop("root", "/shared/runs")))
    cluster = profile(**told.pop("profile", {}))
    return root, submission("a", "b", "c", token=TOKEN, cluster=cluster, **told)


class Script:
    """A rendered script on a node whose srun, scontrol and sleep are a test's."""

    def __init__(self, folder: Path, slurm: FakeSlurm, one: Submission, root: Root) -> None:
        self.folder, self.slurm = folder, slurm
        self.path = folder / "script.sh"
        self.path.write_text(render(root, one))

    def start(self) -> subprocess.Popen[bytes]:
        node = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
        return subprocess.Popen(
            ["/bin/bash", str(self.path)], cwd=self.folder, env={**os.environ, **node}
        )

    def run(self) -> int:
        return self.start().wait(20)

    def after_srun(self) -> list[list[str]]:
        calls = self.slurm.calls()
        return calls[[call[0] for call in calls].index("srun") + 1 :]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "site", monkeypatch)


def script(folder: Path, slurm: FakeSlurm, **changes: Any) -> Script:
    root = changes.pop("root", folder / "runs")
    return Script(folder, slurm, submission("a", **changes), Root(root))


@pytest.mark.parametrize("name", CASES)
def test_the_text_of_a_submission_is_the_golden_one(name: str) -> None:
    text, golden = render(*case(name)), GOLDEN / f"{name}.sh"
    if os.environ.get("ACCEPT_GOLDEN"):
        golden.write_text(text)

    assert golden.exists(), f"{golden} is not there; to make it: ACCEPT_GOLDEN=1 pytest {__file__}"
    assert text == golden.read_text(), (
        f"what sbatch is given is no longer {golden}; if that is meant, look at git diff after: "
        f"ACCEPT_GOLDEN=1 pytest {__file__}"
    )


@pytest.mark.parametrize("name", CASES)
def test_bash_accepts_the_text_and_no_comment_is_cut_in_two(name: str) -> None:
    text = render(*case(name))
    checked = subprocess.run(
        ["/bin/bash", "-n"], input=text, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")
    options = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert all(len(shlex.split(line)) == 2 for line in options)


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_script_says_what_its_partition_and_placement_come_to(name: str) -> None:
    root, one = case(name)
    options = dict(
        shlex.split(line)[1].removeprefix("--").partition("=")[::2]
        for line in render(root, one).splitlines()
        if line.startswith("#SBATCH")
    )

    assert options["job-name"] == job_name(TOKEN)
    assert options["array"] == f"0-{one.allocations - 1}%{one.max_parallel or one.allocations}"
    assert options["output"].replace("%%", "%").startswith(str(root.path))
    ranks = int(options["nodes"]) * int(options["ntasks-per-node"])
    assert ranks == (1 if one.packed else one.placement.ranks)
    assert {"requeue", "signal", "open-mode"} < options.keys()


@pytest.mark.parametrize("code", [0, 1, 137])
def test_the_script_ends_with_its_ranks_code(tmp_path: Path, slurm: FakeSlurm, code: int) -> None:
    slurm.answer("srun", code=code)
    one = script(tmp_path, slurm)

    assert one.run() == code
    assert one.after_srun() == []


@pytest.mark.parametrize(
    ("scontrol", "after"),
    [
        (0, [["scontrol", "requeue", "7_3"], ["sleep", "60"]]),
        (1, [["scontrol", "requeue", "7_3"]]),
    ],
    ids=["heard", "not heard"],
)
def test_ahead_of_its_time_limit_it_asks_for_another_start_and_waits_or_tells_by_its_code(
    tmp_path: Path, slurm: FakeSlurm, scontrol: int, after: list[list[str]]
) -> None:
    slurm.answer("srun", code=79)
    slurm.answer("scontrol", code=scontrol)
    one = script(tmp_path, slurm)

    assert one.run() == 79
    assert one.after_srun() == after


def test_where_nodes_have_no_scontrol_its_code_tells(tmp_path: Path, slurm: FakeSlurm) -> None:
    slurm.answer("srun", code=79)
    (slurm.bin / "scontrol").unlink()
    (slurm.bin / "scontrol").write_text("#!/no/such/interpreter\n")
    (slurm.bin / "scontrol").chmod(0o755)

    assert script(tmp_path, slurm).run() == 79


def test_stopped_neatly_it_stays_for_the_grace_time_so_that_slurm_starts_it_again(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    slurm.answer("srun", code=75)
    one = script(tmp_path, slurm, cluster=profile(preemption_grace_s=33))

    assert one.run() == 75
    assert one.after_srun() == [["sleep", "33"]]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_for_the_whole_job_does_not_end_it_before_its_ranks_have_saved(
    tmp_path: Path, slurm: FakeSlurm, sent: signal.Signals
) -> None:
    slurm.answer("srun", code=75, after_s=0.3)
    one = script(tmp_path, slurm)
    process = one.start()
    until(lambda: slurm.calls("srun"))
    process.send_signal(sent)

    assert process.wait(20) == 75
    by_scancel = sent == signal.SIGTERM
    assert [call[0] for call in one.after_srun()] == ([] if by_scancel else ["sleep"])


def ranks(slurm: FakeSlurm, words: list[str]) -> tuple[list[str], Mapping[str, str]]:
    """What srun was told to start, and the variables it had."""
    (call,) = slurm.calls("srun")
    return call[len(call) - len(words) :], slurm.environment("srun")


@pytest.mark.parametrize("odd", ODD)
def test_what_a_user_writes_reaches_the_ranks_as_it_is_and_never_the_shell(
    tmp_path: Path, slurm: FakeSlurm, odd: str
) -> None:
    root, data, python = tmp_path / odd / "runs", f"/data/{odd}", f"/{odd}/python"
    cluster = profile(launch_prefix=["run", odd], scratch=None if "$" in odd else f"/tmp/{odd}")
    one = submission("a", cluster=cluster, python=python, data_root=data, token=TOKEN)
    text = Script(tmp_path, slurm, one, Root(root))

    assert text.run() == 0
    expected = ["run", odd, python, "-P", "-m", "orchestrator.worker", TOKEN, "3"]
    words, told = ranks(slurm, expected)
    assert words == expected
    assert (told["ORCHESTRATE_ROOT"], told["ORCHESTRATE_DATA"]) == (str(root), data)
    assert told["PYTHONPATH"].split(":")[0] == str(root / "snapshots/c0de")
    assert told.get("TMPDIR") == (cluster.scratch or os.environ.get("TMPDIR"))
    logs = slurm.calls("srun")[0]
    assert str(root / "submissions" / TOKEN / "logs").replace("%", "%%") + "/%a-rank%t.log" in logs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.sh", "site"]


def test_ranks_are_told_who_they_are_and_how_many_threads_they_have(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    script(tmp_path, slurm, placement={"threads_per_rank": 3, "device": "cpu"}).run()

    told = slurm.environment("srun")
    assert told["ORCHESTRATE_HANDLE"] == "7@alpha"
    assert (told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]) == ("3", "3")
    assert told["ORCHESTRATE_ADDRESS"] == "127.0.0.1"


def test_lines_of_setup_are_run_as_they_are_and_come_before_what_ranks_are_told(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    lines = ["export SITE=$SLURM_ARRAY_JOB_ID", "export PYTHONPATH=/site ORCHESTRATE_ROOT=/wrong"]
    script(tmp_path, slurm, cluster=profile(setup=lines)).run()

    told = slurm.environment("srun")
    assert told["SITE"] == "7"
    assert told["PYTHONPATH"] == f"{tmp_path}/runs/snapshots/c0de:/site"
    assert told["ORCHESTRATE_ROOT"] == f"{tmp_path}/runs"


def test_a_careful_setup_does_not_end_the_script_before_it_can_ask_for_another_start(
    tmp_path: Path, slurm: FakeSlurm
) -> None:
    slurm.answer("srun", code=79)
    one = script(tmp_path, slurm, cluster=profile(setup=["set -euo pipefail"]))

    assert one.run() == 79
    assert [call[0] for call in one.after_srun()] == ["scontrol", "sleep"]


@pytest.mark.parametrize(
    ("interface", "nodes", "address", "over"),
    [
        (None, 1, "127.0.0.1", "lo"),
        ("ib0", 1, "127.0.0.1", "lo"),
        ("ib0", 2, "10.0.0.5", "ib0"),
        (None, 2, "node1", None),
    ],
)
def test_ranks_meet_on_the_first_node_over_the_sites_network(
    tmp_path: Path,
    slurm: FakeSlurm,
    *,
    interface: str | None,
    nodes: int,
    address: str,
    over: str | None,
) -> None:
    addresses = ["3: ib0    inet 10.0.0.5/24 brd 10.0.0.255 scope global ib0", "3: ib0 inet 10.9/8"]
    for name, answer in {"ip": addresses, "hostname": ["node1"]}.items():
        (slurm.bin / name).symlink_to((slurm.bin / "srun").readlink())
        slurm.answer(name, *answer)
    script(
        tmp_path,
        slurm,
        cluster=profile(network_interface=interface),
        placement={"ranks": nodes, "device": "cpu"},
        resources={"nodes": nodes, "partition": "cpu"},
    ).run()

    told = slurm.environment("srun")
    assert told["ORCHESTRATE_ADDRESS"] == address
    assert told.get("GLOO_SOCKET_IFNAME") == told.get("NCCL_SOCKET_IFNAME") == over
