import subprocess
import sys

import pytest
from timm.data.imagenet_info import ImageNetInfo

from orchestrator.jobs.datasets import lines_sha256
from orchestrator.worker.data.imagenet_wnids import WNIDS
from orchestrator.worker.data.label_spaces import (
    IMAGENET100_CMC,
    IMAGENET100_KAGGLE,
    IMAGENET_A,
    IMAGENET_R,
    LABEL_SPACES,
    in_common,
    indices_in,
    overlap,
)

OVERLAPS = {
    ("imagenet100_kaggle", "imagenet_a"): "6 11 22 39 42 50 57 70 71 76 89 90 94 96 97 99 107 108 "
    "110 113 124 125 130 143 144 150",
    ("imagenet100_kaggle", "imagenet_r"): "1 2 4 6 8 11 22 26 29 39 71 76 84 90 94 96 97 99 100 "
    "107 113 125 130 144 150",
    ("imagenet100_cmc", "imagenet_a"): "15 57 90 99 151 234 277 313 317 407 606 682 758 765 959",
    ("imagenet100_cmc", "imagenet_r"): "90 99 122 151 155 234 242 267 277 281 299 368 407 570 593 "
    "717 724 936 953",
}
HASHES = {  # sha256sum of the list as a text file, an id a line
    "imagenet100_kaggle": "86bc5c0b92179267729b4b1efc27c5cf14a321fdc3a689b3cc217a5c492a8a6b",
    "imagenet100_cmc": "5ee5db69d488bb799a286d8e181801c3d02798776c1ce9203e5450f64e086e07",
}


def test_the_thousand_classes_are_in_the_order_of_timms_labels() -> None:
    assert list(WNIDS) == ImageNetInfo("imagenet-1k").label_names()


@pytest.mark.parametrize("name", LABEL_SPACES)
def test_every_label_space_is_sorted_without_twins_and_within_the_thousand(name: str) -> None:
    wnids = LABEL_SPACES[name]

    assert list(wnids) == sorted(set(wnids))
    assert set(wnids) <= set(WNIDS)
    assert len(wnids) == {"imagenet1k": 1000, "imagenet_a": 200, "imagenet_r": 200}.get(name, 100)


@pytest.mark.parametrize("letter", ["a", "r"])
def test_the_200_classes_are_those_that_timm_ships(letter: str) -> None:
    from importlib.resources import files

    shipped = files("timm.data._info").joinpath(f"imagenet_{letter}_synsets.txt").read_text()

    assert list(LABEL_SPACES[f"imagenet_{letter}"]) == shipped.split()


@pytest.mark.parametrize("name", HASHES)
def test_the_lists_of_100_are_the_published_ones(name: str) -> None:
    assert lines_sha256(LABEL_SPACES[name]) == HASHES[name]


@pytest.mark.parametrize("pair", OVERLAPS)
def test_what_a_list_of_100_shares_with_an_evaluation_set_is_as_published(
    pair: tuple[str, str],
) -> None:
    head, images = (LABEL_SPACES[name] for name in pair)

    found = overlap(head, images)

    assert " ".join(map(str, found.in_1k)) == OVERLAPS[pair]
    assert [head[label] for label in found.in_head] == list(found.wnids)
    assert [images[label] for label in found.in_set] == list(found.wnids)
    assert found.chance == 1 / len(OVERLAPS[pair].split())


def test_the_sizes_of_all_overlaps_are_as_published() -> None:
    assert len(in_common(IMAGENET_A, IMAGENET_R)) == 86
    assert len(in_common(IMAGENET100_KAGGLE, IMAGENET100_CMC)) == 8
    assert len(in_common(IMAGENET100_KAGGLE, IMAGENET_A, IMAGENET_R)) == 17
    assert len(in_common(IMAGENET100_CMC, IMAGENET_A, IMAGENET_R)) == 6


def test_the_lists_lie_in_the_published_ranges_of_the_thousand() -> None:
    kaggle, cmc = indices_in(IMAGENET100_KAGGLE), indices_in(IMAGENET100_CMC)

    assert (min(kaggle), max(kaggle), min(cmc), max(cmc)) == (0, 150, 15, 994)


def test_label_spaces_are_read_without_torch_or_numpy() -> None:
    probe = "import sys, orchestrator.worker.data.label_spaces; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )

    assert not [name for name in ("torch", "numpy", "timm") if f"'{name}'" in loaded.stdout]
