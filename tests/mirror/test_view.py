"""The view on which MLflow's page of a study opens."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from model.figures import PICTURES
from orchestrator.mirror.view import view_tag

TAG_LIMIT = 20_000
"""Characters of an experiment's tag."""


def state(axes: dict[str, bool], step: int = 0) -> dict[str, Any]:
    saved = json.loads(view_tag(axes, step))
    packed = saved["state"].removeprefix("deflate;")
    shown: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return shown


def charts(shown: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [chart for chart in shown["compareRunCharts"] if chart["type"] == kind]


def test_the_columns_are_what_varies_and_what_is_compared() -> None:
    columns = state({"model.gate.position": False, "model.registers": True})["selectedColumns"]

    assert columns[:4] == [
        *("tags.`state`", "params.`model.gate.position`", "params.`model.registers`"),
        "metrics.`val/top1`",
    ]


def test_what_is_trained_comes_first_as_what_looks_at_it_has_no_such_metric() -> None:
    shown = state({})

    assert (shown["orderByKey"], shown["orderByAsc"]) == ("metrics.`val/top1`", False)


def test_only_keys_that_every_job_has_become_parallel_axes_and_no_seed() -> None:
    axes = {"model.gate.position": False, "model.registers": True, "seed": True}
    (chart,) = charts(state(axes), "PARALLEL")

    assert chart["selectedParams"] == ["model.registers"]
    assert "val/top1" in chart["selectedMetrics"]


def test_every_picture_that_is_drawn_has_a_chart_that_begins_at_the_step() -> None:
    shown = charts(state({}, 440), "IMAGE")

    assert [chart["imageKeys"] for chart in shown] == [[name] for name in PICTURES]
    assert {chart["step"] for chart in shown} == {440}


def test_every_chart_lies_in_a_section_and_no_two_have_one_name() -> None:
    shown = state({"optim.lr": True})
    sections = [section["uuid"] for section in shown["compareRunSections"]]
    names = [chart["uuid"] for chart in shown["compareRunCharts"]]

    assert {chart["metricSectionId"] for chart in shown["compareRunCharts"]} <= set(sections)
    assert len(sections) == len(set(sections))
    assert len(names) == len(set(names))


def test_every_documented_family_of_metrics_has_a_section_that_begins_closed() -> None:
    named = re.findall(r"`([a-z_]+)/", (Path(__file__).parents[2] / "docs/metrics.md").read_text())
    closed = {s["name"] for s in state({})["compareRunSections"] if not s["display"]}

    families = set(named) - {"model"}
    assert families >= {"train", "val", "norms"}
    assert families <= closed


def test_a_study_that_varies_everything_fits_into_the_tag() -> None:
    axes = {f"section.a_rather_long_key_{number}": True for number in range(100)}

    assert len(view_tag(axes, 10**6)) < TAG_LIMIT
