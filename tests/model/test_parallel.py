"""Every architecture trains on several ranks as on one."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.arms import ARMS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ddp_and_fsdp_give_the_gradients_of_one_process_for_every_arm(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "support.two_ranks", str(rank), str(store)],
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        told = [rank.communicate(timeout=300) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()

    for rank, (out, err) in zip(ranks, told, strict=True):
        assert rank.returncode == 0, err
        assert out.split("\n")[:-1] == list(ARMS)
