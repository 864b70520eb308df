"""What a forward pass saw on its way, by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from model.vit import ViT

Seen = Mapping[str, Sequence[Tensor]]
"""Tensors by name; one per block, in order of depth."""


@contextmanager
def record(model: ViT, wants: Iterable[str] = ("blocks",)) -> Iterator[Seen]:
    """Record one forward pass of the model inside the ``with``; read the result during or after it.

    ``blocks`` are the blocks' outputs ``(B, N, dim)``, before the final norm; ``attention`` the
    weights ``(B, heads, queries, keys)``, computed again since the fused kernel never forms them;
    ``gates`` the gate values ``(B, heads, N, head_dim)``, an empty list where there is no gate.
    Tokens stand in the order class, registers, patches. Everything is detached.

    The tensors of all blocks live at once: for ViT-S/16 at 224 pixels 3.6 MB an image for
    ``blocks`` and ``gates`` each, 11 MB for ``attention``. Give it the model itself, not a
    distributed wrapper. A compiled model runs eagerly inside the ``with``, because compiled code
    does not notice hooks that come later.

    Raises:
        ValueError: a name is not known.
        RuntimeError: a second forward pass inside the same ``with``.
    """
    names = tuple(dict.fromkeys(wants))
    if unknown := [name for name in names if name not in _WATCHERS]:
        raise ValueError(f"cannot record {', '.join(unknown)}; known names: {', '.join(_WATCHERS)}")
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        for depth, block in enumerate(model.blocks):
            for name in names:
                module, look = _WATCHERS[name](block)
                if module is not None:
                    hook = module.register_forward_hook(_keeper(seen[name], depth, look))
                    stack.callback(hook.remove)
        yield seen


_Look = Callable[[Any, Tensor, Tensor], Tensor]


def _keeper(found: list[Tensor], depth: int, look: _Look) -> Callable[..., None]:
    """A forward hook that appends one look at the module, for the block at this depth."""

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if len(found) != depth:
            raise RuntimeError("record() holds one forward pass; open a new one for the next")
        with torch.no_grad():
            found.append(look(module, args[0], output).detach())

    return hook


def _output(_: nn.Module, __: Tensor, output: Tensor) -> Tensor:
    return output


# name -> the module of a block to watch (None: this block has none), and what to keep of its call
_WATCHERS: Mapping[str, Callable[[Any], tuple[nn.Module | None, _Look]]] = {
    "blocks": lambda block: (block, _output),
    "attention": lambda block: (block.attn, lambda attn, x, _: attn.weights(x)),
    "gates": lambda block: (block.attn.gate, _output),
}
