"""A cluster profile as a site might have it."""

from typing import Any

from orchestrator.config import ClusterProfile

PLAIN: dict[str, Any] = {
    "name": "alpha",
    "partitions": {
        "gpu": {
            "time": "2d",
            "nodes": 2,
            "cores_per_node": 32,
            "mem_gb_per_node": 100,
            "gpus_per_node": 4,
        },
        "cpu": {},
    },
}
ALPHA = ClusterProfile.from_plain(PLAIN)
