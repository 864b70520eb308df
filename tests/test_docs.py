"""What the documents say is true."""

import re
import shutil
from pathlib import Path

import pytest

from orchestrator.cli.main import VERBS
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.load import load_sweep

REPOSITORY = Path(__file__).parents[1]
SWEEPS = sorted((REPOSITORY / "sweeps").rglob("*.yaml"))
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_loads(path: Path) -> None:
    assert load_sweep(path, executors=EXECUTORS).points


def test_the_sweep_in_the_readme_loads_and_has_the_points_it_promises(tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    shutil.copytree(REPOSITORY / "sweeps", tmp_path / "sweeps")
    written = tmp_path / "sweeps" / "registers.yaml"
    written.write_text(block)

    sweep = load_sweep(written, executors=EXECUTORS)

    assert f"{len(sweep.points) // 3} x 3 jobs" in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_stands_in_the_readme(verb: str) -> None:
    assert f"`orchestrate {verb}" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    local = [target for target in targets if "://" not in target]

    assert [target for target in local if not (document.parent / target).exists()] == []
