import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.arms import TINY

from model.attention import attention_layer
from model.attention.base import Attention
from model.config import GateConfig, ViTConfig
from model.flops import count_macs, count_params
from model.variants import VARIANTS, variant_named
from model.vit import build_vit


def test_every_row_leads_to_an_attention_class_and_says_what_it_is() -> None:
    for name, variant in VARIANTS.items():
        found = attention_layer(ViTConfig(attention=name))
        assert issubclass(found, Attention)
        assert variant.location.endswith(f":{found.__name__}")
        assert 20 < len(variant.description) < 90
        assert variant_named(name) is variant


def test_settings_of_variants_are_fields_of_the_configuration() -> None:
    settings = {name for variant in VARIANTS.values() for name in variant.settings}

    assert settings == {"clip_alpha"}
    assert settings <= set(ViTConfig.__dataclass_fields__)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one's own with a variant that shifts values, and a parameter of its own."""
    package = tmp_path / "mine"
    package.mkdir()
    package.joinpath("__init__.py").write_text(
        textwrap.dedent("""
            from model.variants import VARIANTS as THEIRS, Variant
            VARIANTS = {
                "shifted": Variant(
                    location="mine.shifted:Shifted",
                    macs=THEIRS["softmax"].macs,
                    params=lambda c: THEIRS["softmax"].params(c) + c.heads * c.head_dim,
                    description="values moved by a learned vector",
                    scored=False,
                ),
            }
        """)
    )
    package.joinpath("shifted.py").write_text(
        textwrap.dedent("""
            import torch
            from model.attention.inits import normal
            from model.attention.softmax import SoftmaxAttention
            class Shifted(SoftmaxAttention):
                inits = {"shift": normal(3.0)}
                undecayed = frozenset({"shift"})
                def __init__(self, config):
                    super().__init__(config)
                    self.shift = torch.nn.Parameter(torch.zeros(config.heads, config.head_dim))
                    self.register_buffer("order", torch.arange(config.tokens), persistent=False)
                    self.register_buffer("drawn", torch.rand(config.heads))
                def mix(self, q, k, v):
                    return super().mix(q, k, v + self.shift[:, None])
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    return package


@pytest.mark.usefixtures("mine")
def test_a_variant_of_ones_own_is_built_initialised_and_counted() -> None:
    config = replace(TINY, attention="mine.shifted")
    model = build_vit(config)

    assert model.blocks[0].attn.shift.abs().max() > 3
    assert "blocks.1.attn.shift" in model.no_weight_decay()
    assert count_params(config) == sum(p.numel() for p in model.parameters())
    assert count_macs(config) == count_macs(TINY)


@pytest.mark.usefixtures("mine")
def test_buffers_of_ones_own_variant_are_what_its_constructor_makes_of_the_seed() -> None:
    config = replace(TINY, attention="mine.shifted")
    state = torch.random.get_rng_state()
    first = build_vit(config, seed=3)

    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    again = build_vit(config, seed=3)
    assert torch.equal(first.blocks[1].attn.order, torch.arange(config.tokens))
    assert torch.equal(first.blocks[1].attn.drawn, again.blocks[1].attn.drawn)
    assert not torch.equal(first.blocks[1].attn.drawn, first.blocks[0].attn.drawn)


@pytest.mark.usefixtures("mine")
def test_a_gate_that_ones_own_variant_cannot_have_is_refused_where_it_is_built() -> None:
    config = replace(TINY, attention="mine.shifted", gate=GateConfig(position="query"))

    with pytest.raises(ValueError, match=r"mine\.shifted has neither queries nor keys"):
        build_vit(config)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.moved", "mine has no attention variant 'moved'; VARIANTS there has: shifted"),
        ("yours.shifted", "package yours, which cannot be imported: No module named 'yours'"),
        ("json.shifted", "package json, which has no mapping VARIANTS"),
        ("linear", "no attention variant 'linear'; VARIANTS there has: softmax, softmax_plus_one"),
    ],
)
def test_a_row_that_is_not_there_is_told_with_those_that_are(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variant_named(name)


def test_configurations_costs_and_the_table_load_no_torch() -> None:
    code = (
        "import sys, model.config, model.flops, model.variants, model.figures, model.attention;"
        "print(sorted({'torch', 'timm', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
