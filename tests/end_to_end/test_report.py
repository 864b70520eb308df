"""The page of a study that was really trained, and read in a real browser."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.environment import FOREIGN

from orchestrator.api.root import Root

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SWEEPS = Path(__file__).parents[2] / "sweeps"
SWEEP = """
name: tiny
extends: {base}
question: Does "a < b & c" <script>alert(1)</script> stay what it is?
set: {{train.epochs: 3, probe.every_epochs: 1, probe.images: 40}}
grid:
  - cases:
      vanilla: {{}}
      registers-4: {{model.registers: 4}}
      gate: {{model.gate: {{position: sdpa}}}}
  - {{cases: {{vanilla: {{}}}}, optim.lr: [5e-3]}}
seeds: [0, 1]
"""
WIDTHS = (1280, 390)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, str]:
    """A root in which three arms were trained for three epochs, one of them at two rates."""
    folder = tmp_path_factory.mktemp("reported")
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment = {
        **own,
        "ORCHESTRATE_ROOT": str(folder / "runs"),
        "ORCHESTRATE_DATA": str(digits),
    }
    sweep = folder / "tiny.yaml"
    sweep.write_text(SWEEP.format(base=SWEEPS / "quickstart.yaml"))
    orchestrate(environment, "launch", str(sweep), "--wait")
    return environment


@pytest.fixture(scope="module")
def report(place: dict[str, str]) -> Path:
    page = Path(place["ORCHESTRATE_ROOT"]).parent / "tiny.html"
    figures = page.with_name("figures")
    orchestrate(place, "report", "tiny", "-o", str(page), "--figures", str(figures))
    return page


def orchestrate(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    subprocess.run(command, env=environment, check=True)


def test_the_page_has_every_part_that_was_measured_and_names_the_rest(report: Path) -> None:
    text = report.read_text()

    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", text)
    assert headings == [
        *("Questions", "Answer", "Accuracy and cost", "Norms over training"),
        *("Outliers over training", "Attention maps", "Gates", "Learning rates"),
        *("Failures and retries", "Cost", "Reproduction"),
    ]
    assert "“Other images”" in text
    assert "No high-norm artifacts emerged in vanilla in any of 2 seeds" in text
    assert "8 jobs started, none failed or diverged" in text
    assert report.stat().st_size < 3e6


def test_every_figure_is_a_file_for_a_paper_too(report: Path) -> None:
    named = re.findall(r'<figure id="figure-([^"]+)"', report.read_text())
    files = sorted(path.name for path in report.with_name("figures").iterdir())

    assert files == sorted(f"{name}.{ending}" for name in named for ending in ("svg", "pdf"))
    assert "<image" in (report.with_name("figures") / "attention_maps.svg").read_text()


def test_python_writes_the_same_bytes_as_the_command(
    place: dict[str, str], report: Path, tmp_path: Path
) -> None:
    (page,) = Root(place["ORCHESTRATE_ROOT"]).report("tiny", out=tmp_path / "page.html")

    assert page.read_bytes() == report.read_bytes()


def opened(context: "BrowserContext", report: Path) -> "tuple[Page, list[str]]":
    """The page, and whatever it complains of or asks for."""
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda asked: troubles.append(asked.url))
    page.goto(report.as_uri())
    own = [report.as_uri()]
    return page, [one for one in troubles if one not in own and not one.startswith("data:")]


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_asks_for_nothing_and_fits_desk_and_phone_by_day_and_night(
    browser: "Browser", report: Path, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page, troubles = opened(context, report)

    assert troubles == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map(s => [s.clientWidth, s.clientHeight, "
        "Math.max(...[...s.querySelectorAll('path')].map(p => p.getBoundingClientRect().width))])"
    )
    assert len(boxes) > 6
    assert all(wide > 200 and high > 80 and drawn > 20 for wide, high, drawn in boxes)
    ink = page.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill")
    assert (ink == "rgb(28, 30, 33)") == (scheme == "light")
    assert page.locator("h1").inner_text() == "tiny"
    if folder := request.config.getoption("--pages"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/report-{scheme}-{width}.png", full_page=True)
    context.close()


@pytest.mark.browser
def test_the_page_prints_in_light_colours_also_by_night(browser: "Browser", report: Path) -> None:
    context = browser.new_context(color_scheme="dark", offline=True)
    page, _ = opened(context, report)

    printed = page.pdf(format="A4")
    page.emulate_media(media="print")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 2
    assert paper == "rgb(255, 255, 255)"
    context.close()
