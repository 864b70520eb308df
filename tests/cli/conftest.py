import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "executors"))

from pool_bench import Bench


@pytest.fixture
def bench(tmp_path: Path, digits: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, digits)
    made.set_up()
    yield made
    made.tear_down()
