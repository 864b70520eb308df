"""The cluster: whether SLURM answers, knows this user, and is what its profile says."""

import re
import shutil
from collections.abc import Iterator

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.config.cluster import Partition
from orchestrator.config.resources import minutes
from orchestrator.controller.doctor.finding import Finding, Patient, bad, ok, warn
from orchestrator.executors import executor_named
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.slurm_queries import NoAnswer
from orchestrator.executors.slurm_site import (
    PartitionFacts,
    associations,
    partitions,
    told_limits,
)
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.submissions import Submission

NEEDS_PROFILE = (
    "to use it: cp slurm/cluster.example.yaml ~/.config/orchestrate/cluster.yaml, and fill it in"
)


def check_slurm(patient: Patient) -> Iterator[Finding]:
    """Whether it answers, and is the profile's."""
    profile = patient.cluster
    if profile is None and shutil.which("scontrol") is None:
        yield ok("none here, and no profile of one: jobs run on this machine")
        return
    try:
        here = slurm.cluster()
        version = re.search(r"^SLURM_VERSION\s*= (\S+)", _config(), re.MULTILINE)
    except NoAnswer as error:
        words = f"SLURM does not answer ({error})"
        if profile is None:
            yield warn(words, "only where jobs are to run on a cluster: ask its administrators")
        else:
            yield bad(words, "look from a login node of the cluster, or ask its administrators")
        return
    told = f"cluster {here.name}, SLURM {version.group(1) if version else 'of unknown version'}"
    if profile is None:
        yield warn(f"{told}; there is no profile of it", NEEDS_PROFILE)
    elif profile.name != here.name:
        advice = "name another profile with --cluster FILE, or correct its name"
        yield bad(f"{told}, but the profile is of '{profile.name}'", advice)
    else:
        yield ok(f"{told}, arrays of up to {here.max_array}")


def check_accounting(patient: Patient) -> Iterator[Finding]:
    """Whether ends of jobs can be asked for later."""
    if patient.cluster is None:
        return
    if not slurm.cluster().accounting:
        age = re.search(r"^MinJobAge\s*= (\d+)", _config(), re.MULTILINE)
        kept = f" for {age.group(1)} s" if age else ""
        yield warn(
            f"this cluster keeps none: SLURM knows how a job ended{kept} and no longer",
            "keep a watch running (orchestrate watch, or launch --controller)",
        )
        return
    try:
        slurm.ask("sacct", "--noheader", "--allocations", "--starttime=now-1minute")
    except NoAnswer as error:
        advice = "jobs run on; what became of those that end meanwhile is told when it is back"
        yield warn(f"it does not answer ({error})", advice)
    else:
        yield ok("sacct answers")


def check_account(patient: Patient) -> Iterator[Finding]:
    """This user's accounts and limits, and whether the profile names one of them."""
    profile, user = patient.cluster, user_name()
    if profile is None or not slurm.cluster().accounting:
        return
    try:
        rows = associations(user)
    except NoAnswer as error:
        yield warn(f"limits of {user} are not known ({error})", "try again later")
        return
    accounts = list(dict.fromkeys(row["Account"] for row in rows if "Account" in row))
    if not accounts:
        advice = "if submitting fails, ask the administrators for an account"
        yield warn(f"SLURM's accounting knows no account of {user}", advice)
        return
    if profile.account is not None and profile.account not in accounts:
        yield bad(
            f"the profile names account {profile.account}; {user} has {', '.join(accounts)}",
            "correct account in the profile",
        )
    known = {quality for row in rows for quality in row.get("QOS", "").split(",") if quality}
    if profile.qos is not None and known and profile.qos not in known:
        yield bad(
            f"the profile names qos {profile.qos}; {user} may use {', '.join(sorted(known))}",
            "correct qos in the profile",
        )
    most = min((int(row["MaxSubmit"]) for row in rows if "MaxSubmit" in row), default=None)
    if most is not None and profile.max_submit is not None and profile.max_submit > most:
        yield warn(
            f"max_submit of the profile is {profile.max_submit}, but SLURM lets {user} have {most}",
            f"write max_submit: {most}",
        )
    for row in rows:
        yield ok(f"account {row.get('Account', '?')}: {told_limits(row) or 'no limits of its own'}")


