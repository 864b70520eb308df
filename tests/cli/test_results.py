import csv
import io
import json

import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_results_are_a_table_csv_that_parses_back_and_documented_json(done: Bench) -> None:
    table = done.orchestrate("results", "s")
    parsed = list(csv.reader(io.StringIO(done.orchestrate("results", "s", "--csv").stdout)))
    told = json.loads(done.orchestrate("results", "s", "--json", "--also", "train/loss").stdout)
    mixed = done.orchestrate("results", "s", "--by", "seed", "--csv")

    assert table.stdout.splitlines()[0].split() == ["case", "n", "miss", "div", "val/top1"]
    assert parsed[0] == [
        *("case", "n", "missing", "diverged", "stopped"),
        *("val/top1 mean", "std", "low", "high", "notes"),
    ]
    assert parsed[1][:-1] == ["a", "1", "0", "0", "0", "91.5", "", "", ""]
    assert [row[:5] for row in parsed[2:]] == [["b", *"0100"], ["c", *"0010"]]
    assert (told["schema"], told["metric"], told["by"]) == (1, "val/top1", ["case"])
    keys = "case n missing diverged mean std ci95 job_ids mixes values stopped flags train/loss"
    assert [" ".join(row) for row in told["rows"]] == [keys] * 3
    assert "differ in case; add --by case" in mixed.stderr
    assert len(mixed.stdout.splitlines()) == 2


@pytest.mark.slow
def test_every_form_is_written_and_what_makes_no_sense_is_refused(done: Bench) -> None:
    markdown = done.orchestrate("results", "s", "--markdown").stdout
    latex = done.orchestrate("results", "s", "--latex", "--at", "best").stdout
    compared = done.orchestrate("results", "s", "--baseline", "case == 'a'", "--csv").stdout
    both = done.orchestrate("results", "s", "--csv", "--json")
    wrong = done.orchestrate("results", "s", "--baseline", "lr > 0")

    assert "| case | n | missing | diverged | val/top1 | notes |" in markdown.splitlines()
    assert "1: older code (1 of 1)" in markdown
    assert r"\begin{tabular}{lrrrrl}" in latex
    assert "val/top1 (best)" in latex
    assert [line["verdict"] for line in csv.DictReader(io.StringIO(compared))] == [
        *("baseline", "one seed", "one seed")
    ]
    assert (both.returncode, "say one of --csv" in both.stderr) == (2, True)
    assert (wrong.returncode, "it must pick exactly one" in wrong.stderr) == (1, True)
