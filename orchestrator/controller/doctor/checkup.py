"""The checks in their order, and what all of them find."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.controller.doctor import cluster, disk, programs, stores
from orchestrator.controller.doctor.finding import Finding, Level, Look, Patient, bad
from orchestrator.controller.doctor.nodes import check_node
from orchestrator.documents.site import DoctorDocument, DoctorFinding
from orchestrator.errors import OrchestrateError


@dataclass(frozen=True, slots=True)
class Check:
    """What is looked at; ``needs`` names an earlier check without which it makes no sense."""

    name: str
    look: Look
    needs: str = ""


CHECKS = (
    Check("python", programs.check_python),
    Check("packages", programs.check_packages),
    Check("gpus", programs.check_gpus),
    Check("code", programs.check_secrets),
    Check("run root", disk.check_root),
    Check("sharing", disk.check_sharing, "run root"),
    Check("exclusion", disk.check_exclusion, "run root"),
    Check("speed", disk.check_speed, "run root"),
    Check("clock", disk.check_clock, "run root"),
    Check("space", disk.check_space, "run root"),
    Check("rights", disk.check_rights, "run root"),
    Check("snapshots", programs.check_snapshots, "run root"),
    Check("cache", stores.check_cache, "run root"),
    Check("data", stores.check_data),
    Check("mlflow", stores.check_mlflow),
    Check("slurm", cluster.check_slurm),
    Check("accounting", cluster.check_accounting, "slurm"),
    Check("account", cluster.check_account, "slurm"),
    Check("partitions", cluster.check_partitions, "slurm"),
    Check("submission", cluster.check_submission, "slurm"),
)


def examine(
    patient: Patient, *, submit_s: float | None = None, checks: Sequence[Check] = CHECKS
) -> Iterator[tuple[str, Finding]]:
    """What each check finds, as it finds it, with the check's name.

    ``submit_s``: ask a node of the cluster by a small job, and wait so long for it; None: do not.
    """
    if submit_s is not None:
        checks = [*checks, Check("node", lambda one: check_node(one, submit_s), "slurm")]
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            continue
        try:
            for finding in check.look(patient):
                if finding.level is Level.BAD:
                    failed.add(check.name)
                yield check.name, finding
        except (OSError, OrchestrateError) as error:
            failed.add(check.name)
            yield check.name, bad(f"it could not be looked at: {error}", "mend that first")


def as_json(found: Sequence[tuple[str, Finding]]) -> DoctorDocument:
    """The documented form of ``doctor --json``."""
    findings: list[DoctorFinding] = [
        {"check": name, "level": one.level.value, "found": one.found, "advice": one.advice}
        for name, one in found
    ]
    return {"schema": 1, "worst": worst(found).value, "findings": findings}


def worst(found: Sequence[tuple[str, Finding]]) -> Level:
    """The worst level there is."""
    levels = {one.level for _, one in found}
    return next((level for level in (Level.BAD, Level.WARN) if level in levels), Level.OK)
