import json
from typing import Any

import pytest
from pydantic import ValidationError
from support.profiles import ALPHA, PLAIN

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.config.allotment import partition_of
from orchestrator.config.cluster import OWN_OPTIONS
from orchestrator.jobs.files import to_json


def test_a_profile_that_went_through_a_file_is_the_same() -> None:
    again = ClusterProfile.from_record(json.loads(to_json(ALPHA.to_plain())))

    assert again == ALPHA
    assert list(again.partitions) == ["cpu", "gpu"]  # so their order must not matter any more
    assert partition_of(again, Resources())[0] == "gpu"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"partitions": {}}, "at least 1 item"),
        ({"name": "a b"}, "pattern"),
        ({"partitions": {"gpu*": {}}}, "pattern"),
        ({"partitions": {"gpu": {"gpu_type": "a100:4"}}}, "pattern"),
        ({"account": "a b"}, "one word"),
        ({"account": "a\n#SBATCH"}, "one word"),
        ({"constraint": ""}, "one word"),
        ({"setup": ["a\nb"]}, "one line"),
        ({"setup": ["a\x1b[0m"]}, "one line"),
        ({"launch_prefix": [""]}, "one line"),
        ({"python": "python3"}, "absolute path"),
        ({"scratch": "/local/$USER"}, "taken as it is written"),
        ({"network_interface": "ib0;"}, "pattern"),
        ({"stop_before_end_s": 29}, "greater than or equal to 30"),
        ({"controller_partition": "cpus"}, "no partition 'cpus'; nearest: cpu"),
        ({"extra": {"--nice": "1"}}, "without its --"),
        ({"extra": {"nice": "1\n2"}}, "one line"),
    ],
)
def test_a_wrong_fact_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ClusterProfile.from_plain({**PLAIN, **more})

    (detail,) = refusal.value.errors()
    assert words in detail["msg"]


@pytest.mark.parametrize("option", OWN_OPTIONS)
def test_an_option_that_another_key_decides_is_no_extra_one(option: str) -> None:
    with pytest.raises(ValidationError, match=f"{option} is decided by"):
        ClusterProfile.from_plain({**PLAIN, "extra": {option: "1"}})


def test_every_decider_of_an_option_is_a_key_that_exists() -> None:
    sections = {"resources": Resources, "placement": Placement}
    for decider in filter(None, OWN_OPTIONS.values()):
        section, _, key = decider.removesuffix(" in the sweep").rpartition(".")

        if section:
            assert key in sections[section].model_fields
        else:
            assert key in {*ClusterProfile.model_fields, "max_parallel"}
