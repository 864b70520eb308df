import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from model.figures import PICTURES, Histogram, Probed, norms_by_arm, png

EDGES = np.geomspace(1e-1, 1e5, 601)
IMAGES, DEPTH, HEADS, SIDE = 3, 4, 2, 5
COUNTS = np.stack([np.histogram(np.geomspace(20, 60 + n, 99), EDGES)[0] for n in range(DEPTH)])


def probed(value: float | None = None, *, counts: Any = COUNTS, channels: int = 3) -> Probed:
    """What a gated model's probe leaves, lively or all ``value``."""
    random = np.random.default_rng(0)

    def values(*shape: int) -> Any:
        return random.uniform(0, 1, shape) if value is None else np.full(shape, value)

    arrays = {
        "norms/by_block/histogram": counts,
        "norms/histogram_edges": EDGES,
        "norms/by_block/median": 40 * values(DEPTH),
        "norms/maps": 40 * values(IMAGES, SIDE, SIDE).astype(np.float32),
        "attention/cls_maps": values(IMAGES, SIDE, SIDE).astype(np.float32),
        "gates/by_head/mean": values(DEPTH, HEADS),
    }
    images = random.integers(0, 256, (IMAGES, channels, 8, 8), np.uint8)
    return Probed(arrays=arrays, images=images, epoch=7)


def drawn(name: str, found: Probed) -> Figure:
    figure = PICTURES[name](found)
    assert figure is not None
    return figure


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]  # type: ignore[attr-defined]


def test_the_median_lies_inside_its_bin() -> None:
    values = np.random.default_rng(0).normal(50, 5, 100_001)
    counts, edges = np.histogram(values, np.geomspace(0.1, 1e5, 601))

    assert Histogram(counts=counts, edges=edges).median() == pytest.approx(
        np.median(values), rel=0.01
    )


def test_every_arm_has_a_row_on_the_same_axes() -> None:
    edges = np.geomspace(1, 100, 41)
    arms = {
        name: Histogram(counts=np.histogram(np.full(10, at), edges)[0], edges=edges)
        for name, at in {"vanilla": 50.0, "gated": 20.0, "empty": 500.0}.items()
    }

    figure = norms_by_arm(arms)

    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split()[0] for title in titles] == list(arms)
    low, high = figure.axes[1].get_xlim()
    assert 10 < low < 20
    assert 50 < high < 100
    assert "norm" in figure.axes[-1].get_xlabel()
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_small_png_800_pixels_wide_that_says_its_epoch(
    name: str, channels: int
) -> None:
    figure = drawn(name, probed(channels=channels))
    content = png(figure)
    picture = Image.open(io.BytesIO(content))

    assert (picture.format, picture.width) == ("PNG", 800)
    assert 400 <= picture.height <= 500
    assert len(content) < 60 * 1024
    assert figure.get_suptitle().endswith(", epoch 7")


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_findings_give_the_same_bytes(name: str) -> None:
    first, second = (png(drawn(name, probed())) for _ in range(2))

    assert first == second


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1.0, 1e36, 1e-40])
@pytest.mark.parametrize("name", PICTURES)
def test_what_a_diverged_model_leaves_is_drawn_too(name: str, value: float) -> None:
    for tokens in (0, 1):
        found = probed(value, counts=tokens * np.eye(DEPTH, 600, 599 - DEPTH, dtype=int))

        assert png(drawn(name, found))


def test_single_values_that_are_not_finite_leave_the_scale_to_the_others() -> None:
    found = probed(1.0)
    found.arrays["norms/maps"][0, 0, :2] = np.nan, np.inf

    scales = {image.get_clim() for axes in drawn("norm_map", found).axes for image in axes.images}

    assert scales == {(0, 255), (0, 40)}


def test_nothing_is_drawn_of_what_was_not_found() -> None:
    nothing = Probed(arrays={}, images=probed().images, epoch=1)

    assert [draw(nothing) for draw in PICTURES.values()] == [None] * len(PICTURES)


def test_attention_is_drawn_in_units_of_uniform() -> None:
    figure = drawn("attention_map", probed(1 / SIDE**2))
    maps = [axes.images[0].get_array() for axes in figure.axes[IMAGES : 2 * IMAGES]]

    assert np.ptp(maps) == pytest.approx(0)
    assert np.mean(maps) == pytest.approx(1)
    assert any("1: uniform" in text for text in texts(figure))


def test_a_map_stands_beneath_its_image() -> None:
    found = probed()
    figure = drawn("norm_map", found)

    for n in range(IMAGES):
        above, beneath = (figure.axes[row * IMAGES + n].images[0].get_array() for row in (0, 1))
        assert np.array_equal(above, found.images[n].transpose(1, 2, 0))
        assert np.array_equal(beneath, found.arrays["norms/maps"][n])


def test_the_axis_of_norms_stays_while_they_move_within_half_a_decade() -> None:
    def limits(low: float, high: float) -> tuple[float, float]:
        counts = np.histogram(np.geomspace(low, high, 50), EDGES)[0][None].repeat(DEPTH, axis=0)
        left, right = drawn("norms_by_block", probed(counts=counts)).axes[0].get_xlim()
        return left, right

    assert limits(12, 60) == pytest.approx((10, 100))
    assert limits(30, 90) == limits(12, 60)
    assert limits(9, 101) == pytest.approx((10**0.5, 10**2.5))


def test_numbers_stand_in_the_cells_of_few_gates_only() -> None:
    few, many = probed(0.25), probed(0.25)
    many.arrays["gates/by_head/mean"] = np.full((24, 16), 0.25)  # type: ignore[index]

    assert texts(drawn("gate_map", few)).count("0.25") == DEPTH * HEADS
    assert "0.25" not in texts(drawn("gate_map", many))
    scales = [drawn("gate_map", found).axes[0].images[0].get_clim() for found in (few, many)]
    assert scales == [(0, 1), (0, 1)]


def test_drawing_needs_no_display_and_keeps_no_figure() -> None:
    code = """
import sys
import numpy as np
from model.figures import Probed, gate_map, png
arrays = {"gates/by_head/mean": np.eye(3)}
png(gate_map(Probed(arrays=arrays, images=np.zeros((0, 1, 1, 1)), epoch=0)))
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": "/proc", "PATH": ""})
