"""The whole page of a study: the parts in the order in which somebody asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.state import State
from orchestrator.results.pages import document
from orchestrator.results.report import gaps, rates
from orchestrator.results.report.answer import Line, in_short, lines_of, stop_rule
from orchestrator.results.report.controls import controls
from orchestrator.results.report.cost_figures import cost_figures
from orchestrator.results.report.drawing import Picture, inline
from orchestrator.results.report.map_figures import attention_figure, gate_figures
from orchestrator.results.report.markup import Html, section, tag
from orchestrator.results.report.norm_figures import no_outliers, norm_figures, outlier_figure
from orchestrator.results.report.numbers import are, counted, day, listed
from orchestrator.results.report.outliers import outlier_table
from orchestrator.results.report.rate_figures import rate_figures
from orchestrator.results.report.remedy import remedy_table
from orchestrator.results.report.shift_figures import shift_figures
from orchestrator.results.report.study import Study
from orchestrator.results.report.style import STYLE
from orchestrator.results.report.tables import answers, failures, questions, reproduction, spent


@dataclass(frozen=True, slots=True)
class Part:
    """A section of figures: its heading, what is said above them, how many stand side by side."""

    title: str
    said: str
    beside: str = "three"


@dataclass(frozen=True, slots=True)
class Piece:
    """A section of the page: the id and text of its heading, and its HTML; of none, nothing."""

    identity: str
    title: str
    told: Sequence[Html]


PARTS: Mapping[str, Part] = {
    "cost": Part(
        "Accuracy and cost",
        "Multiply-adds are exact and the same on every machine; measured time is what a machine "
        "made of them. The two differ: products that are small move as much memory as large ones.",
        beside="two",
    ),
    "norms": Part(
        "Norms over training",
        "The L2 norms of patch tokens after the last block, before the final LayerNorm, a row for "
        "each probed epoch, all seeds together, all arms on one axis. Heights are logarithmic, "
        "from one token in 100,000 per bin to one in ten; a tick marks each median. Artifacts are "
        "a second hill that rises on the right; a bracket spans the epochs between which they "
        "emerged in the seed of its number.",
    ),
    "outliers": Part("Outliers over training", "", beside="one"),
    "attention": Part("Attention maps", "", beside="one"),
    "gates": Part(
        "Gates",
        "How far the gate of each block and head is open (near 0.5 a gate does little, near 0 it "
        "shuts its head), and how much of it is nearly shut.",
        beside="two",
    ),
    "rates": Part(
        "Learning rates",
        "What each arm bears. A run that diverged has no last value: it is counted, and not drawn.",
    ),
    "shifts": Part(
        "Other images",
        "Models of the rate at which arms are compared, with the weights after their last epoch.",
        beside="two",
    ),
}
"""By the key of their figures, in the order of the page."""
ENDS = (Ending.FINISHED, Ending.DIVERGED, State.STOPPED)
"""How a job is over for good."""
Pictures = Mapping[str, Sequence[Picture]]


def pictures_of(study: Study) -> dict[str, list[Picture]]:
    """Every figure that applies, by its part of the page."""
    outliers, attention = outlier_figure(study), attention_figure(study)
    return {
        "cost": [*cost_figures(study)],
        "norms": [*norm_figures(study)],
        "outliers": [outliers] if outliers else [],
        "attention": [attention] if attention else [],
        "gates": [*gate_figures(study)],
        "rates": [*rate_figures(study)],
        "shifts": [*shift_figures(study)],
    }


def page(study: Study, pictures: Pictures) -> str:
    """The page as text; the same study gives the same bytes."""
    content = [*_content(study, pictures)]
    shown = [piece for piece in content if piece.told]
    missing = [piece.title for piece in content if not piece.told]
    body = [
        _header(study, shown),
        tag("main", Html.joined(("", *map(_section, shown), ""))),
        tag("footer", *([_left_out(missing)] if missing else [])),
    ]
    return document(f"{study.name}: report", STYLE, body)


def _content(study: Study, pictures: Pictures) -> Iterator[Piece]:
    """Every part, in order."""
    yield Piece("questions", "Questions", [questions(study)] if study.asked else [])
    shifted, at_rates = gaps.gaps(study), rates.at_other_rates(study)
    beyond = [rates.in_short(one) for one in at_rates[-1:]]
    beyond += [gaps.in_short(one) for one in shifted if one.arms[0] is study.plain]
    yield Piece("answer", "Answer", _answer(study, lines_of(study), beyond))
    if study.controls:
        yield Piece("controls", "Controls", controls(study))
    below = {
        "outliers": outlier_table(study),
        "rates": rates.rate_tables(at_rates),
        "shifts": gaps.gap_tables(shifted),
    }
    for key, part in PARTS.items():
        said = no_outliers(study) if key == "outliers" and not pictures[key] else ""
        figures = [_figures(pictures[key], part)] if pictures[key] else []
        words = [tag("p", one) for one in (part.said if figures else "", said) if one]
        yield Piece(key, part.title, [*words, *figures, *below.get(key, ())])
    yield Piece("failures", "Failures and retries", [failures(study)] if study.started else [])
    yield Piece("spent", "Cost", [spent(study)] if study.spent else [])
    yield Piece("again", "Reproduction", [*reproduction(study)])


def _section(piece: Piece) -> Html:
    return section(piece.identity, piece.title, *piece.told)


def _answer(study: Study, told: Sequence[Line], beyond: Sequence[str]) -> list[Html]:
    """In short and as tables; ``beyond``: of other rates and images, which have tables below."""
    if not any(line.n or line.diverged for line in told):
        return []
    stop = next((stop_rule(study, one) for one in told if one.arm is study.plain), "")
    short = [
        tag("p", sentence, class_="stop" if sentence == stop else "")
        for sentence in (*in_short(study, told), *beyond)
    ]
    box = [tag("div", *short, class_="short")] if short else []
    mixed = [tag("p", f"Not alike in all: {'; '.join(study.mixed)}.")] if study.mixed else []
    return [*box, answers(study, told), *mixed, *remedy_table(study)]


def _figures(pictures: Sequence[Picture], part: Part) -> Html:
    made = [
        tag(
            "figure",
            Html(inline(one)),
            tag("figcaption", tag("b", f"{one.title}."), " ", one.caption),
            id=f"figure-{one.name}",
        )
        for one in pictures
    ]
    return tag("div", Html.joined(made), class_=f"figures {part.beside}")


def _header(study: Study, shown: Sequence[Piece]) -> Html:
    jobs, done = sum(study.states.values()), study.states.get(Ending.FINISHED, 0)
    measured = f" Last measured on {day(study.measured)}." if study.measured else ""
    lead = (
        f"{counted(len(study.asked), 'sweep')}, {counted(jobs, 'job')} of which "
        f"{done:,} finished, {counted(len(study.arms), 'arm')}."
    )
    stopped = study.states.get(State.STOPPED, 0)
    early = f" {stopped:,} were stopped early: no number is theirs." if stopped else ""
    failed = sum(study.states.get(state, 0) for state in (State.FAILED, State.CANCELLED))
    without = f" {failed:,} failed or {are(failed, 'was', 'were')} cancelled." if failed else ""
    left = jobs - failed - sum(study.states.get(end, 0) for end in ENDS)
    open_ = f" {left:,} {are(left)} not over: numbers of these are to come." if left else ""
    links = [tag("li", tag("a", one.title, href=f"#{one.identity}")) for one in shown]
    return tag(
        "header",
        tag("p", "Report of a study", class_="kind"),
        tag("h1", study.name),
        tag("p", lead + early + without + open_ + measured, class_="lead"),
        tag("nav", tag("ul", *links), aria_label="Parts of this page"),
    )


def _left_out(missing: Sequence[str]) -> Html:
    return tag(
        "p",
        f"Left out, because nothing of it was measured: {listed([f'“{one}”' for one in missing])}.",
        class_="left",
    )
