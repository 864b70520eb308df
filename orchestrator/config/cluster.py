"""A site's facts, and what one job's resources come to under them."""

import difflib
import re
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from orchestrator.config.data import DATASET_NAME
from orchestrator.config.placement import Placement
from orchestrator.config.resources import Duration, Resources, minutes, ranks_per_node
from orchestrator.config.rules import Kind, SiteRule
from orchestrator.config.section import Section

OWN_OPTIONS = {
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "partition": "partitions",
    "gres": "gpu_request",
    "gpus-per-node": "gpu_request",
    "gpus": "resources.gpus_per_node in the sweep",
    "gpus-per-task": "resources.gpus_per_node in the sweep",
    "signal": "stop_before_end_s",
    "nodes": "resources.nodes in the sweep",
    "time": "resources.time in the sweep",
    "mem": "resources.mem_gb_per_node in the sweep",
    "cpus-per-task": "resources.cpus_per_rank in the sweep",
    "ntasks": "placement.ranks in the sweep",
    "ntasks-per-node": "placement.ranks in the sweep",
    "array": "max_parallel in the sweep",
    **dict.fromkeys(("job-name", "output", "error", "open-mode"), ""),
    **dict.fromkeys(("requeue", "no-requeue", "parsable", "wrap", "chdir"), ""),
}
"""Options of sbatch that ``extra`` may not hold, and what decides them; nothing: we alone."""


def _printable(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(f"{text!r} must be one line of visible text")
    return text


def _one_word(text: str) -> str:
    if len(text.split()) != 1 or _printable(text) != text.strip():
        raise ValueError(f"{text!r} must be one word, without spaces")
    return text


def _absolute(path: str) -> str:
    if not _printable(path).startswith("/"):
        raise ValueError(f"{path} must be an absolute path, such as /scratch/me")
    if "$" in path:
        raise ValueError(f"{path} is taken as it is written; use $ in lines of setup only")
    return path


def _option_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"{name!r} must be a long option of sbatch without its --")
    if name in OWN_OPTIONS:
        by = OWN_OPTIONS[name] or "the program"
        raise ValueError(f"{name} is decided by {by}, and may not stand here")
    return name


def _option_value(text: str) -> str:
    return text if text == "" else _printable(text)


