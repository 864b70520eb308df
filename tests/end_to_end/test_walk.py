"""What the pages of the docs that are walked through tell happens as it is told."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.transcript import replay

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["walk", pytest.param("study", marks=pytest.mark.soak)])
def test_what_a_page_walks_through_happens_as_it_is_told(tmp_path: Path, page: str) -> None:
    document = REPOSITORY / f"docs/{page}.md"
    shutil.copytree(REPOSITORY / "sweeps", tmp_path / "sweeps")
    command = tmp_path / "bin" / "orchestrate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator.cli "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "COLUMNS": "100",
    }

    answers, now = replay(document, tmp_path, environment)

    if os.environ.get("ACCEPT_GOLDEN"):
        document.write_text(now)
        return
    differ = [(one.command, one.written, one.said) for one in answers if not one.agrees]
    assert not differ, f"If that is right: ACCEPT_GOLDEN=1 python -m pytest {__file__}\n{differ}"
