"""Each check of the file system finds the fault that is planted; a sound one passes all."""

import os
import shutil
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.slurm import profile

from orchestrator.controller.doctor import disk
from orchestrator.controller.doctor.checkup import CHECKS
from orchestrator.controller.doctor.finding import Level, Look, Patient
from orchestrator.jobs.lease import leased
from orchestrator.jobs.store import create_root

OF_DISK = [check.look for check in CHECKS if check.look.__module__ == disk.__name__]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    create_root(tmp_path / "runs")
    return Patient(root_path=tmp_path / "runs", data_root=tmp_path / "data")


def only(look: Look, patient: Patient) -> tuple[Level, str]:
    (found,) = look(patient)
    return found.level, f"{found.found}; {found.advice}"


@pytest.mark.parametrize("look", OF_DISK, ids=lambda look: look.__name__)
def test_a_sound_file_system_passes_and_is_left_as_it_was(
    look: Look, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e12))
    for root in (patient.root_path, patient.root_path.parent / "none" / "yet"):
        before = sorted(patient.root_path.parent.rglob("*"))
        found = [*look(Patient(root_path=root, data_root=patient.data_root))]

        assert {one.level for one in found} <= {Level.OK}
        assert sorted(patient.root_path.parent.rglob("*")) == before


def test_a_root_of_a_newer_version_is_bad(patient: Patient) -> None:
    (patient.root_path / "root.json").write_text('{"schema": 99, "root": "x"}')

    level, told = only(disk.check_root, patient)

    assert (level, "has version 99" in told) == (Level.BAD, True)


def test_who_holds_the_lease_is_told(patient: Patient) -> None:
    assert patient.root is not None
    with leased(patient.root.lease, "launch gates"):
        level, told = only(disk.check_root, patient)

    assert (level, "'launch gates' of" in told) == (Level.OK, True)


def test_a_folder_that_cannot_be_written_is_bad(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path != patient.root_path)

    assert only(disk.check_root, patient)[0] is Level.BAD


@pytest.mark.parametrize(
    ("kind", "level"), [("nfs4", Level.OK), ("xfs", Level.WARN), ("unheard", Level.WARN)]
)
def test_a_cluster_wants_a_file_system_that_machines_share(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, kind: str, level: Level
) -> None:
    monkeypatch.setattr(disk, "file_system", lambda _: kind)
    for_cluster = Patient(
        root_path=patient.root_path, data_root=patient.data_root, cluster=profile()
    )

    assert only(disk.check_sharing, for_cluster)[0] is level


def test_renames_that_replace_what_is_there_are_bad(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def careless(source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        rename(source, target)

    monkeypatch.setattr(Path, "rename", careless)

    level, told = only(disk.check_exclusion, patient)

    assert (level, "two workers could claim a job" in told) == (Level.BAD, True)


def test_links_that_replace_what_is_there_are_bad_and_links_that_are_not_counted_are_told(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replacing(source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        shutil.copy(source, target)

    def copying(source: Path, target: Path) -> None:
        if target.exists():
            raise FileExistsError
        shutil.copy(source, target)

    found = []
    for wrong in (replacing, copying):
        monkeypatch.setattr(os, "link", wrong)
        found.append(only(disk.check_exclusion, patient)[0])

    assert found == [Level.BAD, Level.WARN]


@pytest.mark.parametrize(("seconds", "level"), [(1.0, Level.WARN), (9.0, Level.BAD)])
def test_a_disk_that_takes_long_to_make_a_file_durable_is_told(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, seconds: float, level: Level
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(disk.time, "monotonic", lambda: next(clock) * seconds)

    found, told = only(disk.check_speed, patient)

    assert (found, f"{seconds * 1000:.1f} ms" in told) == (level, True)


@pytest.mark.parametrize(("ahead", "words"), [(30, "30.0 s ahead of"), (-30, "30.0 s behind")])
def test_a_clock_that_is_off_is_told_with_how_far(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, ahead: int, words: str
) -> None:
    monkeypatch.setattr(disk, "file_time", lambda _: time.time() - ahead)

    level, told = only(disk.check_clock, patient)

    assert (level, words in told) == (Level.WARN, True)


def test_files_whose_time_cannot_be_touched_are_bad(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.utime
    monkeypatch.setattr(os, "utime", lambda path, times=(0, 0): real(path, times))

    assert only(disk.check_clock, patient)[0] is Level.BAD


@pytest.mark.parametrize(("free", "level"), [(5e9, Level.WARN), (5e8, Level.BAD)])
def test_little_free_space_is_told(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, free: float, level: Level
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert only(disk.check_space, patient)[0] is level


@pytest.mark.parametrize(
    ("files", "free", "level"),
    [(10**6, 9_000, Level.WARN), (10**6, 10, Level.BAD), (0, 0, Level.OK)],
    ids=["few", "none", "not limited"],
)
def test_a_limited_number_of_files_counts_as_space(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, files: int, free: int, level: Level
) -> None:
    facts = SimpleNamespace(f_files=files, f_favail=free)
    monkeypatch.setattr(os, "statvfs", lambda _: facts)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e12))

    assert only(disk.check_space, patient)[0] is level


def test_a_shared_root_is_its_groups_all_of_it_and_stays_so(patient: Patient) -> None:
    shared = 0o2775
    root, umask = patient.root_path, os.umask(0o002)
    try:
        (root / "jobs").mkdir()
        for folder in (root, root / "jobs"):
            folder.chmod(shared)
        sound = only(disk.check_rights, patient)[0]
        os.umask(0o022)
        masked = only(disk.check_rights, patient)
        (root / "jobs").chmod(stat.S_IMODE(0o755))
        strange = only(disk.check_rights, patient)
    finally:
        os.umask(umask)

    assert sound is Level.OK
    assert (masked[0], "umask 002" in masked[1]) == (Level.BAD, True)
    assert (strange[0], f"such as {root / 'jobs'}" in strange[1]) == (Level.BAD, True)


@pytest.mark.skipif(os.getuid() != 0, reason="gives a file to another user")
def test_another_users_things_in_a_root_that_is_not_shared_are_told(patient: Patient) -> None:
    (patient.root_path / "orders").mkdir()
    os.chown(patient.root_path / "orders", 12345, -1)

    level, told = only(disk.check_rights, patient)

    assert (level, "1 things in it are of other users" in told) == (Level.WARN, True)
