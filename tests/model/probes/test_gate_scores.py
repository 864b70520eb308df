from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from model.attention.base import Inside
from model.config import GateConfig, ViTConfig
from model.probes.base import Findings, Subject
from model.probes.gate_scores import BINS, measure_block, summarise
from model.vit import build_vit

SUBJECT = Subject(registers=2, grid=(2, 2))
REGISTERS = 2


def found(*gates: Tensor | None, subject: Subject = SUBJECT) -> Findings:
    nothing = torch.empty(0)
    insides = [
        Inside(weights=nothing, logits=None, values=nothing, mixed=nothing, gate=gate)
        for gate in gates
    ]
    each = [measure_block(inside, subject) for inside in insides]
    taken = {name: torch.stack([m[name] for m in each], dim=1).numpy() for name in each[0]}
    return summarise(taken, subject)


def test_a_model_without_gates_gives_nothing() -> None:
    assert found(None, None) == Findings()


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


def test_a_head_is_dead_or_saturated_where_99_percent_of_its_values_are() -> None:
    gate = torch.full((1, 4, 7, 25), 0.5)  # 100 values of patches in each head
    patches = gate[0, :, 1 + REGISTERS :].flatten(1)
    patches[0], patches[1], patches[2], patches[3] = 0.01, 0.01, 0.99, 0.99
    patches[0, :1], patches[1, :2], patches[2, :1], patches[3, :2] = 0.5, 0.5, 0.5, 0.5
    gate[0, :, 1 + REGISTERS :] = patches.unflatten(1, (4, 25))

    findings = found(gate)

    assert findings.arrays["gates/by_head/dead"].tolist() == [[True, False, False, False]]
    assert findings.arrays["gates/by_head/saturated"].tolist() == [[False, False, True, False]]
    assert findings.scalars["gates/dead"] == findings.scalars["gates/saturated"] == 0.25
    assert findings.scalars["gates/share_below_0.5"] == pytest.approx(197 / 400)


def test_a_headwise_gate_and_one_that_heads_share_are_read_as_they_are() -> None:
    headwise, shared = torch.full((2, 3, 7, 1), 0.2), torch.full((2, 1, 7, 10), 0.2)

    assert found(headwise).arrays["gates/by_head/histogram"].sum() == 2 * 3 * 4
    assert found(shared).arrays["gates/by_head/histogram"].sum() == 2 * 4 * 10
    assert found(shared).arrays["gates/by_head/mean"].shape == (1, 1)


def test_of_gates_that_are_no_multiplying_sigmoids_only_the_reason_is_told() -> None:
    told = replace(SUBJECT, no_gate_statistics="it is a SiLU")
    nothing = torch.empty(0)
    inside = Inside(
        weights=nothing, logits=None, values=nothing, mixed=nothing, gate=torch.rand(2, 3, 7, 10)
    )

    findings = summarise({}, told)

    assert measure_block(inside, told) == {}
    assert findings.scalars == {}
    assert {k: str(v) for k, v in findings.arrays.items()} == {"gates/none_because": "it is a SiLU"}


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (None, None),
        (GateConfig(position="value", granularity="head_shared"), None),
        (GateConfig(activation="silu"), "this one is silu, multiply"),
        (GateConfig(mode="add"), "this one is sigmoid, add"),
        (GateConfig(activation="ns_sigmoid"), "this one is ns_sigmoid, multiply"),
    ],
)
def test_what_a_gate_is_decides_whether_it_has_statistics(
    tiny: ViTConfig, gate: GateConfig | None, reason: str | None
) -> None:
    subject = Subject.of(build_vit(replace(tiny, gate=gate)), torch.zeros(1, 3, 32, 32))

    told = subject.no_gate_statistics
    assert told is None if reason is None else told.endswith(reason)


def test_a_gate_that_is_no_number_is_told_as_such_and_not_as_open() -> None:
    gate = torch.full((2, 3, 7, 10), 0.7)
    gate[0, 1, 4] = torch.nan

    scalars = found(gate, torch.full_like(gate, 0.3)).scalars

    assert all(np.isnan(value) for value in scalars.values()), scalars
