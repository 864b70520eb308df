"""A root to which verbs are done by a warmed process, which may be struck at any of its steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forge import Forge
from support.scene import Scene


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with Forge() as made:
        yield made


@pytest.fixture
def scene(tmp_path: Path, digits: Path, forge: Forge) -> Scene:
    return Scene(tmp_path, digits, forge)
