from typing import Any

from orchestrator.api import tables


def row(case: str, contrast: dict[str, Any] | None) -> dict[str, Any]:
    counts = {
        "n": 3,
        "missing": 0,
        "diverged": 0,
        "stopped": 0,
        "mean": 1.0,
        "std": 0.1,
        "ci95": [0.5, 1.5],
    }
    return {"case": case, **counts, "job_ids": ["a"], "mixes": [], "contrast": contrast}


def test_each_part_of_a_contrast_is_a_column_and_the_baselines_row_has_none() -> None:
    contrast = {"difference": 0.5, "ci95": [0.1, 0.9], "verdict": "higher", "better": True}
    document = {"metric": "m", "rows": [row("a", None), row("b", contrast)], "notes": []}

    found = tables.results(document, [])

    assert found["contrast.difference"].tolist()[1] == 0.5
    assert found["contrast.ci95"][1] == [0.1, 0.9]
    assert found["contrast.verdict"][1] == "higher"
    assert bool(found[["contrast.difference", "contrast.verdict"]].iloc[0].isna().all())
    assert "contrast" not in found
    assert found.attrs == {"metric": "m", "notes": []}
