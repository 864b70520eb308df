"""What a job lacked is what a watch asks for the next time."""

import re

import pytest
import yaml
from fakes.arrays import leave
from support.scene import Scene

from orchestrator.jobs.facts import Ending, RankError
from orchestrator.jobs.files import publish, to_json

pytestmark = pytest.mark.slow
WATCH = ("watch", "--once")
REFUSING = """#!/bin/sh
for script; do :; done
if grep -q 'exclude=.*node1' "$script"; then
    echo 'sbatch: error: Batch job submission failed: Requested node configuration is not available'
    exit 1
fi >&2
exec "${0%/*}/../real/sbatch" "$@"
"""
LIMITS = {"time": "12h", "mem_gb_per_node": 24}


def asking(scene: Scene, **resources: object) -> None:
    """Sweep s on a partition whose limits are known, its jobs asking for this."""
    profile = yaml.safe_load(scene.site.profile.read_text())
    profile["partitions"]["cpu"] = LIMITS
    scene.site.profile.write_text(yaml.safe_dump(profile))
    asked = yaml.safe_dump({"partition": "cpu", **resources}, default_flow_style=True).strip()
    text = scene.sweep.read_text()
    scene.sweep.write_text(text.replace("{partition: cpu}", asked))


def asked(scene: Scene, name: str, option: str) -> list[str]:
    """What each submission of a job asked for, oldest first."""
    tokens = [
        t.token for t in scene.site.tasks() if t.membership(scene.root).job == scene.job(name)
    ]
    scripts = [scene.root.submission(token).script.read_text() for token in tokens]
    found = (re.search(rf"^#SBATCH --{option}=(.*)$", script, re.MULTILINE) for script in scripts)
    return [match.group(1).strip("'") if match else "" for match in found]


def test_a_job_out_of_memory_gets_half_as_much_again_until_a_node_has_no_more(scene: Scene) -> None:
    asking(scene, mem_gb_per_node=12)
    scene.launch()
    for _ in range(4):
        scene.starts("a")
        scene.ends("a", "OUT_OF_MEMORY")
        scene.orchestrate(*WATCH)
        if scene.states()["a"] == "FAILED":
            break

    assert asked(scene, "a", "mem") == ["12288M", "18432M", "24576M"]
    assert asked(scene, "b", "mem") == ["12288M"]
    why = scene.orchestrate("why", "s/a").said
    assert "memory: its node ended it for using more memory than it asked for" in why
    assert "Action: more memory; ask for more: resources.mem_gb_per_node" in why


def test_a_job_out_of_memory_that_asked_for_none_is_left_to_people(scene: Scene) -> None:
    asking(scene)
    scene.launch()
    scene.starts("a")
    scene.ends("a", "OUT_OF_MEMORY")

    scene.orchestrate(*WATCH)

    assert scene.asked()["a"] == 1


def test_a_job_that_gains_nothing_in_its_time_gets_twice_as_much(scene: Scene) -> None:
    asking(scene, time="5h")
    scene.launch()
    for _ in range(3):
        scene.starts("a")
        scene.ends("a", "TIMEOUT")
        scene.orchestrate(*WATCH)

    assert asked(scene, "a", "time") == ["300", "600", "720", "720"]


def with_a_broken_gpu(scene: Scene) -> None:
    """a fails on node1 because of its GPU, and a watch need not wait."""
    profile = yaml.safe_load(scene.site.profile.read_text())
    profile |= {"reasons": {"gpu": {"back_off_s": 0}}, "extra": {"exclude": "old[1-4]"}}
    scene.site.profile.write_text(yaml.safe_dump(profile))
    scene.launch()
    attempt = scene.starts("a")
    error = RankError(0, 0.0, "AcceleratorError", "CUDA error: unspecified launch failure")
    publish(
        attempt.error(0),
        to_json({name: getattr(error, name) for name in RankError.__slots__}),
    )
    leave(attempt, Ending.ERROR)
    scene.ends("a", "FAILED", 1 << 8)


def test_a_job_whose_gpu_failed_goes_to_another_node(scene: Scene) -> None:
    asking(scene)
    with_a_broken_gpu(scene)

    scene.orchestrate(*WATCH)

    assert asked(scene, "a", "exclude") == ["old[1-4]", "old[1-4],node1"]
    assert asked(scene, "b", "exclude") == ["old[1-4]"]


def test_a_job_goes_to_any_node_where_no_other_is_left(scene: Scene) -> None:
    asking(scene)
    with_a_broken_gpu(scene)
    sbatch = scene.site.folder / "bin" / "sbatch"
    (scene.site.folder / "real").mkdir()
    sbatch.rename(scene.site.folder / "real" / "sbatch")
    sbatch.write_text(REFUSING)
    sbatch.chmod(0o755)

    watched = scene.orchestrate(*WATCH)

    assert watched.code == 4, watched.said
    assert asked(scene, "a", "exclude") == ["old[1-4]", "old[1-4]"]
    assert scene.states()["a"] == "QUEUED"
