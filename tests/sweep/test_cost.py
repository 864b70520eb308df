import io

import pytest
import torch

from orchestrator.config import Placement, RunConfig
from orchestrator.sweep.cost import disk_of
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

WIDE = {"img_size": 8, "patch_size": 4, "in_chans": 1, "dim": 256, "depth": 4, "heads": 4}


def bytes_of(state: object) -> int:
    file = io.BytesIO()
    torch.save(state, file)
    return len(file.getvalue())


def after_a_step(config: RunConfig) -> Trainer:
    trainer = Trainer.fresh(config, Ranks(0, 1, torch.device("cpu")), Placement())
    for parameter in trainer.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.step()
    return trainer


@pytest.mark.parametrize(
    "settings", [{}, {"optim": {"name": "lamb"}}, {"train": {"ema_decay": 0.99}}]
)
def test_what_a_checkpoint_and_weights_take_is_known_from_a_configuration(
    settings: dict[str, dict[str, object]],
) -> None:
    config = RunConfig.from_plain({"data": {"name": "d"}, "model": WIDE, **settings})
    trainer, known = after_a_step(config), disk_of(config, Placement())

    assert known.state == pytest.approx(bytes_of(trainer.state()), rel=0.02)
    assert known.weights == pytest.approx(bytes_of(trainer.model.state_dict()), rel=0.02)


def test_a_job_needs_three_checkpoints_and_three_best_at_most_and_in_the_end_two_weights() -> None:
    config = RunConfig.from_plain({"data": {"name": "d"}, "train": {"epochs": 10}})

    plain, keeping = disk_of(config, Placement()), disk_of(config, Placement(keep_epochs=(5, 10)))

    assert (plain.peak, plain.after_gc) == (
        3 * plain.state + 4 * plain.weights,
        2 * plain.weights,
    )
    assert keeping.peak - plain.peak == keeping.after_gc - plain.after_gc == plain.weights
