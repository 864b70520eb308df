from collections.abc import Iterator
from pathlib import Path

import pytest
from support.finished import run_to_its_end
from support.pool_bench import Bench


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    """A root whose sweep s is over, which no test may change: see ``run_to_its_end``."""
    bench = Bench(tmp_path_factory.mktemp("done"), digits)
    bench.set_up()
    run_to_its_end(bench)
    (bench.attempts_on(bench.id_of("a"))[0].path / "rank0.log").write_text("x\n" * 100_000)
    yield bench
    bench.tear_down()
