import threading

import pytest

from orchestrator.worker.background import WAITING, Background


def test_jobs_are_done_in_order_while_the_giver_goes_on() -> None:
    done, go = [], threading.Event()
    with Background() as background:
        background.give(lambda: (go.wait(), done.append(1))[1])
        background.give(lambda: done.append(2))
        assert done == []
        go.set()
        background.wait()

        assert done == [1, 2]


def test_who_brings_one_too_many_waits_for_the_first() -> None:
    go, given = threading.Event(), threading.Event()

    def bring(background: Background) -> None:
        for _ in range(WAITING + 1):
            background.give(go.wait)
        given.set()

    with Background() as background:
        thread = threading.Thread(target=bring, args=(background,))
        thread.start()
        assert not given.wait(0.2)
        go.set()
        assert given.wait(10)
        thread.join()


def test_what_a_job_raised_comes_to_whoever_is_next_and_nothing_more_is_done() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    done, go = [], threading.Event()
    background = Background().__enter__()
    background.give(lambda: (go.wait(), full())[1])
    background.give(lambda: done.append(1))
    go.set()
    with pytest.raises(OSError, match="No space"):
        background.__exit__(None)
    assert done == []

    background = Background()
    background.give(full)
    with pytest.raises(OSError, match="No space"):
        background.wait()
    background.wait()  # it was told once
    background.give(lambda: done.append(2))
    with pytest.raises(OSError, match="No space"):
        background.wait()
    assert done == []


def test_an_error_on_the_way_out_is_not_hidden_by_a_job_s() -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    background = Background().__enter__()
    background.give(full)

    assert not background.__exit__(KeyError)
