"""What a job has measured and by which code, in the few values that ``status`` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from model.variants import package_of
from orchestrator.config.child import parent_of
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Ending, JobFacts, contributors, final_attempt
from orchestrator.jobs.journal import History, Journal, fold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import Form, read_settings
from orchestrator.jobs.spent import Spent, spent_on
from orchestrator.jobs.weights import weights_left


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
    """Of the job's newest member, and so are its handle, its token and its index."""
    handle: str | None
    token: str
    index: int
    fault: str = ""
    weights: str = ""
    """Of a job that is done and looked at weights: their SHA-256."""
    left: Mapping[str, str] | None = None
    """By checkpoint, SHA-256 of the weights that it left; None: it is not done."""
    gpu_hours: float = 0.0
    """Of all its starts, and so are the hours of cores."""
    cpu_hours: float = 0.0

    @property
    def spent(self) -> Spent:
        return Spent(self.gpu_hours, self.cpu_hours)


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
        token=member.token if member else "",
        index=member.index if member else 0,
        fault=fault or lost_measurements(facts, history),
        weights=weights_read(facts),
        left=weights_left(root.job(facts.id), facts.attempts),
        **asdict(spent_on(facts)),
    )


def codes_of_result(facts: JobFacts) -> tuple[str, ...]:
    """Hashes of the code that made a job's result, each once."""
    return tuple(sorted({one.start.code_hash for one in contributors(facts.attempts)}))


def weights_read(facts: JobFacts) -> str:
    """SHA-256 of the parent's weights that a job's result is of; empty of a job without one."""
    final = final_attempt(facts.attempts)
    return final.weights if final else ""


def _settings(root: Root, job: str, form: Form | None) -> tuple[int, str, str]:
    """Epochs and package of a job; or why its record cannot be read: one job hides no other."""
    keys = ("train.epochs", "model.attention")
    try:
        of, *settings = read_settings(root, job, form, "of", *keys)
    except OrchestrateError as error:
        return 0, "", str(error)
    if of is not None:
        parent = parent_of(of)
        if parent is None:
            return 0, "", ""
        try:
            settings = [*read_settings(root, parent, None, *keys)]
        except OrchestrateError:  # its parent has not started yet
            return 0, "", ""
    epochs, attention = settings
    return epochs, package_of(attention), ""


def lost_measurements(facts: JobFacts, history: History) -> str:
    """That a DONE job's journals do not reach the step at which it ended, if they do not."""
    final = final_attempt(facts.attempts)
    measured = history.points[-1].step if history.points else 0
    if final is None or measured >= final.step:
        return ""
    return f"its journal is missing or damaged: it ends at step {measured} of {final.step}"


def whole_ending(facts: JobFacts, history: History) -> Ending | None:
    """How a job ended; None: it did not, or what it measured at its end is gone.

    That a job diverged is told however little of it is left, as nobody averages its metrics.
    """
    final = final_attempt(facts.attempts)
    if final is None or facts.fault:
        return None
    whole = final.ending is Ending.DIVERGED or not lost_measurements(facts, history)
    return final.ending if whole else None
