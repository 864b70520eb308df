"""What a run measures that another run of the same job on the same machine measures again."""

from collections.abc import Mapping

BY_THE_CLOCK = ("time/", "memory/", "train/images_per_s", "train/mfu")
"""Beginnings of the names of metrics that are never twice the same."""


def lasting(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics but for those of time and memory."""
    return {name: value for name, value in metrics.items() if not name.startswith(BY_THE_CLOCK)}
