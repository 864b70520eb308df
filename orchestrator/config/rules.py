"""What a site may say of failures: their kinds, what can be done, and its own rules."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from orchestrator.config.section import Section

Kind = Literal[
    "gpu_memory",
    "memory",
    "gpu",
    "neighbour",
    "files",
    "disk",
    "import",
    "config",
    "data",
    "weights",
    "parent",
    "exception",
    "killed",
    "crashed",
    "exit",
    "vanished",
    "time",
    "node",
    "preempted",
]
"""Why a start ended; ``jobs/rules.py`` says what each means."""


class Action(StrEnum):
    """What a watch does about an end; where it cannot, it does not try again."""

    AGAIN = "again"
    NODE = "another node"
    MEMORY = "more memory"
    TIME = "more time"
    STOP = "stop"


class SiteRule(Section):
    """A site's changes to the rule of one kind; null keeps what there is."""

    retries: int | None = Field(default=None, ge=0)
    """Further starts after one that failed so, those not counted that gained a checkpoint."""
    back_off_s: float | None = Field(default=None, ge=0)
    """Seconds before the first of them; twice as long before each one after."""
    action: Action | None = None
