"""Where an attempt runs and with what: packages, machine, driver, and harmless variables."""

import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from orchestrator.jobs.secrets import IN_SETTINGS, find_secrets

SCHEMA = 1
PROC = Path("/proc")
VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_LAUNCH_BLOCKING"),
    *("CUDA_MODULE_LOADING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_VISIBLE_DEVICES"),
    *("NVIDIA_TF32_OVERRIDE", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    *("NCCL_DEBUG", "NCCL_SOCKET_IFNAME", "NCCL_IB_DISABLE", "NCCL_IB_HCA", "NCCL_P2P_DISABLE"),
    *("NCCL_SHM_DISABLE", "NCCL_NET", "NCCL_ALGO", "NCCL_PROTO", "NCCL_TIMEOUT"),
    *("TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_BLOCKING_WAIT", "GLOO_SOCKET_IFNAME"),
    *("OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND", "MKL_NUM_THREADS", "MKL_CBWR"),
    *("OPENBLAS_NUM_THREADS", "KMP_AFFINITY", "MALLOC_ARENA_MAX", "LD_PRELOAD"),
    *("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    *("SLURM_JOB_NODELIST", "SLURM_JOB_NUM_NODES", "SLURM_JOB_PARTITION", "SLURM_JOB_QOS"),
    *("SLURM_JOB_ACCOUNT", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE"),
    *("SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS", "SLURM_RESTART_COUNT", "SLURMD_NODENAME"),
    *("SLURM_CPU_BIND", "SLURM_TOPOLOGY_ADDR", "PYTHONPATH", "PYTHONHASHSEED", "VIRTUAL_ENV"),
    *("CONDA_DEFAULT_ENV", "CONDA_PREFIX", "LOADEDMODULES", "LD_LIBRARY_PATH", "TMPDIR"),
    *("TZ", "LANG", "LC_ALL"),
    *("APPTAINER_CONTAINER", "APPTAINER_NAME", "SINGULARITY_CONTAINER", "SINGULARITY_NAME"),
)
"""All that is kept of the environment, which may hold secrets elsewhere."""


def read_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The content of ``environment.json``: a fact that cannot be read is null."""
    facts = {name: _or_none(read) for name, read in FACTS.items()}
    return {"schema": SCHEMA, **facts, "variables": harmless(environment)}


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are kept; one whose value looks like a secret is not."""
    return {
        name: environment[name]
        for name in VARIABLES
        if name in environment and not find_secrets(name, environment[name], IN_SETTINGS)
    }


def _or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception:  # noqa: BLE001 - no record of a machine is worth a job
        return None


def _packages() -> dict[str, str]:
    """Versions by name, of two of one name the one that is imported; damaged ones are left out."""
    found: dict[str, str] = {}
    for one in distributions():
        name, version = _or_none(partial(_name_and_version, one)) or ("", "")
        found.setdefault(name, version)
    found.pop("", None)
    return found


def _name_and_version(one: Distribution) -> tuple[str, str]:
    told = one.metadata
    return str(told["Name"] or ""), str(told["Version"] or "")


def _processor() -> str | None:
    with (PROC / "cpuinfo").open() as lines:
        return next(
            (ln.partition(":")[2].strip() for ln in lines if ln.startswith("model name")), None
        )


def _memory_gb() -> float:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _driver() -> str | None:
    """The line that names the kernel's module and its version; None without one."""
    path = PROC / "driver/nvidia/version"
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def _gpus() -> dict[str, str]:
    """Models by place on the bus: those of the whole machine, whatever a job may use of them."""
    found = {}
    for path in sorted((PROC / "driver/nvidia/gpus").glob("*/information")):
        told = dict(line.partition(":")[::2] for line in path.read_text().splitlines())
        found[path.parent.name] = told.get("Model", "").strip()
    return found


FACTS: Mapping[str, Callable[[], Any]] = {
    "packages": _packages,
    "python": platform.python_version,
    "executable": lambda: sys.executable,
    "host": socket.gethostname,
    "system": lambda: platform.freedesktop_os_release()["PRETTY_NAME"],
    "libc": lambda: " ".join(platform.libc_ver()),
    "kernel": lambda: os.uname().release,
    "machine": lambda: os.uname().machine,
    "processor": _processor,
    "cores": lambda: len(os.sched_getaffinity(0)),
    "memory_gb": _memory_gb,
    "driver": _driver,
    "gpus": _gpus,
}
"""What is recorded, by what reads it: files only, no program is started."""
