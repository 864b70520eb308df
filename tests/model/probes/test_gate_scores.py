import numpy as np
import pytest
import torch
from torch import Tensor

from model.probes.base import Findings
from model.probes.gate_scores import BINS, measure, summarise

REGISTERS = 2


def found(*gates: Tensor) -> Findings:
    measured = measure({"gates": list(gates)}, registers=REGISTERS)
    return summarise({name: tensor.numpy() for name, tensor in measured.items()})


def test_a_model_without_gates_gives_nothing() -> None:
    assert found() == Findings()


def test_planted_values_are_counted_over_patches_only() -> None:
    gate = torch.full((2, 3, 7, 10), 0.7)
    gate[:, :, : 1 + REGISTERS] = 0.001  # class token and registers
    gate[0, 1, 3, :4] = torch.tensor([0.005, 0.05, 0.099, 0.1])

    findings = found(gate, torch.full_like(gate, 0.3))

    values = 2 * 4 * 10  # of one head: images x patches x channels
    below = findings.arrays["gates/by_head/share_below"]
    assert below[0, 1] == pytest.approx(np.array([1, 1, 3, 4, values]) / values)
    assert below[0, 0].tolist() == [0, 0, 0, 0, 1]
    assert findings.scalars["gates/sparsity"] == pytest.approx(3 / (2 * 3 * values))
    assert findings.arrays["gates/by_head/mean"][1] == pytest.approx([0.3] * 3)


def test_histograms_agree_with_numpys_and_keep_the_class_token_apart() -> None:
    gate = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    gate[0, 0, 3, 0], gate[0, 0, 4, 0] = 1.0, 0.0

    arrays = found(gate).arrays

    edges = arrays["gates/histogram_edges"]
    for head in range(3):
        patches, cls = gate[:, head, 1 + REGISTERS :].numpy(), gate[:, head, 0].numpy()
        expected = np.histogram(patches, edges)[0], np.histogram(cls, edges)[0]
        assert arrays["gates/by_head/histogram"][0, head].tolist() == expected[0].tolist()
        assert arrays["gates/by_head/cls_histogram"][0, head].tolist() == expected[1].tolist()
    assert len(edges) == BINS + 1
