"""Pillow's bicubic resize of a box, compiled: the same bits in a quarter of the time.

The arithmetic is that of Pillow's resampling of 8-bit channels: weights of 22 fractional
bits, sums in int32, a rounded and clipped byte between the passes. Both passes are one function: a
weighted sum of rows is fast, so the image is turned in between. Importing this needs numba.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Weights = tuple[Ints, Ints, Ints]
"""Of each wanted line: the first line that it is made of, how many, and their weights."""

BITS = 22  # of a weight's fraction: 32 less 8 of a pixel, less 2 for sums below 0 and above 1
HALF = 1 << (BITS - 1)
SUPPORT = 2.0  # of the bicubic filter, in pixels of the coarser grid


@njit(cache=True, nogil=True)
def resize(image: Bytes, box: tuple[int, int, int, int], mirror: bool, out: Bytes) -> None:  # noqa: FBT001 - numba knows no keywords
    """The box (left, upper, right, lower) of an image (H, W, 3) resized into ``out`` (3, h, w).

    Both are contiguous. Which pass comes first is Pillow's rule, since version 13.
    """
    left, upper, right, lower = box
    width, height = right - left, lower - upper
    columns, rows = out.shape[2], out.shape[1]
    fewer = height - rows
    lines = image.reshape(image.shape[0], -1)[upper:lower, 3 * left : 3 * right]
    across, down = _weights(width, columns, mirror), _weights(height, rows, False)  # noqa: FBT003
    if fewer > 0 and fewer > 2 * (width - columns):
        reduced = np.empty((rows, 3 * width), np.uint8)
        _sums(lines, down, reduced)
        _planes(_across(reduced, across), out)
        return
    planes = np.empty((3, height, columns), np.uint8)
    _planes(_across(lines, across), planes)
    for channel in range(3):
        _sums(planes[channel], down, out[channel])


@njit(cache=True, nogil=True)
def _weights(size: int, wanted: int, mirror: bool) -> Weights:  # noqa: FBT001
    """How so many lines are made of ``size``."""
    scale = size / wanted
    coarse = max(scale, 1.0)
    reach = SUPPORT * coarse
    most = math.ceil(reach) * 2 + 1
    first, taken = np.empty(wanted, np.int32), np.empty(wanted, np.int32)
    weights = np.zeros((wanted, most), np.int32)
    shares = np.empty(most, np.float64)
    for n in range(wanted):
        centre = (n + 0.5) * scale
        low = max(int(centre - reach + 0.5), 0)
        count = min(int(centre + reach + 0.5), size) - low
        total = 0.0
        for i in range(count):
            shares[i] = _bicubic(abs((i + low - centre + 0.5) * (1.0 / coarse)))
            total += shares[i]
        at = wanted - 1 - n if mirror else n
        for i in range(count):
            share = shares[i] / total if total != 0.0 else shares[i]
            weights[at, i] = int(share * (1 << BITS) + (0.5 if share >= 0 else -0.5))
        first[at], taken[at] = low, count
    return first, taken, weights


@njit(cache=True, nogil=True)
def _bicubic(x: float) -> float:
    """The convolution kernel of Keys (1981) for a = -0.5, at a distance of x pixels."""
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1.0
    if x < SUPPORT:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return 0.0


@njit(cache=True, nogil=True)
def _across(lines: Bytes, weights: Weights) -> Bytes:
    """The horizontal pass over lines (height, 3 * width), turned: (columns, 3 * height)."""
    turned = _turned(lines)
    out = np.empty((len(weights[0]), turned.shape[1]), np.uint8)
    _sums(turned, weights, out)
    return out


@njit(cache=True, nogil=True)
def _sums(lines: Bytes, weights: Weights, out: Bytes) -> None:
    """Weighted sums of lines (n, m), each of them (m,) as one of the result's.

    Four at a time, as many as there are where an image is not reduced: the sums are loaded and
    stored once for the four.
    """
    length = lines.shape[1]
    sums = np.empty(length, np.int32)
    for n in range(len(out)):
        first, taken, weight = weights[0][n], weights[1][n], weights[2][n]
        sums[:] = HALF
        done = 0
        while done + 4 <= taken:
            at = first + done
            a, b, c, d = lines[at], lines[at + 1], lines[at + 2], lines[at + 3]
            p, q, r, s = weight[done], weight[done + 1], weight[done + 2], weight[done + 3]
            for x in range(length):
                sums[x] += (
                    np.int32(a[x]) * p
                    + np.int32(b[x]) * q
                    + np.int32(c[x]) * r
                    + np.int32(d[x]) * s
                )
            done += 4
        while done < taken:
            line, p = lines[first + done], weight[done]
            for x in range(length):
                sums[x] += np.int32(line[x]) * p
            done += 1
        row = out[n]
        for x in range(length):
            row[x] = np.uint8(min(max(sums[x] >> BITS, 0), 255))


@njit(cache=True, nogil=True)
def _turned(lines: Bytes) -> Bytes:
    """(height, 3 * width) as (width, 3 * height)."""
    height, width = lines.shape[0], lines.shape[1] // 3
    out = np.empty((width, 3 * height), np.uint8)
    for x in range(width):
        row = out[x]
        for y in range(height):  # the three in one turn: the bytes lie side by side
            row[y] = lines[y, 3 * x]
            row[height + y] = lines[y, 3 * x + 1]
            row[2 * height + y] = lines[y, 3 * x + 2]
    return out


@njit(cache=True, nogil=True)
def _planes(lines: Bytes, out: Bytes) -> None:
    """(width, 3 * height) into (3, height, width)."""
    _, height, width = out.shape
    for channel in range(3):
        for y in range(height):
            row = out[channel, y]
            for x in range(width):
                row[x] = lines[x, channel * height + y]
