import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from model.probes.activations import measure_block, summarise
from model.probes.base import Findings, Subject

DIM = 16
SUBJECT = Subject(registers=1, grid=(2, 2))


def found(*blocks: Tensor) -> Findings:
    each = [measure_block(block, SUBJECT) for block in blocks]
    taken = {name: torch.stack([m[name] for m in each], dim=1).numpy() for name in each[0]}
    return summarise(taken, SUBJECT)


def test_activations_are_taken_image_by_image() -> None:
    """Kurtosis of each image's values, and the maximum over its blocks, then means."""
    generator = torch.Generator().manual_seed(0)
    blocks = [torch.randn(2, 6, DIM, generator=generator) ** 3 * 1e6 for _ in range(2)]
    blocks[0][0, 0, 5], blocks[1][1, 4, 2] = 3e9, -5e9

    scalars = found(*blocks).scalars

    flat = [image.numpy().astype(np.float64).ravel() for block in blocks for image in block]
    kurtoses = [stats.kurtosis(image, fisher=False) for image in flat]
    assert scalars["activations/max_inf"] == pytest.approx(4e9)
    assert scalars["activations/kurtosis"] == pytest.approx(np.mean(kurtoses), rel=1e-4)


def test_a_massive_activation_is_large_and_a_thousand_times_the_median() -> None:
    block = torch.full((4, 6, DIM), 0.15)
    block[:, 2, 5], block[:, 3, 7] = -151, 149  # only the first is a thousand times the median
    small = torch.full((4, 6, DIM), 0.01)
    small[:3, 0, 1], small[:1, 0, 2] = 101, 101  # in three images, in one
    small[:, 0, 3] = 99  # ten thousand times the median, but not above 100

    findings = found(block, small)

    massive = findings.arrays["activations/by_block/massive"]
    assert massive.shape == (2, DIM)
    assert massive[0].nonzero()[0].tolist() == [5]
    assert massive[1, [1, 2]].tolist() == [0.75, 0.25]
    assert np.count_nonzero(massive) == 3
    assert findings.scalars["activations/massive_channels"] == 1
    assert findings.arrays["activations/by_block/top"][0] == pytest.approx([151, 149, 0.15])
    assert findings.arrays["activations/by_block/median"] == pytest.approx([0.15, 0.01])
