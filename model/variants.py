"""The attention variants by name: where each class stands and what one block of it costs.

One's own variants stand beside the built-in ones. A package of one's own, importable and free of
torch like this module, has a mapping ``VARIANTS`` of such rows; ``attention: mine.shifted`` names
row ``shifted`` of package ``mine``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Protocol


class Sizes(Protocol):
    """What costs are computed from; a ``ViTConfig`` has it all, and more."""

    @property
    def tokens(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...


Count = Callable[[Sizes], int]


def _none(_: Sizes) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of the table.

    Attributes:
        location: ``module:Class``, a `model.attention.base.Attention`; not the class itself, so
            that the table loads no torch.
        macs: multiply-adds of one block's attention for one image, without its gate, as the class
            computes it in training.
        params: trainable parameters of one block's attention, without its gate.
        description: one line for people.
        fixed_macs: those of ``macs`` in which one factor is not trained, nor depends on what is:
            backward they cost as much as forward, all others twice.
        rows_sum_to_one: whether each query's weights over the tokens do. This and the next are
            what a reader of attention maps must know, and the tests hold the class to; the probes
            ask neither, and normalise every row by its size.
        signed: whether weights may be negative.
        scored: whether there are queries and keys.
        halves_heads: whether a head's channels are halved, so that they must be even in number.
        settings: the fields of ``ViTConfig`` that are this variant's own.
    """

    location: str
    macs: Count
    params: Count
    description: str
    fixed_macs: Count = _none
    rows_sum_to_one: bool = True
    signed: bool = False
    scored: bool = True
    halves_heads: bool = False
    settings: tuple[str, ...] = ()


def package_of(name: str) -> str:
    """The package of one's own that a variant's name belongs to; empty for a built-in one."""
    return name.rpartition(".")[0]


def variant_named(name: str) -> Variant:
    """The row of a built-in variant, or of ``package.row`` in a package of one's own.

    Raises:
        ValueError: there is no such row; the package cannot be imported, or has no ``VARIANTS``.
    """
    package, row = package_of(name), name.rpartition(".")[2]
    if not package:
        return _row(VARIANTS, name, "model.variants")
    try:
        table = import_module(package).VARIANTS
    except ImportError as error:
        raise ValueError(
            f"attention {name} stands in package {package}, which cannot be imported: {error}. "
            "Its folder must be listed under packages of the sweep"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"attention {name} stands in package {package}, which has no mapping VARIANTS: {error}"
        ) from error
    return _row(table, row, package)


def _row(table: Mapping[str, Variant], row: str, place: str) -> Variant:
    if row not in table:
        known = ", ".join(table) or "nothing"
        raise ValueError(f"{place} has no attention variant {row!r}; VARIANTS there has: {known}")
    return table[row]


def _projections(number: int) -> Count:
    """So many linear maps of all tokens from dim to dim."""
    return lambda c: number * c.tokens * c.dim**2


def _mixing(*, more_keys: int = 0, products: int = 2) -> Count:
    """Products of queries with keys, and of weights with values, over all heads."""
    return lambda c: products * c.tokens * (c.tokens + more_keys) * c.dim


def _linear(number: int, *, more: Count = _none) -> Count:
    """Parameters of so many linear maps from dim to dim with biases, and of what stands beside."""
    return lambda c: number * (c.dim**2 + c.dim) + more(c)


def _sum(*counts: Count) -> Count:
    return lambda c: sum(count(c) for count in counts)


_SOFTMAX_MACS = _sum(_projections(4), _mixing())

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "softmax": Variant(
            location="model.attention.softmax:SoftmaxAttention",
            macs=_SOFTMAX_MACS,
            params=_linear(4),
            description="multi-head softmax attention (Vaswani et al., arXiv 1706.03762)",
        ),
        "softmax_plus_one": Variant(
            location="model.attention.softmax_plus_one:SoftmaxPlusOneAttention",
            macs=_sum(_projections(4), _mixing(more_keys=1)),
            params=_linear(4),
            description="softmax with 1 added to its denominator: a head may attend to nothing",
            rows_sum_to_one=False,
        ),
        "clipped_softmax": Variant(
            location="model.attention.clipped_softmax:ClippedSoftmaxAttention",
            macs=_SOFTMAX_MACS,
            params=_linear(4),
            description="softmax stretched below 0 and clipped there (arXiv 2306.12929)",
            rows_sum_to_one=False,
            settings=("clip_alpha",),
        ),
        "sigmoid": Variant(
            location="model.attention.sigmoid:SigmoidAttention",
            macs=_SOFTMAX_MACS,
            params=_linear(4),
            description="a sigmoid of each score in place of the softmax (arXiv 2409.04431)",
            rows_sum_to_one=False,
        ),
        "extra_key_value": Variant(
            location="model.attention.extra_key_value:ExtraKeyValueAttention",
            macs=_sum(_projections(4), _mixing(more_keys=1)),
            params=_linear(4, more=lambda c: 2 * c.dim),
            description="one learned key and value per head beside the tokens' (arXiv 2402.17762)",
            rows_sum_to_one=False,
        ),
        "value_bias": Variant(
            location="model.attention.value_bias:ValueBiasAttention",
            macs=_SOFTMAX_MACS,
            params=_linear(4, more=lambda c: c.dim),
            description="a learned vector added to each head's output (DINOv3, arXiv 2508.10104)",
        ),
        "head_rms_norm": Variant(
            location="model.attention.head_rms_norm:HeadRMSNormAttention",
            macs=_SOFTMAX_MACS,
            params=_linear(4, more=lambda c: c.head_dim),
            description="RMSNorm of each head's output (control of arXiv 2505.06708, table 3)",
        ),
        "differential": Variant(
            location="model.attention.differential:DifferentialAttention",
            macs=_sum(_projections(4), _mixing(products=3)),
            params=_linear(4, more=lambda c: 4 * (c.head_dim // 2) + c.head_dim),
            description="the difference of two softmax maps (arXiv 2410.05258)",
            rows_sum_to_one=False,
            signed=True,
            halves_heads=True,
        ),
        "uniform": Variant(
            location="model.attention.uniform:UniformAttention",
            macs=_projections(2),
            params=_linear(2),
            description="negative control: the mean of all values, for every query",
            scored=False,
        ),
        "static_random": Variant(
            location="model.attention.static_random:StaticRandomAttention",
            macs=_sum(_projections(2), _mixing(products=1)),
            params=_linear(2),
            description="negative control: random weights that are never trained (2005.00743)",
            fixed_macs=_mixing(products=1),
            scored=False,
        ),
        "collapsed_query_key": Variant(
            location="model.attention.collapsed:CollapsedQueryKeyAttention",
            macs=_sum(_projections(3), _mixing()),
            params=_linear(3),
            description="one matrix for queries and keys: tokens are the keys (arXiv 2410.13732)",
        ),
        "collapsed_value_output": Variant(
            location="model.attention.collapsed:CollapsedValueOutputAttention",
            macs=_sum(_projections(3), _mixing()),
            params=_linear(3),
            description="one matrix for values and output: tokens are the values (2410.13732)",
        ),
    }
)
