"""What all attention variants share: heads, gates, and a look inside."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from model.attention.gates import apply_gate, build_gate
from model.attention.inits import Inits
from model.config import ViTConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inside:
    """What one attention layer computed of an input ``(B, N, dim)``; h heads of d channels each.

    ``weights @ values``, and what a variant adds to it (an extra value, a norm), is what the fused
    kernel gives.

    Attributes:
        weights: ``(B, h, N, N)``, queries by keys: what each of the N tokens' values is multiplied
            by. Rows need not sum to 1. A key that is no token (a learned one) has no column.
        logits: ``(B, h, N, N)``, the scores of queries and keys before any normalisation, scaled by
            1 / sqrt(d). None where no single score stands behind a weight.
        values: ``(B, h, N, d)``, as they are mixed, after a gate on them.
        mixed: ``(B, h, N, d)``, each head's output after a gate on it, as the output projection
            takes it.
        gate: ``(B, h or 1, N, d or 1)``, the gate's values as they are applied; None: no gate.
            At position ``output`` the channels of the dense output stand in the heads' layout.
    """

    weights: Tensor
    logits: Tensor | None
    values: Tensor
    mixed: Tensor
    gate: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Weights, logits and values of one layer, as `Inside` has them."""

    weights: Tensor
    logits: Tensor | None
    values: Tensor


class Attention(nn.Module, ABC):
    """Heads that mix values, then an output projection ``proj``; a gate stands where it is asked.

    A subclass says how values are mixed: `attend` as fast as it can be, `score` exactly and with
    everything in sight. Both bring the input into heads themselves, and gate what they make on the
    way (values, queries, keys); what comes after is gated here.

    Class attributes:
        inits: how parameters start that are neither of a linear map nor of a norm.
        undecayed: parameters of more than one axis that take no weight decay.
    """

    inits: ClassVar[Inits] = {}
    undecayed: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.proj = nn.Linear(config.dim, config.dim)
        self.gate = build_gate(config)

    def set_depth(self, depth: int) -> None:
        """Told once, after construction: the block's index from 0. Few variants care."""

    @abstractmethod
    def attend(self, x: Tensor) -> Tensor:
        """Each head's output ``(B, h, N, d)`` of the block's normalised input ``(B, N, dim)``."""

    @abstractmethod
    def score(self, x: Tensor) -> Scored:
        """The exact weights, which `attend` may never form, of the same input."""

    def forward(self, x: Tensor) -> Tensor:
        """The block's normalised input, ``(B, N, dim)``, to the branch's output, the same shape."""
        mixed = apply_gate(self.gate, "sdpa", self.attend(x), x)
        out: Tensor = self.proj(join(mixed))
        if self.gate is None or self.gate.position != "output":
            return out
        return join(self.gate.act_on(split(out, self.heads), x))

    def inside(self, x: Tensor) -> Inside:
        """The same computation with everything in sight; costs the ``(N, N)`` weights' memory."""
        scored = self.score(x)
        return Inside(
            weights=scored.weights,
            logits=scored.logits,
            values=scored.values,
            mixed=apply_gate(self.gate, "sdpa", self.attend(x), x),
            gate=None if self.gate is None else self.gate(x),
        )

    def weights(self, x: Tensor) -> Tensor:
        """The attention weights ``(B, h, N, N)``, queries by keys."""
        return self.score(x).weights


class DotProductAttention(Attention):
    """Attention whose weights come from ``q k^T / sqrt(d)``, here by a softmax that is not fused.

    A subclass changes how scores become weights (`normalise`, or `weigh` where there is more to
    it), and where a fused kernel computes the same, `mix`. Parameter names are timm's, ``qkv`` and
    ``proj``.
    """

    projected: ClassVar[int] = 3
    """How many of queries, keys and values are projected; ``qkv`` does it for all at once."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.qkv = nn.Linear(config.dim, self.projected * config.dim)

    def normalise(self, logits: Tensor) -> Tensor:
        """Weights of scaled scores, both ``(B, h, N, N)``."""
        return logits.softmax(dim=-1)

    def weigh(self, q: Tensor, k: Tensor) -> tuple[Tensor | None, Tensor]:
        """Logits and weights, as `Inside` has them."""
        logits = scores(q, k)
        return logits, self.normalise(logits)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each head's output; all are ``(B, h, N, d)``."""
        return self.normalise(scores(q, k)) @ v

    def bring(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the input, each ``(B, N, dim)``."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return q, k, v

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each ``(B, h, N, d)``, gated where a gate stands on them."""
        q, k, v = (split(part, self.heads) for part in self.bring(x))
        return (
            apply_gate(self.gate, "query", q, x),
            apply_gate(self.gate, "key", k, x),
            apply_gate(self.gate, "value", v, x),
        )

    def attend(self, x: Tensor) -> Tensor:
        """See `Attention.attend`."""
        return self.mix(*self.project(x))

    def score(self, x: Tensor) -> Scored:
        """See `Attention.score`."""
        q, k, v = self.project(x)
        logits, weights = self.weigh(q, k)
        return Scored(weights=weights, logits=logits, values=v)


def scores(q: Tensor, k: Tensor) -> Tensor:
    """``q k^T / sqrt(d)`` of queries and keys ``(B, h, N, d)``."""
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


def split(y: Tensor, heads: int) -> Tensor:
    """``(B, N, h d)`` to ``(B, h, N, d)``."""
    return y.reshape(*y.shape[:2], heads, -1).transpose(1, 2)


def join(y: Tensor) -> Tensor:
    """``(B, h, N, d)`` to ``(B, N, h d)``."""
    return y.transpose(1, 2).flatten(2)