Name = Annotated[str, Field(pattern=DATASET_NAME)]
Line = Annotated[str, AfterValidator(_printable)]
Word = Annotated[str, AfterValidator(_one_word)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
OptionName = Annotated[str, AfterValidator(_option_name)]
OptionValue = Annotated[str, AfterValidator(_option_value)]


class Partition(Section):
    """One partition, with what a job may ask of it; null is not checked."""

    time: Duration | None = None
    """Its longest time limit; null: none is known."""
    nodes: int | None = Field(default=None, ge=1)
    """The most nodes that one job may have."""
    cores_per_node: int | None = Field(default=None, ge=1)
    """As SLURM counts CPUs."""
    mem_gb_per_node: float | None = Field(default=None, gt=0)
    gpus_per_node: int = Field(default=0, ge=0)
    gpu_type: str = Field(default="", pattern=f"^$|{DATASET_NAME}")
    """Its GPUs' name, added to every request for them; empty asks for any."""
    preemptible: bool = False
    """Whether SLURM may stop a job here to make room for another."""


class ClusterProfile(Section):
    """What a cluster is like, and how its site wants to be asked."""

    name: Name
    """SLURM's ClusterName."""
    partitions: dict[Name, Partition] = Field(min_length=1)
    """Those a job may name; the first is taken where it names none."""
    gpu_request: Literal["gpus-per-node", "gres"] = "gpus-per-node"
    """How GPUs are asked for: ``--gpus-per-node=a100:4`` or ``--gres=gpu:a100:4``."""
    ask_memory: bool = True
    """false where a site does not let jobs ask for memory."""
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    """Features that nodes must have."""
    setup: list[Line] = Field(default_factory=list)
    """Shell lines that are run before the workers, as they are: modules, environments."""
    python: AbsolutePath | None = None
    """The Python on the nodes; null: the one that launches."""
    launch_prefix: list[Line] = Field(default_factory=list)
    """Words before a worker's command, such as ``apptainer exec --nv image.sif``."""
    scratch: AbsolutePath | None = None
    """A node's own fast disk; becomes the workers' TMPDIR."""
    data_root: AbsolutePath | None = None
    """Where neither ``--data-root`` nor ``$ORCHESTRATE_DATA`` says otherwise."""
    network_interface: Name | None = None
    """What ranks on several nodes talk over; null: they find one."""
    stop_before_end_s: int = Field(default=120, ge=30, le=65535)
    """Workers are asked to save and stop so long before the time limit."""
    preemption_grace_s: int = Field(default=120, ge=1)
    """How long SLURM may take to end a job that it asked to stop."""
    max_submit: int | None = Field(default=None, ge=1)
    """Array members that this user may have in the queue at once; null: no limit is known."""
    max_gpus: int | None = Field(default=None, ge=1)
    """GPUs that all jobs of a run root may ask for at once, waiting ones included; null: any."""
    max_array: int | None = Field(default=None, ge=1)
    """The largest array; null: SLURM is asked."""
    controller_partition: str | None = None
    """Where the small job runs that tends a sweep; null: the first partition."""
    extra: dict[OptionName, OptionValue] = Field(default_factory=dict)
    """Further options of sbatch; an empty value gives the bare option."""
    reasons: dict[Kind, SiteRule] = Field(default_factory=dict)
    """What is done here about jobs that fail, where it is not what is done elsewhere."""

    @field_validator("controller_partition")
    @classmethod
    def _is_one_of_them(cls, name: str | None, info: ValidationInfo) -> str | None:
        partitions = info.data.get("partitions", {})
        if name is not None and partitions and name not in partitions:
            raise ValueError(_no_such_partition(name, partitions))
        return name


def partition_of(profile: ClusterProfile, resources: Resources) -> tuple[str, Partition]:
    """The partition a job runs in, by name.

    Raises:
        KeyError: there is none of that name; ``refuse_on_cluster`` says so in words.
    """
    name = resources.partition or next(iter(profile.partitions))
    return name, profile.partitions[name]


def gpus_per_node(profile: ClusterProfile, resources: Resources, placement: Placement) -> int:
    """GPUs to ask for on each node, with the default resolved."""
    if resources.gpus_per_node is not None:
        return resources.gpus_per_node
    _, partition = partition_of(profile, resources)
    if placement.device == "cpu" or not partition.gpus_per_node:
        return 0
    return ranks_per_node(resources, placement)


def cpus_per_rank(profile: ClusterProfile, resources: Resources, placement: Placement) -> int:
    """CPUs to ask for each rank, with the default resolved."""
    if resources.cpus_per_rank is not None:
        return resources.cpus_per_rank
    if resources.cpus_per_gpu is not None and gpus_per_node(profile, resources, placement):
        return resources.cpus_per_gpu
    return placement.threads_per_rank + placement.loader_workers


def time_minutes(profile: ClusterProfile, resources: Resources) -> int | None:
    """The time limit to ask for; None leaves it to SLURM."""
    _, partition = partition_of(profile, resources)
    written = resources.time or partition.time
    return None if written is None else minutes(written)


def refuse_on_cluster(
    profile: ClusterProfile, resources: Resources, placement: Placement
) -> list[str]:
    """Why this cluster could never run a job with these resources; empty if it can."""
    if resources.partition is not None and resources.partition not in profile.partitions:
        problem = _no_such_partition(resources.partition, profile.partitions)
        return [f"resources.partition: in the profile of {profile.name} {problem}"]
    return [
        *_refuse_sizes(profile, resources, placement),
        *_refuse_time(profile, resources),
        *_refuse_requests(profile, resources, placement),
    ]


def _refuse_sizes(
    profile: ClusterProfile, resources: Resources, placement: Placement
) -> Iterator[str]:
    name, partition = partition_of(profile, resources)
    each = ranks_per_node(resources, placement)
    gpus = gpus_per_node(profile, resources, placement)
    cpus = cpus_per_rank(profile, resources, placement)
    ranks = f"{each} rank(s) per node"
    asked = (
        ("nodes", resources.nodes, partition.nodes, ""),
        ("GPUs per node", gpus, partition.gpus_per_node, f" for {ranks}"),
        ("CPUs per node", each * cpus, partition.cores_per_node, f" for {ranks} x {cpus}"),
        ("GB of memory per node", resources.mem_gb_per_node, partition.mem_gb_per_node, ""),
    )
    for what, wanted, most, why in asked:
        if wanted is not None and most is not None and wanted > most:
            yield (
                f"resources come to {wanted:g} {what}{why}, but partition {name} of {profile.name} "
                f"has {most:g}; ask for less, or name another partition"
            )
    total = resources.nodes * gpus
    if profile.max_gpus is not None and total > profile.max_gpus:
        yield (
            f"resources come to {total} GPUs for one job ({resources.nodes} node(s) x {gpus}), but "
            f"the profile of {profile.name} lets all jobs together ask for {profile.max_gpus} "
            "(max_gpus); ask for less, or raise it"
        )


def _refuse_time(profile: ClusterProfile, resources: Resources) -> Iterator[str]:
    name, partition = partition_of(profile, resources)
    asked = time_minutes(profile, resources)
    if resources.time and partition.time and minutes(resources.time) > minutes(partition.time):
        yield (
            f"resources.time is {resources.time}, but partition {name} of {profile.name} ends a "
            f"job after {partition.time}; write at most {partition.time}: a job that is stopped "
            "goes on from its checkpoint when it is launched again"
        )
    if asked is not None and asked * 60 <= profile.stop_before_end_s:
        yield (
            f"the time limit is {asked}m, but the profile of {profile.name} stops workers "
            f"{profile.stop_before_end_s} s before it (stop_before_end_s); write a resources.time "
            f"of at least {profile.stop_before_end_s // 60 + 1}m"
        )


def _refuse_requests(
    profile: ClusterProfile, resources: Resources, placement: Placement
) -> Iterator[str]:
    name, partition = partition_of(profile, resources)
    if resources.mem_gb_per_node is not None and not profile.ask_memory:
        yield (
            f"resources.mem_gb_per_node is {resources.mem_gb_per_node:g}, but {profile.name} does "
            "not let jobs ask for memory (ask_memory in its profile); leave it out"
        )
    needs_one = placement.device == "cuda" and resources.gpus_per_node is None
    if needs_one and not partition.gpus_per_node:
        yield (
            f"placement.device is cuda, but partition {name} of {profile.name} has no GPUs; "
            f"name another partition; known partitions: {', '.join(profile.partitions)}"
        )


def _no_such_partition(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"nearest: {near[0]}; " if near else ""
    return f"there is no partition {name!r}; {hint}known partitions: {', '.join(known)}"
