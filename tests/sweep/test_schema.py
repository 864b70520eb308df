import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from orchestrator.cli.main import cli
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.keys import LEAVES, SECTIONS
from orchestrator.sweep.schema import sweep_schema
from orchestrator.sweep.strict_yaml import read_document

REPOSITORY = Path(__file__).parents[2]
KEPT = REPOSITORY / "docs/sweep.schema.json"
SWEEPS = sorted((REPOSITORY / "sweeps").rglob("*.yaml"))


def test_the_schema_that_is_kept_is_the_one_that_is_printed() -> None:
    printed = CliRunner().invoke(cli, ["schema"]).output
    if os.environ.get("ACCEPT_GOLDEN"):
        KEPT.write_text(printed)

    assert KEPT.read_text() == printed, (
        f"the schema of sweep files has changed; to keep the new one: "
        f"ACCEPT_GOLDEN=1 python -m pytest {__file__}"
    )


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(sweep_schema(EXECUTORS))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_is_valid(path: Path) -> None:
    Draft202012Validator(sweep_schema(EXECUTORS)).validate(read_document(path).plain)


def test_the_schema_knows_every_key_wherever_it_may_stand() -> None:
    known = sweep_schema(EXECUTORS)["$defs"]
    block = known["BlockSpec"]["properties"]

    keys = {*LEAVES, *SECTIONS} - {"seed"}
    assert keys == known["settings"]["properties"].keys() == known["derive"]["properties"].keys()
    assert (
        keys
        == block["zip"]["properties"].keys()
        == block.keys() - {*("cases", "zip", "where", "seeds", "placement", "resources")}
    )


def test_docstrings_tell_what_a_key_is_for() -> None:
    known = sweep_schema(EXECUTORS)["$defs"]

    assert known["optim.lr"]["description"].startswith("Peak learning rate")
    assert known["model.registers"]["description"].startswith("learnable tokens beside")
    assert known["model.gate.bias_init"]["description"].endswith("at 1.278 fully.")
    assert known["model"]["description"].startswith("A vision transformer in DeiT III's layout")
