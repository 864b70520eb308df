"""What a user can choose: RunConfig decides the result, the rest where and how it is made."""

from orchestrator.config.cluster import ClusterProfile, Partition, refuse_on_cluster
from orchestrator.config.placement import Placement, refuse_placement
from orchestrator.config.resources import Resources, refuse_resources
from orchestrator.config.run import RunConfig

__all__ = [
    "ClusterProfile",
    "Partition",
    "Placement",
    "Resources",
    "RunConfig",
    "refuse_on_cluster",
    "refuse_placement",
    "refuse_resources",
]
