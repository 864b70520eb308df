"""An export is read whole or refused: cut, edited, forged, newer."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import RootError
from orchestrator.jobs.archive import HEAD, MANIFEST, SCHEMA, open_archive, packing

JOB = f"jobs/ab/ab{'0' * 30}"
FILES = {
    "sweeps/s/001.json": b'{"schema": 2}',
    "submissions/t0/intent.json": b"{}",
    f"{JOB}/job.json": b'{"id": "ab"}',
    f"{JOB}/attempts/001/journal.jsonl": b"x" * 100_000,
    f"{JOB}/attempts/001/rank0.log": b"",
    f"{JOB}/attempts/001/rank0.usage.json": b"{}",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.tar.gz"
    with packing(path, {"root": "r", "sweeps": ["s"]}) as packer:
        for name, content in FILES.items():
            packer.add(name, content, at=1000.0)
    return path


def test_what_was_packed_is_unpacked_with_its_times(file: Path, tmp_path: Path) -> None:
    archive = open_archive(file)
    archive.unpack(tmp_path / "out", lambda name: name.startswith("jobs/"))

    assert archive.about == {"schema": SCHEMA, "root": "r", "sweeps": ["s"]}
    assert archive.records == {n: c for n, c in FILES.items() if not n.startswith("jobs/")}
    out = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in out} == {
        name: content for name, content in FILES.items() if name.startswith("jobs/")
    }
    assert {path.stat().st_mtime for path in out} == {1000.0}
    assert archive.jobs().keys() == {JOB[8:]}


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with packing(tmp_path / "s.tar.gz", {}) as packer:
            packer.add("sweeps/s/001.json", b"{}")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_of_a_file_that_grows_what_was_there_is_taken_and_of_a_long_log_its_end(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"early late")
    with packing(tmp_path / "s.tar.gz", {}) as packer:
        packer.add_file(f"{JOB}/attempts/001/rank0.log", log, last=4)
        assert not packer.add_file(f"{JOB}/job.json", tmp_path / "gone")
    archive = open_archive(tmp_path / "s.tar.gz")
    archive.unpack(tmp_path / "out", lambda _: True)

    assert (tmp_path / "out" / JOB / "attempts/001/rank0.log").read_bytes() == b"late"
    assert len(archive.files) == 1


def test_a_file_that_was_cut_off_anywhere_is_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(RootError, match=r"cut\.tar\.gz is damaged: .*Export it again"):
            open_archive(cut)


def test_a_tar_that_was_cut_off_at_a_member_and_packed_again_is_refused(
    file: Path, tmp_path: Path
) -> None:
    whole = gzip.decompress(file.read_bytes())
    with tarfile.open(file) as tar:
        ends = [member.offset for member in tar.getmembers()]
    for end in ends[1:]:
        file.write_bytes(gzip.compress(whole[:end] + bytes(1024)))
        with pytest.raises(RootError, match="no manifest, which is written last: it was cut off"):
            open_archive(file)


def test_a_file_of_which_a_byte_was_changed_is_refused(file: Path) -> None:
    whole = bytearray(gzip.decompress(file.read_bytes()))
    for place in (whole.index(b"xxxx") + 50, whole.index(b'{"id"') + 3, whole.index(b"s/001.json")):
        edited = bytearray(whole)
        edited[place] ^= 1
        file.write_bytes(gzip.compress(bytes(edited)))
        with pytest.raises(RootError, match="is damaged"):
            open_archive(file)


def test_what_is_no_archive_of_ours_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    with tarfile.open(other, "w:gz") as tar:
        tar.add(__file__, "jobs/ab/x")
    for path, words in ((Path(__file__), "not a gzip file"), (other, "does not begin as")):
        with pytest.raises(RootError, match=words):
            open_archive(path)
    with pytest.raises(RootError, match="There is no file"):
        open_archive(tmp_path / "nowhere.tar.gz")


def forged(path: Path, *members: tarfile.TarInfo, schema: object = SCHEMA) -> Path:
    """An archive with these members, for which its manifest vouches."""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    files = {member.name: [0, digest] for member in members}
    with tarfile.open(path, "w:gz") as tar:
        for name, plain in ((HEAD, {"schema": schema}), *((m, None) for m in members)):
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            content = b"" if plain is None else json.dumps(plain).encode()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        content = json.dumps({"files": files}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


def of_type(kind: bytes, **more: Any) -> Callable[[], tarfile.TarInfo]:
    def made() -> tarfile.TarInfo:
        info = tarfile.TarInfo(f"{JOB}/job.json")
        info.type = kind
        for name, value in more.items():
            setattr(info, name, value)
        return info

    return made


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda name=name: tarfile.TarInfo(name)
            for name in (
                "/etc/passwd",
                "../root.json",
                "root.json",
                f"{JOB}/../../x/job.json",
                f"{JOB}/attempts/../job.json",
                f"{JOB}/attempts/001/.bashrc",
                f"{JOB}/job.json\n",
                f"jobs/cd/ab{'0' * 30}/job.json",
                "sweeps/../001.json",
                "snapshots/0/x.py",
                "lease/x.json",
                "cache/settled",
                "sweeps/s/imported.json",
                "",
            )
        ),
        of_type(tarfile.SYMTYPE, linkname="/etc/passwd"),
        of_type(tarfile.LNKTYPE, linkname="archive.json"),
        of_type(tarfile.DIRTYPE),
        of_type(tarfile.FIFOTYPE),
        of_type(tarfile.CHRTYPE),
    ],
)
def test_what_has_no_place_in_a_root_is_refused(
    tmp_path: Path, make: Callable[[], tarfile.TarInfo]
) -> None:
    with pytest.raises(RootError, match=r"has no place in it|is damaged"):
        open_archive(forged(tmp_path / "x.tar.gz", make()))


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = [tarfile.TarInfo(f"{JOB}/job.json") for _ in range(2)]
    open_archive(forged(tmp_path / "once.tar.gz", twice[0]))

    with pytest.raises(RootError, match="has no place in it"):
        open_archive(forged(tmp_path / "twice.tar.gz", *twice))


def test_a_newer_version_is_refused_with_both_numbers_whatever_else_is_in_it(
    tmp_path: Path,
) -> None:
    path = forged(tmp_path / "x.tar.gz", tarfile.TarInfo("galaxies/1"), schema=SCHEMA + 3)

    with pytest.raises(RootError, match=rf"has version {SCHEMA + 3}; .* up to {SCHEMA}\."):
        open_archive(path)


def test_a_file_that_is_changed_between_two_looks_is_refused(file: Path, tmp_path: Path) -> None:
    archive = open_archive(file)
    other = tmp_path / "other.tar.gz"
    with packing(other, {}) as packer:
        packer.add(f"{JOB}/job.json", b"another")
    shutil.move(other, file)

    with pytest.raises(RootError, match="was changed meanwhile"):
        archive.unpack(tmp_path / "out", lambda _: True)
