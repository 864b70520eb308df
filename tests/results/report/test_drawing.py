from pathlib import Path

from support.built_study import built_study

from orchestrator.results.report.cost_figures import cost_figures
from orchestrator.results.report.drawing import inline, save


def test_a_figure_is_kept_as_files_that_have_no_date_and_their_text_as_text(
    tmp_path: Path,
) -> None:
    first, _ = cost_figures(built_study())

    paths = save(first, tmp_path)

    assert [path.name for path in paths] == ["accuracy_by_macs.svg", "accuracy_by_macs.pdf"]
    before = [path.read_bytes() for path in paths]
    assert b"vanilla</text>" in before[0]
    assert b"<dc:date>" not in before[0]
    assert b"CreationDate" not in before[1]
    (again, _) = cost_figures(built_study())
    assert [path.read_bytes() for path in save(again, tmp_path)] == before


def test_a_figure_is_the_same_whatever_was_written_of_it_before(tmp_path: Path) -> None:
    first, again = (next(cost_figures(built_study())) for _ in range(2))

    save(first, tmp_path)

    assert inline(first) == inline(again)


def test_an_inline_figure_follows_the_ink_and_the_colours_of_its_page() -> None:
    first, _ = cost_figures(built_study())

    text = inline(first)

    assert "stroke: currentColor" in text
    assert "var(--gate-0, #d55e00)" in text
    assert "#000000" not in text
    assert "<style" not in text
    assert "<metadata" not in text
