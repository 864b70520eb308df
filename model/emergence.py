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

**Undecided.** A probe of too few images, or with norms that are not finite, as a diverged model has
them, cannot be judged, nor can what follows it. What emerged before stands; else the answer is that
it cannot be told, which is not that nothing emerged.

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
        images: of a probe, at least; fewer are not judged. A bootstrap's spread is too small by the
            root of (n - 1) / n: by 2 % for 30 images, by 11 % for 5, and of a single one there is
            none: the lower bound is the share itself.
    """

    share: float = 0.001
    confidence: float = 0.95
    received: float = 5.0
    consecutive: int = 3
    resamples: int = 2000
    seed: int = 0
    images: int = 30


RULE = Rule()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What the rule takes of one probe.

    Attributes:
        epoch: complete epochs when it was made.
        outliers: number of outliers, ``(depth, images)``; nan in blocks whose norms are not finite.
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
        until: the last epoch that was judged, None where none was.
        lasting: whether one of these blocks is positive at ``until`` too.
        undecided: why the probe after ``until`` could not be judged; empty where all were.
        unconfirmed: at so many of the last probes one block was positive, where they are too few
            for the rule: whether artifacts emerged there the next ones would have told.
    """

    after: int | None
    by: int | None
    blocks: tuple[int, ...]
    until: int | None
    lasting: bool
    undecided: str = ""
    unconfirmed: int = 0

    @classmethod
    def none(cls, until: int | None, undecided: str = "", unconfirmed: int = 0) -> Self:
        """Nothing emerged, as far as could be judged."""
        return cls(
            after=None,
            by=None,
            blocks=(),
            until=until,
            lasting=False,
            undecided=undecided,
            unconfirmed=unconfirmed,
        )

    @property
    def judged(self) -> bool:
        """Whether this is an answer: artifacts emerged, or surely none did."""
        return self.by is not None or not self.undecided

    def __str__(self) -> str:
        if not self.judged:
            return f"not to be told: {self.undecided}"
        if self.by is None and self.unconfirmed:
            probes = "probe" if self.unconfirmed == 1 else f"{self.unconfirmed} probes"
            return f"none confirmed by epoch {self.until}, positive at the last {probes}"
        if self.by is None:
            return f"none by epoch {self.until}"
        when = f"by epoch {self.by}" if self.after is None else f"({self.after}, {self.by}]"
        gone = "" if self.lasting else f", gone at epoch {self.until}"
        then = f"; {self.undecided}" if self.undecided else ""
        return f"{when}, {_ranges(self.blocks)}{gone}{then}"


def outlier_mask(norms: Array) -> Array:
    """Which norms of one block's patch tokens, of all images together, are outliers.

    None if some norm is nan; whoever counts them must say that there is no telling.
    """
    median = np.median(norms)
    with np.errstate(invalid="ignore"):  # infinity less infinity
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
    """Which blocks are positive, bool ``(depth,)``; none that is not finite is."""
    attended = look.received >= rule.received  # nan: not
    positive: Array = (lower_bounds(look, rule) > rule.share) & attended
    return positive


def artifacts(look: Look, rule: Rule = RULE) -> dict[str, float]:
    """What one probe says of a model, by metric; nothing where it cannot be judged.

    ``artifacts/positive`` is 1 where some block is positive, else 0; ``artifacts/positive_blocks``
    how many are, ``artifacts/first_block`` the number of the first, from 0, where there is one.
    """
    if undecided(look, rule):
        return {}
    blocks = np.flatnonzero(positive_blocks(look, rule)).tolist()
    found = {
        "artifacts/positive": float(bool(blocks)),
        "artifacts/positive_blocks": float(len(blocks)),
    }
    return {**found, **({"artifacts/first_block": float(blocks[0])} if blocks else {})}


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
    reasons = [undecided(look, rule) for look in history]
    why = next(filter(None, reasons), "")
    sound = history[: reasons.index(why)] if why else history
    until = sound[-1].epoch if sound else None
    positive = [positive_blocks(look, rule) for look in sound]
    for first in range(len(sound) - rule.consecutive + 1):
        steady = np.all(positive[first : first + rule.consecutive], axis=0)
        if steady.any():
            return Emergence(
                after=epochs[first - 1] if first else None,
                by=epochs[first],
                blocks=tuple(np.flatnonzero(steady).tolist()),
                until=until,
                lasting=bool(positive[-1][steady].any()),
                undecided=why,
            )
    return Emergence.none(until, why, _at_the_end(positive))


def _at_the_end(positive: Sequence[Array]) -> int:
    """At how many of the last probes one and the same block is positive."""
    number = 0
    while number < len(positive) and np.all(positive[-number - 1 :], axis=0).any():
        number += 1
    return number


def over_seeds(found: Sequence[Emergence]) -> str:
    """In how many of an arm's seeds that can be judged artifacts emerged: "2 of 3 seeds"."""
    judged = [each for each in found if each.judged]
    return f"{sum(each.by is not None for each in judged)} of {len(judged)} seeds"


def undecided(look: Look, rule: Rule = RULE) -> str:
    """Why a probe cannot be judged; empty where it can."""
    images = look.outliers.shape[1]
    if images < rule.images:
        return f"{images} images at epoch {look.epoch}, the rule needs {rule.images}"
    if not np.isfinite(look.outliers).all():
        return f"norms were not finite at epoch {look.epoch}"
    return ""


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
