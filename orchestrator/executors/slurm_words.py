"""SLURM's words for states, reasons and limits, and what each means here: tables."""

import re
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.jobs.evidence import Sight


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state of SLURM says of a member.

    ``by_place``: SLURM or a machine ended it, not the program. ``cancelled``: a person did.
    ``kind``: a class of ``jobs.reasons.RULES``.
    """

    sight: Sight
    text: str = ""
    by_place: bool = False
    cancelled: bool = False
    kind: str = ""


STATES = {
    "BOOT_FAIL": Meaning(Sight.ENDED, "its nodes could not be started", by_place=True),
    "CANCELLED": Meaning(Sight.ENDED, "cancelled with scancel", cancelled=True),
    "COMPLETED": Meaning(Sight.ENDED),
    "COMPLETING": Meaning(Sight.RUNNING, "is being ended by SLURM"),
    "CONFIGURING": Meaning(Sight.RUNNING, "its nodes are being started"),
    "DEADLINE": Meaning(Sight.ENDED, "SLURM ended it at its deadline", by_place=True),
    "EXPEDITING": Meaning(Sight.WAITING, "will be started again with precedence"),
    "FAILED": Meaning(Sight.ENDED),
    "LAUNCH_FAILED": Meaning(Sight.ENDED, "SLURM could not launch it on its nodes", by_place=True),
    "NODE_FAIL": Meaning(Sight.ENDED, "a node failed", by_place=True),
    "OUT_OF_MEMORY": Meaning(Sight.ENDED, "out of memory on its node", kind="memory"),
    "PENDING": Meaning(Sight.WAITING),
    "POWER_UP_NODE": Meaning(Sight.RUNNING, "its nodes are being started"),
    "PREEMPTED": Meaning(Sight.ENDED, "preempted", by_place=True),
    "RECONFIG_FAIL": Meaning(Sight.ENDED, "its nodes could not be configured", by_place=True),
    "REQUEUED": Meaning(Sight.WAITING, "was put back into the queue"),
    "REQUEUE_FED": Meaning(Sight.WAITING, "was put back into the queue of its federation"),
    "REQUEUE_HOLD": Meaning(Sight.WAITING, "was put back into the queue and is held"),
    "RESIZING": Meaning(Sight.RUNNING),
    "RESV_DEL_HOLD": Meaning(Sight.WAITING, "is held, because its reservation was deleted"),
    "REVOKED": Meaning(Sight.ENDED, "another cluster of the federation took it", by_place=True),
    "RUNNING": Meaning(Sight.RUNNING),
    "SIGNALING": Meaning(Sight.RUNNING),
    "SPECIAL_EXIT": Meaning(Sight.WAITING, "was put back into the queue in a special state"),
    "STAGE_OUT": Meaning(Sight.RUNNING, "its files are being staged out"),
    "STOPPED": Meaning(Sight.RUNNING, "is stopped by a signal, and keeps its nodes"),
    "SUSPENDED": Meaning(Sight.RUNNING, "is suspended, and will go on"),
    "TIMEOUT": Meaning(Sight.ENDED, "reached its time limit", by_place=True),
}
"""By the long name that squeue and sacct print."""

BY_SLURM = re.compile(r"slurmstepd\S*: error: \*\*\* (STEP|JOB) .* CANCELLED")
"""In a log: SLURM ended these ranks, although it says of the job only that it failed.

Seen when a node that was lost comes back: its srun ends the step of the job's next start, which has
the same number.
"""

FALLEN = re.compile(r"srun: error: \S+: tasks? (\d+)\S*: (?!Exited)")
"""In a script's log: the rank that a signal ended, as in ``srun: error: node1: task 1: Killed``."""
NOISE = re.compile(
    r"srun: (Force Terminated|forcing|got SIG|Terminating|launch/|Job step aborted"
    r"|error: \S+: tasks? )"
)
"""What srun says when ranks end, which is never why."""

