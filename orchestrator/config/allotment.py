"""What one job is given on a cluster, by its profile, and why it could never be."""

from collections.abc import Iterator

from orchestrator.config.cluster import ClusterProfile, Partition, no_such_partition
from orchestrator.config.placement import Placement
from orchestrator.config.resources import Resources, minutes, ranks_per_node, shared_gpus


def partition_of(profile: ClusterProfile, resources: Resources) -> tuple[str, Partition]:
    """The partition a job runs in, by name.

    Raises:
        KeyError: there is none of that name; ``refuse_on_cluster`` says so in words.
    """
    name = resources.partition or profile.default_partition
    assert name is not None, "a profile has one"
    return name, profile.partitions[name]


def gpus_asked_per_node(
    profile: ClusterProfile, resources: Resources, placement: Placement, jobs: int
) -> int:
    """GPUs to ask for on each node, for so many jobs at a time."""
    each = gpus_per_node(profile, resources, placement)
    return shared_gpus(jobs, each, resources.jobs_per_gpu)


def gpus_per_node(profile: ClusterProfile, resources: Resources, placement: Placement) -> int:
    """GPUs that a job has on each node, with the default resolved."""
    if resources.gpus_per_node is not None:
        return resources.gpus_per_node
    _, partition = partition_of(profile, resources)
    if placement.device == "cpu" or not partition.gpus_per_node:
        return 0
    return ranks_per_node(resources, placement)


def devices_of(
    placement: Placement,
    resources: Resources,
    profile: ClusterProfile | None,
    *,
    gpus_here: bool,
) -> tuple[int, bool]:
    """How many devices a job has, and whether they are GPUs; else they are cores.

    ``gpus_here``: whether the machine has any, which counts where no cluster hands them out.
    """
    if profile is not None:
        if gpus := resources.nodes * gpus_per_node(profile, resources, placement):
            return gpus, True
        return placement.ranks * cpus_per_rank(profile, resources, placement), False
    if placement.device == "cuda" or (placement.device == "auto" and gpus_here):
        return placement.ranks, True
    return placement.ranks * (placement.threads_per_rank + placement.loader_workers), False


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
        problem = no_such_partition(resources.partition, profile.partitions)
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
    jobs, memory = resources.jobs_per_allocation, resources.mem_gb_per_node
    gpus = gpus_asked_per_node(profile, resources, placement, jobs)
    cpus = cpus_per_rank(profile, resources, placement)
    packed = f"{jobs} jobs (jobs_per_allocation) x " if jobs > 1 else ""
    ranks = f"{packed}{each} rank(s)" if packed else f"{each} rank(s) per node"
    why_gb = f" for {packed}{memory:g}" if packed and memory else ""
    asked = (
        ("nodes", resources.nodes, partition.nodes, ""),
        ("GPUs per node", gpus, partition.gpus_per_node, f" for {ranks}"),
        ("CPUs per node", jobs * each * cpus, partition.cores_per_node, f" for {ranks} x {cpus}"),
        ("GB of memory per node", memory and jobs * memory, partition.mem_gb_per_node, why_gb),
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
            f"resources come to {total} GPUs for one {'allocation' if packed else 'job'} "
            f"({resources.nodes} node(s) x {gpus}), but "
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
