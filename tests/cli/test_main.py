import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.pool_bench import Bench
from support.verbs import examples, verbs

from orchestrator.cli.main import SHORT_HELP, VERBS, cli

HEAVY = ("torch", "ray", "mlflow", "submitit", "numpy", "matplotlib", "timm", "sklearn")
HEAVY_FOR_HELP = (*HEAVY, "pydantic", "yaml", "rich", "pandas", "PIL", "webdataset", "requests")
PROBE = """
import sys
try:
    import orchestrator.cli.main as it
    if len(sys.argv) > 1:
        it.main()
except SystemExit as end:
    assert end.code in (None, 0, 3), end.code
finally:
    print("LOADED", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


HELP = """
import sys
from support.verbs import verbs
from orchestrator.cli.main import cli
for verb, _ in [("", None), *verbs()]:
    cli.main([*verb.split(), "--help"], prog_name="orchestrate", standalone_mode=False)
    assert not (loaded := [name for name in {heavy!r} if name in sys.modules]), (verb, loaded)
"""


@pytest.mark.parametrize(("verb", "command"), [*verbs()], ids=str)
def test_every_verb_has_help_with_examples_that_click_takes(
    verb: str, command: click.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda self, value, *_: value)  # none need be there
    shown = CliRunner().invoke(cli, [*verb.split(), "--help"]).output
    words = examples(command)

    assert verb.partition(" ")[0] in SHORT_HELP
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert any(f"{' '.join(example)} ".startswith(f"{verb} ") for example in words)
    for example in words:
        assert_taken(example)


def assert_taken(words: list[str]) -> None:
    """Parse a command to its end, as click does before it calls the verb."""
    known = dict(verbs())
    name = max((one for one in known if [*words[: len(one.split())]] == one.split()), key=len)

    # a command keeps the help option of the context that asks first
    known[name].make_context(name, words[len(name.split()) :], **cli.context_settings)


def test_help_names_every_verb() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output

    assert all(f"  {verb} " in shown for verb in VERBS)
    assert SHORT_HELP.keys() == VERBS.keys()


def test_no_help_loads_anything_that_takes_time() -> None:
    subprocess.run(
        [sys.executable, "-c", HELP.format(heavy=HEAVY_FOR_HELP)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.DEVNULL,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "",
        "plan {sweep}",
        "launch {other}",
        "status",
        "status --json",
        "failures s",
        "watch s --once",
        "watch s",
        "logs s/a",
        "cancel other --yes",
        "gc --json",
        "results s",
        "results s --csv",
        "flops {sweep}",
    ],
)
def test_the_control_plane_loads_nothing_heavy(done: Bench, words: str) -> None:
    done.script("d", "claim", "wait")
    other = done.sweep("d", name="other")
    if words.startswith("cancel"):
        done.orchestrate("launch", str(other))
    command = words.format(sweep=done.folder / "s.yaml", other=other).split()

    shown = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *command],
        env={**os.environ, **done.environment},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stderr.splitlines()[-1] == "LOADED"


@pytest.mark.slow
def test_the_exit_code_tells_what_happened(bench: Bench) -> None:
    good = str(bench.sweep("a"))
    bench.script("b", "claim", "fail x")
    failing = str(bench.sweep("b", name="f"))

    def code(*words: str) -> int:
        return bench.orchestrate(*words).returncode

    assert code("launch", good, "--wait") == 0
    assert code("launch", "none.yaml") == 1
    assert code("status", "nothing") == 1
    assert code("status", "--root", good) == 1
    assert code("launch") == 2
    assert code("launch", good, "--nonsense") == 2
    assert code("launch", good, "--seeds", "x") == 2
    assert code("nonsense") == 2
    assert code("launch", failing, "--wait") == 3


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback(done: Bench) -> None:
    command = f"{sys.executable} -m orchestrator.cli"
    for verb in ("status", "status --json", "results s", "results s --csv", "logs s/a"):
        piped = subprocess.run(
            ["/bin/sh", "-c", f"{command} {verb} | true"],
            env={**os.environ, **done.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert piped.stderr == "", verb


def test_a_closed_output_is_no_traceback(bench: Bench) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", "flops", str(bench.sweep("a"))]
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_root_that_is_none_is_told_in_one_line(tmp_path: Path, bench: Bench) -> None:
    for root in (tmp_path / "none", tmp_path / "file" / "runs"):
        (tmp_path / "file").write_text("")
        told = bench.orchestrate("status", "--root", str(root))
        assert (told.returncode, told.stderr.count("\n")) == (1, 1)
        assert told.stderr.startswith("error: ")
