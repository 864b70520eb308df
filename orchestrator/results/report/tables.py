"""The parts of the page that are words and tables: questions, answers, failures, commands."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.results.contrasts import MARGIN, Contrast, Verdict
from orchestrator.results.report.answer import Line, interval_text
from orchestrator.results.report.marks import Mark, variables
from orchestrator.results.report.markup import Html, html, table, tag
from orchestrator.results.report.numbers import (
    NOTHING,
    counted,
    day,
    listed,
    more,
    plain,
    rate,
    share,
    signed,
    with_spread,
)
from orchestrator.results.report.study import Arm, Asked, Spent, Study

WORDS = {one: str(one) for one in Verdict}
EQUIVALENT = f"the 90 % interval of its difference lies within {MARGIN:g} points"
"""What two one-sided tests at 5 % say (Schuirmann, 1987), in a row by itself."""
LEADS = ("Primary outcome:", "Expectation:")
"""What begins a paragraph of a sweep's comment that is always shown."""
SHAPES = {
    "o": '<circle cx="12" cy="7" r="4"/>',
    "s": '<rect x="8.2" y="3.2" width="7.6" height="7.6"/>',
    "^": '<path d="M12 2.4 16.6 10.6H7.4Z"/>',
    "D": '<path d="M12 2 17 7 12 12 7 7Z"/>',
    "v": '<path d="M12 11.6 7.4 3.4H16.6Z"/>',
    "P": '<path d="M10.4 2.4h3.2v3h3v3.2h-3v3h-3.2v-3h-3V5.4h3Z"/>',
    "X": '<path d="m8 4.2 1.8-1.8L12 4.8l2.2-2.4L16 4.2 13.6 7 16 9.8l-1.8 1.8L12 9.2l-2.2 2.4'
    'L8 9.8 10.4 7Z"/>',
    "p": '<path d="M12 2.2 16.8 5.7 15 11.3H9L7.2 5.7Z"/>',
}
"""Markers of the figures, as paths of a drawing of 24 by 14."""
DASHES = {"-": "", "--": "5 3", "-.": "6 2 1.5 2", ":": "1.5 2"}


def questions(study: Study) -> Html:
    """What each sweep asks, and what it said of its outcome before it was run."""
    return tag("div", Html.joined(map(_asked, study.asked)), class_="asked")


def _asked(asked: Asked) -> Html:
    told = [one for _, text in asked.comments for one in paragraphs(text)]
    first = [one for one in told if one.startswith(LEADS)]
    rest = [one for one in told if one not in first]
    states = listed([f"{number} {state.lower()}" for state, number in asked.states.items()])
    when = f", launched on {day(asked.launched)}" if asked.launched else ""
    files = listed([name for name, _ in asked.comments])
    return tag(
        "article",
        tag("h3", tag("code", asked.name)),
        tag("p", asked.question or "It asks no question.", class_="question"),
        tag("div", *(_led(one) for one in first), class_="said"),
        *(
            [
                tag(
                    "details",
                    tag("summary", f"As written in {files} before the launch"),
                    *(tag("p", _prose(one)) for one in rest),
                )
            ]
            if rest
            else []
        ),
        tag("p", f"Jobs: {states}{when}.", class_="facts"),
    )


def paragraphs(comment: str) -> list[str]:
    """The prose of a comment: paragraphs, also where only a lead begins one; commands left out."""
    found: list[str] = [""]
    for line in comment.splitlines():
        if line.startswith("  ") or not line.strip():
            found.append("")
        elif line.startswith(LEADS) or re.match(r"(Cost|Hypothesis):", line):
            found.append(line)
        else:
            found[-1] = f"{found[-1]} {line.strip()}".strip()
    return [one for one in found if one]


def _led(paragraph: str) -> Html:
    lead, _, rest = paragraph.partition(":")
    return tag("p", tag("b", f"{lead}:"), " ", _prose(rest.strip()))


