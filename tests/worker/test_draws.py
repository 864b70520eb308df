import hashlib

import numpy as np
import pytest

from orchestrator.worker.draws import beta, permutation, uniforms

AUGMENT = [0.07185557741321802, 0.532328120314918, 0.9443757837944913, 0.7839435779846078]
EMPTY_WORD = [0.3972563291822677]
SHARES = [0.8782832487966579, 0.9965584273823902, 0.5536927538985086]
ORDER = [7, 0, 3, 1, 6, 2, 4, 5]


def test_the_stream_of_a_key_never_changes() -> None:
    """These numbers decide every experiment ever run: they may be added to, never edited."""
    assert uniforms(4, "augment", 0, 3, 17).tolist() == AUGMENT
    assert uniforms(1, "").tolist() == EMPTY_WORD
    assert permutation(8, "order", 0, 1).tolist() == ORDER


def test_shares_never_change_but_for_what_machines_make_of_powers() -> None:
    assert [beta(0.8, "k", n) for n in range(3)] == pytest.approx(SHARES, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.8, 1, 2])
def test_shares_are_spread_as_beta_says(alpha: float) -> None:
    shares = np.array([beta(alpha, "beta", n) for n in range(4000)])

    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)
    assert np.mean(shares == 0.5) < 0.01


def test_the_stream_is_that_of_the_published_algorithms() -> None:
    digest = hashlib.blake2b(b"8:saugment2:i02:i33:i17", digest_size=16).digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]

    assert [(word >> 11) * 2.0**-53 for word in philox([1, 0, 0, 0], key)] == AUGMENT


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox 4x64-10 as in Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011)."""
    low = 2**64 - 1
    for n in range(10):
        k0, k1 = key[0] + n * 0x9E3779B97F4A7C15 & low, key[1] + n * 0xBB67AE8584CAA73B & low
        a, b = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [b >> 64 ^ counter[1] ^ k0, b & low, a >> 64 ^ counter[3] ^ k1, a & low]
    return counter


def test_numbers_are_spread_over_the_unit_interval() -> None:
    numbers = uniforms((1000, 100), "spread")

    assert numbers.shape == (1000, 100)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.allclose(np.histogram(numbers, bins=10, range=(0, 1))[0], 10_000, rtol=0.05)


@pytest.mark.parametrize(
    ("one", "other"),
    [((1,), ("1",)), (("ab", "c"), ("a", "bc")), (("1:i1",), (1,)), ((1, 2), (12,)), ((), ("",))],
)
def test_keys_that_look_alike_are_different(
    one: tuple[int | str, ...], other: tuple[int | str, ...]
) -> None:
    assert uniforms(4, *one).tolist() != uniforms(4, *other).tolist()


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    assert uniforms(10, "k")[:4].tolist() == uniforms((2, 2), "k").ravel().tolist()


def test_a_permutation_has_every_number_once() -> None:
    assert sorted(permutation(997, "order", 5, 2).tolist()) == list(range(997))
    assert permutation(0, "order", 5, 2).tolist() == []


def test_a_number_of_numpy_is_the_same_key() -> None:
    assert uniforms(2, "k", np.int64(7)).tolist() == uniforms(2, "k", 7).tolist()
