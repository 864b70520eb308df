import io
from pathlib import Path

import numpy as np
import pytest

from orchestrator.documents.results import Emerged
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.probes import probe_file
from orchestrator.results.emergence import Arm, arms_of, as_json, notes_of
from orchestrator.results.groups import grouped
from orchestrator.results.result import Result

IMAGES, PATCHES, DEPTH = 40, 16, 3


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def probed(
    root: Root,
    job: str,
    *epochs: int,
    since: int | None = None,
    broken: int | None = None,
    batch: str = "0",
) -> None:
    """Probes at these epochs; from ``since`` on block 1 has an outlier in every image.

    From ``broken`` on the last block's norms are not finite.
    """
    for epoch in epochs:
        outliers = np.zeros((DEPTH, IMAGES))
        there = since is not None and epoch >= since
        outliers[1] = there
        if broken is not None and epoch >= broken:
            outliers[2] = np.nan
        arrays = {
            "probe/epoch": np.array(epoch),
            "norms/by_block/outliers_by_image": outliers,
            "norms/tokens": np.ones((DEPTH, IMAGES, PATCHES), np.float16),
            "attention/outliers_received_later": np.array([np.nan, 9.0 if there else np.nan, 1.0]),
            "images/sha256": np.array(batch),
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        path = probe_file(root.job(job).probes, 1, epoch * 10)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def arms(root: Root) -> list[Arm]:
    results = [
        Result(f"{k}-{seed}", {"k": k, "seed": seed}, None, {}, name=f"k={k},seed={seed}")
        for k in (0, 4)
        for seed in (0, 1, 2)
    ]
    return arms_of(root, grouped(results, "", ["k"]), results)


def test_an_arm_says_in_how_many_of_its_seeds_artifacts_emerged_and_each_job_when(
    root: Root,
) -> None:
    probed(root, "0-0", 10, 20, 30, 40, 50, since=30)
    probed(root, "0-1", 10, 20, 30, 40, 50)
    probed(root, "0-2", 10, 20, 30, 40, since=40)
    probed(root, "4-0", 10, 20)

    vanilla, registers = arms(root)

    assert [answer.text for answer in vanilla.answers] == [
        "(20, 30], block 1",
        "none by epoch 50",
        "none confirmed by epoch 40, positive at the last probe",  # not three in a row
    ]
    assert (vanilla.summary, registers.summary) == ("1 of 3 seeds", "-")
    assert [answer.text for answer in registers.answers] == [
        "not to be told: 2 probes, the rule needs 3 in a row",
        *["not to be told: 0 probes, the rule needs 3 in a row"] * 2,
    ]
    (first, second) = as_json(["k"], [vanilla, registers])["rows"]
    assert (first["k"], first["seeds"], first["judged"], first["emerged"]) == (0, 3, 3, 1)
    assert first["jobs"][0]["found"]["by"] == 30
    assert {*first["jobs"][2]["found"]} == {*Emerged.__annotations__}
    assert (second["judged"], second["jobs"][0]["found"]) == (0, None)


def test_a_job_that_diverged_is_not_judged_unless_artifacts_emerged_before(root: Root) -> None:
    probed(root, "0-0", 10, 20, 30, 40, broken=40)
    probed(root, "0-1", 10, 20, 30, 40, since=10, broken=40)
    probed(root, "0-2", 10, 20, 30, 40)

    vanilla, _ = arms(root)

    assert vanilla.summary == "1 of 2 seeds"
    assert vanilla.answers[0].text == "not to be told: norms were not finite at epoch 40"
    row = as_json(["k"], [vanilla])["rows"][0]
    assert (row["judged"], row["emerged"]) == (2, 1)
    assert row["jobs"][0]["found"] is None


def test_a_damaged_probe_is_told_of_its_job_alone(root: Root) -> None:
    probed(root, "0-0", 10, 20, 30)
    probed(root, "0-1", 10, 20, 30)
    probe_file(root.job("0-0").probes, 1, 200).write_bytes(b"no archive")

    vanilla, _ = arms(root)

    assert "is damaged" in vanilla.answers[0].text
    assert vanilla.answers[1].text == "none by epoch 30"
    assert vanilla.summary == "0 of 1 seeds"


def test_probes_of_an_attempt_that_was_discarded_do_not_count(root: Root) -> None:
    probed(root, "0-0", 10, 20, 30, 40, since=10)
    root.job("0-0").attempt(1).path.mkdir(parents=True)
    before, _ = arms(root)
    write_order(root, Order(what="afresh", jobs=["0-0"], last={"0-0": 1}))

    after, _ = arms(root)

    assert before.answers[0].found is not None
    assert after.answers[0].text == "not to be told: 0 probes, the rule needs 3 in a row"


def test_one_probe_is_told_in_the_singular(root: Root) -> None:
    probed(root, "0-0", 10)

    assert arms(root)[0].answers[0].text.startswith("not to be told: 1 probe, the")


def test_probes_of_different_images_are_told_of_a_job_and_of_an_arm(root: Root) -> None:
    probed(root, "0-0", 10, 20, 30)
    probed(root, "0-0", 40, batch="other")
    probed(root, "0-1", 10, 20, 30)
    probed(root, "4-0", 10, 20, 30)
    probed(root, "4-1", 10, 20, 30, batch="other")
    probed(root, "4-2", 10, 20, 30, batch="other")

    of_job, of_arm = notes_of(arms(root))
    first, second = as_json(["k"], arms(root))["rows"]

    assert of_job.startswith("k=0,seed=0: probed on 2 different lists of images")
    assert of_arm.startswith("k=4,seed=0, k=4,seed=1, k=4,seed=2: probed on 2 different lists")
    assert (first["lists_of_images"], second["lists_of_images"]) == (2, 2)
    assert [job["lists_of_images"] for job in first["jobs"]] == [2, 1, 0]
    assert as_json(["k"], arms(root))["notes"] == [of_job, of_arm]


def test_the_same_images_everywhere_need_no_note(root: Root) -> None:
    probed(root, "0-0", 10, 20, 30)
    probed(root, "0-1", 10, 20, 30)

    assert notes_of(arms(root)) == []
