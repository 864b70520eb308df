"""The whole recipe of DeiT III on digits: by one rank and by two, at once and in parts."""

import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training_ranks import train_as_rank

from orchestrator.config import RunConfig
from orchestrator.sweep.load import load_sweep

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
SWEEP = TESTS.parent / "sweeps" / "base" / "digits_deit3.yaml"
STEPS = 24
"""Of 10 an epoch, so that two epochs end; the last four at the peak rate."""

Result = tuple[dict[str, Any], list[float]]
Trained = Callable[..., Result]


@pytest.fixture(scope="module")
def recipe() -> RunConfig:
    (point,) = load_sweep(SWEEP, executors=("local",)).points
    train = point.config.train
    assert (train.repeats, train.mixup, train.cutmix) == (3, 0.8, 1.0)
    assert point.config.model.drop_path > 0
    return point.config


@pytest.fixture(scope="module")
def trained(recipe: RunConfig, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The state and the losses after all steps, taken by so many ranks, in parts that end there."""

    @lru_cache
    def train(world: int, *stops: int) -> Result:
        folder = tmp_path_factory.mktemp(f"{world}-ranks")
        (folder / "config.json").write_text(recipe.model_dump_json())
        for first, after in zip((0, *stops), (*stops, STEPS), strict=True):
            run_ranks(world, range(first, after), digits, folder)
        state = torch.load(folder / "state.pt", weights_only=True)
        return state, [float(line) for line in (folder / "losses.txt").read_text().splitlines()]

    return train


def run_ranks(world: int, steps: range, data: Path, folder: Path) -> None:
    """One rank trains in this process, two in processes of their own."""
    if world == 1:
        train_as_rank(0, 1, steps, data, folder)
        return
    words = (str(world), str(steps.start), str(steps.stop), str(data), str(folder))
    command = [sys.executable, "-m", "support.training_ranks"]
    ranks = [subprocess.Popen([*command, str(rank), *words], cwd=TESTS) for rank in range(world)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0] * world


def flat(value: Any) -> list[Any]:
    """What a state holds, tensors as their bytes."""
    if isinstance(value, dict):
        return [one for key in sorted(value, key=str) for one in (key, *flat(value[key]))]
    if isinstance(value, list | tuple):
        return [one for item in value for one in flat(item)]
    return [value.numpy().tobytes() if isinstance(value, torch.Tensor) else value]


@pytest.mark.parametrize("world", [1, 2])
def test_a_run_that_was_stopped_ends_in_the_same_bits(trained: Trained, world: int) -> None:
    whole, losses = trained(world)
    parts, again = trained(world, 13)

    assert flat(parts) == flat(whole)
    assert again == losses
    assert {"average", "optimizer"} <= whole.keys()


def test_two_ranks_train_as_one_does(trained: Trained) -> None:
    """Sums come in another order: losses agree to 1e-6, weights to 1e-5, after 24 steps."""
    (one, losses), (two, again) = trained(1), trained(2)

    assert again == pytest.approx(losses, rel=1e-6)
    for name, weight in one["model"].items():
        torch.testing.assert_close(two["model"][name], weight, rtol=1e-4, atol=1e-5)
    assert losses[-1] < losses[0]
