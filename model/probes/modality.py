"""Whether values have one mode or two: Hartigan's dip and a fit of two normal distributions.

Both only describe, and decide nothing: on norms shaped like DeiT-III-B's published figure (97.6 %
N(400, 40), 2.4 % from 500 to 1400) the dip sees one mode, and two components always fit better,
also on lognormal, gamma and t tails with one mode. `model.emergence` has the rule that counts.
"""

from collections.abc import Mapping

import numpy as np

from model.probes.base import Array

LARGEST_SAMPLE = 72_000
"""Of more values so many are drawn, with a fixed seed."""
_EM_STEPS, _EM_BINS = 100, 1024
"""The fit counts values in so many equal bins, which makes it fast whatever their number."""
_TINY, _LEAST_VARIANCE = 1e-300, 1e-6


def describe_modes(values: Array) -> dict[str, float]:
    """``dip``, and the two-component fit of the logarithms, of positive values.

    nan where there are too few or all are equal.
    """
    sound = values[np.isfinite(values) & (values > 0)]
    if len(sound) > LARGEST_SAMPLE:
        sound = np.random.default_rng(0).choice(sound, LARGEST_SAMPLE, replace=False)
    return {"dip": dip(sound), **two_components(np.log(sound.astype(np.float64)))}


def dip(values: Array) -> float:
    """Hartigan and Hartigan's dip (Annals of Statistics 13, 1985): distance to one mode.

    The largest difference between the empirical distribution function and the closest one with a
    single mode, from 1 / (2 n) to 1/4. The modal interval shrinks from all of the values to where
    the greatest convex minorant and the least concave majorant inside it come closer than what the
    sides already deviate from theirs. Tied values can only make it larger than it is.
    """
    x, counts = np.unique(values, return_counts=True)
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    above = np.cumsum(counts).astype(np.float64)  # the distribution function, times n
    below = above - counts  # its left limits
    deviation, low, high = 1.0, 0, len(x) - 1
    while high > low:
        inside = slice(low, high + 1)
        convex, minorant = _hull(x[inside], below[inside])
        concave, majorant = _hull(x[inside], -above[inside])
        gaps = -majorant - minorant
        widest = int(gaps.argmax())
        if gaps[widest] <= deviation:
            break
        left = int(convex[np.searchsorted(convex, widest, "right") - 1])
        right = int(concave[np.searchsorted(concave, widest)])
        on_left = (above[inside] - minorant)[: left + 1].max()
        on_right = (-majorant - below[inside])[right:].max()
        deviation = max(deviation, on_left, on_right)
        if (left, right) == (0, high - low):
            break
        low, high = low + left, low + right
    return float(deviation / (2 * total))


def two_components(values: Array) -> Mapping[str, float]:
    """Two normal distributions fitted to values by expectation maximisation.

    Returns:
        ``upper_share``, the weight of the one with the larger mean; ``mode_ratio``, exp of the
        difference of the means (of logarithms: the ratio of the modes); ``bic_gain``, by how much
        the Bayesian information criterion falls from one component to two.
    """
    names = ("upper_share", "mode_ratio", "bic_gain")
    if len(values) < 3 or not (scale := float(values.std())):
        return dict.fromkeys(names, float("nan"))
    counts, edges = np.histogram((values - values.mean()) / scale, _EM_BINS)
    z = (edges[:-1] + edges[1:]) / 2
    mean, std = np.quantile((values - values.mean()) / scale, [0.5, 0.99]), np.ones(2)
    weight = np.array([0.9, 0.1])
    for _ in range(_EM_STEPS):
        density = weight * np.exp(-0.5 * ((z[:, None] - mean) / std) ** 2) / std
        total = np.maximum(density.sum(axis=1), _TINY)
        part = density * (counts / total)[:, None]  # (bins, 2)
        mass = np.maximum(part.sum(axis=0), _TINY)
        weight, mean = mass / counts.sum(), (part * z[:, None]).sum(axis=0) / mass
        variance = (part * (z[:, None] - mean) ** 2).sum(axis=0) / mass
        std = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    upper = int(mean.argmax())
    # against one component, whose log density of standardised values is -z^2 / 2 plus a constant
    gain = 2 * float(counts @ np.log(total)) + len(values) - 3 * np.log(len(values))
    ratio = np.exp(scale * (mean[upper] - mean[1 - upper]))
    return dict(zip(names, (float(weight[upper]), float(ratio), float(gain)), strict=True))


def _hull(x: Array, y: Array) -> tuple[Array, Array]:
    """The greatest convex minorant of points with ascending x: its corners, its value at each x.

    A point on or above the chord of its neighbours is no corner, whoever else goes with it.
    """
    corners = np.arange(len(x))
    while True:
        a, b, c = corners[:-2], corners[1:-1], corners[2:]
        bends = (y[b] - y[a]) * (x[c] - x[b]) < (y[c] - y[b]) * (x[b] - x[a])
        if bends.all():
            return corners, np.interp(x, x[corners], y[corners])
        corners = np.concatenate([corners[:1], b[bends], corners[-1:]])
