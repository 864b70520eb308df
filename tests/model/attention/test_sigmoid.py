from dataclasses import replace

import pytest
import torch
from support.arms import TINY

from model.attention.sigmoid import SigmoidAttention

ATTENTION = SigmoidAttention(replace(TINY, attention="sigmoid"))


def test_a_score_of_0_among_n_tokens_weighs_1_in_n_plus_1() -> None:
    """sigmoid(-log N) = 1 / (1 + N)."""
    weights = ATTENTION.normalise(torch.zeros(1, 1, 1, 197))

    torch.testing.assert_close(weights, torch.full((1, 1, 1, 197), 1 / 198))
    assert weights.sum().item() == pytest.approx(197 / 198)


def test_keys_do_not_compete() -> None:
    logits = torch.randn(17)
    raised = logits.clone()
    raised[3] += 5

    before, after = ATTENTION.normalise(logits), ATTENTION.normalise(raised)

    changed = (before != after).nonzero().flatten().tolist()
    assert changed == [3]
