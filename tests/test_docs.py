"""What the documents say is true."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support import reference

from orchestrator.cli.main import VERBS
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.load import load_sweep
from orchestrator.sweep.schema import sweep_schema
from orchestrator.sweep.strict_yaml import read_document

REPOSITORY = Path(__file__).parents[1]
SWEEPS = sorted((REPOSITORY / "sweeps").rglob("*.yaml"))
DOCUMENTS = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_loads(path: Path) -> None:
    assert load_sweep(path, executors=EXECUTORS).points


def test_the_sweep_in_the_readme_loads_and_has_the_points_it_promises(tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    shutil.copytree(REPOSITORY / "sweeps", tmp_path / "sweeps")
    written = tmp_path / "sweeps" / "registers.yaml"
    written.write_text(block)

    sweep = load_sweep(written, executors=EXECUTORS)

    assert f"{len(sweep.points) // 3} x 3 jobs" in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_stands_in_the_readme(verb: str) -> None:
    assert f"`orchestrate {verb}" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    local = [target for target in targets if "://" not in target]

    assert [target for target in local if not (document.parent / target).exists()] == []


EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (REPOSITORY / "docs/sweeps.md").read_text(), flags=re.DOTALL
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_language_has_the_points_that_it_says(
    tmp_path: Path, example: str
) -> None:
    shutil.copytree(REPOSITORY / "sweeps", tmp_path / "sweeps")
    written = tmp_path / "sweeps" / "page.yaml"
    head = "" if example.startswith("name:") else "name: page\nextends: quickstart.yaml\n"
    written.write_text(head + example)
    editor = Draft202012Validator(sweep_schema(EXECUTORS))

    sweep = load_sweep(written, executors=EXECUTORS)

    editor.validate(read_document(written).plain)
    assert len(sweep.points) == sum(map(int, re.findall(r"# ([0-9]+) point", example)))


def script_of(name: str, folder: Path) -> Path:
    """A script that the page of the language shows, ready to be run."""
    text = (REPOSITORY / "docs/sweeps.md").read_text()
    (script,) = re.findall(rf"```\w+\n(#!\S[^\n]*\n# {name}.*?)```", text, flags=re.DOTALL)
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return path


TOLD = {"message": "Sweep s has ended: 2 DONE.", "next": "orchestrate results s"}


def test_the_script_for_a_webhook_posts_what_happened(tmp_path: Path) -> None:
    posted: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.handle_request).start()
    subprocess.run(
        [sys.executable, script_of("slack.py", tmp_path)],
        input=json.dumps(TOLD).encode(),
        env={"SLACK_WEBHOOK": f"http://127.0.0.1:{server.server_port}/"},
        check=True,
    )
    server.server_close()

    (text,) = posted
    assert json.loads(text) == {"text": f"{TOLD['message']}\n`{TOLD['next']}`"}


def test_the_script_for_mail_sends_the_message_and_the_event(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_text(f'#!/bin/sh\n{{ echo "$2|$3"; cat; }} > {tmp_path}/sent\n')
    mail.chmod(0o755)
    about = {"EVENT": "ended", "SWEEP": "s", "MESSAGE": TOLD["message"]}
    subprocess.run(
        [script_of("mail.sh", tmp_path), "me@example.org"],
        input=json.dumps(TOLD).encode(),
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            **{f"ORCHESTRATE_{k}": v for k, v in about.items()},
        },
        check=True,
    )

    sent = (tmp_path / "sent").read_text().splitlines()
    assert sent == ["s: ended|me@example.org", TOLD["message"], "", json.dumps(TOLD)]


@pytest.mark.parametrize(
    ("name", "made"), [("commands", reference.commands), ("keys", reference.keys)]
)
def test_a_reference_is_what_the_code_says(name: str, made: Callable[[], str]) -> None:
    path = REPOSITORY / f"docs/{name}.md"
    if os.environ.get("ACCEPT_GOLDEN"):
        path.write_text(made())

    assert path.read_text() == made(), (
        f"to write it anew: ACCEPT_GOLDEN=1 python -m pytest {__file__}"
    )