def check_partitions(patient: Patient) -> Iterator[Finding]:
    """The profile's partitions, held against SLURM's."""
    if patient.cluster is None:
        return
    try:
        there = partitions()
    except NoAnswer as error:
        yield bad(f"they are not known ({error})", "try again")
        return
    for name, said in patient.cluster.partitions.items():
        if name not in there:
            yield bad(
                f"SLURM has no partition {name} for this user; it has {', '.join(there) or 'none'}",
                "correct partitions in the profile",
            )
            continue
        found = there[name]
        wrong = list(_beyond(said, found))
        if wrong:
            advice = "correct the profile: jobs that ask for as much would be refused, or never run"
            yield bad(f"{name}: {'; '.join(wrong)}", advice)
        if not found.up or not found.usable:
            state = "is down" if not found.up else f"has none of its {found.nodes} nodes in service"
            yield warn(f"{name} {state}", "jobs wait there; name another partition")
        elif not wrong:
            yield ok(f"{name}: {_in_words(found)}")


def check_submission(patient: Patient) -> Iterator[Finding]:
    """Whether sbatch would take a job of each partition, under the profile's account and options.

    What it says of a job that is only tested (``sbatch --test-only``); nothing is submitted.
    """
    if patient.cluster is None:
        return
    place = executor_named("slurm", Root(patient.root_path))
    for name in patient.cluster.partitions:
        if refusals := place.check(probing(patient.cluster, name, patient)):
            yield bad(f"{name}: {'; '.join(refusals)}", "correct the profile")
        else:
            yield ok(f"{name}: sbatch would take a job of one rank")


def probing(profile: ClusterProfile, partition: str, patient: Patient) -> Submission:
    """A job of one rank there, which trains nothing; never handed over."""
    return Submission(
        executor="slurm",
        jobs=["0" * 32],
        names=["doctor"],
        placement=Placement(),
        resources=Resources(partition=partition),
        cluster=profile,
        max_parallel=1,
        snapshot="none",
        python=profile.python or "python3",
        data_root=str(patient.data_root),
        owner=user_name(),
    )


def _config() -> str:
    return slurm.ask("scontrol", "show", "config")


def _beyond(said: Partition, found: PartitionFacts) -> Iterator[str]:
    """What the profile promises, and SLURM does not give."""
    promised = (
        ("nodes", said.nodes, found.nodes),
        ("cores_per_node", said.cores_per_node, found.cores),
        ("mem_gb_per_node", said.mem_gb_per_node, found.mem_gb),
        ("gpus_per_node", said.gpus_per_node, found.gpus),
    )
    for key, most, real in promised:
        if most is not None and most > real:
            yield f"{key} is {most:g} in the profile, and {real:g} there"
    if said.time and found.minutes is not None and minutes(said.time) > found.minutes:
        yield f"time is {said.time} in the profile, and {found.minutes}m there"
    if said.gpu_type and said.gpu_type not in found.gpu_types:
        kinds = ", ".join(found.gpu_types) or "none by name"
        yield f"gpu_type is {said.gpu_type} in the profile, and there is {kinds}"


def _in_words(found: PartitionFacts) -> str:
    limit = "no time limit" if found.minutes is None else f"{found.minutes / 60:g} h"
    kind = f" {'/'.join(found.gpu_types)}" if found.gpu_types else ""
    return (
        f"{found.usable} of {found.nodes} nodes in service, each up to {found.cores} cores, "
        f"{found.mem_gb:.0f} GB, {found.gpus} GPUs{kind}; {limit}"
    )
