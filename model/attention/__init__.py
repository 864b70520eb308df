"""The attention variants, one file each; a class is loaded when it is asked for by name."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model.config import ViTConfig, check_fit
from model.variants import variant_named

if TYPE_CHECKING:
    from model.attention.base import Attention


def attention_layer(config: ViTConfig) -> "type[Attention]":
    """The configured variant as timm's ``attn_layer`` takes it.

    timm passes the same few arguments to every class and refuses a partial one, so the
    configuration is bound by a subclass.

    Raises:
        ValueError: there is no such variant, or it does not fit the rest of the configuration.
    """
    row = variant_named(config.attention)
    check_fit(config, row)
    module, _, attribute = row.location.partition(":")
    variant: type[Attention] = getattr(import_module(module), attribute)

    class Bound(variant):  # type: ignore[misc,valid-type]
        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__(config)

    Bound.__name__ = Bound.__qualname__ = variant.__name__
    return Bound
