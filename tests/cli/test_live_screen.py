"""The screen of ``status --watch`` in a real terminal."""

import re
import sys
from io import StringIO

import pytest
from rich.console import Console
from support.pool_bench import Bench, until
from support.tmux import PROMPT, Tmux

from orchestrator.cli.live_screen import changes, is_live

WATCH = f"{sys.executable} -m orchestrator.cli status --watch"
QUESTION = "Which of these learns to read digits, and after how many epochs does it do so?"
CLOCK = r"\d\d:\d\d:\d\d"
NARROW, WIDE = (80, 24), (160, 48)


def go_on(bench: Bench) -> None:
    """A sweep with a job that is done, one that failed, one that runs until told, and others."""
    bench.script("a", "claim", 'point 10 {"val/top1": 91.5}', "finish")
    bench.script("b", "claim", 'point 3 {"val/top1": 12.5}', "fail shard x.tar: key 7 is no image")
    bench.script("c", "claim", 'point 4 {"val/top1": 50}', "wait", "point 10", "finish")
    bench.script("d", "claim", 'point 1 {"val/top1": 10}', "wait", "point 10", "finish")
    sweep = bench.sweep(*"abcdefgh", text=f"question: {QUESTION}\n")
    bench.orchestrate("launch", str(sweep))


def prompts(terminal: Tmux) -> int:
    return terminal.scrolled().count(PROMPT.strip())


def counts(lines: list[str]) -> str:
    return next((line.strip() for line in lines if re.match(r"\d+ jobs: ", line)), "")


@pytest.mark.slow
@pytest.mark.tmux
@pytest.mark.parametrize(("size", "other"), [(NARROW, WIDE), (WIDE, NARROW)])
def test_a_watch_keeps_its_screen_heeds_its_size_and_leaves_the_terminal_as_it_was(
    bench: Bench, size: tuple[int, int], other: tuple[int, int]
) -> None:
    go_on(bench)
    with Tmux(bench, *size) as terminal:
        terminal.type(WATCH, "Enter")
        until(lambda: "1 DONE, 2 RUNNING" in counts(terminal.seen()))
        first = terminal.seen()
        assert terminal.flag("alternate_on") == "1"
        assert terminal.flag("cursor_flag") == "0"
        terminal.type("typed by mistake", "Enter", "Enter")
        bench.go("c")
        until(lambda: "6 DONE, 1 RUNNING" in counts(terminal.seen()))
        later = terminal.seen()
        terminal.resize(*other)
        until(lambda: re.search(CLOCK, terminal.seen()[0][other[0] - 8 :]))
        resized = terminal.seen()
        terminal.type("C-c")
        until(lambda: terminal.flag("alternate_on") == "0" and prompts(terminal) == 2)
        left = terminal.scrolled()
        terminal.type("stty -a; echo code $?", "Enter")
        until(lambda: "code 0" in terminal.scrolled())
        modes = terminal.scrolled()

        assert terminal.flag("alternate_on") == "0"
        assert terminal.flag("cursor_flag") == "1"
    for lines, (width, height) in ((first, size), (later, size), (resized, other)):
        assert len(lines) == height
        assert max(map(len, lines)) <= width
        assert lines[0].startswith("s ")
        assert re.fullmatch(CLOCK, lines[0][width - 8 :])
        assert any("FAILED: ValueError: shard x.tar: key 7 is no image" in line for line in lines)
        assert any(re.search(r"d +RUNNING +1/10", line) for line in lines)
        assert "typed by mistake" not in "".join(lines)
    assert counts(first) == "8 jobs: 1 DONE, 2 RUNNING, 4 QUEUED, 1 FAILED"
    assert counts(left.splitlines()) == "8 jobs: 6 DONE, 1 RUNNING, 1 FAILED"
    assert left.count(QUESTION) == 1
    assert "typed by mistake" not in left
    assert " echo " in modes


@pytest.mark.slow
@pytest.mark.tmux
def test_a_watch_that_is_stopped_gives_the_terminal_back_and_takes_it_again(bench: Bench) -> None:
    go_on(bench)
    with Tmux(bench, *NARROW) as terminal:
        terminal.type(WATCH, "Enter")
        until(lambda: "RUNNING" in counts(terminal.seen()))
        terminal.type("C-z")
        until(lambda: "Stopped" in "".join(terminal.seen()))
        stopped = terminal.flag("alternate_on"), terminal.flag("cursor_flag")
        terminal.type("fg", "Enter")
        until(lambda: "RUNNING" in counts(terminal.seen()))
        again = terminal.flag("alternate_on"), terminal.flag("cursor_flag")
        terminal.type("C-c")
        until(lambda: terminal.flag("alternate_on") == "0")

    assert (stopped, again) == (("0", "1"), ("1", "0"))


def test_only_lines_that_changed_are_written() -> None:
    before = ["head", "a 1", "b 2"]

    assert changes([], before) == "\x1b[1;1Hhead\x1b[2;1Ha 1\x1b[3;1Hb 2"
    assert changes(before, ["head", "a 9", "b 2"]) == "\x1b[2;1Ha 9"
    assert changes(before, before) == ""


def test_a_screen_needs_a_terminal_that_can_move_its_cursor() -> None:
    class Out(StringIO):
        def isatty(self) -> bool:
            return self is terminal

    def on(term: str, out: Out) -> Console:
        return Console(file=out, _environ={"TERM": term, "FORCE_COLOR": "1"})

    terminal = Out()

    assert is_live(on("xterm", terminal))
    assert not is_live(on("dumb", terminal))
    assert not is_live(on("xterm", Out()))
