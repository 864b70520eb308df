import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.jobs.layout import AttemptFolder
from orchestrator.jobs.usage import read_usage
from orchestrator.worker import metering
from orchestrator.worker.metering import Meter, metered
from orchestrator.worker.place import Place

MB = 10**6
TAKES = 300 * MB
HOLDS = (
    "import sys; held = b'x' * int(sys.argv[1]); print('held', flush=True); sys.stdin.read();"
    "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
)


@contextmanager
def helper(takes: int) -> Iterator[subprocess.Popen[bytes]]:
    """A child that holds so many bytes, and computes for half a second before it ends."""
    words = [sys.executable, "-c", HOLDS, str(takes)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptFolder:
    return AttemptFolder(tmp_path)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A GPU that is in use, in the place of torch's; its counters say what stands in them."""
    cuda = SimpleNamespace(
        counters={"utilization": 50, "device_memory_used": 20 * MB},
        is_initialized=lambda: True,
        get_device_properties=lambda _: SimpleNamespace(name="NVIDIA X", total_memory=80 * MB),
        max_memory_reserved=lambda number: (number + 1) * MB,
    )
    for name in cuda.counters:
        setattr(cuda, name, lambda _, name=name: cuda.counters[name])
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return cuda


def test_what_a_rank_takes_raises_its_peak_by_so_much_and_it_stays() -> None:
    def peak_of(takes: int) -> int:
        code = (
            "import sys; from orchestrator.worker.metering import Meter, Place;"
            f"meter = Meter(Place()); held = b'x' * {takes}; meter.look(); del held; meter.look();"
            "print(meter.use().memory_bytes)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return int(run.stdout)

    assert peak_of(TAKES) - peak_of(0) == pytest.approx(TAKES, rel=0.05)


def test_helpers_count_with_what_they_hold_and_compute_also_once_they_have_ended() -> None:
    meter = Meter(Place())
    meter.look()
    before = meter.use()
    meter.memory = 0  # the peak of this process may be far beyond what it holds now
    with helper(TAKES) as process:
        together, source = metering.resident(metering.family(os.getpid()))
        held, _ = metering.resident([process.pid])
        own, _ = metering.resident([os.getpid()])
        meter.look()
        during = meter.use()
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    meter.look()

    assert held == pytest.approx(TAKES, rel=0.15)
    assert together >= held + own * 0.8  # pages are shared with whoever comes and goes
    assert during.memory_bytes >= together * 0.8
    assert during.memory_source == source
    assert meter.use().memory_bytes == during.memory_bytes
    assert 0.4 < meter.use().cpu_s - before.cpu_s < 5


def test_where_shared_memory_is_not_told_apart_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text("Name:\tx\nVmRSS:\t   2000 kB\n")
    monkeypatch.setattr(metering, "PROC", tmp_path)

    assert metering.resident([7, 8]) == (2000 * 1024, "rss")


def test_a_gpu_is_told_by_its_own_counters(gpu: SimpleNamespace) -> None:
    meter = Meter(Place(local_rank=2))
    meter.look()
    gpu.counters |= {"utilization": 100, "device_memory_used": 10 * MB}
    meter.look()
    told = meter.use().gpu

    assert told is not None
    assert (told.name, told.memory_bytes, told.peak_bytes) == ("NVIDIA X", 80 * MB, 3 * MB)
    assert (told.used_bytes, told.busy) == (20 * MB, 0.75)


def test_counters_that_cannot_be_read_are_null_and_a_gpu_without_use_is_none(
    gpu: SimpleNamespace,
) -> None:
    gpu.counters.clear()
    meter = Meter(Place())
    meter.look()
    told = meter.use().gpu
    gpu.is_initialized = lambda: False
    other = Meter(Place())
    other.look()

    assert told is not None
    assert (told.peak_bytes, told.used_bytes, told.busy) == (MB, None, None)
    assert other.use().gpu is None


def test_a_gpu_that_fails_ends_no_meter(gpu: SimpleNamespace) -> None:
    del gpu.get_device_properties
    meter = Meter(Place())
    meter.look()

    assert meter.use().gpu is None
    assert meter.use().memory_bytes > 0


def test_a_rank_that_is_killed_has_left_what_it_had_taken(attempt: AttemptFolder) -> None:
    code = (
        "import os, sys, time; from orchestrator.worker import metering;"
        "from orchestrator.jobs.layout import AttemptFolder; from pathlib import Path;"
        "metering.LOOK_S = 0.05; folder = AttemptFolder(Path(sys.argv[1]))\n"
        "with metering.metered(folder, metering.Place(rank=3)):\n"
        f"    held = b'x' * {TAKES}\n"
        "    time.sleep(1); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(attempt.path)], check=False)

    assert done.returncode == -9
    (told,) = read_usage(attempt)
    assert told.rank == 3
    assert told.memory_bytes > TAKES


def test_what_hardly_changes_is_written_only_now_and_then(
    attempt: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(metering, "publish", lambda path, _: written.append(path))
    monkeypatch.setattr(metering, "LOOK_S", 0.01)
    with metered(attempt, Place()):
        time.sleep(0.3)
        seldom = len(written)

    assert 1 <= seldom <= 2
    assert written == [attempt.usage(0)] * (seldom + 1)


def test_a_full_disk_ends_no_task(attempt: AttemptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metering, "publish", full)
    with metered(attempt, Place()):
        pass

    assert read_usage(attempt) == ()


def test_a_damaged_record_hides_no_other(attempt: AttemptFolder) -> None:
    for rank in (10, 2):
        with metered(attempt, Place(rank=rank)):
            pass
    attempt.usage(0).write_text("{")
    attempt.usage(1).write_text(json.dumps({"schema": 1, "rank": 1}))

    assert [use.rank for use in read_usage(attempt)] == [2, 10]
