"""The text that sbatch is given for a submission, and its handing over; submitit does both."""

import io
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from pathlib import Path

from submitit import SlurmExecutor as Submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from orchestrator.config import ClusterProfile
from orchestrator.config.allotment import cpus_per_rank, partition_of, time_minutes
from orchestrator.config.resources import ranks_per_node
from orchestrator.errors import Refused, Unclear
from orchestrator.executors.pool_lines import DEAF
from orchestrator.executors.slurm_limits import gpus_of_allocation
from orchestrator.executors.slurm_queries import foreign_variables, job_name
from orchestrator.jobs.facts import STOP_CODES
from orchestrator.jobs.files import naming
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

SBATCH_S = 300
"""After so long without an answer sbatch is given up; it may have been heard."""
OTHERS_S = 60
"""How long a job's other ranks may go on after one has ended."""
NO_ANSWER = ("timed out", "unable to contact", "connect failure", "connection", "zero bytes")
"""Words of sbatch, in small letters, that leave open whether the job was taken."""


class _Batch(Submitit):
    """submitit's way to sbatch, without its pickles, signal handlers and watcher."""

    @classmethod
    def affinity(cls) -> int:
        """Always at hand: a script can be shown where there is no SLURM."""
        return 1

    def text(self, command: str) -> str:
        return self._make_submission_file_text(command, uid="")

    def hand_over(self, command: str) -> str:
        return self._submit_command(command).job_id

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        """From sbatch's own line: a site's wrapper may print numbers too."""
        text = string.decode(errors="replace") if isinstance(string, bytes) else string
        found = re.search(r"^Submitted batch job (\d+)", text, re.MULTILINE)
        if found is None:
            raise FailedSubmissionError(text.strip() or "nothing")
        return found.group(1)

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        forget = [f"--unset={name}" for name in foreign_variables(os.environ)]
        return ["env", *forget, "timeout", str(SBATCH_S), "sbatch", str(submission_file_path)]


def render(root: Root, submission: Submission) -> str:
    """The script: an array, however few its members are, of a plain command."""
    return _batch(root, submission).text(_command(submission))


def hand_over(root: Root, submission: Submission) -> str:
    """Give sbatch what ``render`` shows; returns SLURM's number of the array.

    Raises:
        Refused: SLURM said no.
        Unclear: it did not answer.
    """
    try:
        logs = root.submission(submission.token).logs
        with naming(logs), redirect_stderr(io.StringIO()):  # it would print what is raised below
            return _batch(root, submission).hand_over(_command(submission))
    except FailedSubmissionError as error:
        raise Unclear(f"sbatch answered, but not with a job's number: {error}") from None
    except FailedJobError as error:
        words = " ".join(str(error).split()).removeprefix("sbatch: error: ")
        if not words or any(sign in words.lower() for sign in NO_ANSWER):
            raise Unclear(f"sbatch: {words or 'no answer'}") from None
        raise Refused(f"SLURM did not take it: {words}") from None


def _batch(root: Root, submission: Submission) -> _Batch:
    batch = _Batch(folder=root.submission(submission.token).logs)
    batch.update_parameters(**_parameters(root, submission))
    batch.parameters["map_count"] = submission.allocations
    return batch


def _command(submission: Submission) -> str:
    """What each task of srun runs; the shell fills in which member, or allocation, it is."""
    cluster = _cluster(submission)
    program = "orchestrator.executors.pool" if submission.packed else "orchestrator.worker"
    words = [*cluster.launch_prefix, submission.python, "-P", "-m", program]
    return f'{shlex.join([*DEAF, *words, submission.token])} "$SLURM_ARRAY_TASK_ID"'


def _parameters(root: Root, submission: Submission) -> Mapping[str, object]:
    cluster, resources = _cluster(submission), submission.resources
    logs = str(root.submission(submission.token).logs).replace("%", "%%")
    tasks, cpus, log = _tasks(submission)
    members = submission.allocations
    known = {
        "job_name": job_name(submission.token),
        "partition": partition_of(cluster, resources)[0],
        "time": time_minutes(cluster, resources),
        "nodes": resources.nodes,
        "ntasks_per_node": tasks,
        "cpus_per_task": cpus,
        "mem": _memory(resources.mem_gb_per_node, submission.places),
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "array_parallelism": min(submission.max_parallel or members, members),
        "setup": list(_setup(root, submission)),
        "teardown": list(_teardown(cluster)),
        "srun_args": [
            *("--output", f"{logs}/{log}.log", "--mpi=none", f"--cpus-per-task={cpus}"),
            *("--kill-on-bad-exit=0", f"--wait={OTHERS_S}"),
        ],
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": {
            "output": f"{logs}/{'allocation' if submission.packed else ''}%a-batch.log",
            "chdir": str(root.path),
            "requeue": True,
            "signal": f"USR2@{cluster.stop_before_end_s}",
            **_gpus(submission),
            **{name: value or True for name, value in cluster.extra.items()},
        },
    }
    # None takes away what submitit would ask for by itself.
    by_itself = ("time", "wckey")
    return {name: value for name, value in known.items() if value is not None or name in by_itself}


