import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.pool_bench import Bench

from orchestrator.cli.main import SHORT_HELP, VERBS

DATA_VERBS = ("data prepare digits", "data prepare folder", "data inspect", "data verify")
HEAVY = ("torch", "ray", "mlflow", "submitit", "numpy", "matplotlib", "timm", "sklearn")
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


@pytest.mark.parametrize("verb", [*VERBS, *DATA_VERBS])
def test_every_verb_has_help_with_an_example(verb: str, bench: Bench) -> None:
    assert verb.split(maxsplit=1)[0] in SHORT_HELP

    shown = bench.orchestrate(*verb.split(), "--help")

    assert shown.returncode == 0
    assert f"orchestrate {verb}" in shown.stdout.partition("\n")[2]
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_help_names_every_verb(bench: Bench) -> None:
    shown = bench.orchestrate("--help")

    assert all(f"  {verb} " in shown.stdout for verb in VERBS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
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
        "data --help",
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
