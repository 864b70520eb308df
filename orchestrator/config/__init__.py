"""What a user can choose: a job's configuration decides its result, the rest where and how."""

from orchestrator.config.allotment import refuse_on_cluster
from orchestrator.config.analyze import AnalyzeConfig
from orchestrator.config.child import Checkpoint, ChildConfig
from orchestrator.config.cluster import ClusterProfile, Partition
from orchestrator.config.evaluate import EvaluateConfig
from orchestrator.config.job import CHILDREN, TASKS, JobConfig, config_from_plain
from orchestrator.config.placement import Placement, refuse_placement
from orchestrator.config.ray import RaySite
from orchestrator.config.resources import Resources, refuse_resources
from orchestrator.config.run import RunConfig

__all__ = [
    "CHILDREN",
    "TASKS",
    "AnalyzeConfig",
    "Checkpoint",
    "ChildConfig",
    "ClusterProfile",
    "EvaluateConfig",
    "JobConfig",
    "Partition",
    "Placement",
    "RaySite",
    "Resources",
    "RunConfig",
    "config_from_plain",
    "refuse_on_cluster",
    "refuse_placement",
    "refuse_resources",
]
