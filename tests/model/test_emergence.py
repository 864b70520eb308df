import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from model.emergence import (
    Array,
    Emergence,
    Look,
    Rule,
    artifacts,
    emergence,
    lower_bounds,
    outlier_mask,
    over_seeds,
    positive_blocks,
)

IMAGES, PATCHES, DEPTH = 1000, 196, 12
EPOCHS = range(10, 801, 10)
ATTENDED, IGNORED = 20.0, 2.0


def look(epoch: int, shares: dict[int, float] | None = None, received: float = ATTENDED) -> Look:
    """A probe whose blocks have these shares of outliers, spread over all images."""
    generator = np.random.default_rng(epoch)
    outliers = np.zeros((DEPTH, IMAGES), dtype=np.int64)
    for block, share in (shares or {}).items():
        outliers[block] = generator.binomial(PATCHES, share, IMAGES)
    return Look(epoch=epoch, outliers=outliers, patches=PATCHES, received=np.full(DEPTH, received))


def history(positive: Callable[[int], Sequence[int]]) -> list[Look]:
    """Probes of every tenth epoch with 1 % of outliers in the blocks that are told."""
    return [look(epoch, dict.fromkeys(positive(epoch), 0.01)) for epoch in EPOCHS]


def look_at_norms(norms: Array) -> Look:
    """A probe of one block with these norms, whose outliers are attended to."""
    outliers = outlier_mask(norms).sum(axis=1)[None]
    return Look(epoch=1, outliers=outliers, patches=norms.shape[1], received=np.array([ATTENDED]))


def test_artifacts_that_come_and_stay_are_told_by_interval_and_blocks() -> None:
    found = emergence(history(lambda epoch: range(7, 11) if epoch >= 340 else ()))

    assert str(found) == "(330, 340], blocks 7-10"
    assert found.lasting


def test_a_run_without_artifacts_says_until_when_none_came() -> None:
    assert str(emergence(history(lambda _: ()))) == "none by epoch 800"


