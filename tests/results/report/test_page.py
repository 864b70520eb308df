import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from support.built_study import SOME, built_inside, built_run, built_runs, built_study, unmeasured

from orchestrator.results.emergence import Answer
from orchestrator.results.report.page import PARTS, page, pictures_of
from orchestrator.results.report.study import Asked, Failure, Study

MARKUP = "<script>alert(1)</script>"
EVERY = ["Questions", "Answer", *(part.title for part in PARTS.values()), "Failures and retries"]
EVERY += ["Cost", "Reproduction"]
"""Headings of a study in which everything was measured, in order."""
VOID = {"meta", "img", "br", "wbr", "hr", "link", "input"}


class Reader(HTMLParser):
    """The tags of a page in order, its text, and which tag was not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open, self.wrong = "", [], []  # type: tuple[str, list[str], list[str]]
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def written(study: Study) -> str:
    return page(study, pictures_of(study))


def headings(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", text)


@pytest.fixture(scope="module")
def whole() -> str:
    return written(built_study())


def test_the_parts_come_in_the_order_in_which_somebody_asks(whole: str) -> None:
    assert headings(whole) == EVERY
    assert "Left out" not in whole


def test_what_was_not_measured_is_left_out_and_that_is_said_in_one_line() -> None:
    text = written(unmeasured(built_study()))

    assert headings(text) == ["Questions", "Reproduction"]
    (line,) = re.findall(r"<p class=\"left\">(.*?)</p>", text)
    assert [title for title in EVERY if title not in headings(text)] == re.findall("“(.*?)”", line)
    assert "<figure" not in text


def test_the_same_study_gives_the_same_bytes(whole: str) -> None:
    assert written(built_study()) == whole


def test_no_figure_is_empty_and_each_says_what_it_shows(whole: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", whole, flags=re.DOTALL)

    assert len(figures) == sum(map(len, pictures_of(built_study()).values())) > 12
    for figure in figures:
        (label,) = re.findall(r'role="img" aria-label="([^"]+)"', figure)
        assert re.search(r"\d", label), label
        assert "<path" in figure
        assert "<text" in figure
        assert "figcaption" in figure


def test_ids_are_unique_and_every_reference_leads_to_one(whole: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', whole)
    wanted = re.findall(r'(?:url\(#|href="#)([^")]+)', whole)

    assert len(ids) == len(set(ids))
    assert wanted
    assert set(wanted) <= set(ids)


def test_the_page_is_sound_and_refers_to_nothing_outside_of_itself(whole: str) -> None:
    read = Reader(whole)

    assert read.wrong == []
    assert read.named("html")[0]["lang"] == "en"
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object", "base"}
    values = [(key, value or "") for _, attrs in read.tags for key, value in attrs.items()]
    links = [value for key, value in values if key in ("src", "href", "xlink:href")]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not [key for key, _ in values if key.startswith("on")]
    assert not re.search(r"url\((?!#)|@import", whole)


def test_headings_are_in_order_and_tables_have_captions_and_scopes(whole: str) -> None:
    read = Reader(whole)
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert len(read.named("caption")) == len(read.named("table")) > 3
    assert all(cell["scope"] in ("col", "row") for cell in read.named("th"))


def test_whatever_comes_from_a_spec_is_shown_and_is_no_markup() -> None:
    hostile = Asked(
        name=MARKUP, question=MARKUP, comments=[(MARKUP, f"Primary outcome: `{MARKUP}`\n{MARKUP}")]
    )
    runs = [built_run("vanilla", seed, arm=MARKUP) for seed in range(2)]
    runs += [built_run("gate-sdpa", seed) for seed in range(2)]
    study = built_study(
        runs,
        name=MARKUP,
        asked=[hostile],
        failures=[Failure(kind="other", message=MARKUP, jobs=1, only=MARKUP)],
        codes=[(MARKUP, 1)],
        datasets=[(MARKUP, MARKUP)],
        notes=[MARKUP],
        command=("orchestrate", "report", MARKUP),
        inside={"vanilla": built_inside(), "gate-sdpa": built_inside(gated=True)},
    )

    text = written(study)

    assert "<script" not in text
    read = Reader(text)
    assert read.wrong == []
    assert read.text.count(MARKUP) > 10


def test_without_artifacts_in_the_plain_arm_the_page_says_what_is_still_answered(
    whole: str,
) -> None:
    stop = (
        "No high-norm artifacts emerged in vanilla in any of 3 seeds: there was nothing to remove, "
        "so exp2 answers cost, accuracy and stability alone."
    )
    assert whole.index(stop) < whole.index("<table")

    answer = Answer(id="x", name="x", text=str(SOME), found=SOME)
    runs = [built_run("vanilla", 0, emergence=answer), *built_runs()[1:]]
    other = written(built_study(runs))
    assert "nothing to remove" not in other
    assert "emerged in vanilla in 1 of 3 seeds; in no seed of registers=4" in other


def test_where_artifacts_emerged_the_ridges_say_when() -> None:
    answer = Answer(id="x", name="x", text=str(SOME), found=SOME)
    runs = [built_run("vanilla", 0, emergence=answer), *built_runs()[1:]]

    first = pictures_of(built_study(runs))["norms"][0]

    assert first.caption == "Seed 0: (10, 20], blocks 7-8; no emergence in 2 of 3 seeds."
    assert first.caption in first.alt
    assert "0" in [text.get_text() for text in first.figure.axes[0].texts]


def test_arms_without_any_outlier_get_a_sentence_in_place_of_flat_lines() -> None:
    runs = [built_run(arm, s, curves={"norms/outlier_share": {10: 0.0}}) for arm in ("vanilla",
            "gate-sdpa") for s in range(2)]  # fmt: skip

    text = written(built_study(runs))

    assert "At no probe of any arm was a patch token of the last block an outlier." in text
    assert "figure-outliers" not in text


def test_diverged_runs_are_counted_at_their_rate() -> None:
    accuracy = pictures_of(built_study())["rates"][0]

    assert "vanilla: 80.10 at 0.003 and 3 diverged at 0.005" in accuracy.alt
    assert "3" in [text.get_text() for text in accuracy.figure.axes[0].texts]


def test_an_arm_that_diverged_at_every_rate_is_in_the_figures_of_rates() -> None:
    runs = [run for run in built_runs() if run.key != "gate-sdpa"]
    runs += [built_run("vanilla", seed, id=f"w{seed}", lr=1e-3) for seed in range(3)]
    runs += [
        built_run("gate-sdpa", seed, id=f"d{lr}{seed}", lr=lr, outcome="diverged")
        for seed in range(3)
        for lr in (3e-3, 5e-3)
    ]

    accuracy = pictures_of(built_study(runs))["rates"][0]

    assert "gate-sdpa: 3 diverged at 0.003 and 3 diverged at 0.005" in accuracy.alt


def test_the_largest_gradient_is_that_of_the_whole_training_after_the_warm_up() -> None:
    norms = {1: 90.0, 20: 40.0, 30: 2.0}
    runs = [
        built_run("vanilla", seed, id=f"{lr}{seed}", lr=lr, warmup=5,
                  curves={"val/top1": {30: 80.0}, "stability/grad_norm_max": norms})
        for seed in range(2)
        for lr in (3e-3, 5e-3)
    ]  # fmt: skip

    gradients = pictures_of(built_study(runs))["rates"][-1]

    assert "vanilla: 40.00 at 0.003 and 40.00 at 0.005" in gradients.alt


def test_the_line_of_registers_goes_from_the_fewest_to_the_most() -> None:
    turned = [built_run(arm, seed) for arm in ("registers=4", "registers=16", "vanilla")
              for seed in range(3)]  # fmt: skip

    (axes,) = pictures_of(built_study(turned))["cost"][0].figure.axes

    assert any([*line.get_xdata()] == [1.0, 1.02, 1.09] for line in axes.lines)


def test_jobs_that_failed_are_not_said_to_be_under_way() -> None:
    text = written(built_study(states={"finished": 18, "FAILED": 1, "CANCELLED": 2, "RUNNING": 1}))

    assert "3 failed or were cancelled. 1 is not over: numbers of these are to come." in text


def test_what_results_beside_each_other_have_not_in_common_stands_below_the_table() -> None:
    text = written(built_study(mixed=["vanilla: 2 versions of code"]))

    assert text.index("<table") < text.index("Not alike in all: vanilla: 2 versions of code.")


def test_shares_of_outliers_are_compared_where_some_arm_has_any(whole: str) -> None:
    (part,) = [one for one in whole.split("<h2") if "outliers (%)" in one]

    assert "0.20 ± 0.10</td>" in part
    assert "difference to vanilla (points)" in part
    assert "0.00" in part
