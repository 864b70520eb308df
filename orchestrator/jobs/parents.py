"""What a job waits for before it can start: another one's weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.config import Checkpoint, ChildConfig
from orchestrator.config.child import TIMM, parent_of
from orchestrator.jobs.identity import frozen_for


@dataclass(frozen=True, slots=True)
class Parent:
    """The job that trains what another one needs.

    ``name``: readable, with its sweep; ``checkpoint``: which of its weights are needed.
    """

    id: str
    name: str
    checkpoint: Checkpoint

    @classmethod
    def of(cls, config: ChildConfig, name: str) -> Self:
        """That of a child of a job; it is called ``name``."""
        return cls(config.of, name, config.checkpoint)

    @classmethod
    def listed(cls, job: Mapping[str, Any]) -> Self | None:
        """That of a job as its sweep's revision lists it; None of a job that needs none."""
        form = (job.get("form") or {}).get("reduced", {})
        if parent_of(form.get("of", TIMM)) is None:
            return None
        checkpoint = form.get("checkpoint", frozen_for(form)["checkpoint"])
        return cls(form["of"], job.get("parent", form["of"][:8]), checkpoint)
