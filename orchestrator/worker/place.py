"""A rank's place among the processes of its job, read from one table of environments."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

ENVIRONMENTS = (
    {
        "rank": "ORCHESTRATE_RANK",
        "world": "ORCHESTRATE_WORLD_SIZE",
        "local_rank": "ORCHESTRATE_LOCAL_RANK",
        "restart": "ORCHESTRATE_RESTART",
        "address": "ORCHESTRATE_ADDRESS",
    },
    {
        "rank": "SLURM_PROCID",
        "world": "SLURM_NTASKS",
        "local_rank": "SLURM_LOCALID",
        "restart": "SLURM_RESTART_COUNT",
        "address": "ORCHESTRATE_ADDRESS",
    },
)
"""Which variable says what, by starter; the first row whose rank variable is set counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many ranks this is, on which address rank 0 listens, which restart this is."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    restart: int = 0
    address: str = "127.0.0.1"

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The place that ``environment`` tells; alone when it tells none."""
        for row in ENVIRONMENTS:
            if row["rank"] in environment:
                told = {key: environment[name] for key, name in row.items() if name in environment}
                address = told.pop("address", "127.0.0.1")
                return cls(**{key: int(value) for key, value in told.items()}, address=address)
        return cls()
