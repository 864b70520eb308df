"""The whole recipe of DeiT III on digits: by one rank and by two, at once and in parts."""

import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from support.training_ranks import train_as_rank

from orchestrator.config import Placement, RunConfig
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.sweep.load import load_sweep

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
SWEEP = TESTS.parent / "sweeps" / "base" / "digits_deit3.yaml"
LACK = missing_compiler("cpu")
STEPS = 24
"""Two epochs end among them; the last few are at the peak rate."""
UNEVEN = ("optim.name=adamw", "optim.lr=1e-3", "train.batch_size=96", "train.tail=keep")
"""Three chunks a step, so that of two ranks one has twice as many images and passes; and a shorter
step ends each epoch."""

SHALLOW = ("model.depth=2",)
"""Two blocks are compiled in half the time of four."""


class Way(NamedTuple):
    """How some ranks train."""

    world: int
    placement: Placement


ALONE = Way(1, Placement(micro_batch=7))
DDP = Way(2, Placement(micro_batch=14))
FSDP2 = Way(2, Placement(micro_batch=14, parallel="fsdp2"))
COMPILED = Way(2, Placement(micro_batch=14, compile=True))
ALL = Way(
    2, Placement(micro_batch=14, parallel="fsdp2", compile=True, activation_checkpointing=True)
)
Result = tuple[dict[str, Any], list[float]]
Trained = Callable[..., Result]


@pytest.fixture(scope="module")
def trained(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """State and losses after all steps, in parts: each way trains up to the step beside it."""

    @lru_cache
    def train(changes: tuple[str, ...], *parts: tuple[Way, int]) -> Result:
        folder = tmp_path_factory.mktemp("ranks")
        (folder / "config.json").write_text(recipe(changes).model_dump_json())
        first = 0
        for way, after in parts:
            (folder / "placement.json").write_text(way.placement.model_dump_json())
            run_ranks(way.world, range(first, after), digits, folder)
            first = after
        state = torch.load(folder / "state.pt", weights_only=True)
        return state, [float(line) for line in (folder / "losses.txt").read_text().splitlines()]

    return train


def recipe(changes: tuple[str, ...]) -> RunConfig:
    (point,) = load_sweep(SWEEP, overrides=changes, executors=("local",)).points
    train = point.config.train
    assert (train.repeats, train.mixup, train.cutmix) == (3, 0.8, 1.0)
    assert point.config.model.drop_path > 0
    return point.config


def run_ranks(world: int, steps: range, data: Path, folder: Path) -> None:
    """One rank trains in this process, two in processes of their own."""
    if world == 1:
        train_as_rank(0, 1, steps, data, folder)
        return
    words = (str(world), str(steps.start), str(steps.stop), str(data), str(folder))
    command = [sys.executable, "-m", "support.training_ranks"]
    ranks = [subprocess.Popen([*command, str(rank), *words], cwd=TESTS) for rank in range(world)]
    assert [rank.wait(timeout=900) for rank in ranks] == [0] * world


def flat(value: Any) -> list[Any]:
    """What a state holds, tensors as their bytes."""
    if isinstance(value, dict):
        return [one for key in sorted(value, key=str) for one in (key, *flat(value[key]))]
    if isinstance(value, list | tuple):
        return [one for item in value for one in flat(item)]
    return [value.numpy().tobytes() if isinstance(value, torch.Tensor) else value]


def shape(value: Any) -> Any:
    """What a state is made of, without its numbers."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shape(one) for one in value]
    return (value.dtype, value.shape) if isinstance(value, torch.Tensor) else type(value)


def assert_agree(one: Result, other: Result) -> None:
    """Sums come in another order: losses agree to 1e-6, weights to 5e-6, after 24 steps."""
    (state, losses), (expected, known) = one, other
    assert shape(state) == shape(expected)
    assert losses == pytest.approx(known, rel=1e-6)
    for name, weight in expected["model"].items():
        torch.testing.assert_close(state["model"][name], weight, rtol=0, atol=5e-6, msg=name)


@pytest.mark.parametrize(
    "way",
    [ALONE, pytest.param(DDP, marks=pytest.mark.soak), FSDP2],
    ids=["alone", "ddp", "fsdp2"],
)
def test_a_run_that_was_stopped_ends_in_the_same_bits(trained: Trained, way: Way) -> None:
    whole, losses = trained((), (way, STEPS))
    parts, again = trained((), (way, 13), (way, STEPS))

    assert flat(parts) == flat(whole)
    assert again == losses
    assert {"average", "optimizer"} <= whole.keys()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ((), ((DDP, STEPS),)),
        ((), ((FSDP2, STEPS),)),
        pytest.param((), ((DDP, 8), (FSDP2, 16), (ALONE, STEPS)), marks=pytest.mark.soak),
        (UNEVEN, ((DDP, 8), (FSDP2, 16), (ALONE, STEPS))),
    ],
    ids=["ddp", "fsdp2", "one after the other", "one after the other, adamw, uneven"],
)
def test_ranks_train_as_one_does(
    trained: Trained, changes: tuple[str, ...], parts: tuple[tuple[Way, int], ...]
) -> None:
    one, losses = trained(changes, (ALONE, STEPS))

    assert losses[-1] < losses[0]
    assert_agree(trained(changes, *parts), (one, losses))


@pytest.mark.skipif(bool(LACK), reason=str(LACK))
@pytest.mark.parametrize(
    "way",
    [pytest.param(COMPILED, marks=pytest.mark.soak), ALL],
    ids=["ddp", "fsdp2, checkpointing"],
)
def test_compiled_ranks_train_as_one_that_is_not(trained: Trained, way: Way) -> None:
    assert_agree(trained(SHALLOW, (way, STEPS)), trained(SHALLOW, (ALONE, STEPS)))
