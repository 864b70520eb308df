"""What a screen shows fits it, keeps its columns, and tells nothing by colour alone."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.rows import row

from orchestrator.cli.jobs_table import folded_lines, whole_lines
from orchestrator.cli.overview import Overview, Seen, hours_line
from orchestrator.cli.render import STATE_STYLE, bar, hours, shortened
from orchestrator.controller.hours import Total
from orchestrator.controller.outlook import Outlook
from orchestrator.controller.progress import progress_by_axis
from orchestrator.controller.status import Row
from orchestrator.jobs.spent import Spent
from orchestrator.jobs.state import State

LONG = (
    "model.gate.position=attention_output,model.registers=16,optim.lr=0.001,case=softmax_plus_one"
)
NOW = 1.8e9
OUTLOOK = Outlook(
    spent=Spent(1234.5, 0.0),
    to_come=Total(20.25, 0.0, 0),
    going=3,
    at_once=2,
    finish=NOW,
    bases={"2 jobs like it here: 36 s an epoch": 3},
)


def mixed(count: int) -> list[Row]:
    """Jobs in every state, with long names and reasons."""
    states = list(State)
    return [
        row(
            f"{LONG},seed={n}",
            states[n % len(states)],
            n % 10,
            reason=f"it went wrong at {n} " * 9 if states[n % len(states)] is State.FAILED else "",
            eta_s=7199.0 if states[n % len(states)] is State.RUNNING else None,
            metrics={"val/top1": 71.25, "train/loss": 0.123456},
        )
        for n in range(count)
    ]


def seen(rows: Sequence[Row], **more: Any) -> Seen:
    axes = {r.id: {"model.gate": LONG, "optim.lr": n % 3} for n, r in enumerate(rows)}
    axes[rows[0].id]["model.gate"] = "none"
    known = {
        "title": "s" * 64,
        "question": "What is it good for? " * 20,
        "rows": rows,
        "axes": progress_by_axis(rows, axes),
        "outlook": OUTLOOK,
        "at": NOW,
        "notes": ["the cluster does not answer\nat all " * 9],
    }
    return Seen(**{**known, **more})


def text(lines: Sequence[Any]) -> list[str]:
    return [line.plain for line in lines]


@pytest.mark.parametrize("width", [80, 81, 100, 160, 240])
@pytest.mark.parametrize("height", [8, 15, 24, 48])
@pytest.mark.parametrize("jobs", [1, 5, 300])
def test_a_screen_is_filled_and_no_line_is_longer(width: int, height: int, jobs: int) -> None:
    lines = Overview().lines(seen(mixed(jobs)), width, height)

    assert len(lines) == height
    assert max(line.cell_len for line in lines) <= width
    assert lines[-1].plain.startswith("note: the cluster does not answer at all")


def test_where_there_is_little_room_what_matters_is_still_told() -> None:
    told = "\n".join(text(Overview().lines(seen(mixed(300)), 80, 24)))

    assert "300 jobs: 34 DONE, 34 RUNNING, 34 QUEUED, 33 UNKNOWN" in told
    assert "1,234 GPU-hours spent, about 20.2 to come" in told
    assert re.search(
        r"^done by about 2027-01-1\d \d\d:\d\d, 2 at a time$", told, flags=re.MULTILINE
    )
    assert "known from 2 jobs like it here: 36 s an epoch" in told
    assert "\n33 FAILED: it went wrong at 7 it" in told
    assert re.search(r"\nlr +0 +34/100 ", told)
    assert re.search(r"FAILED +6/10", told)
    assert re.search(r"RUNNING +1/10 +120 min", told)
    assert re.search(r"and 29\d more: 34 done, \d+ running, 100 waiting, 31 failed", told)


def test_a_wide_screen_shows_more() -> None:
    look = seen([replace(one, name=one.name[-32:]) for one in mixed(30)])
    sizes = ((80, 24), (160, 48))
    narrow, wide = ("\n".join(text(Overview().lines(look, *size))) for size in sizes)

    assert "val/top1" in wide
    assert "val/top1" not in narrow
    assert "optim.lr" in wide
    assert len(re.findall(r"\d+/10 ", wide)) > len(re.findall(r"\d+/10 ", narrow))


def test_columns_stay_where_they_are_from_look_to_look() -> None:
    overview = Overview()
    first = [
        row("a", State.RUNNING, 1, eta_s=100.0, reason="its place is not sure of it"),
        row("b"),
    ]
    later = [row("a", State.DONE, 10), row("b", State.RUNNING, 3)]

    before, after = (text(overview.lines(seen(rows), 80, 40)) for rows in (first, later))

    headings = [
        next(line for line in lines if line.startswith("name")) for lines in (before, after)
    ]
    assert headings[0] == headings[1]
    assert text(overview.lines(seen(later), 80, 40)) == after


def test_hours_that_are_not_known_are_said_not_to_be() -> None:
    def told(**more: Any) -> str:
        known = {name: getattr(OUTLOOK, name) for name in Outlook.__slots__}
        return hours_line(Outlook(**{**known, **more}))

    some, none = Total(20.25, 3.0, 2), Total(0.0, 0.0, 3)

    assert re.fullmatch(
        r"1,234 GPU-hours spent, about 20\.2 GPU-hours and 3\.00 CPU-hours to come, "
        r"2 jobs not known, not done before 2027-\S+ \d\d:\d\d",
        told(to_come=some),
    )
    assert told(to_come=none, finish=None) == (
        "1,234 GPU-hours spent, what is to come is not known yet, end not known yet"
    )
    assert told(going=0) == "1,234 GPU-hours spent, nothing to come"


def test_every_state_has_its_colour_in_the_one_table() -> None:
    assert list(STATE_STYLE) == [state.value for state in State]


def test_a_bar_is_full_only_at_the_end_and_seen_without_colours() -> None:
    assert bar(0.999, 10).plain == "━" * 9 + "─"
    assert bar(1, 10).plain == "━" * 10
    assert bar(0, 10).plain == "─" * 10


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (60, "registers=0,lr=0.003,attention=softmax_plus_one,seed=0"),
        (46, "reg…=0,lr=0.003,att…=softmax_plus_one,seed=0"),
        (40, "reg…=0,lr=0.003,…,seed=0"),
        (16, "reg…=0,…,seed=0"),
        (11, "reg…=…eed=0"),
    ],
)
def test_of_a_long_name_whole_settings_are_left_out_before_letters(width: int, told: str) -> None:
    assert shortened("registers=0,lr=0.003,attention=softmax_plus_one,seed=0", width) == told
    assert shortened("softmax", 5) == "so…ax"


def test_hours_are_told_as_people_add_them_up() -> None:
    counts = (0, 0.001, 0.25, 12.34, 1234.5)

    assert [*map(hours, counts)] == ["0", "0.01", "0.25", "12.3", "1,234"]


def test_a_log_has_each_job_and_all_of_its_reason_on_one_line() -> None:
    reason = "it went wrong " * 40
    heading, first, *_ = whole_lines([row("a", State.FAILED, 3, reason=reason), row("b")])

    assert heading.split() == ["job", "name", "state", "epoch", "left", "reason"]
    assert first.endswith(reason.rstrip())


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_terminal_has_whole_names_in_more_lines_if_need_be(width: int) -> None:
    lines = folded_lines(mixed(3), width)

    assert max(line.cell_len for line in lines) <= width
    squeezed = "".join("".join(text(lines)).split())
    assert squeezed.count("seed=") == 3


def test_ten_thousand_jobs_are_laid_out_at_once() -> None:
    look = seen(mixed(10_000))
    began = time.process_time()
    Overview().lines(look, 80, 24)
    list(whole_lines(look.rows))

    assert time.process_time() - began < 2
