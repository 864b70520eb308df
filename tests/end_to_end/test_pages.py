"""A study read in a real browser by somebody who follows the address that the command prints."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from support.environment import FOREIGN
from support.pool_bench import until

from orchestrator.mirror.pictures import WIDTH_PX

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]
SWEEP = Path(__file__).parents[2] / "sweeps" / "quickstart.yaml"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1600, "height": 1200}
SHORT = ("--set", "train.epochs=4", "--set", "probe.every_epochs=2", "--seeds", "0")
LOOKS = 2
"""So often was each arm evaluated and probed."""
ARMS = ("vanilla", "registers-4", "gate-sdpa", "gate-value")
QUIET = """
localStorage['mlflow.assistant.fab.autoOpenedOnFirstLoad_v1'] = 'true';
localStorage['mlflow.assistant.panelOpen_v1'] = 'false';
"""
"""MLflow's assistant does not open by itself."""
LOADED_WIDTH = "image => image.decode().then(() => image.naturalWidth)"
"""Waits until the picture is there; fails if it is none."""
START_S = 120.0
PATIENCE_MS = 30_000
"""For a page on a busy machine."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, str]:
    """A root in which the arms of the quickstart were trained for a short while."""
    root = tmp_path_factory.mktemp("pages") / "runs"
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    places = {**own, "ORCHESTRATE_ROOT": str(root), "ORCHESTRATE_DATA": str(digits)}
    words = ["launch", str(SWEEP), *SHORT, "--wait"]
    subprocess.run([sys.executable, "-m", "orchestrator.cli", *words], env=places, check=True)
    return places


@pytest.fixture(scope="module")
def addresses(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The addresses of the table and of the charts, as ``orchestrate ui`` prints them."""
    said = tmp_path_factory.mktemp("ui") / "out"
    words = ["ui", "quickstart", "--no-password"]
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "orchestrator.cli", *words],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "Kept up to date" in said.read_text(), START_S)
        yield dict(re.findall(r"quickstart, (\w+): (http\S+)", said.read_text()))
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def page() -> Iterator["Page"]:
    from playwright.sync_api import expect, sync_playwright

    drawn = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=drawn)
        context = browser.new_context(viewport=SIZE)
        context.add_init_script(QUIET)
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield context.new_page()
        browser.close()


@pytest.fixture
def look(page: "Page", request: pytest.FixtureRequest) -> Iterator[Any]:
    """Takes a screenshot when the test ends: in ``--pages DIR``, to be looked at by a person."""
    yield page
    folder = request.config.getoption("--pages")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        time.sleep(2)  # the last chart may still be fading in
        page.screenshot(path=f"{folder}/{request.node.name}.png")


def card(page: "Page", title: str) -> "Locator":
    """The card of one chart, scrolled to: charts are drawn only where they are seen."""
    found = page.get_by_test_id("experiment-view-compare-runs-card").filter(has_text=title).first
    page.mouse.move(1000, 800)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not found.count() and time.monotonic() < deadline:
        page.mouse.wheel(0, 200)
        time.sleep(0.3)
    found.scroll_into_view_if_needed()
    return found


def test_the_table_has_every_arm_and_the_columns_of_the_study(
    look: "Page", addresses: dict[str, str]
) -> None:
    from playwright.sync_api import expect

    look.goto(addresses["table"])

    for arm in ARMS:
        expect(look.get_by_role("link", name=re.compile(arm)).first).to_be_visible()
    expect(look.get_by_text("Does the whole path work")).to_be_visible()
    shown = set(look.get_by_role("columnheader").all_inner_texts())
    assert shown >= {"norms/max_over_median", "flops/relative_to_vanilla", "model.gate.position"}


def test_the_charts_have_curves_the_cost_of_accuracy_and_all_axes_at_once(
    look: "Page", addresses: dict[str, str]
) -> None:
    from playwright.sync_api import expect

    open_anew(look, addresses["charts"])

    for curve in ("val/top1", "norms/max_over_median"):
        expect(card(look, curve).locator(".scatterlayer .point")).to_have_count(LOOKS * len(ARMS))
    scatter = card(look, "flops/forward_macs vs. val/top1")
    expect(scatter.locator(".scatterlayer .point")).to_have_count(len(ARMS))
    expect(card(look, "Parallel Coordinates").locator("canvas").first).to_be_visible()


def test_the_pictures_of_all_arms_follow_one_slider(
    look: "Page", addresses: dict[str, str]
) -> None:
    from playwright.sync_api import expect

    open_anew(look, addresses["charts"])

    pictures = card(look, "norm_map").locator("img")
    expect(pictures).to_have_count(len(ARMS))
    last = steps_of(pictures)
    slider = card(look, "norm_map").get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    expect(card(look, "norm_map").locator("input").first).to_have_value(str(min(last) // 2))
    assert steps_of(pictures) == {step // 2 for step in last}
    for picture in pictures.all():
        assert picture.evaluate(LOADED_WIDTH) == WIDTH_PX


def test_three_runs_are_compared_by_cost_and_along_parallel_axes(
    look: "Page", addresses: dict[str, str]
) -> None:
    from playwright.sync_api import expect

    open_anew(look, addresses["table"])
    rows = look.locator(".ag-pinned-left-cols-container .ag-row")
    expect(rows).to_have_count(len(ARMS))
    for row in range(3):
        rows.nth(row).locator(".ag-selection-checkbox input").check(force=True)
    look.get_by_test_id("runs-compare-button").click()

    expect(look.get_by_text("Comparing 3 Runs from 1 Experiment")).to_be_visible()
    expect(look.locator(".js-plotly-plot canvas, .js-plotly-plot svg").first).to_be_visible()
    look.get_by_role("tab", name="Scatter Plot").click()
    for axis, metric in (("x", "flops/forward_macs"), ("y", "val/top1")):
        look.locator(f"#{axis}-axis-selector").click()
        look.get_by_role("option", name=metric, exact=True).click()
    titles = look.locator(".js-plotly-plot .infolayer")
    for metric in ("flops/forward_macs", "val/top1"):
        expect(titles.get_by_text(metric)).to_be_visible()


def open_anew(page: "Page", address: str) -> None:
    """Open an address as from outside: within a page, only what is after the # would change."""
    page.goto("about:blank")
    page.goto(address)


def steps_of(pictures: "Locator") -> set[int]:
    """The steps at which the pictures shown were drawn, by their addresses."""
    addresses = [picture.get_attribute("src") or "" for picture in pictures.all()]
    return {int(unquote(address).split("+step+")[1].split("+")[0]) for address in addresses}
