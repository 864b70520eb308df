import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.jobs.facts import Attempt, Ending, Start
from orchestrator.jobs.journal import Journal, Point
from orchestrator.results.discarded import counts_until

BEGAN = 1000.0
NOBODY = {"token": "t", "index": 0, "restart": 0, "process": "", "host": "", "code_hash": ""}


def attempt(number: int = 1, *, began: float = BEGAN, beat: float = 0.0, **more: Any) -> Attempt:
    """One that was killed, unless ``ending`` is told, and showed life until ``beat``."""
    known = {"from_step": -1, "ending": None, "step": -1, "errors": (), "running": False}
    start = Start(**NOBODY, time=began, facts={})
    return Attempt(number=number, start=start, heartbeat=beat, **{**known, **more})


def journal(
    number: int = 1, *, began: float = BEGAN, first: int | None = None, points: int = 10
) -> Journal:
    """A point every ten steps and hundred seconds."""
    start = first or 0
    made = tuple(Point(began + 100 * n, start + 10 * n, 0, {}) for n in range(1, points + 1))
    return Journal(number, first, 1000, made)


def counted(*attempts: Attempt, live_at: float | None = None, **journals: Journal) -> list[float]:
    """Seconds of each attempt that count."""
    known = {int(name[1:]): one for name, one in journals.items()}
    over = {one.number: live_at or one.ended or one.heartbeat for one in attempts}
    found = counts_until(attempts, known, over, live=live_at is not None)
    return [found[one.number] - one.start.time for one in attempts]


def test_all_counts_of_an_attempt_that_finished_or_diverged() -> None:
    for ending in (Ending.FINISHED, Ending.DIVERGED):
        assert counted(attempt(ending=ending, ended=BEGAN + 1010), j1=journal()) == [1010]


def test_of_a_killed_attempt_that_counts_up_to_where_the_next_one_goes_on() -> None:
    later = attempt(2, began=5000, from_step=45, ending=Ending.FINISHED, ended=6000)

    killed = attempt(beat=BEGAN + 1029)

    assert counted(killed, later, j1=journal()) == [450, 1000]


def test_of_a_killed_attempt_without_a_successor_that_counts_up_to_its_checkpoint() -> None:
    assert counted(attempt(beat=BEGAN + 1029, saved=30), j1=journal()) == [300]
    assert counted(attempt(beat=BEGAN + 1029), j1=journal()) == [0]


def test_a_checkpoint_beyond_the_last_point_saves_no_more_than_is_known() -> None:
    assert counted(attempt(beat=BEGAN + 1029, saved=105), j1=journal()) == [1000]


def test_a_neat_stop_loses_nothing() -> None:
    stopped = attempt(ending=Ending.STOPPED, ended=BEGAN + 1029, saved=105)

    assert counted(stopped, j1=journal()) == [1029]


def test_a_start_that_measured_nothing_is_lost_though_a_checkpoint_is_kept() -> None:
    first = attempt(beat=BEGAN + 1000, saved=100)
    for failed in (
        attempt(2, began=3000, from_step=None, ending=Ending.ERROR, ended=3030),
        attempt(2, began=3000, from_step=100, beat=3030),
    ):
        second = journal(2, began=3000, first=100, points=0)

        assert counted(first, failed, j1=journal(), j2=second) == [1000, 0]


def test_what_was_ordered_to_begin_afresh_is_lost() -> None:
    done = attempt(ending=Ending.FINISHED, ended=BEGAN + 1000, discarded=True)

    assert counted(done, j1=journal()) == [0]


def test_of_a_live_attempt_all_counts_so_far() -> None:
    live = attempt(running=True, beat=BEGAN + 1020)

    assert counted(live, live_at=BEGAN + 1040, j1=journal()) == [1040]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*Ending, None]),
            st.integers(-1, 120),
            st.integers(-1, 120),
            st.integers(0, 12),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_attempt_counts_for_longer_than_it_ran(told: list[Any]) -> None:
    attempts, journals = [], {}
    for number, (ending, first, saved, points, discarded) in enumerate(told, start=1):
        began = number * 10_000.0
        over = began + 100 * points + 25
        journals[f"j{number}"] = journal(
            number, began=began, first=None if first < 0 else first, points=points
        )
        attempts.append(
            attempt(
                number,
                began=began,
                beat=over,
                from_step=first,
                ending=ending,
                ended=over if ending else None,
                saved=saved,
                discarded=discarded,
            )
        )
    for one, seconds in zip(attempts, counted(*attempts, **journals), strict=True):
        assert 0 <= seconds <= one.heartbeat - one.start.time
        assert math.isfinite(seconds)
        assert seconds == 0 or not one.discarded
