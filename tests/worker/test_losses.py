import math

import pytest
import torch

from orchestrator.config.train import TrainConfig
from orchestrator.worker.losses import summed_loss

BCE, CE = TrainConfig(loss="bce"), TrainConfig()
LOGITS = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
SHARES = torch.zeros(3, 10)
SHARES[0, 4], SHARES[1, [2, 7]], SHARES[2, [0, 9]] = 1.0, torch.tensor([0.9, 0.1]), 0.5


def test_losses_at_zero_logits_are_the_logarithms_they_must_be() -> None:
    zeros = torch.zeros(3, 10)

    assert summed_loss(zeros, SHARES, CE).item() == pytest.approx(3 * math.log(10))
    assert summed_loss(zeros, SHARES, BCE).item() == pytest.approx(3 * math.log(2))
    assert math.log(2) == pytest.approx(0.693147, abs=1e-6)


def test_a_class_that_has_a_part_in_an_image_is_present_however_small_it_is() -> None:
    present = (SHARES > 0).double()
    p = torch.sigmoid(LOGITS.double())
    wanted = -(present * p.log() + (1 - present) * (1 - p).log()).mean(dim=1).sum()

    assert summed_loss(LOGITS, SHARES, BCE).item() == pytest.approx(wanted.item(), rel=1e-6)


@pytest.mark.parametrize("train", [BCE, CE, TrainConfig(label_smoothing=0.1)])
def test_a_whole_share_is_the_class_itself(train: TrainConfig) -> None:
    labels = torch.tensor([0, 5, 9])
    shares = torch.nn.functional.one_hot(labels, 10).float()

    one, other = summed_loss(LOGITS, labels, train), summed_loss(LOGITS, shares, train)
    torch.testing.assert_close(one, other)


def test_smoothing_of_mixed_targets_is_the_mix_of_smoothed_targets() -> None:
    """As timm's Mixup: 1 - e + e / C for the class, e / C for the others, then the mix."""
    smooth = (1 - 0.1) * SHARES + 0.1 / 10
    wanted = -(smooth * LOGITS.log_softmax(dim=1)).sum()

    found = summed_loss(LOGITS, SHARES, TrainConfig(label_smoothing=0.1))
    torch.testing.assert_close(found, wanted)
