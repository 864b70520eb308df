import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orchestrator.config import (
    AnalyzeConfig,
    EvaluateConfig,
    JobConfig,
    RunConfig,
    config_from_plain,
)
from orchestrator.jobs.identity import (
    FROZEN_DEFAULTS,
    FROZEN_OF_ANALYSES,
    FROZEN_OF_EVALUATIONS,
    job_id,
    reduced,
    restored,
)

PARENT = "0123456789abcdef0123456789abcdef"
TABLES = [
    (FROZEN_DEFAULTS, Path(__file__).with_name("frozen_defaults.json")),
    (FROZEN_OF_EVALUATIONS, Path(__file__).with_name("frozen_of_evaluations.json")),
    (FROZEN_OF_ANALYSES, Path(__file__).with_name("frozen_of_analyses.json")),
]
each_table = pytest.mark.parametrize(
    ("table", "file"), TABLES, ids=["train", "evaluate", "analyze"]
)
WITHOUT_DEFAULT = {"data.name", "model.gate.position"}

# Ids of the first version. None may ever change: jobs that were run are found by them.
GOLDEN_IDS: list[tuple[dict[str, Any], str]] = [
    ({"data": {"name": "d"}}, "b26403d677d77830a2ee31c389d64c69"),
    (
        {"data": {"name": "imagenet100"}, "seed": 3, "optim": {"lr": 3e-3}},
        "0cbfae44d7796a1cdd4757234599b144",
    ),
    (
        {"data": {"name": "d"}, "model": {"registers": 4, "gate": {"position": "sdpa"}}},
        "6ec9cd391c83e0a8104964f492a697bf",
    ),
    (
        {
            "data": {"name": "d", "flip": True},
            "model": {"gate": {"position": "value", "bias": False}, "layer_scale": None},
            "train": {"chunk": 64, "precision": "bf16"},
        },
        "05ead1a1358c1778708e225a84e8f42c",
    ),
    ({"task": "evaluate", "of": PARENT, "data": {"name": "d"}}, "20bce6bcd7a3634b95eaa17587f583b9"),
    (
        {"task": "evaluate", "of": PARENT, "checkpoint": 300, "data": {"name": "d"}},
        "bd4096dc8aaa4278a6b588da7e2e8803",
    ),
    ({"task": "analyze", "of": PARENT, "data": {"name": "d"}}, "111a21913f8309d1fac73730c644c6e9"),
    (
        {
            "task": "analyze",
            "of": "timm:vit_small_patch14_dinov2.lvd142m",
            "data": {"name": "d"},
            "analysis": {"images": 50},
        },
        "98b4a6e585ca618bd1d1236b58080cfd",
    ),
]

rates = st.floats(1e-6, 0.9)
counts = st.integers(1, 50)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


GATES = some(
    position=st.sampled_from(["sdpa", "value"]),
    bias=st.just(value=True),
    init_std=rates,
    bias_init=rates,
    activation=st.sampled_from(["sigmoid", "silu", "ns_sigmoid"]),
    mode=st.sampled_from(["multiply", "add"]),
)
EVALUATIONS = st.builds(
    EvaluateConfig,
    of=st.sampled_from([PARENT, PARENT[::-1]]),
    checkpoint=st.sampled_from(["last", "best", 1, 300]),
    data=st.sampled_from([{"name": "d"}, {"name": "e"}]),
)
ANALYSES = st.builds(
    AnalyzeConfig,
    of=st.sampled_from([PARENT, "timm:vit_small_patch14_dinov2.lvd142m"]),
    data=st.sampled_from([{"name": "d"}, {"name": "e"}]),
    analysis=some(images=st.none() | counts, name=st.just("probes")),
)
CONFIGS = (EVALUATIONS | ANALYSES) | st.builds(
    RunConfig.from_plain,
    st.fixed_dictionaries(
        {
            "data": st.fixed_dictionaries(
                {"name": st.sampled_from("de")}, optional={"shift": counts}
            )
        },
        optional={
            "model": some(
                registers=st.sampled_from([0, 4]),
                attention=st.sampled_from(["softmax", "differential", "mine.shifted"]),
                depth=counts,
                mlp_ratio=st.sampled_from([4, 4.0, 2]),
                gate=st.none() | GATES,
                layer_scale=st.none() | rates,
            ),
            "optim": some(
                lr=st.sampled_from([1e-3, 1, 1.0]),
                clip_norm=st.none() | rates,
                warmup_epochs=counts,
            ),
            "train": some(epochs=counts, data_seed=st.none() | counts, chunk=st.sampled_from([64])),
            "probe": some(images=counts),
            "seed": counts,
        },
    ),
)


