"""A study built by hand: three arms, three seeds, whatever a test wants of each run."""

from dataclasses import replace
from typing import Any

import numpy as np

from model.emergence import Emergence
from model.figures import Histogram
from orchestrator.results.emergence import Answer
from orchestrator.results.report.arms import arms_of, baseline_of, common_rate
from orchestrator.results.report.study import (
    Asked,
    Evaluation,
    Failure,
    Inside,
    Run,
    Spent,
    Study,
)

EDGES = np.geomspace(1, 1000, 61)
MODELS: dict[str, dict[str, Any]] = {
    "vanilla": {"registers": 0, "gate": None},
    "registers=4": {"registers": 4, "gate": None},
    "registers=16": {"registers": 16, "gate": None},
    "gate-sdpa": {"registers": 0, "gate": {"position": "sdpa"}},
}
ACCURACY = {"vanilla": 80.0, "registers=4": 80.1, "registers=16": 84.0, "gate-sdpa": 76.0}
MACS = {"vanilla": 1e9, "registers=4": 1.02e9, "registers=16": 1.09e9, "gate-sdpa": 1.076e9}
NONE = Emergence.none(30)
SOME = Emergence(after=10, by=20, blocks=(7, 8), until=30, lasting=True)


def built_run(like: str, seed: int, **changes: Any) -> Run:
    """A run of 30 epochs that was probed three times."""
    seconds = 10 + MODELS[like]["registers"]
    known: dict[str, Any] = {
        "id": f"{like}-{seed}",
        "name": f"{like},seed={seed}",
        "arm": like,
        "key": like,
        "seed": seed,
        "lr": 3e-3,
        "outcome": "finished",
        "model": {"attention": "softmax", **MODELS[like]},
        "curves": {
            "val/top1": {10: 50.0, 30: ACCURACY[like] + 0.1 * seed},
            "val/loss": {30: 1.0 + 0.1 * seed},
            "stability/grad_norm_max": {30: 2.0 + seed},
            "flops/forward_macs": {0: MACS[like]},
            "time/epoch_s": {10: seconds + 2.0, 30: seconds + 2.0},
            "time/probe_s": {10: 2.0, 30: 2.0},
            "norms/outlier_share": {10: 0.0, 20: 0.0, 30: 0.001 * (seed + 1)},
        },
        "emergence": Answer(id="x", name="x", text=str(NONE), found=NONE),
        "host": "node1",
    }
    return Run(**{**known, **changes})


def histogram(at: float) -> Histogram:
    norms = np.random.default_rng(0).normal(at, at / 10, 2000)
    return Histogram(counts=np.histogram(norms, EDGES)[0], edges=EDGES)


def built_inside(*, gated: bool = False) -> Inside:
    generator = np.random.default_rng(1)
    gates = generator.uniform(size=(3, 2)) if gated else None
    return Inside(
        norms={10: histogram(20), 20: histogram(40), 30: histogram(50)},
        maps=generator.uniform(0, 0.1, size=(6, 4, 4)),
        images=generator.integers(0, 255, size=(6, 1, 8, 8)).astype(np.uint8),
        batch="ab",
        gate_means=gates,
        gate_sparsity=gates,
    )


def built_runs() -> list[Run]:
    """Every arm at the common rate, vanilla and the gate at a higher one, too."""
    runs = [built_run(arm, seed) for arm in MODELS for seed in range(3)]
    for seed in range(3):
        runs.append(built_run("vanilla", seed, id=f"v{seed}", lr=5e-3, outcome="diverged"))
        runs.append(built_run("gate-sdpa", seed, id=f"g{seed}", lr=5e-3))
    return runs


def built_study(runs: list[Run] | None = None, **changes: Any) -> Study:
    """A study in which everything was measured."""
    runs = built_runs() if runs is None else runs
    arms = arms_of(runs, common_rate(runs))
    known: dict[str, Any] = {
        "name": "built",
        "asked": [
            Asked(
                name="exp2",
                question="Which K removes artifacts?",
                comments=[
                    ("exp2.yaml", "Experiment 2.\n\n  orchestrate plan\n\nPrimary outcome: x")
                ],
                states={"finished": 18, "diverged": 3},
                launched=1e9,
                command=("orchestrate", "launch", "sweeps/exp2.yaml", "--set", "a=[1, 2]"),
                removes=True,
            )
        ],
        "states": {"finished": 18, "diverged": 3},
        "rate": common_rate(runs),
        "arms": arms,
        "baseline": baseline_of(arms),
        "evaluations": [
            Evaluation(
                key=arm,
                dataset="imagenet_a",
                seed=seed,
                lr=3e-3,
                id=f"{arm}-{seed}-a",
                of=f"{arm}-{seed}",
                metrics={
                    "eval/imagenet_a/gap": 60.0 + 0.1 * seed + (5.0 if "gate" in arm else 0.0),
                    "eval/imagenet_a/top1_masked": 20.0 + seed,
                    "eval/imagenet_a/clean_masked": 80.0 + seed,
                },
            )
            for arm in MODELS
            for seed in range(3)
        ],
        "inside": {arm: built_inside(gated="gate" in arm) for arm in MODELS},
        "failures": [Failure(kind="memory", message="CUDA out of memory", jobs=2, only="dim=512")],
        "started": 21,
        "starts": 24,
        "spent": [
            Spent(name="vanilla", jobs=6, starts=7, hours=3.0, hours_lost=0.5, device_hours=12.0)
        ],
        "devices": "GPU",
        "codes": [("commit 0123456789ab (snapshot ff)", 21)],
        "datasets": [("imagenet100", "c0ffee")],
        "hosts": 1,
        "measured": 1e9,
        "command": ("orchestrate", "report", "built"),
    }
    return Study(**{**known, **changes})


def unmeasured(study: Study) -> Study:
    """The same, before any job has started."""
    runs = [
        replace(run, outcome="", curves={}, emergence=None, host="")
        for arm in study.arms
        for runs in arm.by_rate.values()
        for run in runs
    ]
    return built_study(
        runs,
        evaluations=[],
        inside={},
        failures=[],
        started=0,
        starts=0,
        spent=[],
        codes=[],
        measured=None,
    )