def _prose(text: str) -> Html:
    """Words between back ticks are code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return Html(html(text))
    return Html.joined((tag("code", p) if n % 2 else p for n, p in enumerate(parts)), "")


def answers(study: Study, lines: Sequence[Line]) -> Html:
    """The table of arms, those columns alone of which something is known."""
    base = study.plain
    against = f"difference to {base.name} (points)" if base else ""
    columns: dict[str, Sequence[str]] = {
        "arm": [named(line.arm) for line in lines],
        "top-1 (%)": [with_spread(line.accuracy, line.spread) for line in lines],
        "n": [_runs(line) for line in lines],
        against: [difference(line.contrast) for line in lines],
        "over seeds and images": [over_images(line.contrast) for line in lines],
        "verdict": [verdict(line.contrast) if line.n else NOTHING for line in lines],
        "multiply-adds": [more(line.macs) for line in lines],
        "time": [more(line.seconds) for line in lines],
        "outliers": [share(line.outliers) for line in lines],
        "artifacts emerged": [_emerged(line) for line in lines],
    }
    kept = {
        name: cells for name, cells in columns.items() if name and any(c != NOTHING for c in cells)
    }
    rows = [*zip(*kept.values(), strict=True)]
    numbers = [name for name in kept if name not in ("arm", "verdict", "artifacts emerged")]
    return table(
        _caption(study), [*kept], rows, numbers=numbers, marked=study.baseline, class_="answers"
    )


def _caption(study: Study) -> str:
    at = f" at learning rate {rate(study.rate)}" if study.rate is not None else ""
    told = (
        f"Arms{at}. Top-1 after the last epoch: mean ± standard deviation over n seeds that "
        "finished."
    )
    told += "".join(
        f" {arm.name} is at {rate(arm.runs[0].lr)}, the only rate that it has."
        for arm in study.arms
        if arm.runs and arm.runs[0].lr != study.rate
    )
    if study.plain is not None:
        told += (
            f" Difference to {study.plain.name}: 95 % interval over seeds by Welch's t; over seeds "
            "and images: 95 % interval of the same difference by a bootstrap of both, where "
            "predictions of each image are kept (of few seeds too narrow). The verdict is by the "
            f"former: p is adjusted for the number of arms (Holm); equivalent: {EQUIVALENT}. "
            "Multiply-adds of a forward pass, and time of a training epoch, beside those of "
            f"{study.plain.name}."
        )
        if unlike := [arm.name for arm in study.unlike]:
            told += (
                f" Of other data, another length or size than {study.plain.name}, and not "
                f"compared: {listed(unlike)}."
            )
    return told + (
        " Outliers: share of patch tokens at the last probe. Emerged: by the rule of three probes "
        "in a row, in how many of the seeds that can be judged."
    )


def named(arm: Arm) -> Html:
    """An arm's mark and name."""
    return Html(f"{swatch(arm.mark)}{html(arm.name)}")


def swatch(mark: Mark) -> Html:
    """An arm's line and marker, as its curves have them."""
    name, day_colour, _ = variables()[mark.colour]
    return Html(
        f'<svg class="mark" viewBox="0 0 24 14" aria-hidden="true" '
        f'style="color:var({name},{day_colour})" fill="currentColor">'
        f'<path d="M0 7H24" stroke="currentColor" stroke-width="1.6" '
        f'stroke-dasharray="{DASHES[mark.line]}"/>{SHAPES[mark.marker]}</svg>'
    )


def _runs(line: Line) -> str:
    also = [f"{line.diverged} diverged"] if line.diverged else []
    also += [f"{line.stopped} stopped early"] if line.stopped else []
    also += [f"{line.missing} missing"] if line.missing else []
    return f"{line.n}{f' ({listed(also)})' if also else ''}"


def difference(one: Contrast | None, digits: int = 1) -> str:
    """A difference in points, and its interval over seeds."""
    if one is None or one.difference is None:
        return NOTHING
    interval = interval_text(one.ci95, digits)
    told = signed(one.difference, digits)
    return Html(f"{html(told)} {tag('small', interval)}") if interval else told


