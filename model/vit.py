"""A vision transformer from its configuration, with weights that depend on seed and name alone."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator

import torch
from timm.models import vision_transformer as timm_vit
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.attention import attention_layer
from model.attention.base import Attention
from model.attention.inits import Init
from model.config import ViTConfig


class Block(timm_vit.Block):
    """timm's pre-norm block, whose residual branches are dropped from outside."""

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """The block's output ``(B, N, dim)``; ``keep`` scales its two branches, ``(2, B)``."""
        x = x + _scaled(self.ls1(self.attn(self.norm1(x))), keep, 0)
        return x + _scaled(self.ls2(self.mlp(self.norm2(x))), keep, 1)


class ViT(timm_vit.VisionTransformer):
    """timm's vision transformer in DeiT III's layout (Touvron et al., arXiv 2204.07118).

    Tokens stand in the order class, registers, patches; ``num_prefix_tokens`` of them precede the
    patches. Position embedding is on patches only, and the head reads the class token. There is no
    randomness in the forward pass: ``keep`` brings the drop-path scales, drawn elsewhere.
    `build_vit` initialises the weights; the bare constructor leaves them as timm would.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(
            img_size=config.img_size,
            patch_size=config.patch_size,
            in_chans=config.in_chans,
            num_classes=config.num_classes,
            embed_dim=config.dim,
            depth=config.depth,
            num_heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            init_values=config.layer_scale,
            reg_tokens=config.registers,
            no_embed_class=True,
            block_fn=Block,
            attn_layer=attention_layer(config),
        )
        self.config = config
        for depth, (_, attention) in enumerate(_attentions(self)):
            attention.set_depth(depth)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Class logits ``(B, num_classes)`` of images ``(B, in_chans, img_size, img_size)``.

        ``keep`` is ``(depth, 2, B)``: what each block's attention and MLP branch is multiplied by
        for each image, 0 or 1 / (1 - p). None drops nothing.
        """
        return self.forward_head(self.forward_features(x, keep))

    def forward_features(  # type: ignore[override]
        self, x: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """All tokens after the final norm, ``(B, N, dim)``."""
        if keep is not None and keep.shape != (len(self.blocks), 2, len(x)):
            expected = (len(self.blocks), 2, len(x))
            raise ValueError(f"keep is {tuple(keep.shape)}; (depth, 2, B) is {expected} here")
        x = self._pos_embed(self.patch_embed(x))
        for i, block in enumerate(self.blocks):
            scales = None if keep is None else keep[i].to(x.dtype)
            if self.grad_checkpointing:
                x = checkpoint(block, x, scales, use_reentrant=False)
            else:
                x = block(x, scales)
        features: Tensor = self.norm(x)
        return features

    def no_weight_decay(self) -> set[str]:
        """Parameters of more than one axis that take no weight decay; those of one never do."""
        own = {
            f"{place}.{name}"
            for place, attention in _attentions(self)
            for name in attention.undecayed
        }
        return {"pos_embed", "cls_token", "reg_token"} | own


def build_vit(config: ViTConfig, seed: int = 0) -> ViT:
    """The model of a configuration, initialised, on the CPU in float32.

    Each parameter is drawn by its own generator, keyed by the seed and its name: two architectures
    share bit for bit whatever parameters they share in name and shape, and the global random state
    stays as it was. Buffers are as the layers' constructors make them.
    """
    with torch.device("meta"):  # timm draws weights of its own; here that costs and moves nothing
        model = ViT(config)
    buffers = _buffers(config, seed) if any(True for _ in model.buffers()) else {}
    model.to_empty(device="cpu")
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        own = _own_inits(model)
        for name, parameter in model.named_parameters():
            if name in own:
                own[name](parameter, _generator(seed, name))
            else:
                _rule(name)(parameter, config, _generator(seed, name))
    return model


def _buffers(config: ViTConfig, seed: int) -> dict[str, Tensor]:
    """Every buffer, taken from a model that is really built; few variants have any."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(ViT(config).named_buffers())


def _attentions(model: nn.Module) -> Iterator[tuple[str, Attention]]:
    """The attention layer of each block, in order of depth, with its name."""
    return ((name, m) for name, m in model.named_modules() if isinstance(m, Attention))


def _own_inits(model: ViT) -> dict[str, Init]:
    """How parameters of the attention variants start, by full name."""
    return {
        f"{place}.{name}": init
        for place, attention in _attentions(model)
        for name, init in attention.inits.items()
    }


def _scaled(branch: Tensor, keep: Tensor | None, index: int) -> Tensor:
    return branch if keep is None else branch * keep[index, :, None, None]


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


_Fill = Callable[[Tensor, ViTConfig, torch.Generator], object]


def _trunc_normal(p: Tensor, _: ViTConfig, generator: torch.Generator) -> None:
    nn.init.trunc_normal_(p, std=0.02, generator=generator)


def _conv_default(p: Tensor, config: ViTConfig, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(config.in_chans * config.patch_size**2)
    p.uniform_(-bound, bound, generator=generator)


def _gate_weight(p: Tensor, config: ViTConfig, generator: torch.Generator) -> None:
    assert config.gate is not None  # a gate's parameter without a gate is our bug
    p.normal_(0.0, config.gate.init_std, generator=generator)


def _gate_bias(p: Tensor, config: ViTConfig, _: torch.Generator) -> None:
    assert config.gate is not None  # as above
    p.fill_(config.gate.bias_init)


# The first rule whose pattern ends the name decides. As DeiT III, but for the gates: the patch
# embedding keeps PyTorch's default for convolutions, which DeiT and timm leave alone; class and
# register tokens are drawn with std .02, not with timm's 1e-6, under which the first gradient norm
# is 19.5, all of it the class token's, against 1.5.
_RULES: tuple[tuple[str, _Fill], ...] = (
    (r"\.gate\.weight", _gate_weight),
    (r"\.gate\.bias", _gate_bias),
    (r"patch_embed\.proj\.(weight|bias)", _conv_default),
    (r"ls[12]\.gamma", lambda p, config, _: p.fill_(config.layer_scale)),  # type: ignore[arg-type]
    (r"norm[12]?\.weight", lambda p, *_: p.fill_(1.0)),
    (r"\.bias", lambda p, *_: p.zero_()),
    (r"\.weight|pos_embed|cls_token|reg_token", _trunc_normal),
)


def _rule(name: str) -> _Fill:
    for pattern, fill in _RULES:
        if re.search(rf"({pattern})$", name):
            return fill
    raise RuntimeError(
        f"no rule initialises parameter {name!r}; say how in its attention class's inits, "
        "or add a row to model.vit._RULES"
    )
