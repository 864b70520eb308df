"""How MLflow's page of a study opens: its columns and charts, saved as a view of the experiment."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from model.figures import PICTURES

VIEW = "orchestrate"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""The experiment's tag that the page reads a shared view from."""
COLUMNS = (
    *("val/top1", "val/loss", "train/loss", "norms/max_over_median", "norms/outlier_share"),
    *("attention/entropy", "gates/mean", "flops/relative_to_vanilla"),
)
CURVES = ("val/top1", "train/loss", "norms/max_over_median")
PARALLEL_METRICS = ("flops/forward_macs", "norms/max_over_median", "val/top1")
SECTIONS = {
    "Comparison": {"columns": 2, "cardHeight": 360},
    "Pictures": {"columns": 1, "cardHeight": 480},
}
"""Those that are open, and how their charts are laid out."""
FAMILIES = (
    *(
        "val",
        "train",
        "norms",
        "artifacts",
        "activations",
        "attention",
        "mlp",
        "redundancy",
        "gates",
    ),
    *("layer_scale", "gradients", "updates", "stability", "eval", "flops", "data"),
    *("time", "memory"),
    "Model metrics",
)
"""What metric names begin with: the page draws every other metric too, in sections so named; the
last is for names that begin with nothing."""
PAGES = {"table": "", "charts": "&compareRunsMode=CHART"}
"""The two faces of an experiment's page, by what the address says of them."""


def address(server: str, experiment: str, face: str) -> str:
    """Where a server shows an experiment in the view, as one of `PAGES`.

    Any other setting in the address would make the page ignore the view.
    """
    shown = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
    return f"{server}/#/experiments/{experiment}/runs?{shown}{PAGES[face]}"


def view_tag(axes: Mapping[str, bool], step: int) -> str:
    """The value of the tag.

    Args:
        axes: the configuration keys that vary, and whether jobs that train compare by it.
        step: of the pictures to begin with.
    """
    state = json.dumps(_state(axes, step), separators=(",", ":")).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(state, 9)).decode()
    return json.dumps({"name": "Comparison", "createdAt": 0, "updatedAt": 0, "state": packed})


def _state(axes: Mapping[str, bool], step: int) -> dict[str, Any]:
    # Others would hide the runs that lack them; a seed is no setting to compare by.
    everywhere = [axis for axis, common in axes.items() if common and axis != "seed"]
    charts = [
        *(_curve(metric) for metric in CURVES),
        _scatter(x="flops/forward_macs", y="val/top1"),
        _parallel(everywhere, [*PARALLEL_METRICS]),
        *(_images(key, step) for key in PICTURES),
    ]
    return {
        "orderByKey": f"metrics.`{COLUMNS[0]}`",  # trained jobs come before what looks at them
        "orderByAsc": False,
        "selectedColumns": [
            "tags.`state`",
            *(f"params.`{axis}`" for axis in axes),
            *(f"metrics.`{metric}`" for metric in COLUMNS),
        ],
        "runsHiddenMode": "FIRST_20_RUNS",
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "compareRunSections": [
            *(_section(name, display=True, **layout) for name, layout in SECTIONS.items()),
            *(_section(name, display=False) for name in FAMILIES),
        ],
        "compareRunCharts": charts,
    }


def _section(name: str, *, display: bool, **layout: int) -> dict[str, Any]:
    made = {"isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": name, "name": name, "display": display, **made, **layout}


def _chart(kind: str, key: str, **more: Any) -> dict[str, Any]:
    made = {"deleted": False, "isGenerated": False, "runsCountToCompare": 10}
    where = {"uuid": f"{kind} {key}", "type": kind, "metricSectionId": "Comparison"}
    return {**where, **made, **more}


def _curve(metric: str) -> dict[str, Any]:
    return _chart(
        "LINE",
        metric,
        metricKey=metric,
        selectedMetricKeys=[metric],
        lineSmoothness=0,
        xAxisScaleType="linear",
        scaleType="linear",
        range={},
        xAxisKey="step",
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        ignoreOutliers=False,
        useGlobalXaxisKey=False,
        useGlobalLineSmoothing=True,
    )


def _scatter(*, x: str, y: str) -> dict[str, Any]:
    axis = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return _chart("SCATTER", f"{y} {x}", **axis) | {"runsCountToCompare": 100}


def _parallel(params: list[str], metrics: list[str]) -> dict[str, Any]:
    shown = {"selectedParams": params, "selectedMetrics": metrics, "showAllRuns": False}
    return _chart("PARALLEL", "all", **shown) | {"runsCountToCompare": 100}


def _images(key: str, step: int) -> dict[str, Any]:
    shown = {"imageKeys": [key], "step": step, "showRunParams": False}
    return _chart("IMAGE", key, **shown) | {"metricSectionId": "Pictures"}
