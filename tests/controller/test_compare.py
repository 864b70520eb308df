from pathlib import Path

import numpy as np
import pytest
from support.by_hand import PER_EPOCH, STEPS, done, trained

from orchestrator.cli.compare import NOT_TESTED, show_comparison
from orchestrator.controller.compare import Differs, as_json, compare, differences
from orchestrator.controller.select import Named
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.jobs.store import create_root

TOP1 = [{"val/top1": value} for value in (80.0, 70.0, 75.0)]


def test_what_one_lacks_and_what_both_have_otherwise_is_told_by_aspect() -> None:
    one = {"settings": {"optim.lr": 1e-3, "seed": 0}, "code": {"hash": "a"}}
    other = {"settings": {"optim.lr": 1e-3, "seed": 1, "model.gate.mode": "add"}, "code": {}}

    assert list(differences(one, other)) == [
        Differs("settings", "model.gate.mode", None, "add"),
        Differs("settings", "seed", 0, 1),
        Differs("code", "hash", "a", None),
    ]


def answered(root: Root, job: str, step: int) -> None:
    label = np.zeros(8, np.uint16)
    said = Predictions(
        key=np.array([b"%d" % place for place in range(8)]),
        label=label,
        classes=np.stack([label, label + 1], axis=1),
        probability=label.astype(np.float16),
        loss=label.astype(np.float32),
    )
    publish(predictions_file(root.job(job).predictions, 1, step), said.to_bytes())


@pytest.mark.parametrize(
    ("side", "predicted", "tested"),
    [
        ("finished, epoch 3", 3, 1),
        ("finished, epoch 3", 1, 0),
        ("diverged, epoch 3", 3, 0),
        ("not over, epoch 2", 2, 0),
    ],
)
def test_two_runs_are_tested_where_both_finished_and_said_it_at_their_end(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    side: str,
    predicted: int,
    tested: int,
) -> None:
    root = create_root(tmp_path / "runs")
    first, second = (Named(job_id(trained(seed)), f"run-{seed}") for seed in (0, 1))
    done(root, trained(0), *TOP1)
    end = next((one for one in Ending if side.startswith(one)), None)
    done(root, trained(1), *TOP1[: int(side[-1])], end=end)
    answered(root, first.id, STEPS)
    answered(root, second.id, PER_EPOCH * predicted)

    found = compare(root, first, second)
    show_comparison(found, ("val/",))
    printed = " ".join(capsys.readouterr().out.split())

    assert found.answers is not None
    assert (found.answers.p is not None) == bool(tested)
    assert as_json(found)["other"]["predicted"] == predicted
    assert f"run-1 ({second.id[:8]}), {side}" in printed
    assert f"after epoch 3 of one, {predicted} of other" in printed
    assert (NOT_TESTED in printed) != bool(tested)
