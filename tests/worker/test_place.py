import pytest

from orchestrator.worker.place import ENVIRONMENTS, Place


@pytest.mark.parametrize("row", ENVIRONMENTS)
def test_every_row_of_the_table_is_read(row: dict[str, str]) -> None:
    told = {"rank": "3", "world": "4", "local_rank": "1", "restart": "2", "address": "node7"}
    environment = {row[key]: value for key, value in told.items()}

    assert Place.read(environment) == Place(3, 4, 1, 2, "node7")


def test_a_process_that_nobody_placed_is_alone() -> None:
    assert Place.read({"PATH": "/bin"}) == Place(0, 1, 0, 0)
