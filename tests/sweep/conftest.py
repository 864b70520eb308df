from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestrator.errors import SpecError
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep
from orchestrator.sweep.schema import sweep_schema
from orchestrator.sweep.strict_yaml import parse_document

EXECUTORS = ("local", "slurm")

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def editor() -> Draft202012Validator:
    """What an editor knows of sweep files."""
    return Draft202012Validator(sweep_schema(EXECUTORS))


@pytest.fixture
def load(folder: Path, editor: Draft202012Validator) -> Load:
    """Load a text as a.yaml, beside files already written; an editor takes whatever loads."""

    def load_text(text: str | bytes, *overrides: str, seeds: Sequence[int] | None = None) -> Sweep:
        path = folder / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        sweep = load_sweep(Path("a.yaml"), overrides=overrides, seeds=seeds, executors=EXECUTORS)
        editor.validate(parse_document(path.read_text("utf-8-sig"), "a.yaml").plain)
        return sweep

    return load_text


@pytest.fixture
def refused(folder: Path, load: Load) -> Refused:
    """The lines of the refusal of a text; nothing else may have been written."""

    def refuse(text: str | bytes, *overrides: str, seeds: Sequence[int] | None = None) -> list[str]:
        before = {path.name for path in folder.iterdir()} | {"a.yaml"}
        with pytest.raises(SpecError) as refusal:
            load(text, *overrides, seeds=seeds)
        assert {path.name for path in folder.iterdir()} == before
        return str(refusal.value).splitlines()

    return refuse
