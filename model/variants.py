"""The attention variants by name: where each class stands and what one block of it costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from model.config import AttentionName, ViTConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of the table.

    Attributes:
        location: ``module:Class``, not the class itself, so that the table loads no torch.
        macs: multiply-adds of one block's attention for one image, without its gate.
        params: parameters of one block's attention, without its gate.
        description: one line for people.
    """

    location: str
    macs: Callable[[ViTConfig], int]
    params: Callable[[ViTConfig], int]
    description: str


def _softmax_macs(config: ViTConfig) -> int:
    projections = 4 * config.tokens * config.dim**2
    scores_and_mixing = 2 * config.tokens**2 * config.dim
    return projections + scores_and_mixing


def _softmax_params(config: ViTConfig) -> int:
    return 4 * (config.dim**2 + config.dim)


VARIANTS: Mapping[AttentionName, Variant] = MappingProxyType(
    {
        "softmax": Variant(
            location="model.attention.softmax:SoftmaxAttention",
            macs=_softmax_macs,
            params=_softmax_params,
            description="multi-head softmax attention (Vaswani et al., arXiv 1706.03762)",
        ),
    }
)


def package_of(name: str) -> str:
    """The user's package that a variant's name belongs to; empty for one of ours."""
    return name.rpartition(".")[0]


def variant_named(name: str) -> Variant:
    """The row of a name: of this table, or of the ``VARIANTS`` of a user's package.

    Raises:
        ValueError: the package cannot be imported here, or the table has no such row.
    """
    package, row = package_of(name), name.rpartition(".")[2]
    try:
        table = dict(import_module(package).VARIANTS if package else VARIANTS)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name} needs a package {package} with a table VARIANTS, which cannot be had here: "
            f"{error}. Name the package's folder under packages of the sweep."
        ) from error
    if row not in table:
        where = f"{package}.VARIANTS" if package else "model.variants"
        raise ValueError(f"{where} has no row {row!r}; it has: {', '.join(table) or 'none'}")
    found: Variant = table[row]
    return found
