"""When artifacts emerge in training: a rule over a run's probes, and its answer in words.

**Outlier.** A patch token whose L2 norm, before the final norm, exceeds both median + 10 x 1.4826 x
MAD and 1.5 x median of its block over all images. Unlike a percentile, the rule can find none.

**Positive.** A block is positive at a probe if the lower 95 % bound of its share of outliers is
above 0.1 %, and its outliers receive at least 5 times the attention of the median patch in some
later block. The bound is one-sided, of a bootstrap over *images*: the tokens of one image go
together. The second condition tells artifacts, which are attended to, from a heavy tail of norms.
The last block has no later one, so it is never positive.

**Emergence.** The first of 3 consecutive probes at which one and the same block is positive. It
happened after the probe before that one: the answer is the half-open interval (330, 340].

Everything takes numbers that a probe leaves; nothing here needs torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DEVIATIONS, MULTIPLE = 10.0, 1.5
"""An outlier exceeds the median by so many robust deviations, and is so many times the median."""
MAD_TO_SIGMA = 1.4826
"""The median absolute deviation of a normal distribution, times this, is its deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The numbers of the rule; the defaults are the study's.

    Attributes:
        share: the lower bound of a positive block's share of outliers is above this.
        confidence: of that bound, one-sided.
        received: attention that outliers receive over the median patch's, at least.
        consecutive: so many positive probes in a row.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    share: float = 0.001
    confidence: float = 0.95
    received: float = 5.0
    consecutive: int = 3
    resamples: int = 2000
    seed: int = 0


RULE = Rule()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What the rule takes of one probe.

    Attributes:
        epoch: complete epochs when it was made.
        outliers: number of outliers, ``(depth, images)``.
        patches: patch tokens of an image.
        received: for each block's outliers the attention that they receive over the median patch's,
            in that later block where it is most, ``(depth,)``; nan where there is none.
    """

    epoch: int
    outliers: Array
    patches: int
    received: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """The rule's answer for one run.

    Attributes:
        after, by: epochs between which artifacts emerged; ``by`` is None where they did not,
            ``after`` also where they were there at the first probe.
        blocks: those that were positive at ``by`` and at the probes that confirm it.
        until: the last epoch that was probed.
        lasting: whether one of these blocks is positive at ``until`` too.
    """

    after: int | None
    by: int | None
    blocks: tuple[int, ...]
    until: int
    lasting: bool

    @classmethod
    def none(cls, until: int) -> Self:
        """Nothing emerged."""
        return cls(after=None, by=None, blocks=(), until=until, lasting=False)

    def __str__(self) -> str:
        if self.by is None:
            return f"none by epoch {self.until}"
        when = f"by epoch {self.by}" if self.after is None else f"({self.after}, {self.by}]"
        gone = "" if self.lasting else f", gone at epoch {self.until}"
        return f"{when}, {_ranges(self.blocks)}{gone}"


def outlier_mask(norms: Array) -> Array:
    """Which norms of one block's patch tokens, of all images together, are outliers."""
    median = np.median(norms)
    deviation = MAD_TO_SIGMA * np.median(np.abs(norms - median))
    mask: Array = norms > max(median + DEVIATIONS * deviation, MULTIPLE * median)
    return mask


def lower_bounds(look: Look, rule: Rule = RULE) -> Array:
    """The lower bound of each block's share of outliers, ``(depth,)``."""
    images = look.outliers.shape[1]
    weights = _resampled(images, rule.resamples, rule.seed)  # (resamples, images)
    shares = weights @ look.outliers.T.astype(np.float32) / (images * look.patches)
    bounds: Array = np.quantile(shares, 1 - rule.confidence, axis=0)
    return bounds


def positive_blocks(look: Look, rule: Rule = RULE) -> Array:
    """Which blocks are positive, bool ``(depth,)``."""
    attended = look.received >= rule.received  # nan: not
    positive: Array = (lower_bounds(look, rule) > rule.share) & attended
    return positive


def emergence(history: Sequence[Look], rule: Rule = RULE) -> Emergence:
    """When artifacts emerged in a run, from its probes in order of epochs.

    Raises:
        ValueError: there is no probe, or their epochs do not ascend.
    """
    if not history:
        raise ValueError("no probe to tell emergence from; give at least one")
    epochs = [look.epoch for look in history]
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise ValueError(f"epochs of probes must ascend, without repeats; they are {epochs}")
    positive = np.stack([positive_blocks(look, rule) for look in history])  # (probes, depth)
    for first in range(len(history) - rule.consecutive + 1):
        steady = positive[first : first + rule.consecutive].all(axis=0)
        if steady.any():
            return Emergence(
                after=epochs[first - 1] if first else None,
                by=epochs[first],
                blocks=tuple(np.flatnonzero(steady).tolist()),
                until=epochs[-1],
                lasting=bool(positive[-1, steady].any()),
            )
    return Emergence.none(epochs[-1])


def over_seeds(found: Sequence[Emergence]) -> str:
    """How many seeds of an arm showed artifacts: "2 of 3 seeds"."""
    return f"{sum(each.by is not None for each in found)} of {len(found)} seeds"


@lru_cache(maxsize=2)
def _resampled(images: int, resamples: int, seed: int) -> Array:
    """How often each image is drawn in each resample, float32 ``(resamples, images)``."""
    generator = np.random.default_rng(seed)
    even = np.full(images, 1 / images)
    return generator.multinomial(images, even, size=resamples).astype(np.float32)


def _ranges(blocks: Sequence[int]) -> str:
    """Blocks as people write them: "block 3", "blocks 7-10", "blocks 3, 7-10"."""
    starts = [b for b in blocks if b - 1 not in blocks]
    ends = [b for b in blocks if b + 1 not in blocks]
    spans = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True)]
    return ("block " if len(blocks) == 1 else "blocks ") + ", ".join(spans)
