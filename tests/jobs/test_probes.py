import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.emergence import emergence
from orchestrator.errors import RootError
from orchestrator.jobs.probes import probe_file, probes_by_step, read_history, read_pictures

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


def look_of(epoch: int, *, batch: str = "ab", share: int = 2) -> bytes:
    """What a probe leaves that emergence takes: two blocks, 100 images of 50 patches."""
    outliers = np.stack([np.zeros(100, dtype=int), np.full(100, share)])
    return archive(
        **{
            "probe/epoch": np.array(epoch),
            "images/sha256": np.array(batch),
            "norms/by_block/outliers_by_image": outliers,
            "norms/tokens": np.ones((2, 100, 50), dtype=np.float16),
            "attention/outliers_received_later": np.array([np.nan, 7.0]),
        }
    )


def test_the_history_of_a_job_tells_when_artifacts_emerged(tmp_path: Path) -> None:
    for epoch in range(10, 60, 10):
        share = 2 if epoch >= 30 else 0
        probe_file(tmp_path, 1, 7 * epoch).write_bytes(look_of(epoch, share=share))

    history = read_history(tmp_path, ())

    assert str(emergence(history.looks)) == "(20, 30], block 1"
    assert history.batches == {"ab"}


def test_probes_that_say_no_epoch_are_passed_over_and_other_batches_are_seen(
    tmp_path: Path,
) -> None:
    probe_file(tmp_path, 1, 10).write_bytes(PICTURED)
    probe_file(tmp_path, 1, 20).write_bytes(look_of(2, batch="ab"))
    probe_file(tmp_path, 2, 30).write_bytes(look_of(3, batch="cd"))

    history = read_history(tmp_path, ())

    assert [look.epoch for look in history.looks] == [2, 3]
    assert history.batches == {"ab", "cd"}


def test_a_damaged_probe_in_the_history_is_named(tmp_path: Path) -> None:
    probe_file(tmp_path, 1, 10).write_bytes(look_of(1)[:-30])

    with pytest.raises(RootError, match=r"001-000000010\.npz"):
        read_history(tmp_path, ())
