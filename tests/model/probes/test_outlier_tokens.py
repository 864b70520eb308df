import numpy as np
import pytest
import torch

from model.emergence import Look, positive_blocks
from model.probes.base import Array, Findings, Subject
from model.probes.outlier_tokens import (
    measure_embedding,
    measure_mlp,
    outliers_received,
    summarise,
)

IMAGES, DEPTH, PATCHES = 30, 4, 25
SUBJECT = Subject(registers=2, grid=(5, 5))


@pytest.fixture
def quiet() -> dict[str, Array]:
    """Measurements of a model without outliers, whose patches all receive alike."""
    shape = (IMAGES, DEPTH, PATCHES)
    norms = np.random.default_rng(0).normal(50, 1, shape)
    ones = np.ones(shape, dtype=np.float32)
    return {
        "norms/patch": norms, "attention/received": ones / 28, "mlp/norm": ones.copy(),
        "mlp/max_abs": ones / 2, "redundancy/similarity": np.full((IMAGES, PATCHES), 0.5),
    }  # fmt: skip


def planted(quiet: dict[str, Array], *, block: int) -> Findings:
    """Two outliers after a block, which get twelve times the attention in the one after next."""
    for image, patch in ((3, 4), (8, 20)):
        quiet["norms/patch"][image, block, patch] = 500
        quiet["mlp/norm"][image, block, patch] = 400 + image
        quiet["mlp/max_abs"][image, block, patch] = 300
        quiet["redundancy/similarity"][image, patch] = 0.9
        if block + 2 < DEPTH:
            quiet["attention/received"][image, block + 2, patch] *= 12
    return summarise(quiet, SUBJECT)


def test_what_outliers_receive_is_told_for_every_later_block(quiet: dict[str, Array]) -> None:
    findings = planted(quiet, block=1)

    received = findings.arrays["attention/outliers_received"]
    assert received[1] == pytest.approx([np.nan, np.nan, 1, 12], nan_ok=True)
    assert np.isnan(np.delete(received, 1, axis=0)).all()
    later = findings.arrays["attention/outliers_received_later"]
    assert later == pytest.approx([np.nan, 12, np.nan, np.nan], nan_ok=True)
    assert findings.scalars["attention/outliers_received"] == pytest.approx(12)


def test_attention_in_the_same_block_or_an_earlier_one_does_not_count() -> None:
    masks = np.zeros((2, 3, 4), dtype=bool)
    masks[:, 1, 0] = True
    received = np.ones((2, 3, 4))
    received[:, :2, 0] = 99

    table = outliers_received(masks, received)

    assert np.isnan(table[:, :2]).all()
    assert table[1, 2] == 1


def test_it_is_the_number_that_the_rule_of_emergence_takes(quiet: dict[str, Array]) -> None:
    quiet["norms/patch"][:, 1, 0] = 500
    quiet["attention/received"][:, 3, 0] *= 12
    received = summarise(quiet, SUBJECT).arrays["attention/outliers_received_later"]
    outliers = np.zeros((DEPTH, IMAGES))
    outliers[1] = 1

    look = Look(epoch=1, outliers=outliers, patches=PATCHES, received=received)

    assert positive_blocks(look).tolist() == [False, True, False, False]


def test_the_mlp_before_an_outlier_is_told_where_there_is_one(quiet: dict[str, Array]) -> None:
    findings = planted(quiet, block=2)

    assert findings.arrays["mlp/by_block/outlier_max_norm"] == pytest.approx(
        [np.nan, np.nan, 408, np.nan], nan_ok=True
    )
    assert findings.arrays["mlp/by_block/median_norm"].tolist() == [1, 1, 1, 1]
    assert findings.scalars["mlp/outlier_max_abs"] == 300


def test_outliers_of_the_last_block_are_likened_to_their_neighbours(
    quiet: dict[str, Array],
) -> None:
    findings = planted(quiet, block=DEPTH - 1)

    assert findings.scalars["redundancy/outliers"] == pytest.approx(0.9)
    assert findings.scalars["redundancy/rest"] == pytest.approx(0.5)


def test_without_outliers_there_is_nothing_to_tell_of_them(quiet: dict[str, Array]) -> None:
    findings = summarise(quiet, SUBJECT)

    assert findings.scalars.keys() == {"redundancy/rest"}
    assert np.isnan(findings.arrays["attention/outliers_received"]).all()


def test_a_diverged_model_gives_nan_and_no_failure(quiet: dict[str, Array]) -> None:
    broken = {name: np.full_like(array, np.nan) for name, array in quiet.items()}

    assert summarise(broken, SUBJECT).scalars == {}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_block_that_diverged_leaves_nothing_to_tell_of_outliers(
    quiet: dict[str, Array], value: float
) -> None:
    quiet["norms/patch"][4, DEPTH - 1, 0] = value

    assert planted(quiet, block=1).scalars == {}


def test_outliers_where_the_median_patch_receives_nothing_receive_infinitely_more(
    quiet: dict[str, Array],
) -> None:
    """As where small weights are clipped to 0."""
    quiet["norms/patch"][:, 1, 0] = 500
    quiet["attention/received"][:, 2:, 1:] = 0
    quiet["attention/received"][:, 3] = 0

    findings = summarise(quiet, SUBJECT)

    received = findings.arrays["attention/outliers_received"][1]
    assert received == pytest.approx([np.nan, np.nan, np.inf, np.nan], nan_ok=True)
    assert findings.scalars["attention/outliers_received"] == np.inf
    look = Look(
        epoch=1,
        outliers=np.tile([[0], [1], [0], [0]], IMAGES),
        patches=PATCHES,
        received=findings.arrays["attention/outliers_received_later"],
    )
    assert positive_blocks(look).tolist() == [False, True, False, False]


def test_mlp_values_are_those_of_patches() -> None:
    added = torch.zeros(2, 28, 4)
    added[:, :3] = 1e6
    added[1, 3 + 7] = torch.tensor([3.0, -4.0, 0.0, 0.0])

    taken = measure_mlp(added, SUBJECT)

    assert taken["mlp/norm"].shape == (2, 25)
    assert (taken["mlp/norm"].max(), taken["mlp/norm"][1, 7]) == (5, 5)
    assert taken["mlp/max_abs"][1, 7] == 4


@pytest.mark.parametrize("channels_last_grid", [False, True])
def test_similarity_is_the_mean_over_the_neighbours_that_a_patch_has(
    channels_last_grid: bool,  # noqa: FBT001
) -> None:
    """A 2 x 3 grid, letters for directions, lengths that must not matter::

    a a b
    a b b
    """
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.5])
    embedded = torch.stack([a, a, b, a, b, b])[None]
    if channels_last_grid:
        embedded = embedded.reshape(1, 2, 3, 2)

    alike = measure_embedding(embedded, Subject(grid=(2, 3)))["redundancy/similarity"]

    assert alike[0].tolist() == pytest.approx([2 / 2, 1 / 3, 1 / 2, 1 / 2, 1 / 3, 2 / 2])
