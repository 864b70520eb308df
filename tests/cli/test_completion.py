"""What a shell offers to complete; bash is a real one."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from orchestrator.cli.candidates import STATES
from orchestrator.cli.main import VARIABLE, VERBS, cli
from orchestrator.documents.registry import DOCUMENTS
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.files import publish
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State
from orchestrator.jobs.store import create_root, write_revision

IDS = ("0123456789abcdef" * 2, "0199999999999999" * 2, "fedcba9876543210" * 2)
NAMES = ("registers=0,seed=0", "registers=4,seed=0", "base")
JOURNAL = b'{"from_step":null}\n{"t":1,"step":1,"epoch":1,"m":{"val/top1":1,"train/loss":2}}\n{"t'
SHELLS = ("bash", "zsh", "fish")
PROBE = """
import sys
from orchestrator.cli.main import main
try:
    main()
finally:
    print(*[name for name in ("pydantic", "yaml", "rich", "numpy") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with two sweeps, one of which has measured something."""
    made = create_root(tmp_path_factory.mktemp("completed") / "runs")
    axes = ({"model.registers": 0, "seed": 0}, {"model.registers": 4, "seed": 0}, {"case": "x"})
    jobs = [{"id": i, "name": n, "axes": a} for i, n, a in zip(IDS, NAMES, axes, strict=True)]
    write_revision(made, "exp2", {"study": "gated", "jobs": jobs})
    write_revision(made, "exp3", {"study": "gated", "jobs": []})
    publish(made.job(IDS[1]).attempt(1).journal, JOURNAL)
    return made


def offered(root: Root, line: str) -> list[str]:
    """What may stand in place of the last word of a line."""
    *words, typed = line.split(" ")
    found = ShellComplete(cli, {}, "orchestrate", VARIABLE).get_completions(
        [*words[:1], "--root", str(root.path), *words[1:]] if words else [], typed
    )
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("results ", ["exp2", "exp3", "gated"]),
        ("status exp2", ["exp2", "exp2/"]),
        ("why ", ["exp2/", "exp3/"]),
        ("logs exp2/r", ["exp2/registers=0,seed=0", "exp2/registers=4,seed=0"]),
        ("logs reg", [*NAMES[:2]]),
        ("cancel 01", ["01234567", "01999999"]),
        ("why 0123456789a", ["0123456789a"]),
        ("sync g", ["gated"]),
        ("results exp2 --by ", ["model.registers", "seed", "case"]),
        ("results exp2 --metric ", ["train/loss", "val/top1"]),
        ("results exp2 --also v", ["val/top1"]),
        ("results exp2 --js", ["--json"]),
        ("results nothing --metric ", []),
        ("why exp3/", []),
        ("why nothing/", []),
        ("status --where ", [f'state=="{state}"' for state in STATES]),
        ("plan x --set optim.lr", ["optim.lr="]),
        ("plan x --executor ", [*EXECUTORS]),
    ],
)
def test_words_are_completed_by_what_the_root_has(root: Root, line: str, words: list[str]) -> None:
    assert offered(root, line) == words


def test_words_are_completed_by_what_the_program_and_the_folder_have(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.yaml", "notes.txt", "sweeps/b.yaml", ".hidden/c.yaml"):
        publish(tmp_path / name, b"")
    publish(tmp_path / "data/digits/manifest.json", b"")
    monkeypatch.chdir(tmp_path)

    assert offered(root, "re") == [verb for verb in VERBS if verb.startswith("re")]
    assert offered(root, "plan ") == ["a.yaml", "data/", "sweeps/", "sweeps/b.yaml"]
    assert offered(root, "plan sweeps/") == ["sweeps/b.yaml"]
    assert (
        ShellComplete(cli, {}, "orchestrate", VARIABLE)
        .get_completions(["data", "verify"], "d")[0]
        .value
        == "digits"
    )
    assert [item.value for item in ShellComplete(cli, {}, "", "").get_completions(
        ["schema", "--json"], ""
    )] == [*DOCUMENTS]  # fmt: skip
    assert {*STATES} == {*State}


def test_what_is_wrong_with_a_root_is_no_word_on_the_line(root: Root, tmp_path: Path) -> None:
    shutil.copytree(root.path, tmp_path / "runs")
    broken = Root(tmp_path / "runs")
    broken.revisions("exp2")[-1].write_text("{")

    assert offered(broken, "logs exp2/") == offered(broken, "sync g") == []
    assert offered(Root(tmp_path / "nowhere"), "results ") == []


@pytest.mark.parametrize("line", ["logs exp2/", "results exp2 --metric ", "sta"])
def test_a_completion_loads_nothing_that_takes_time(root: Root, line: str) -> None:
    asked = {VARIABLE: "bash_complete", "COMP_LINE": f"orchestrate {line}"}
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, **asked, "ORCHESTRATE_ROOT": str(root.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    *words, loaded = told.stdout.split("\n")[:-1]
    assert all(word.startswith("plain,") for word in words)
    assert words
    assert loaded == told.stderr == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_it_can_read(shell: str) -> None:
    script = CliRunner().invoke(cli, ["completion", shell]).stdout
    program = shutil.which(shell)

    assert f"{VARIABLE}={shell}_complete" in script
    if program:
        subprocess.run([program, "-n"], input=script, text=True, check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("stat", "status "),
        ("logs exp2/b", "logs exp2/base "),
        ("logs exp2/registers=4", "logs exp2/registers=4,seed=0 "),
        ("plan x.yaml --set optim.l", "plan x.yaml --set optim.lr="),
        ("status --where 'state==\"F", "status --where 'state==\"FAILED\"' "),
        ("status nothing/", "status nothing/"),
    ],
)
def test_bash_completes_names_with_equals_signs_and_quoted_conditions(
    root: Root, tmp_path: Path, typed: str, completed: str
) -> None:
    assert bash_makes(f"orchestrate {typed}", root, tmp_path) == f"orchestrate {completed}"


def bash_makes(line: str, root: Root, folder: Path) -> str:
    """The line after Tab was pressed in a bash that has read the script."""
    program = folder / "orchestrate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator.cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "ORCHESTRATE_ROOT": str(root.path),
        "INPUTRC": os.devnull,
        "PS1": "$ ",
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    pid, end = pty.fork()
    if pid == 0:
        os.execvpe("bash", ["bash", "--norc", "-i"], environment)  # noqa: S606
    os.write(end, b"bind 'set enable-bracketed-paste off'; bind 'set bell-style none'\n")
    os.write(end, b'eval "$(orchestrate completion bash)"; echo re""ady\n')
    read_until("ready\r\n$ ", end)
    os.write(end, f"{line}\t@@".encode())
    shown = read_until("@@", end)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(end)
    return shown


def read_until(mark: str, end: int) -> str:
    """What is shown up to a mark."""
    shown, deadline = "", time.monotonic() + 20
    while mark not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([end], [], [], 0.1)[0]:
            shown += os.read(end, 65536).decode()
    return shown.partition(mark)[0]
