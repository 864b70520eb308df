"""Random numbers that depend on nothing but the words and numbers they are drawn for.

A draw is made by published algorithms (BLAKE2b, then Philox 4x64-10) and not by a library's
distributions, so a new version of numpy cannot change an experiment.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

MANTISSA = 53  # bits of a float64 between two powers of two


def uniforms(shape: int | tuple[int, ...], *key: int | str) -> NDArray[np.float64]:
    """Numbers in [0, 1), the same for the same key on every machine.

    A longer shape under the same key begins with the numbers of a shorter one.
    """
    sizes = (shape,) if isinstance(shape, int) else shape
    digest = hashlib.blake2b(_encode(key), digest_size=16).digest()
    words = np.random.Philox(key=np.frombuffer(digest, dtype="<u8")).random_raw(math.prod(sizes))
    whole = (words >> np.uint64(64 - MANTISSA)).astype(np.float64)  # exact: at most 53 bits
    return (whole * 2.0**-MANTISSA).reshape(sizes)


def permutation(n: int, *key: int | str) -> NDArray[np.int64]:
    """The numbers 0..n-1 in random order, the same for the same key on every machine."""
    return np.argsort(uniforms(n, *key), kind="stable").astype(np.int64, copy=False)


def beta(alpha: float, *key: int | str) -> float:
    """A number from Beta(alpha, alpha), the same for the same key.

    Jöhnk's method (Metrika 8, 1964): of two uniforms to the power 1 / alpha, the first's share in
    their sum, where that is at most 1. It takes two tries on average at alpha 1, six at 2.
    """
    tries = 16
    while True:
        x, y = uniforms((tries, 2), *key).T ** (1 / alpha)
        fits = np.flatnonzero((x + y > 0) & (x + y <= 1))
        if len(fits):
            return float(x[fits[0]] / (x[fits[0]] + y[fits[0]]))
        tries *= 2


def _encode(key: tuple[int | str, ...]) -> bytes:
    """Each part as ``length:kind and text``: 1 and "1", or ("ab", "c") and ("a", "bc"), differ."""
    parts = [(f"s{part}" if isinstance(part, str) else f"i{int(part)}").encode() for part in key]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)
