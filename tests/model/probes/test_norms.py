from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from model.config import ViTConfig
from model.probes.base import MAP_IMAGES, Array, Findings, Subject
from model.probes.norms import (
    HISTOGRAM_EDGES,
    describe,
    measure_block,
    measure_final,
    summarise,
)
from model.probes.suite import measure, run_probes
from model.vit import build_vit

IMAGES, PATCHES, DIM, GRID = 50, 196, 16, (14, 14)


def blocks_with_norms(*norms: Array, registers: int) -> list[torch.Tensor]:
    """Block outputs whose patch tokens have these norms ``(images, patches)``, others norm 1."""
    prefix = torch.ones(IMAGES, 1 + registers)
    rows = [torch.cat([prefix, torch.from_numpy(n).float()], dim=1) for n in norms]
    direction = torch.zeros(DIM)
    direction[3] = 1
    return [row[..., None] * direction for row in rows]


def measured(blocks: list[torch.Tensor], *, registers: int = 0) -> dict[str, Array]:
    """As the suite measures these blocks; the final norm changes nothing here."""
    subject = Subject(registers=registers, grid=GRID)
    each = [measure_block(block, subject) for block in blocks]
    stacked = {name: torch.stack([m[name] for m in each], dim=1).numpy() for name in each[0]}
    return stacked | {k: v.numpy() for k, v in measure_final(blocks[-1], subject).items()}


def found(*norms: Array, registers: int = 0) -> Findings:
    taken = measured(blocks_with_norms(*norms, registers=registers), registers=registers)
    return summarise(taken, Subject(registers=registers, grid=GRID))


@pytest.fixture
def quiet() -> Array:
    return np.random.default_rng(0).normal(50, 1, (IMAGES, PATCHES))


def test_no_outliers_are_found_where_there_are_none(quiet: Array) -> None:
    """A percentile would find its percent here."""
    scalars = found(quiet).scalars

    assert scalars["norms/outlier_share"] == scalars["norms/worst_outlier_share"] == 0
    assert "norms/worst_block" not in scalars


def test_planted_outliers_are_counted_exactly(quiet: Array) -> None:
    planted = quiet.copy()
    planted[7, :3] = [101, 151, 251]
    planted[9, 0] = 76

    findings = found(quiet, planted, quiet)

    tokens = IMAGES * PATCHES
    assert findings.scalars["norms/worst_outlier_share"] == 4 / tokens
    assert findings.scalars["norms/worst_block"] == 1
    assert findings.scalars["norms/outlier_share"] == 0
    by_image = findings.arrays["norms/by_block/outliers_by_image"][1]
    assert (by_image[7], by_image[9], by_image.sum()) == (3, 1, 4)
    shares = [findings.arrays[f"norms/by_block/share_above_{m}x"][1] for m in (2, 3, 5)]
    assert shares == [3 / tokens, 2 / tokens, 1 / tokens]


def test_an_outlier_must_pass_both_thresholds() -> None:
    narrow = np.tile(np.linspace(49.99, 50.01, PATCHES), (IMAGES, 1))
    narrow[0, 0] = 74  # far outside the spread, but below 1.5 x median
    wide = np.tile(np.linspace(10, 90, PATCHES), (IMAGES, 1))  # above 1.5 x median, in the spread

    assert describe(narrow)["outlier_share"] == 0
    assert describe(wide)["outlier_share"] == 0
    narrow[0, 0] = 76
    assert describe(narrow)["outlier_share"] == 1 / narrow.size


def test_the_threshold_is_ten_deviations_where_that_is_more() -> None:
    """Median 100, MAD 5: 100 + 10 x 1.4826 x 5 = 174.13, more than 150."""
    norms = np.linspace(90, 110, IMAGES * PATCHES)
    norms[-4:] = [155, 173, 174, 175]

    assert describe(norms.reshape(IMAGES, PATCHES))["outliers_by_image"].sum() == 1


def test_the_headline_is_the_last_block(quiet: Array) -> None:
    scalars = found(3 * quiet, quiet).scalars

    assert scalars["norms/median"] == pytest.approx(np.median(quiet))
    assert scalars["norms/max"] == pytest.approx(quiet.max())
    assert scalars["norms/max_over_median"] == pytest.approx(quiet.max() / np.median(quiet))
    assert scalars["norms/kurtosis"] == pytest.approx(stats.kurtosis(quiet, None, fisher=False))