def over_images(one: Contrast | None) -> str:
    """The interval of a difference over seeds and images."""
    told = interval_text(one.bootstrap95) if one else ""
    return tag("small", told) if told else NOTHING


def verdict(one: Contrast | None, words: Mapping[Verdict, str] = WORDS) -> str:
    """What a contrast comes to, in a word."""
    if one is None:
        return NOTHING
    known = one.verdict in (Verdict.HIGHER, Verdict.LOWER)
    kind = ("good" if one.better else "bad") if known else ""
    return tag("span", words[one.verdict], class_=f"verdict {kind}".strip())


def _emerged(line: Line) -> str:
    if not line.judged:
        return NOTHING
    return f"in {line.emerged} of {counted(line.judged, 'seed')}"


def failures(study: Study) -> Html:
    """How many jobs failed, by kind; how often workers were started again."""
    failed = sum(one.jobs for one in study.failures)
    again = study.starts - study.started
    words = (
        f"{counted(study.started, 'job')} started, {failed or 'none'} failed or diverged. "
        f"Workers were started {counted(study.starts, 'time')}, "
        + (f"{again} of them to go on with a job or to try it again." if again else "once each.")
    )
    if not study.failures:
        return tag("p", words)
    rows = [
        (one.kind, f"{one.jobs}", tag("span", one.message), one.only or NOTHING)
        for one in study.failures
    ]
    columns = ["kind", "jobs", "message", "only with"]
    made = table("Failures by kind and message", columns, rows, numbers=["jobs"])
    return Html.joined([tag("p", words), made])


def spent(study: Study) -> Html:
    """What the jobs of each arm took."""
    whole = Spent(
        name="all",
        jobs=sum(one.jobs for one in study.spent),
        starts=sum(one.starts for one in study.spent),
        hours=sum(one.hours for one in study.spent),
        hours_lost=sum(one.hours_lost for one in study.spent),
        device_hours=sum(one.device_hours for one in study.spent),
    )
    rows = [
        (
            one.name,
            f"{one.jobs}",
            f"{one.starts}",
            plain(one.hours),
            plain(one.hours_lost) if one.hours_lost else NOTHING,
            plain(one.device_hours),
        )
        for one in (*study.spent, whole)
    ]
    columns = ["arm", "jobs", "starts", "hours", "of these lost", f"{study.devices}-hours"]
    caption = (
        "Hours by the clock, from each start of a worker to its end, all learning rates and seeds "
        "together; lost is what came to nothing, such as steps that were made again."
    )
    return table(caption, columns, rows, numbers=columns[1:], marked=len(study.spent))


def reproduction(study: Study) -> Iterator[Html]:
    """The commands that make all of it again, and of which code and data it was."""
    if prepared := list(dict.fromkeys(line for one in study.asked for line in one.prepared)):
        yield tag(
            "p",
            "The data, as the sweep files say; what was run is not recorded, whether it gives the "
            "same data the hashes below tell:",
        )
        yield tag("pre", tag("code", "\n".join(prepared)))
    lines = [*(asked.command for asked in study.asked if asked.command), study.command]
    yield tag(
        "p",
        "The launches of the same points, and this page, beside the folder of the sweep files as "
        "they were; without --seeds they are the file's own:",
    )
    yield tag("pre", tag("code", "\n".join(shlex.join(words) for words in lines)))
    if study.codes:
        rows = [(origin, f"{jobs}") for origin, jobs in study.codes]
        yield table("Code that the jobs ran", ["code", "jobs"], rows, numbers=["jobs"])
    if study.datasets:
        rows = [(name, tag("code", content)) for name, content in study.datasets]
        yield table("Data, by the hash of its content", ["dataset", "SHA-256"], rows)
    if study.notes:
        yield tag("p", "Notes:")
        yield tag("ul", *(tag("li", note) for note in study.notes), class_="notes")
