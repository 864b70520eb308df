"""A cluster profile: a site's facts, as its users write them down."""

import difflib
import re
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from orchestrator.config.command import Command
from orchestrator.config.data import DATASET_NAME
from orchestrator.config.ray import RaySite
from orchestrator.config.resources import (
    Duration,
)
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
    """Those a job may name."""
    default_partition: str | None = None
    """Where a job runs that names none; null becomes the first, which records do not tell."""
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
    """Where the small job runs that tends a sweep; null: the default partition."""
    notify: Command | None = None
    """Told of what happens to sweeps that name no command of their own; see ``SweepSpec``."""
    extra: dict[OptionName, OptionValue] = Field(default_factory=dict)
    """Further options of sbatch; an empty value gives the bare option."""
    ray: RaySite | None = None
    """The Ray cluster of ``executor: ray``, where neither ``--address`` nor ``$RAY_ADDRESS`` names
    one; nothing else of a profile concerns Ray, but for ``data_root``."""
    reasons: dict[Kind, SiteRule] = Field(default_factory=dict)
    """What is done here about jobs that fail, where it is not what is done elsewhere."""

    @field_validator("notify")
    @classmethod
    def _is_found_from_anywhere(cls, command: list[str] | None) -> list[str] | None:
        if command and "/" in command[0] and not command[0].startswith("/"):
            raise ValueError(
                f"{command[0]} depends on where a program is started; use a path that begins with "
                "/, or a name that is found on the PATH"
            )
        return command

    @field_validator("default_partition")
    @classmethod
    def _is_the_first(cls, name: str | None, info: ValidationInfo) -> str | None:
        return name or next(iter(info.data.get("partitions", {})), None)

    @field_validator("default_partition", "controller_partition")
    @classmethod
    def _is_one_of_them(cls, name: str | None, info: ValidationInfo) -> str | None:
        partitions = info.data.get("partitions", {})
        if name is not None and partitions and name not in partitions:
            raise ValueError(no_such_partition(name, partitions))
        return name


def no_such_partition(name: str, known: Collection[str]) -> str:
    """That a partition is not known, and which are."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"nearest: {near[0]}; " if near else ""
    return f"there is no partition {name!r}; {hint}known partitions: {', '.join(known)}"
