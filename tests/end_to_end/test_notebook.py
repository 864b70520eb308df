"""The notebook of the documents runs, from its first cell to its last, and shows what it showed."""

import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parents[2] / "docs" / "python.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kept = nbformat.read(NOTEBOOK, as_version=4)
    ran = copy.deepcopy(kept)
    NotebookClient(
        ran,
        timeout=300,
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()
    if os.environ.get("ACCEPT_GOLDEN"):
        nbformat.write(ran, NOTEBOOK)
        return

    assert [*map(shown, codes(ran))] == [*map(shown, codes(kept))], (
        f"{NOTEBOOK} does not show any more what it shows; if that is meant, look at git diff "
        f"after: ACCEPT_GOLDEN=1 pytest {__file__}"
    )


def test_the_notebook_is_kept_as_it_ran() -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    counts = [cell.execution_count for cell in codes(kept)]
    kinds = [output.output_type for cell in codes(kept) for output in cell.outputs]

    assert counts == [*range(1, len(counts) + 1)]
    assert "error" not in kinds
    assert "image/png" in str(kept)
    assert "/tmp" not in str(kept)


def codes(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def shown(cell: NotebookNode) -> tuple[str, list[Any]]:
    """A cell and what it put out, without numbers that training decides."""
    return cell.source, [_form(output) for output in cell.outputs]


def _form(output: NotebookNode) -> Any:
    """The kind of an output: of a table its columns and first texts, of words the words."""
    if output.output_type == "stream":
        return output.name, re.sub(r"\d+", "N", output.text)
    page = output.data.get("text/html", "")
    texts = re.findall(r"<td>([A-Za-z][^<]*)</td>", page)
    return sorted(output.data), re.findall(r"<th>([^<0-9]*)</th>", page), texts
