import re
from pathlib import PurePath

import pytest

from orchestrator.worker.data.keys import hash_of_key, key_of_file, shown, validation_keys


@pytest.mark.parametrize(
    "path",
    [
        "cat/a.b.c.png",
        "Größe/ä ö.jpg",
        "日本/猫.png",
        "c/no suffix",
        "c/\udce4.png",
        f"{'x' * 200}/y.jpg",
    ],
)
def test_every_file_name_gives_a_key_that_is_safe_in_a_tar(path: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,80}", key_of_file(PurePath(path)))


def test_files_that_differ_only_in_class_suffix_or_accent_have_different_keys() -> None:
    paths = ["c/a.png", "c/a.jpg", "d/a.png", "c/ä.png", "c/ö.png", "train/c/a.png"]

    assert len({key_of_file(PurePath(path)) for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("images", "share", "expected"), [(1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (8, 0.25, 2)]
)
def test_a_class_keeps_at_least_one_image_in_each_split(
    images: int, share: float, expected: int
) -> None:
    keys = [f"k{n}" for n in range(images)]

    chosen = validation_keys(keys, share)

    assert len(chosen) == expected
    assert max(map(hash_of_key, chosen), default="") < min(
        hash_of_key(key) for key in keys if key not in chosen
    )


def test_a_path_that_is_not_utf8_can_be_shown() -> None:
    assert shown(PurePath("a/\udce4.png")) == "a/\\xe4.png"
