import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.figures import Histogram
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.probes import probe_file
from orchestrator.results.probe_report import Report, check_target, norm_history, write_report

EDGES = np.geomspace(1, 100, 41)
FACTS: dict[str, Any] = {
    "model": {"parameters": 12345, "architecture": {"dim": 16, "gate": None}},
    "images": {"source": "folder <b>x</b>", "count": 3, "keys_sha256": "ab"},
    "conditions": {"device": "cpu"},
    "versions": {"torch": "2"},
}
MARKUP = '<img src="http://far/x.png" onerror=alert(1)>'


def histogram(at: float) -> Histogram:
    return Histogram(counts=np.histogram(np.full(9, at), EDGES)[0], edges=EDGES)


def report(**changes: Any) -> Report:
    known: dict[str, Any] = {
        "name": f"job {MARKUP}",
        "facts": FACTS,
        "scalars": {"norms/max": 2.5, "norms/median": float("nan"), "brand_new/thing": 0.125},
        "arrays": {
            "norms/maps": np.ones((2, 4, 4), np.float32),
            "new/array": np.zeros((3, 5)),
            "gates/none_because": np.array("defined for sigmoid gates"),
        },
        "images": np.zeros((2, 3, 8, 8), np.uint8),
        "history": {},
    }
    return Report(**{**known, **changes})


class Reader(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(folder: Path) -> Reader:
    reader = Reader()
    reader.feed((folder / "index.html").read_text())
    return reader


def test_a_report_is_a_page_findings_arrays_and_figures(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "out", replace=False)

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"index.html", "findings.json", "arrays.npz", "norm_map.png"}
    told = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert told["schema"] == 1
    assert told["scalars"] == {"brand_new/thing": 0.125, "norms/max": 2.5, "norms/median": "nan"}
    assert told["images"] == FACTS["images"]
    with np.load(tmp_path / "out" / "arrays.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == set(report().arrays)


def test_the_page_refers_to_nothing_outside_of_itself_and_runs_nothing(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "out", replace=False)
    page = read(tmp_path / "out")

    links = [
        value for _, attrs in page.tags for key, value in attrs.items() if key in {"src", "href"}
    ]
    assert links
    assert all(str(link).startswith("data:image/png;base64,") for link in links)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    css = re.search(
        r"<style>(.*?)</style>", (tmp_path / "out" / "index.html").read_text(), re.DOTALL
    )
    assert css is not None
    assert not re.search(r"url\(|@import", css[1])


def test_names_are_shown_as_they_are_and_not_as_markup(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "out", replace=False)

    text = read(tmp_path / "out").text
    assert text.count(f"job {MARKUP}") == 2  # title and headline
    assert "folder <b>x</b>" in text


def test_scalars_and_arrays_that_nobody_knows_appear_by_themselves(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "out", replace=False)

    text = read(tmp_path / "out").text
    for part in ("brand_new/thing", "0.125", "new/array", "3 x 5", "nan"):
        assert part in text


def test_a_figure_stands_with_its_title_and_a_caption_that_says_how_to_read_it(
    tmp_path: Path,
) -> None:
    write_report(report(), tmp_path / "out", replace=False)

    page = read(tmp_path / "out")
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == ["Norm maps"]
    assert "Artifacts are single bright patches" in page.text


def test_several_epochs_of_the_past_are_drawn_one_is_not(tmp_path: Path) -> None:
    one, two = {5: histogram(10)}, {5: histogram(10), 9: histogram(20)}
    write_report(report(history=one), tmp_path / "one", replace=False)
    write_report(report(history=two), tmp_path / "two", replace=False)

    assert not (tmp_path / "one" / "norms_over_epochs.png").exists()
    assert (tmp_path / "two" / "norms_over_epochs.png").exists()


def test_an_earlier_report_is_replaced_only_if_that_is_wanted(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "out", replace=False)
    with pytest.raises(SpecError, match="--force"):
        write_report(report(name="other"), tmp_path / "out", replace=False)
    assert "other" not in (tmp_path / "out" / "findings.json").read_text()

    write_report(report(name="other"), tmp_path / "out", replace=True)

    assert json.loads((tmp_path / "out" / "findings.json").read_text())["name"] == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_no_report_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")

    with pytest.raises(SpecError, match="no report"):
        check_target(tmp_path / "home", replace=True)
    with pytest.raises(SpecError):
        write_report(report(), tmp_path / "home", replace=True)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_the_past_of_a_job_is_read_up_to_a_step(tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    job.probes.mkdir()
    for step in (10, 20, 30):
        arrays = {
            "probe/epoch": np.array(step // 10),
            "norms/by_block/histogram": np.stack([np.zeros(40), np.full(40, step)]),
            "norms/histogram_edges": EDGES,
        }
        np.savez(probe_file(job.probes, 1, step), **(arrays if step > 10 else {}))

    past, _ = norm_history(job, (), until=20)

    assert list(past) == [2]
    assert past[2].counts.tolist() == [20] * 40


def test_a_damaged_probe_of_the_past_is_told_and_hides_no_other(tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    job.probes.mkdir()
    for step in (10, 20):
        arrays = {
            "probe/epoch": np.array(step // 10),
            "norms/by_block/histogram": np.ones((2, 40)),
            "norms/histogram_edges": EDGES,
        }
        np.savez(probe_file(job.probes, 1, step), **arrays)
    whole = probe_file(job.probes, 1, 10).read_bytes()
    probe_file(job.probes, 1, 10).write_bytes(whole[: len(whole) // 2])

    past, (fault,) = norm_history(job, (), until=20)

    assert list(past) == [2]
    assert "001-000000010.npz is damaged" in fault


def test_warnings_stand_in_the_findings_and_on_the_page(tmp_path: Path) -> None:
    write_report(report(warnings=["An <epoch> is missing."]), tmp_path / "out", replace=False)

    told = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert told["warnings"] == ["An <epoch> is missing."]
    assert "Warning: An <epoch> is missing." in read(tmp_path / "out").text
