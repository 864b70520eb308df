"""Jobs whose files were purged or damaged: told by every verb, and trained by none."""

import json
import shutil

from support.pool_bench import Bench

from orchestrator.jobs.layout import JobFolder

WHOLE, FAILED = "abefgij", "cd"
LOST = {"a": "folder is gone", "c": "job.json is gone", "d": "job.json is damaged"}
LOST |= {"e": "exit.json is missing", "f": "exit.json is missing", "g": "nothing that it measured"}
STILL_DONE = {"i": "its journal is missing or damaged: it ends at step 0 of 100", "j": "is missing"}


def damage(jobs: dict[str, JobFolder]) -> None:
    shutil.rmtree(jobs["a"].path)
    jobs["c"].record.unlink()
    jobs["d"].record.write_bytes(b"{")
    jobs["e"].attempt(1).exit.unlink()
    jobs["f"].attempt(1).exit.write_bytes(b'{"end": "fini')
    shutil.rmtree(jobs["g"].attempts)
    told = json.loads(jobs["i"].attempt(1).exit.read_bytes())
    jobs["i"].attempt(1).exit.write_text(json.dumps({**told, "step": 100}))
    jobs["i"].attempt(1).journal.unlink()
    jobs["j"].record.unlink()


def test_what_is_lost_of_a_sweep_is_told_and_never_trained_again_unasked(bench: Bench) -> None:
    cases = (*WHOLE, *FAILED)
    for name in WHOLE:
        bench.script(name, "claim", 'point 10 {"val/top1": 90}', "finish")
    for name in FAILED:
        bench.script(name, "claim", 'point 3 {"val/top1": 10}', "fail no such key")
    sweep = str(bench.sweep(*sorted(cases)))
    assert bench.orchestrate("launch", sweep, "--wait").returncode == 3
    jobs = {name: bench.root.job(bench.id_of(name)) for name in cases}
    shutil.rmtree(bench.root.path / "cache")  # as whoever changes files of jobs has to
    damage(jobs)
    submissions = len(bench.root.tokens())

    again = bench.orchestrate("launch", sweep)
    tended = bench.orchestrate("watch", "s", "--once")
    rows = {
        r["name"]: r for r in json.loads(bench.orchestrate("status", "s", "--json").stdout)["jobs"]
    }
    table = bench.orchestrate("results", "s")
    told = json.loads(bench.orchestrate("results", "s", "--json").stdout)

    assert "0 of 9 jobs submitted" in again.stdout, again.stderr
    assert "6 job(s) have started before and are not whole" in again.stderr
    assert len(bench.root.tokens()) == submissions, tended.stdout
    assert {name for name, row in rows.items() if row["state"] == "UNKNOWN"} == set(LOST)
    for name, fault in LOST.items():
        assert fault in rows[name]["reason"]
        assert "launch its sweep with --fresh POINT" in rows[name]["reason"]
        said = bench.orchestrate("why", f"s/{name}").stdout
        assert fault in said
        assert "left alone until it is whole again" in said
    assert jobs["j"].record.is_file()  # a launch writes it anew: the result is there
    assert rows["i"]["reason"] == STILL_DONE["i"]
    assert STILL_DONE["i"] in bench.orchestrate("why", "s/i").stdout
    for name, fault in {**LOST, "i": STILL_DONE["i"]}.items():
        assert any(note.startswith(f"{name} (") and fault in note for note in told["notes"]), fault
        assert f"note: {name} (" in table.stderr
    assert {row["case"]: row["n"] for row in told["rows"] if row["n"]} == {"b": 1, "j": 1}
    assert not list(jobs["a"].path.parent.glob(jobs["a"].path.name))