def _tasks(submission: Submission) -> tuple[int, int, str]:
    """What srun starts on each node: how many, with how many CPUs each, and the name of its log.

    Ranks; where jobs share an allocation, the pool, which has the CPUs of all ranks that it starts.
    """
    asked = submission.resources, submission.placement
    ranks, cpus = ranks_per_node(*asked), cpus_per_rank(_cluster(submission), *asked)
    if submission.packed:
        return 1, submission.places * ranks * cpus, "allocation%a"
    return ranks, cpus, "%a-rank%t"


def _gpus(submission: Submission) -> dict[str, str]:
    cluster, resources = _cluster(submission), submission.resources
    count = gpus_of_allocation(submission) // resources.nodes
    if not count:
        return {}
    kind = partition_of(cluster, resources)[1].gpu_type
    typed = f"{kind}:{count}" if kind else str(count)
    if cluster.gpu_request == "gres":
        return {"gres": f"gpu:{typed}"}
    return {"gpus-per-node": typed}


def _memory(gigabytes: float | None, jobs: int) -> str | None:
    return None if gigabytes is None else f"{round(gigabytes * jobs * 1024)}M"


def _setup(root: Root, submission: Submission) -> Iterator[str]:
    """The site's lines, then what the ranks are told."""
    cluster, placement = _cluster(submission), submission.placement
    if cluster.scratch:
        yield f"export TMPDIR={_q(cluster.scratch)}"
    yield from cluster.setup
    yield "set +e"  # whatever the site's lines say: the end of this script must be reached
    code = _q(root.snapshots / submission.snapshot)
    yield f"export PYTHONPATH={code}${{PYTHONPATH:+:$PYTHONPATH}}"
    yield f"export ORCHESTRATE_ROOT={_q(root.path)} ORCHESTRATE_DATA={_q(submission.data_root)}"
    yield f'export ORCHESTRATE_HANDLE="${{SLURM_ARRAY_JOB_ID}}"@{_q(cluster.name)}'
    threads = placement.threads_per_rank
    yield f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"
    yield from _network(cluster, nodes=submission.resources.nodes)
    # A signal for the whole job must not end this script before its ranks have saved.
    yield "ended="
    yield "trap ended=1 TERM"
    yield "trap : USR2"


def _network(cluster: ClusterProfile, *, nodes: int) -> Iterator[str]:
    """Where the ranks meet: on the first node, on which this script and rank 0 run."""
    address, interface = '"$(hostname)"', cluster.network_interface
    if nodes == 1:
        address, interface = "127.0.0.1", "lo"
    elif interface:
        shown = f"ip -4 -o address show dev {_q(interface)}"
        address = f'"$({shown} | awk \'{{sub("/.*", "", $4); print $4; exit}}\')"'
    yield f"export ORCHESTRATE_ADDRESS={address}"
    if interface:
        yield f"export GLOO_SOCKET_IFNAME={_q(interface)} NCCL_SOCKET_IFNAME={_q(interface)}"


def _teardown(cluster: ClusterProfile) -> Iterator[str]:
    """What the script does about ranks that stopped neatly.

    Ahead of the time limit it asks for another start; where it cannot, its exit code tells.
    Otherwise SLURM wants the nodes, and starts a preempted job again only if it had to end it: a
    script that left by itself would count as complete. (To preempt a job SLURM signals its ranks
    alone; who cancels it signals this script too, which then leaves at once.)
    """
    yield "code=$?"
    yield f'if [ "$code" -eq {STOP_CODES["SIGUSR2"]} ]; then'
    yield '  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" && sleep 60'
    yield f'elif [ "$code" -eq {STOP_CODES["SIGTERM"]} ] && [ -z "$ended" ]; then'
    yield f"  sleep {cluster.preemption_grace_s}"
    yield "fi"
    yield 'exit "$code"'


def _cluster(submission: Submission) -> ClusterProfile:
    assert submission.cluster is not None, "check() refuses a submission without one"
    return submission.cluster


def _q(value: object) -> str:
    return shlex.quote(str(value))
