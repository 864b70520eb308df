import io

import numpy as np
import pytest

from model.figures import Histogram, norms_by_arm


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
