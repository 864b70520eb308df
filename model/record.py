"""What a forward pass saw on its way, by name, for our models and for timm's."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer
from torch import Tensor, nn

from model.attention.base import Inside
from model.attention.timm_attention import look_inside

Receiver = Callable[[Any], None]


@contextmanager
def watch(model: VisionTransformer, receivers: Mapping[str, Receiver]) -> Iterator[None]:
    """Hand over what one forward pass inside the ``with`` computes, as it appears.

    A receiver gets what its place shows, block by block in order of depth, detached. Nothing is
    kept here, so that a receiver that reduces what it gets holds one block's at a time: the weights
    of all blocks are 11 MB an image in ViT-S/16 at 224 pixels, those of one are 0.9. The places:

    - ``embedding``: the patch embedding, once, ``(B, patches, dim)``, before positions are added
    - ``inside``: each block's `Inside` of its attention, computed again beside the fused kernel,
      which never forms the weights
    - ``mlp``: what each block's MLP adds to the stream, ``(B, N, dim)``: after LayerScale, or after
      the norm in blocks that have it behind the MLP
    - ``blocks``: each block's output, before the final norm, ``(B, N, dim)``
    - ``final``: all tokens after the final norm, once, ``(B, N, dim)``; the same as the last of
      ``blocks`` where the model has no norm there

    Tokens stand in the order class, registers, patches. Outside of the ``with`` nothing is left in
    the model: no hook, no graph break, no cost. Give it the model itself, not a distributed
    wrapper; one that ``fully_shard`` has sharded is itself, but then every rank must take as many
    passes. A compiled model runs eagerly inside the ``with``, because compiled code does not notice
    hooks that come later.

    Raises:
        ValueError: a place is not known.
        RuntimeError: a second forward pass inside the same ``with``.
        TypeError: an attention layer is neither ours nor timm's, or was given a mask; ``inside`` or
            ``mlp`` is asked of blocks that are not one attention and then one MLP.
    """
    if unknown := [name for name in receivers if name not in _PLACES]:
        raise ValueError(f"cannot record {', '.join(unknown)}; known names: {', '.join(_PLACES)}")
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        for name, receive in receivers.items():
            place, turn = _PLACES[name], _Turn()
            for depth, module in enumerate(place.modules(model)):
                hook = _hook(turn, depth, look=place.look, receive=receive)
                handle = module.register_forward_hook(hook, with_kwargs=True)
                stack.callback(handle.remove)
        yield


@contextmanager
def record(
    model: VisionTransformer, wants: Iterable[str] = ("blocks",)
) -> Iterator[Mapping[str, Sequence[Any]]]:
    """As `watch`, but everything is kept, by name, in lists that grow during the pass."""
    seen: dict[str, list[Any]] = {name: [] for name in wants}
    with watch(model, {name: found.append for name, found in seen.items()}):
        yield seen


@dataclass(slots=True)
class _Turn:
    """How many blocks have been seen at one place."""

    count: int = 0


_Look = Callable[[Any, tuple[Any, ...], Mapping[str, Any], Tensor], Any]


def _hook(turn: _Turn, depth: int, *, look: _Look, receive: Receiver) -> Callable[..., None]:
    """A forward hook that hands over one look at the module, for the block at this depth."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Tensor) -> None:
        if turn.count != depth:
            raise RuntimeError("a recording holds one forward pass; open a new one for the next")
        turn.count += 1
        with torch.no_grad():
            receive(look(module, args, kwargs, output))

    return hook


def _output(_: nn.Module, __: Any, ___: Any, output: Tensor) -> Tensor:
    return output.detach()


def _inside(attention: nn.Module, args: tuple[Any, ...], kwargs: Any, _: Tensor) -> Inside:
    """What the attention did of its input; whatever else it was given must not matter."""
    masks = [*args[1:], *kwargs.values()]
    if any(mask is not None and mask is not False for mask in masks):
        raise TypeError(f"{type(attention).__name__} was given a mask, which no recording knows")
    return look_inside(attention, args[0].detach())


def _attention(block: nn.Module) -> nn.Module:
    """The attention of a block."""
    if isinstance(block, Block | ResPostBlock):
        return block.attn
    raise _strange(block)


def _added_by_mlp(block: nn.Module) -> nn.Module:
    """The module whose output a block adds to the stream after its MLP."""
    if isinstance(block, Block):
        return block.ls2
    if isinstance(block, ResPostBlock):
        return block.norm2
    raise _strange(block)


def _strange(block: nn.Module) -> TypeError:
    return TypeError(
        f"cannot look inside blocks of type {type(block).__name__}: known are timm's Block, as in "
        "most of its vit_*, deit_* and deit3_* models, and ResPostBlock, as in "
        "vit_base_patch16_rpn_224; those with branches in parallel, as in "
        "vit_small_patch16_18x2_224, are not. Embedding, blocks and final can be recorded of any"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Which modules of a model to watch, one for each block or one alone, and what to take."""

    modules: Callable[[Any], Iterable[nn.Module]]
    look: _Look = _output


_PLACES: Mapping[str, _Place] = {
    "embedding": _Place(modules=lambda model: [model.patch_embed]),
    "inside": _Place(modules=lambda model: map(_attention, model.blocks), look=_inside),
    "mlp": _Place(modules=lambda model: map(_added_by_mlp, model.blocks)),
    "blocks": _Place(modules=lambda model: model.blocks),
    "final": _Place(modules=lambda model: [model.norm]),
}
