import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.errors import RootError
from orchestrator.jobs.probes import probe_file, probes_by_step, read_pictures

PNG = b"\x89PNG\r\n\x1a\n\0\0"


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


PICTURED = archive(
    **{
        "norms/maps": np.ones((2, 3, 3)),
        "picture/norm_map": np.frombuffer(PNG, np.uint8),
        "picture/gate_map": np.frombuffer(PNG[::-1], np.uint8),
    }
)


def test_of_each_step_the_newest_attempt_counts_and_steps_ascend(tmp_path: Path) -> None:
    published = [(1, 200), (1, 100), (10, 200), (2, 200), (1000, 300), (999, 300), (2, 10**10)]
    for attempt, step in published:
        probe_file(tmp_path, attempt, step).touch()
    for other in (".tmp-001-000000400.npz-5f", "001-000000500 (copy).npz", "notes.npz"):
        (tmp_path / other).touch()

    found = probes_by_step(tmp_path)

    newest = {100: 1, 200: 10, 300: 1000, 10**10: 2}
    assert list(found.items()) == [(s, probe_file(tmp_path, a, s)) for s, a in newest.items()]


def test_a_job_that_was_not_probed_has_none(tmp_path: Path) -> None:
    assert probes_by_step(tmp_path / "probes") == {}


def test_pictures_come_out_as_they_went_in(tmp_path: Path) -> None:
    file = probe_file(tmp_path, 1, 20)
    file.write_bytes(PICTURED)

    assert read_pictures(file) == {"norm_map": PNG, "gate_map": PNG[::-1]}


def test_a_file_from_before_there_were_pictures_has_none(tmp_path: Path) -> None:
    file = probe_file(tmp_path, 1, 20)
    file.write_bytes(archive(**{"norms/maps": np.ones((2, 3, 3))}))

    assert read_pictures(file) == {}


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", PICTURED[:-30], PICTURED[:40], b"\x93NUMPY\x01", b"PK\x03\x04"]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = probe_file(tmp_path, 1, 20)
    file.write_bytes(content)

    with pytest.raises(RootError, match=file.name):
        read_pictures(file)


def test_whatever_byte_is_wrong_nothing_but_a_root_error_comes(tmp_path: Path) -> None:
    file = probe_file(tmp_path, 1, 20)
    refused = 0
    for place in range(len(PICTURED)):
        damaged = bytearray(PICTURED)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        try:
            read_pictures(file)
        except RootError:
            refused += 1

    assert refused > len(PICTURED) / 3


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_pictures(tmp_path / "001-000000020.npz")
