"""What a job has measured and by which code, in the few values that ``status`` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.variants import package_of
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import JobFacts, contributors, final_attempt
from orchestrator.jobs.journal import History, Journal, fold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import Form, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What files say of a job's progress; ``fault``: what of it they should say and do not."""

    epoch: int
    epochs: int
    step: int
    metrics: Mapping[str, float]
    attempts: int
    codes: tuple[str, ...]
    """Hashes of the code that made the result."""
    package: str
    """The user's package that the model is of; empty for one of ours."""
    executor: str | None
    """Of the job's newest member, and so are its handle and its index."""
    handle: str | None
    index: int
    fault: str = ""


def summarise(
    root: Root, facts: JobFacts, journals: Sequence[Journal], listed: Form | None = None
) -> Summary:
    """The summary of a job, whose journals were read after its facts.

    ``listed`` is what its sweep says that it is, which counts where nobody submitted it yet.
    """
    history = fold(journals)
    points = history.points
    form = None if facts.attempts else facts.form or listed
    epochs, package, fault = _settings(root, facts.id, form)
    member = facts.newest
    return Summary(
        epoch=points[-1].epoch if points else 0,
        epochs=epochs,
        step=points[-1].step if points else 0,
        metrics=history.last(),
        attempts=len(facts.attempts),
        codes=codes_of_result(facts),
        package=package,
        executor=member.executor if member else None,
        handle=member.handle if member else None,
        index=member.index if member else 0,
        fault=fault or lost_measurements(facts, history),
    )


def codes_of_result(facts: JobFacts) -> tuple[str, ...]:
    """Hashes of the code that made a job's result, each once."""
    return tuple(sorted({one.start.code_hash for one in contributors(facts.attempts)}))


def _settings(root: Root, job: str, form: Form | None) -> tuple[int, str, str]:
    """Epochs and package of a job; or why its record cannot be read: one job hides no other."""
    try:
        epochs, attention = read_settings(root, job, form, "train.epochs", "model.attention")
    except OrchestrateError as error:
        return 0, "", str(error)
    return epochs, package_of(attention), ""


def lost_measurements(facts: JobFacts, history: History) -> str:
    """That a DONE job's journals do not reach the step at which it ended, if they do not."""
    final = final_attempt(facts.attempts)
    measured = history.points[-1].step if history.points else 0
    if final is None or measured >= final.step:
        return ""
    return f"its journal is missing or damaged: it ends at step {measured} of {final.step}"
