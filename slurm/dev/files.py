"""The files that a cluster's daemons and its users read, from templates."""

import os
import socket
import stat
from dataclasses import asdict
from pathlib import Path

from dev.errors import ClusterError
from dev.options import Options

FOLDERS = ("log", "run", "state", "munge", "dev", "spool", "db", "db/tmp")
GB_PER_CPU = 2

# FirstJobId: clusters side by side on a machine share no number of a job, since by their number a
# job's processes and folders are told from those of others. SLURM allows more than 65535001.
SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmdLogFile={folder}/log/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU={mb_per_cpu}
MaxArraySize=101
FirstJobId={port}001
JobRequeue=1
KillWait=30
InactiveLimit=0
SlurmdTimeout=20
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{accounting}
GresTypes=gpu
NodeName={node_list} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_ports} \
CPUs={cpus} CoresPerSocket={cpus} RealMemory={mb_per_node} {gres}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 PriorityTier=10 PreemptMode=OFF
PartitionName=spare Nodes=ALL MaxTime=1-00:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/munge/socket
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux"""

# StorageHost=localhost: through the socket that MYSQL_UNIX_PORT names, as root, without a password.
SLURMDBD_CONF = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_accounting
"""

PROFILE = """\
name: {name}
partitions:
  main: {{time: 1d, {node_share}}}
  spare: {{time: 1d, {node_share}, preemptible: true}}
gpu_request: gpus-per-node
ask_memory: false
stop_before_end_s: 60
preemption_grace_s: 60
"""


def write_files(folder: Path, options: Options) -> None:
    """Everything that is read, in a folder that holds none of it yet."""
    for name in FOLDERS:
        (folder / name).mkdir()
    words = fill_ins(folder, options)
    _write(folder / "slurm.conf", SLURM_CONF.format(**words).encode())
    _write(folder / "slurmdbd.conf", SLURMDBD_CONF.format(**words).encode(), 0o600)
    _write(folder / "cluster.yaml", PROFILE.format(**words).encode())
    _write(folder / "munge/key", os.urandom(128), 0o600)
    gpus = [folder / f"dev/gpu{number}" for number in range(options.gpus)]
    _make_devices(gpus)
    nodes = ",".join(options.node_names)
    gres = [f"NodeName={nodes} Name=gpu File={gpu}\n" for gpu in gpus]
    _write(folder / "gres.conf", "".join(gres).encode())


def fill_ins(folder: Path, options: Options) -> dict[str, object]:
    """What the templates are filled with."""
    nodes, cpus, gpus = options.nodes, options.cpus, options.gpus
    gb, ports = cpus * GB_PER_CPU, options.node_ports
    words = {
        **asdict(options),
        "folder": folder,
        "host": socket.gethostname().partition(".")[0],
        "dbd_port": options.dbd_port,
        "node_list": f"node[1-{nodes}]",
        "node_ports": f"[{ports[0]}-{ports[-1]}]",
        "mb_per_cpu": GB_PER_CPU * 1024,
        "mb_per_node": gb * 1024,
        "gres": f"Gres=gpu:{gpus}" if gpus else "",
        "node_share": f"nodes: {nodes}, cores_per_node: {cpus}, mem_gb_per_node: {gb}, "
        f"gpus_per_node: {gpus}",
    }
    accounting = ACCOUNTING.format(**words) if options.accounting else ""
    return {**words, "accounting": accounting}


def _make_devices(paths: list[Path]) -> None:
    """Like /dev/null: SLURM finds a node invalid whose GPUs have no file."""
    try:
        for path in paths:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError as error:
        raise ClusterError(f"No device can be made here ({error}). Try: --gpus 0") from error


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
