"""The model that another job has trained, for one that looks at it."""

from dataclasses import dataclass
from typing import Self

from model.vit import ViT, build_vit
from orchestrator.config import ChildConfig, RunConfig
from orchestrator.errors import RootError
from orchestrator.jobs.facts import final_attempt
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.records import read_trained
from orchestrator.jobs.weights import kept_checkpoints, weights_at
from orchestrator.worker.claim import Claim
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.weights import Weights


class ParentError(RootError):
    """A parent is not done: what its child is to look at is still to come."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A parent's model in evaluation mode, as each rank holds it."""

    config: RunConfig
    model: ViT
    ranks: Ranks

    @classmethod
    def of(cls, config: RunConfig, weights: Weights, ranks: Ranks) -> Self:
        """The model with these weights, on the rank's device."""
        model = build_vit(config.model)
        model.load_state_dict(weights.state)
        return cls(config, model.to(ranks.device).eval(), ranks)


def weights_of(claim: Claim, config: ChildConfig) -> tuple[Weights, RunConfig]:
    """The weights that a child of a job asks for, and the configuration by which they were trained.

    Raises:
        ParentError: the parent is not done.
        RootError: the parent is done and has no such weights, or they are damaged.
    """
    root = claim.me.root
    folder, attempts = root.job(config.of), attempts_on(root, [config.of])[config.of]
    if final_attempt(attempts) is None:
        raise ParentError(
            f"Parent {config.of} is not done, or begins afresh: nothing of it is looked at until "
            "it is. A watch then starts this job again."
        )
    found = weights_at(folder, attempts, config.checkpoint)
    if found is None:
        kept = ", ".join(map(str, kept_checkpoints(folder, attempts))) or "none"
        raise RootError(
            f"Job {config.of} has kept no weights of checkpoint {config.checkpoint} under "
            f"{folder.weights} (kept: {kept}). Ask for one of these, or train it again with "
            "placement.keep_epochs."
        )
    trained = read_trained(root, claim.me.job)
    assert trained is not None  # a job's child has a parent
    return Weights.read(found), trained