@given(CONFIGS)
def test_a_reduced_configuration_is_restored_whole(config: JobConfig) -> None:
    assert restored(reduced(config)) == config


@given(CONFIGS, CONFIGS)
def test_two_configurations_are_equal_where_their_reduced_forms_are(
    one: JobConfig, other: JobConfig
) -> None:
    assert (one == other) == (reduced(one) == reduced(other))
    assert (one == other) == (job_id(one) == job_id(other))


def test_nothing_is_left_of_defaults_but_the_name_of_the_data() -> None:
    assert reduced(RunConfig.from_plain({"data": {"name": "d"}})) == {"data.name": "d"}


def test_a_gate_of_defaults_is_told_by_its_position() -> None:
    config = RunConfig.from_plain({"data": {"name": "d"}, "model": {"gate": {}}})

    assert reduced(config) == {"data.name": "d", "model.gate.position": "sdpa"}


def test_a_reduced_form_of_a_newer_program_is_refused() -> None:
    with pytest.raises(ValidationError, match="novelty"):
        restored({"data.name": "d", "model.novelty": 3})


@pytest.mark.parametrize(("plain", "golden"), GOLDEN_IDS)
def test_an_id_never_changes(plain: dict[str, Any], golden: str) -> None:
    assert job_id(config_from_plain(plain)) == golden


@each_table
def test_the_frozen_defaults_only_ever_grow(table: Mapping[str, Any], file: Path) -> None:
    golden = json.loads(file.read_text())

    edited = {
        key: value
        for key, value in golden.items()
        if key not in table or json.dumps(table[key]) != json.dumps(value)
    }
    assert not edited, (
        "A table of frozen defaults is append only: an edited line gives finished jobs other ids, "
        "or other behaviour to old ones. Put these lines back; a changed default needs no change."
    )


@each_table
def test_every_frozen_default_is_in_the_golden_file(table: Mapping[str, Any], file: Path) -> None:
    missing = [key for key in table if key not in json.loads(file.read_text())]

    assert not missing, f"append these lines of the table to {file.name}; append only"


def test_an_evaluation_says_its_task_its_parent_and_its_images() -> None:
    config = config_from_plain({"task": "evaluate", "of": PARENT, "data": {"name": "d"}})

    assert reduced(config) == {"task": "evaluate", "of": PARENT, "data.name": "d"}
    assert set(leaves(config)) == {*reduced(config), *FROZEN_OF_EVALUATIONS}


def test_an_analysis_says_its_task_its_model_and_its_images() -> None:
    config = config_from_plain({"task": "analyze", "of": "timm:x", "data": {"name": "d"}})

    assert reduced(config) == {"task": "analyze", "of": "timm:x", "data.name": "d"}
    assert set(leaves(config)) == {*reduced(config), *FROZEN_OF_ANALYSES}


def test_a_model_of_timm_has_one_checkpoint() -> None:
    plain = {"task": "analyze", "of": "timm:x", "data": {"name": "d"}, "checkpoint": "best"}

    with pytest.raises(ValidationError, match="timm:x has its last weights alone"):
        config_from_plain(plain)


def test_every_setting_has_a_frozen_default() -> None:
    gated = RunConfig.from_plain({"data": {"name": "d"}, "model": {"gate": {}}})
    settings = set(leaves(gated))

    assert settings == {*FROZEN_DEFAULTS, *WITHOUT_DEFAULT} - {"model.gate"}


def leaves(section: Any, prefix: str = "") -> Iterator[str]:
    names = (
        type(section).model_fields
        if isinstance(section, BaseModel)
        else [field.name for field in dataclasses.fields(section)]
    )
    for name in names:
        value = getattr(section, name)
        if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