def test_artifacts_at_the_end_need_three_probes() -> None:
    last, two, apart = (
        str(emergence(history(positive)))
        for positive in (
            lambda epoch: [5] if epoch in {700, 800} else (),
            lambda epoch: [5] if epoch >= 790 else (),
            lambda epoch: [epoch // 10 % 2] if epoch >= 790 else (),
        )
    )
    assert last == apart == "none confirmed by epoch 800, positive at the last probe"
    assert two == "none confirmed by epoch 800, positive at the last 2 probes"
    assert str(emergence(history(lambda epoch: [5] if epoch >= 780 else ()))) == (
        "(770, 780], block 5"
    )


def test_flickering_is_no_emergence_until_it_is_steady() -> None:
    def flickers(epoch: int) -> Sequence[int]:
        return [6] if epoch // 10 % 3 or epoch > 500 else ()

    assert str(emergence(history(flickers))) == "(480, 490], block 6"
    never = history(lambda epoch: [6] if epoch // 10 % 3 else ())
    assert emergence(never).by is None


def test_blocks_that_take_turns_are_not_one_that_is_steady() -> None:
    assert emergence(history(lambda epoch: [3 + epoch // 10 % 2])).by is None


def test_artifacts_that_vanish_emerged_all_the_same_and_are_said_to_be_gone() -> None:
    found = emergence(history(lambda epoch: [3, 7, 8] if 200 <= epoch < 300 else ()))

    assert str(found) == "(190, 200], blocks 3, 7-8, gone at epoch 800"


def test_artifacts_at_the_first_probe_have_no_probe_before_them() -> None:
    assert str(emergence(history(lambda _: [2]))) == "by epoch 10, block 2"


def test_outliers_that_nobody_attends_to_are_no_artifacts() -> None:
    shares = dict.fromkeys(range(DEPTH), 0.05)

    assert emergence([look(e, shares, IGNORED) for e in EPOCHS]).by is None
    assert emergence([look(e, shares, float("nan")) for e in EPOCHS]).by is None
    assert emergence([look(e, shares, 5.0) for e in EPOCHS]).by == 10


def test_many_outliers_in_a_single_image_are_no_share_of_all() -> None:
    """196 tokens of 196,000 are 0.1 % and more, but one image in a thousand."""
    one = look(1)
    one.outliers[4, 17], one.outliers[5, :3] = PATCHES, PATCHES

    assert lower_bounds(one)[4] == 0
    assert not positive_blocks(one).any()


def test_the_lower_bound_is_that_of_images_and_not_of_tokens() -> None:
    """Clustered: 20 images of 10 outliers. Of 1000 draws 20 +- 4.4 have them; 5 % below 13."""
    clustered = look(1)
    clustered.outliers[0, :20] = 10

    assert lower_bounds(clustered)[0] == pytest.approx(13 * 10 / 196_000, rel=0.1)


@pytest.mark.parametrize(
    "tail",
    [
        lambda g, size: g.lognormal(6, 0.5, size),
        lambda g, size: g.gamma(4, 100, size),
        lambda g, size: 400 + 40 * g.standard_t(3, size),
        lambda g, size: g.normal(400, 40, size),
    ],
    ids=["lognormal", "gamma", "t3", "normal"],
)
def test_a_heavy_tail_with_one_mode_is_negative_even_if_attended_to(
    tail: Callable[[np.random.Generator, tuple[int, int]], Array],
) -> None:
    norms = tail(np.random.default_rng(0), (IMAGES, PATCHES))

    assert not positive_blocks(look_at_norms(norms)).any()


def test_norms_like_deit_3_base_are_positive() -> None:
    """97.6 % around 400, 2.4 % from 500 to 1400, as read off the registers paper's figure 7."""
    generator = np.random.default_rng(0)
    norms = generator.normal(400, 40, (IMAGES, PATCHES))
    artifact = generator.random(norms.shape) < 0.024
    norms[artifact] = generator.uniform(500, 1400, artifact.sum())

    assert positive_blocks(look_at_norms(norms)).all()


def test_a_percentile_finds_its_percent_in_pure_noise_and_the_rule_does_not() -> None:
    """The two published cut-offs for DeiT-III-S, 63.85 and 72.48, are such percentiles."""
    norms = np.random.default_rng(0).normal(50, 1, (IMAGES, PATCHES))

    assert (norms > np.percentile(norms, 98)).mean() == pytest.approx(0.02)
    assert not outlier_mask(norms).any()


def test_answers_repeat_and_are_quick() -> None:
    probes = history(lambda epoch: [7] if epoch >= 340 else ())
    emergence(probes[:3])
    began = time.perf_counter()

    found = emergence(probes)

    assert found == emergence(probes)
    assert time.perf_counter() - began < 10


def broken(epoch: int, block: int = 3) -> Look:
    """A probe of a model that diverged: in one block nobody can say what is an outlier."""
    outliers = np.zeros((DEPTH, IMAGES))
    outliers[block] = np.nan
    return Look(epoch=epoch, outliers=outliers, patches=PATCHES, received=np.full(DEPTH, np.nan))


def test_a_run_that_diverged_is_no_negative() -> None:
    found = emergence([look(10), look(20), look(30), look(40), broken(50), broken(60)])

    assert str(found) == "not to be told: norms were not finite at epoch 50"
    assert (found.judged, found.by, found.until) == (False, None, 40)
    assert over_seeds([found, Emergence.none(800)]) == "0 of 1 seeds"
    assert emergence([broken(10)]).until is None


def test_what_emerged_before_a_run_diverged_stands() -> None:
    there = [look(epoch, {7: 0.01}) for epoch in (20, 30, 40)]

    found = emergence([look(10), *there, broken(50)])

    assert str(found) == "(10, 20], block 7; norms were not finite at epoch 50"
    assert found.judged
    assert found.lasting
    assert not emergence([look(10), *there[:2], broken(50)]).judged
    assert not emergence([broken(10), *there]).judged  # it may have been there at 10, or not


def test_a_few_images_decide_nothing() -> None:
    """One image gives a bound of no width, whatever its share."""
    few = [look(epoch, {7: 0.01}) for epoch in (10, 20, 30)]
    for each, images in zip(few, (30, 29, 1), strict=True):
        object.__setattr__(each, "outliers", each.outliers[:, :images])

    assert str(emergence(few)) == "not to be told: 29 images at epoch 20, the rule needs 30"
    assert str(emergence(few, Rule(images=1, consecutive=1))).startswith("by epoch 10, block 7")


def test_the_rule_is_data() -> None:
    probes = history(lambda epoch: [7] if epoch >= 790 else ())

    assert emergence(probes, Rule(consecutive=2)).by == 790
    assert emergence(probes, Rule(consecutive=2, share=0.02)).by is None


def test_seeds_are_counted() -> None:
    there = Emergence(after=330, by=340, blocks=(7,), until=800, lasting=True)

    assert over_seeds([there, Emergence.none(800), there]) == "2 of 3 seeds"


def test_no_probe_and_probes_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        emergence([])
    with pytest.raises(ValueError, match=r"must ascend.*\[20, 10\]"):
        emergence([look(20), look(10)])


def test_one_probe_says_how_many_blocks_are_positive_and_which_is_the_first() -> None:
    assert artifacts(look(1, {7: 0.01, 9: 0.01, 8: 0.0005})) == {
        "artifacts/positive": 1.0,
        "artifacts/positive_blocks": 2.0,
        "artifacts/first_block": 7.0,
    }
    assert artifacts(look(1, {7: 0.01}, received=IGNORED)) == {
        "artifacts/positive": 0.0,
        "artifacts/positive_blocks": 0.0,
    }


def test_one_probe_says_nothing_of_few_images_and_of_norms_that_are_not_finite() -> None:
    few = look(1, {7: 0.01})
    broken = replace(few, outliers=np.where(np.arange(DEPTH)[:, None] == 3, np.nan, few.outliers))

    assert artifacts(replace(few, outliers=few.outliers[:, :29])) == artifacts(broken) == {}
