"""What arms bear: at each other learning rate, their accuracy beside that of the plain arm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.results.contrasts import MARGIN, Contrast, contrasts
from orchestrator.results.report.answer import PHRASES, in_words, lost_in
from orchestrator.results.report.markup import Html, tag
from orchestrator.results.report.numbers import counted, percent, plain, rate, signed
from orchestrator.results.report.remedy import contrast_table
from orchestrator.results.report.study import ACCURACY, Arm, Study
from orchestrator.results.report.tables import WORDS, named
from orchestrator.results.spread import mean

SAID = (
    "Arms at the other learning rates, each beside the plain one at the same rate. Intervals are "
    "Welch's over the seeds that finished; p is adjusted for the rows of its table (Holm). A run "
    "that diverged is counted, and is in no mean: where some did, the others flatter their arm."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRate:
    """Arms at one learning rate, the plain one first.

    Attributes:
        arms: with the runs at this rate alone.
        usual: the plain arm with its runs at the rate at which arms are compared.
        contrasts: of top-1 against the plain one; None: nothing is known.
    """

    rate: float
    arms: Sequence[Arm]
    usual: Arm
    contrasts: Sequence[Contrast | None]


def at_other_rates(study: Study) -> list[AtRate]:
    """By rate, ascending: the plain arm and others that came to an end there, well or not."""
    base = study.plain
    if base is None:
        return []
    found = []
    for lr in sorted({*base.by_rate} - {run.lr for run in base.runs}):
        arms = [replace(arm, runs=arm.by_rate[lr]) for arm in study.like(base) if lr in arm.by_rate]
        values = [arm.values(ACCURACY) for arm in arms]
        ended = any(run.finished or run.diverged for arm in arms for run in arm.runs)
        if len(arms) > 1 and ended:
            told = contrasts(values, 0, margin=MARGIN, better=1)
            found.append(AtRate(rate=lr, arms=arms, usual=base, contrasts=told))
    return found


def in_short(one: AtRate) -> str:
    """What is known at a rate, in a sentence or two."""
    runs = [run for arm in one.arms for run in arm.runs]
    open_ = sum(not (run.finished or run.diverged or run.stopped) for run in runs)
    to_come = f" {counted(open_, 'run')} came to no end." if open_ else ""
    lost = lost_in(one.arms) or ("" if open_ else " No run diverged.")
    return f"At a learning rate of {rate(one.rate)}, {_reached(one)}.{lost}{to_come}"


def _reached(one: AtRate) -> str:
    base = one.arms[0].name
    reached, before = (mean(arm.values(ACCURACY)) for arm in (one.arms[0], one.usual))
    if reached is None:
        return f"no run of {base} finished"
    change = ""
    if before is not None:
        change = f" ({signed(reached - before)} points to {rate(one.usual.runs[0].lr)})"
    told = [(arm.name, c) for arm, c in zip(one.arms, one.contrasts, strict=True) if c]
    return f"{base} reaches {percent(reached)} top-1{change}; beside it, {in_words(told, PHRASES)}"


def rate_tables(found: Sequence[AtRate]) -> Iterator[Html]:
    """Of each rate a sentence and a table."""
    if found:
        yield tag("h3", "Beside the plain arm at the same rate")
        yield tag("p", SAID)
    for one in found:
        yield tag("p", in_short(one))
        yield contrast_table(
            f"Top-1 after the last epoch at a rate of {rate(one.rate)}, means over n seeds.",
            {
                "arm": [named(arm) for arm in one.arms],
                "top-1 (%)": [plain(mean(arm.values(ACCURACY))) for arm in one.arms],
                "n": [f"{len(arm.values(ACCURACY))}" for arm in one.arms],
                "diverged": [
                    f"{sum(run.diverged for run in arm.runs)} of {len(arm.runs)}"
                    for arm in one.arms
                ],
            },
            f"difference to {one.arms[0].name} (points)",
            one.contrasts,
            WORDS,
        )
