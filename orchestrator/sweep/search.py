"""The key ``search`` of a sweep: whether its jobs can be judged as it asks."""

from collections.abc import Sequence

from orchestrator.config import RunConfig
from orchestrator.config.search import Asha
from orchestrator.jobs.asha import rungs
from orchestrator.sweep.chain import Chain
from orchestrator.sweep.expand import Point
from orchestrator.sweep.faults import Faults

EVALUATED = "val/"
"""Metrics that are measured every ``evaluation.every_epochs``; the others after each epoch."""


def read_search(chain: Chain, points: Sequence[Point], faults: Faults) -> Asha | None:
    """The rule by which jobs are stopped early, as the first file that has one says; None: none."""
    spec, document = chain.owner("search")
    if spec.search is None:
        return None
    asha = spec.search.asha

    def refuse(key: str, problem: str) -> None:
        faults.add(document.place(("search", "asha", key)), f"search.asha.{key}{problem}")

    configs = {one.name: one.config for one in points if isinstance(one.config, RunConfig)}
    if len(configs) < len(points):
        task = chain.owner("task")[0].task
        faults.add(
            document.place(("search",)),
            f"search stops jobs while they train; it has no use with task: {task}",
        )
        return None
    epochs = {config.train.epochs for config in configs.values()}
    if len(epochs) > 1:
        told = ", ".join(map(str, sorted(epochs)))
        faults.add(
            document.place(("search",)),
            f"search compares jobs at one epoch, so all have to train for as many; train.epochs "
            f"is {told}",
        )
        return None
    (end,) = epochs
    if asha.grace >= end:
        refuse("grace", f" is {asha.grace}; it must be below train.epochs, which is {end}")
    elif asha.metric.startswith(EVALUATED):
        every = {name: config.evaluation.every_epochs for name, config in configs.items()}
        for name, step in every.items():
            at = next((epoch for epoch in rungs(asha, end) if epoch % step), None)
            if at is not None:
                problem = (
                    f" is {asha.metric}, which point {name} measures every {step} epochs "
                    f"(evaluation.every_epochs), and not after epoch {at}, where it is judged"
                )
                refuse("metric", problem)
                break
    return asha
