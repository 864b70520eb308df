"""What a user can choose: RunConfig decides the result, Placement where and how it is made."""

from orchestrator.config.placement import Placement, refuse_placement
from orchestrator.config.run import RunConfig

__all__ = ["Placement", "RunConfig", "refuse_placement"]
