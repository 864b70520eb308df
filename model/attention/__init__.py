"""The attention variants, one file each; a class is loaded when it is asked for by name."""

from importlib import import_module
from typing import TYPE_CHECKING

from model.variants import VARIANTS

if TYPE_CHECKING:
    from model.attention.softmax import SoftmaxAttention
    from model.config import AttentionName


def attention_class(name: "AttentionName") -> "type[SoftmaxAttention]":
    """The class of a variant; it is built from the whole configuration."""
    module, _, attribute = VARIANTS[name].location.partition(":")
    found: type[SoftmaxAttention] = getattr(import_module(module), attribute)
    return found
