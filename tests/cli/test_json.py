"""Every verb's document is what its schema and ``docs/json.md`` say."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from support.json_page import page
from support.kept import leave_half
from support.pool_bench import Bench
from support.shown import plant_store
from support.verbs import verbs

from model.vit import build_vit
from orchestrator.cli.main import VERBS, cli
from orchestrator.config import RunConfig
from orchestrator.documents.registry import DOCUMENTS, WITHOUT, schema_of
from orchestrator.jobs.records import read_trained
from orchestrator.worker import weights

LEAVES = [(verb, command) for verb, command in verbs() if not isinstance(command, click.Group)]
KEPT = Path(__file__).parents[2] / "docs/json.md"


def printed(bench: Bench, verb: str, *words: str) -> dict[str, Any]:
    """The document of a verb, which is as its schema says."""
    name, *options = verb.split(" --")
    command = [*name.split(), *(f"--{option}" for option in options), *words, "--json"]
    done = CliRunner().invoke(cli, command, env=bench.environment)
    assert done.stdout, (done.exception, done.output)
    document: dict[str, Any] = json.loads(done.stdout)

    Draft202012Validator(schema_of(verb)).validate(document)
    return document


@pytest.mark.parametrize(("verb", "command"), LEAVES, ids=str)
def test_every_verb_prints_a_document_or_says_why_not(verb: str, command: click.Command) -> None:
    if verb in WITHOUT:
        return

    documents = [name.partition(" --")[0] for name in DOCUMENTS]
    assert any(option.name == "as_json" for option in command.params)
    assert any(f"{verb} ".startswith(f"{name} ") for name in documents)


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_a_document_is_of_a_verb_and_refuses_keys_that_nobody_declared(verb: str) -> None:
    schema = schema_of(verb)
    Draft202012Validator.check_schema(schema)

    assert verb.split(maxsplit=1)[0] in VERBS
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema"] == {"const": 1, "type": "integer"}


def test_the_page_that_is_kept_tells_the_documents_that_there_are() -> None:
    if os.environ.get("ACCEPT_GOLDEN"):
        KEPT.write_text(page())

    assert KEPT.read_text() == page(), (
        "documents have changed; to keep the new page: "
        f"ACCEPT_GOLDEN=1 python -m pytest {__file__} -k page"
    )


@pytest.mark.slow
def test_looks_at_a_root_print_their_documents(done: Bench, tmp_path: Path) -> None:
    sweep = str(done.folder / "s.yaml")
    status = printed(done, "status", "s")
    plan = printed(done, "plan", sweep)
    why = printed(done, "why", "s/b")
    failures = printed(done, "failures", "s")
    rules = printed(done, "retry --why", "s")
    results = printed(
        done, "results", "s", "--also", "train/loss", "--baseline", "case == 'a'", "--at", "best"
    )
    emergence = printed(done, "emergence", "s")
    usage = printed(done, "usage", "s")
    compared = printed(done, "compare", "s/a", "s/c")
    report = printed(done, "report", "s", "-o", str(tmp_path / "page.html"))

    assert [job["state"] for job in status["jobs"]] == ["DONE", "FAILED", "DONE"]
    assert plan["counts"] == {"DONE": 2, "FAILED": 1}
    assert (usage["total"]["jobs"], compared["other"]["name"]) == (3, "c")
    assert (why["name"], why["kind"]) == ("b", "exception")
    assert [group["count"] for group in failures["groups"]] == [1, 1]
    assert [[job["name"] for job in one["jobs"]] for one in rules["rules"]] == [["b"]]
    assert [(row["case"], row["mean"], row["train/loss"]) for row in results["rows"]] == [
        ("a", 91.5, 0.25),
        ("b", None, None),
        ("c", None, None),
    ]
    assert [row["judged"] for row in emergence["rows"]] == [0, 0, 0]
    page_of_s = (tmp_path / "page.html").read_text()
    assert (report["bytes"], report["figures"]) == (len(page_of_s.encode()), [])
    assert "3 jobs started, 2 failed or diverged" in page_of_s


@pytest.mark.slow
def test_verbs_that_ask_only_show_without_a_yes(done: Bench) -> None:
    leave_half(done.root.snapshots)
    garbage = printed(done, "gc")
    cancelled = printed(done, "cancel", "s")

    assert garbage["bytes"] > 0
    assert (cancelled["cancelled"], [job["name"] for job in cancelled["jobs"]]) == (False, ["b"])


@pytest.mark.slow
def test_looks_at_a_site_print_their_documents(done: Bench) -> None:
    sweep, sound = str(done.folder / "s.yaml"), printed(done, "data verify", "digits")
    doctor = printed(done, "doctor")
    counted = printed(done, "flops", sweep)
    timed = printed(done, "flops", sweep, "--time", "--repeats", "1", "--device", "cpu")
    digits = printed(done, "data inspect", "digits")
    printed(done, "data prepare", "digits")

    assert doctor["findings"]
    assert counted["arms"][0]["forward_macs"] == timed["arms"][0]["forward_macs"]
    assert timed["arms"][0]["time"]["forward_s"]["median"] > 0
    assert (digits["content_hash"], sound["sound"]) == (sound["content_hash"], True)


@pytest.mark.slow
def test_a_dataset_that_is_not_sound_is_told_and_an_error(done: Bench, tmp_path: Path) -> None:
    shutil.copytree(done.data / "digits", tmp_path / "digits")
    next((tmp_path / "digits").rglob("*.tar")).write_bytes(b"")

    told = printed(done, "data verify", "digits", "--data-root", str(tmp_path))

    assert not told["sound"]
    assert told["faults"]


@pytest.mark.slow
def test_what_moves_a_study_prints_its_document(
    done: Bench, empty_store: Path, tmp_path: Path
) -> None:
    plant_store(done.root, empty_store)
    file, other = tmp_path / "s.tar.gz", ("--root", str(tmp_path / "runs"))
    failed = printed(done, "sync", "s", "--where", "state == 'FAILED'")
    synced = printed(done, "sync", "s")
    exported = printed(done, "export", "s", str(file))
    asked = printed(done, "import", str(file), "--dry-run", *other)
    merged = printed(done, "import", str(file), *other)

    assert (failed["created"], synced["created"]) == (1, 2)
    assert exported["counts"] == {"DONE": 2, "FAILED": 1}
    assert (asked["written"], merged["written"]) == (False, True)
    assert [*merged["fates"].values()] == ["new"] * 3


@pytest.mark.slow
def test_what_looks_into_a_model_prints_its_document(done: Bench, tmp_path: Path) -> None:
    job = done.root.job(done.id_of("a"))
    config = read_trained(done.root, job.path.name)
    assert isinstance(config, RunConfig)
    weights.save(job, job.attempt(1), 10, 10, build_vit(config.model, 1).state_dict())
    written = printed(done, "weights", "s/a", "-o", str(tmp_path / "a.pt"))
    probed = printed(done, "probe", "s/a", "--count", "4", "--out", str(tmp_path / "report"))

    assert (written["name"], written["epoch"], written["plain_timm"]) == ("a", 10, True)
    assert probed["model"]["job"] == written["job"]


@pytest.mark.slow
def test_what_starts_and_stops_jobs_prints_its_document(bench: Bench) -> None:
    bench.script("b", "claim", "fail it was wrong")
    launched = printed(bench, "launch", str(bench.sweep("a", "b")))
    bench.orchestrate("watch", "s")
    watched = printed(bench, "watch --once", "s")
    bench.script("b", "claim", "wait")
    retried = printed(bench, "retry", "s")
    cancelled = printed(bench, "cancel", "s", "--yes")

    assert (launched["jobs"], len(launched["submitted"])) == (2, 2)
    assert (watched["over"], watched["counts"]) == (True, {"DONE": 1, "FAILED": 1})
    assert retried["submitted"] == [job["id"] for job in cancelled["jobs"]]
    assert cancelled["cancelled"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("launch", "s.yaml", "--wait"), "--json does not go with --wait"),
        (("launch", "s.yaml", "--fresh", "all"), "--json asks nothing: say --yes"),
        (("watch",), "--json tells of one round: say --once too"),
    ],
)
def test_what_goes_on_or_asks_prints_no_document(words: tuple[str, ...], why: str) -> None:
    refused = CliRunner().invoke(cli, [*words, "--json"])

    assert refused.exit_code == 2
    assert why in refused.stderr
