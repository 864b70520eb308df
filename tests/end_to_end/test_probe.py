"""The verb probe on a job that was really trained, and its page in a real browser."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.environment import FOREIGN

from orchestrator.jobs.facts import read_history
from orchestrator.jobs.layout import Root

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SWEEP = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
SHORT = ("--set", "train.epochs=2", "--set", "probe.every_epochs=1", "--set", "probe.images=60")
WIDTHS = (1280, 420)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, str]:
    """A root in which the arms of the quickstart were trained for a short while."""
    root = tmp_path_factory.mktemp("probed") / "runs"
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment = {**own, "ORCHESTRATE_ROOT": str(root), "ORCHESTRATE_DATA": str(digits)}
    orchestrate(environment, "launch", str(SWEEP), *SHORT, "--wait")
    return environment


@pytest.fixture(scope="module")
def report(place: dict[str, str]) -> Path:
    out = Path(place["ORCHESTRATE_ROOT"]).parent / "report"
    orchestrate(place, "probe", "quickstart/gate-sdpa", "--count", "60", "--out", str(out))
    return out


def orchestrate(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    subprocess.run(command, env=environment, check=True)


def test_the_verb_finds_what_the_last_probe_of_training_found(
    place: dict[str, str], report: Path
) -> None:
    told = json.loads((report / "findings.json").read_text())
    trained = read_history(Root(Path(place["ORCHESTRATE_ROOT"])).job(told["model"]["job"])).last()

    assert len(told["scalars"]) > 20
    for name, value in told["scalars"].items():
        assert float(value) == pytest.approx(trained[name], rel=1e-5, abs=1e-7), name


def test_the_epochs_of_training_are_drawn(report: Path) -> None:
    assert (report / "norms_over_epochs.png").is_file()
    assert (report / "gate_histograms.png").is_file()


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_needs_no_network_and_fits_wide_and_narrow_screens_by_day_and_night(
    browser: "Browser", report: Path, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda asking: asked.append(asking.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((report / "index.html").as_uri())

    images = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert len(images) == len(list(report.glob("*.png"))) > 5
    assert all(images)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert dark == (scheme == "dark")
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    if folder := request.config.getoption("--pages"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/probe-{scheme}-{width}.png", full_page=True)
    context.close()