REASONS = {
    "None": "SLURM has not looked at it yet",
    "Priority": "others in the queue come first",
    "Resources": "it is next, when nodes are free",
    "BeginTime": "SLURM lets it begin again a little later",
    "Dependency": "another job has to end first",
    "DependencyNeverSatisfied": "what it waits for will never happen; cancel it",
    "JobArrayTaskLimit": "the sweep's max_parallel is reached",
    "JobHeldUser": "it is held by its owner; to let it go: scontrol release",
    "JobHeldAdmin": "it is held by an administrator, who has to release it",
    "job_requeued_in_held_state": "it was put back and is held; to let it go: scontrol release",
    "launch_failed_requeued_held": "a node could not launch it, and it is held; scontrol release",
    "Licenses": "a licence has to be free",
    "NodeDown": "a node it needs is down",
    "ReqNodeNotAvail": "the nodes it needs are down, drained or reserved",
    "Reservation": "its reservation has not begun",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no jobs to run",
    "PartitionNodeLimit": "it asks for more nodes than the partition gives a job; cancel it",
    "PartitionTimeLimit": "it asks for more time than the partition gives; cancel it",
    "PartitionConfig": "its request does not fit the partition; cancel it",
    "QOSNotAllowed": "its account may not use this QOS; cancel it",
    "InvalidQOS": "its QOS does not exist; cancel it",
    "InvalidAccount": "its account does not exist; cancel it",
    "AccountNotAllowed": "its account may not use this partition; cancel it",
    "BadConstraints": "no nodes have what it asks for; cancel it",
    "NodesRequired": "no nodes of the partition have what it asks for",
    "MaxMemPerLimit": "it asks for more memory than a node gives; cancel it",
    "Cleaning": "its last start is being cleaned up",
    "Prolog": "its nodes are being prepared",
    "SystemFailure": "SLURM, its file system or a node failed",
    "NonZeroExitCode": "its last start failed",
    "TimeLimit": "its last start reached its time limit",
    "FrontEndDown": "no front end is there to run it",
    "AssocMaxJobsLimit": "your account may not run more jobs at once",
    "AssocGrpGRES": "your account's GPUs are all in use",
    "AssocGrpCpuLimit": "your account's CPUs are all in use",
    "AssocGrpCPUMinutesLimit": "your account has used up its CPU time",
    "QOSMaxJobsPerUserLimit": "you may not run more jobs at once under this QOS",
    "QOSMaxGRESPerUser": "you may not use more GPUs at once under this QOS",
    "QOSMaxCpuPerUserLimit": "you may not use more CPUs at once under this QOS",
    "QOSGrpGRES": "the GPUs of this QOS are all in use",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than this QOS gives; cancel it",
}
"""Why a job waits, by the name that squeue prints."""

LIMITS = {
    "Assoc": "a limit of your account is reached",
    "QOS": "a limit of your QOS is reached",
    "MaxTRES": "a limit of your account or QOS is reached",
    "Job": "its request cannot be met as it stands",
}
"""For the many reasons that ``REASONS`` does not name, by how they begin."""


def reason_in_words(reason: str) -> str:
    """Why a job waits: SLURM's own word, then ours.

    A reason may carry more behind a comma, as in ``ReqNodeNotAvail, UnavailableNodes:node3``.
    """
    word, _, rest = reason.partition(",")
    word = word.replace(" ", "_")  # as some versions print it
    known = REASONS.get(word) or next(
        (text for start, text in LIMITS.items() if word.startswith(start)), ""
    )
    told = f"{word}: {known}" if known else word
    return f"{told} ({rest.strip()})" if rest.strip() else told


class Limit(StrEnum):
    """Whose limit it is that sbatch finds reached."""

    OWN = "own"
    """Only this user's jobs count."""
    SHARED = "shared"
    """Other people's jobs count as well."""
    BUSY = "busy"
    """SLURM as a whole has its hands full."""


SUBMIT_LIMITS = (
    (r"\w*(GrpSubmit|SubmitJobs?PerAccount)\w*", Limit.SHARED),
    (r"\w*MaxSubmit\w*", Limit.OWN),
    (r"Slurm (temporarily unable to accept job|job queue full)", Limit.BUSY),
    (r"Resource temporarily unavailable|MaxJobCount limit reached", Limit.BUSY),
    (r"Rate limit exceeded", Limit.BUSY),
    # Of another limit, such as QOSMaxCpuPerJobLimit: no room ever makes such a job fit.
    (r"\b(Assoc|QOS|Max)\w+", None),
    (r"job submit limit, user's size and/or time limits", Limit.OWN),
)
"""What sbatch says of limits, which one that means, or none; the first row that is found holds."""


def limit_in(words: str) -> tuple[Limit, str] | None:
    """The limit on the number of jobs that sbatch's words tell of, and its name there."""
    for pattern, limit in SUBMIT_LIMITS:
        if found := re.search(pattern, words):
            return None if limit is None else (limit, found.group())
    return None
