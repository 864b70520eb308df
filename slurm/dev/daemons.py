"""The daemons of a cluster: how each is started, and what says that it is ready."""

from dataclasses import dataclass
from pathlib import Path

from dev.options import Options

MUNGED = """munged --foreground --num-threads=10 --key-file={folder}/munge/key
--socket={folder}/munge/socket --pid-file={folder}/munge/pid --seed-file={folder}/munge/seed"""

# Temporary tables of its own: a server that starts removes all it finds, other servers' as well.
INSTALL_DB = """env TMPDIR={folder}/db/tmp mariadb-install-db --no-defaults --user=root
--datadir={folder}/db/data --auth-root-authentication-method=socket --skip-test-db"""

MARIADBD = """env TMPDIR={folder}/db/tmp mariadbd --no-defaults --user=root
--datadir={folder}/db/data --skip-networking --socket={folder}/db/socket
--pid-file={folder}/db/pid --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0"""


@dataclass(frozen=True)
class Daemon:
    """A program that stays. It is ready once the command `ready` says something like `answer`."""

    name: str
    command: str
    ready: str
    answer: str = ""
    port: int | None = None


def daemons_of(folder: Path, options: Options) -> list[Daemon]:
    """All of them, in the order in which they are started."""
    munge = f"munge -n -S {folder}/munge/socket"
    return [
        Daemon("munged", MUNGED.format(folder=folder), munge),
        *(_accounting(folder, options) if options.accounting else _no_accounting(options)),
        *map(_slurmd, options.node_names, options.node_ports),
    ]


def _accounting(folder: Path, options: Options) -> list[Daemon]:
    ping = f"mariadb-admin --no-defaults --socket={folder}/db/socket ping"
    clusters = "sacctmgr -nP show cluster format=cluster,controlport"
    registered = rf"(?m)^{options.name}\|{options.port}$"
    return [
        Daemon("mariadbd", MARIADBD.format(folder=folder), ping),
        Daemon("slurmdbd", "slurmdbd -D", clusters, port=options.dbd_port),
        Daemon("slurmctld", "slurmctld -D", clusters, registered, options.port),
    ]


def _no_accounting(options: Options) -> list[Daemon]:
    return [Daemon("slurmctld", "slurmctld -D", "scontrol ping", port=options.port)]


def _slurmd(name: str, port: int) -> Daemon:
    state = f"sinfo --noheader --partition=main --nodes={name} --format=%T"
    good = r"\A(idle|mixed|allocated|completing|drained|draining)\Z"
    return Daemon(name, f"env SLURMD_NODENAME={name} slurmd -D -N {name}", state, good, port)


def is_listened_to(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A " in Path("/proc/net/tcp").read_text()
