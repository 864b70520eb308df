from pathlib import Path

from orchestrator.jobs.layout import Root
from orchestrator.jobs.packages import described, packages_of, packages_of_sweep
from orchestrator.jobs.store import write_revision


def test_a_revision_names_the_folders_of_its_packages_and_says_nothing_where_there_are_none(
    tmp_path: Path,
) -> None:
    folders = {"mine": tmp_path / "mine", "yours": tmp_path / "lab" / "yours"}
    root = Root(tmp_path)

    write_revision(root, "a", {"schema": 2, **described(folders)})

    assert packages_of_sweep(root, "a") == folders
    assert packages_of_sweep(root, "never launched") == {}
    assert described({}) == packages_of({"schema": 2}) == {}
