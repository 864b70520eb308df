"""What a cluster is asked to be."""

import re
from dataclasses import dataclass
from pathlib import Path

from dev.errors import ClusterError

LONGEST_SOCKET = 107  # sun_path of unix(7) less its final zero


@dataclass(frozen=True)
class Options:
    """What `up` was asked for; recorded, because a cluster keeps them until `down`."""

    name: str = "dev"
    nodes: int = 2
    gpus: int = 4
    cpus: int = 8
    port: int = 17000
    accounting: bool = True

    @property
    def node_names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]

    @property
    def dbd_port(self) -> int:
        return self.port + 1

    @property
    def node_ports(self) -> range:
        return range(self.port + 2, self.port + 2 + self.nodes)


def check_options(folder: Path, options: Options) -> None:
    """Raises where the options, or the folder, cannot make a cluster."""
    if options.nodes < 2 or options.cpus < 1 or options.gpus < 0 or options.port < 1:
        raise ClusterError("At least: --nodes 2, --cpus 1, --gpus 0, --port 1.")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", options.name):
        raise ClusterError(f"--name {options.name}: small letters, digits and _ only.")
    if not re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        raise ClusterError(f"--dir {folder}: letters, digits and . _ + - / only.")
    last, length = options.node_names[-1], len(str(folder))
    room = LONGEST_SOCKET - len(f"/spool/{last}/{last}_67043328.4294967295")  # slurmstepd's
    if length > room:
        long = f"--dir {folder}: its {length} characters are too many for Unix sockets in it"
        raise ClusterError(f"{long}, {room} are possible. Choose a shorter one.")
    there = [path.name for path in folder.iterdir()] if folder.exists() else []
    if there and "daemons.json" not in there:
        raise ClusterError(f"--dir {folder} holds something else ({there[0]}). Choose another.")