@pytest.mark.parametrize("registers", [0, 1, 4, 32])
def test_huge_prefix_tokens_leave_the_patches_alone(quiet: Array, registers: int) -> None:
    blocks = blocks_with_norms(quiet, registers=registers)
    before = measured(blocks, registers=registers)
    blocks[0][:, : 1 + registers] *= 1e6

    after = measured(blocks, registers=registers)

    assert before["norms/patch"].shape == (IMAGES, 1, PATCHES)
    assert (before["norms/patch"] == after["norms/patch"]).all()
    scalars = summarise(after, Subject(registers=registers, grid=GRID)).scalars
    assert scalars["norms/median"] == pytest.approx(np.median(quiet))
    assert scalars["norms/cls"] == 1e6
    assert scalars.get("norms/register") == (1e6 if registers else None)


def test_tokens_that_do_not_fit_the_layout_are_refused(quiet: Array) -> None:
    with pytest.raises(ValueError, match="197 tokens; 1 class, 4 register and 196 patch"):
        measured(blocks_with_norms(quiet, registers=0), registers=4)


def test_the_histogram_counts_every_token_even_beyond_its_ends(quiet: Array) -> None:
    quiet[0, :2] = [1e-9, 1e9]

    counts = describe(quiet)["histogram"]

    assert counts.sum() == quiet.size
    assert (counts[0], counts[-1]) == (1, 1)
    assert HISTOGRAM_EDGES[counts.argmax()] == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("images", [1, IMAGES])
def test_a_diverged_model_gives_nan_and_no_failure(quiet: Array, value: float, images: int) -> None:
    planted = quiet.copy()
    planted[9, 0] = 500
    broken = quiet.copy()
    broken[:images] = value

    findings = found(planted, broken, broken)

    shares = ("outlier_share", "worst_outlier_share", *(f"share_above_{m}x" for m in (2, 3, 5)))
    assert all(np.isnan(findings.scalars[f"norms/{name}"]) for name in shares)
    assert "norms/worst_block" not in findings.scalars
    by_image = findings.arrays["norms/by_block/outliers_by_image"]
    assert by_image[0].sum() == 1
    assert np.isnan(by_image[1:]).all()
    assert not np.isfinite(findings.scalars["norms/max"])


@pytest.mark.parametrize("registers", [0, 4])
def test_maps_are_the_last_blocks_norms_of_the_first_images(quiet: Array, registers: int) -> None:
    quiet[2, 14 + 3] = 300  # row 1, column 3

    maps = found(3 * quiet, quiet, registers=registers).arrays["norms/maps"]

    assert maps.shape == (MAP_IMAGES, 14, 14)
    assert maps[2, 1, 3] == 300
    assert maps[5].ravel() == pytest.approx(quiet[5])


@pytest.mark.parametrize("registers", [0, 4])
def test_a_real_model_gives_every_patch_of_every_block(registers: int) -> None:
    model = build_vit(replace(ViTConfig(dim=48, heads=3), registers=registers))

    taken = measure(model, torch.randn(2, 3, 224, 224))

    assert taken["norms/patch"].shape == (2, 12, 196)
    assert taken["norms/register"].shape == (2, 12, registers)
    assert taken["norms/after_final_patch"].shape == (2, 196)


def test_norms_after_the_final_norm_start_all_the_same_and_those_before_do_not() -> None:
    """sqrt(384) = 19.5959; so nothing can be told from them."""
    model = build_vit(ViTConfig(img_size=64, depth=2))

    arrays = run_probes(model, torch.randn(4, 3, 64, 64)).arrays

    final = arrays["norms/after_final_norm/quantiles"]
    assert final == pytest.approx([19.5959] * len(final), rel=1e-4)
    before = arrays["norms/by_block/quantiles"][-1]
    assert before[-1] > 1.05 * before[0]


def test_the_final_norm_hides_a_planted_outlier_that_decides_before_it(quiet: Array) -> None:
    quiet[3, 5] = 500
    blocks = blocks_with_norms(quiet, registers=0)
    taken = measured(blocks) | {
        name: value.numpy()
        for name, value in measure_final(
            torch.nn.functional.layer_norm(blocks[0], (DIM,)), Subject(grid=GRID)
        ).items()
    }

    scalars = summarise(taken, Subject(grid=GRID)).scalars

    assert scalars["norms/max_over_median"] == pytest.approx(10, rel=0.05)
    assert scalars["norms/after_final_max_over_median"] == pytest.approx(1, rel=1e-3)


def test_every_norm_is_kept_for_other_rules_to_a_two_thousandth(quiet: Array) -> None:
    quiet[0, 0] = 63_000

    tokens = found(quiet, 1.05 * quiet).arrays["norms/tokens"]

    assert tokens.shape == (2, IMAGES, PATCHES)
    assert found(quiet).arrays["norms/tokens"].dtype == np.float16
    np.testing.assert_allclose(found(quiet).arrays["norms/tokens"][0], quiet, rtol=2**-11)
    assert tokens.dtype == np.float32  # 66,150 is more than float16 holds
