import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from model.figures import FIGURES, PICTURES, Histogram, Probed, norms_by_arm, norms_over_epochs, png
from model.figures.style import TICK

EDGES = np.geomspace(1e-1, 1e5, 601)
IMAGES, DEPTH, HEADS, SIDE, REGISTERS = 3, 4, 2, 5, 2
ATTENTION = ("cls_share", "register_share", "patch_share", "top_patch_share", "entropy")
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
        "norms/by_block/max": 90 * values(DEPTH),
        "norms/by_block/quantiles": 40 * np.sort(values(DEPTH, 3)),
        "norms/quantile_levels": np.array([0.05, 0.5, 0.95]),
        "norms/by_block/outlier_share": values(DEPTH),
        "norms/maps": 40 * values(IMAGES, SIDE, SIDE).astype(np.float32),
        "attention/cls_maps": values(IMAGES, SIDE, SIDE).astype(np.float32),
        "attention/register_maps": values(IMAGES, REGISTERS, SIDE, SIDE).astype(np.float32),
        **{f"attention/by_head/{name}": values(DEPTH, HEADS) for name in ATTENTION},
        "gates/by_head/mean": values(DEPTH, HEADS),
        "gates/by_head/histogram": random.integers(0, 9, (DEPTH, HEADS, 64)),
        "gates/by_head/cls_histogram": random.integers(0, 9, (DEPTH, HEADS, 64)),
        "gates/histogram_edges": np.linspace(0, 1, 65),
    }
    images = random.integers(0, 256, (IMAGES, channels, 8, 8), np.uint8)
    return Probed(arrays=arrays, images=images, epoch=7)


def drawn(name: str, found: Probed) -> Figure:
    figure = FIGURES[name].draw(found)
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


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_findings_give_the_same_bytes(name: str) -> None:
    first, second = (png(drawn(name, probed())) for _ in range(2))

    assert first == second


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1.0, 1e36, 1e-40])
@pytest.mark.parametrize("name", FIGURES)
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

    assert [one.draw(nothing) for one in FIGURES.values()] == [None] * len(FIGURES)


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
from model.figures import PICTURES, Probed, png
arrays = {"gates/by_head/mean": np.eye(3)}
png(PICTURES["gate_map"](Probed(arrays=arrays, images=np.zeros((0, 1, 1, 1)), epoch=0)))
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": "/proc", "PATH": ""})


def test_the_pictures_of_training_keep_their_names() -> None:
    assert list(PICTURES) == ["norms_by_block", "norm_map", "attention_map", "gate_map"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_a_column_of_a_paper_in_readable_type(name: str) -> None:
    figure = drawn(name, probed())
    png(figure)
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]

    assert figure.get_figwidth() in {3.3, 7.0}
    assert min(sizes) >= TICK >= 7


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_reaches_over_the_edge_of_a_figure(name: str) -> None:
    figure = drawn(name, probed())
    FigureCanvasAgg(figure).draw()
    box = figure.get_tightbbox()

    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01


def test_without_an_epoch_a_figure_has_no_title() -> None:
    found = probed()
    untitled = Probed(arrays=found.arrays, images=found.images)

    assert drawn("norm_map", untitled).get_suptitle() == ""


def test_one_block_one_head_and_one_image_are_drawn() -> None:
    found = probed()
    arrays = {
        name: array if "edges" in name or "levels" in name else array[:1]
        for name, array in found.arrays.items()
    }
    small = Probed(arrays=arrays, images=found.images[:1], epoch=1)

    assert all(png(drawn(name, small)) for name in FIGURES)


def test_each_register_has_a_row_of_maps_beneath_the_images() -> None:
    found = probed()
    figure = drawn("register_maps", found)
    grid = [axes for axes in figure.axes if axes.images][: (1 + REGISTERS) * IMAGES]
    last = grid[-1].images[0].get_array()

    assert [axes.get_ylabel() for axes in grid[IMAGES::IMAGES]] == ["register 0", "register 1"]
    assert np.allclose(last, found.arrays["attention/register_maps"][-1, -1] * SIDE**2)


def test_a_model_without_registers_has_no_maps_and_no_curve_of_them() -> None:
    found = probed()
    arrays = {
        **found.arrays,
        "attention/register_maps": np.zeros((IMAGES, 0, SIDE, SIDE)),
        "attention/by_head/register_share": np.zeros((DEPTH, HEADS)),
    }
    plain = Probed(arrays=arrays, images=found.images)

    assert FIGURES["register_maps"].draw(plain) is None
    assert "all registers" not in texts(drawn("attention_by_depth", plain))
    assert "all registers" in texts(drawn("attention_by_depth", found))


def test_curves_over_depth_are_the_arrays_and_class_token_and_registers_stand_apart() -> None:
    found = probed()
    arrays = {**found.arrays, "norms/by_block/cls": np.full(DEPTH, 7.0)}
    lines = drawn("norms_by_depth", Probed(arrays=arrays, images=found.images)).axes[0].lines

    named = {str(line.get_label()): line.get_ydata() for line in lines}
    assert list(named) == ["patches, median", "patches, largest", "class token, mean"]
    assert np.array_equal(named["class token, mean"], np.full(DEPTH, 7.0))
    assert np.array_equal(named["patches, largest"], arrays["norms/by_block/max"])


def test_epochs_stand_one_below_the_other_on_one_axis() -> None:
    at = {
        epoch: Histogram(counts=np.histogram(np.full(100, 10 + epoch), EDGES)[0], edges=EDGES)
        for epoch in (30, 10, 20)
    }

    (axes,) = norms_over_epochs(at).axes

    assert [label.get_text() for label in axes.get_yticklabels()] == ["10", "20", "30"]
    assert list(axes.get_yticks()) == sorted(axes.get_yticks(), reverse=True)
    marks = [line for line in axes.lines if line.get_linewidth() > 1]
    assert [mark.get_xdata()[0] for mark in marks] == pytest.approx([20, 30, 40], rel=0.02)
    assert [mark.get_ydata()[0] for mark in marks] == list(axes.get_yticks())
    assert axes.get_xscale() == "log"


def test_of_many_epochs_a_few_are_shown_the_first_and_the_last_among_them() -> None:
    one = Histogram(counts=np.histogram([20.0], EDGES)[0], edges=EDGES)

    (axes,) = norms_over_epochs(dict.fromkeys(range(10, 810, 10), one)).axes

    names = [label.get_text() for label in axes.get_yticklabels()]
    assert (len(names), names[0], names[-1]) == (12, "10", "800")


@pytest.mark.filterwarnings("error")
def test_epochs_at_which_nothing_was_counted_are_drawn_too() -> None:
    none = Histogram(counts=np.zeros(600, dtype=int), edges=EDGES)

    assert png(norms_over_epochs({1: none, 2: none}))
