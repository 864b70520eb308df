"""Which document each verb prints, and its JSON Schema."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from orchestrator.documents import comparisons, jobs, launches, probes, results, site, usage
from orchestrator.errors import SpecError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: Mapping[str, type] = {
    "plan": launches.PlanDocument,
    "launch": launches.LaunchDocument,
    "status": jobs.StatusDocument,
    "watch --once": jobs.WatchDocument,
    "why": jobs.WhyDocument,
    "failures": jobs.FailuresDocument,
    "usage": usage.UsageDocument,
    "compare": comparisons.CompareDocument,
    "retry": jobs.RetryDocument,
    "retry --why": jobs.RetryRulesDocument,
    "cancel": jobs.CancelDocument,
    "results": results.ResultsDocument,
    "emergence": results.EmergenceDocument,
    "sync": site.SyncDocument,
    "gc": site.GcDocument,
    "doctor": site.DoctorDocument,
    "flops": launches.FlopsDocument,
    "probe": probes.ProbeDocument,
    "weights": site.WeightsDocument,
    "report": site.ReportDocument,
    "export": site.ExportDocument,
    "import": site.ImportDocument,
    "data inspect": site.DatasetDocument,
    "data adopt": site.DatasetDocument,
    "data prepare": site.DatasetDocument,
    "data verify": site.VerifyDocument,
}
"""By verb; an option belongs to the name where the verb prints another document with it."""
WITHOUT = {
    "logs": "prints a job's own words, as they are",
    "ui": "serves pages until it is interrupted",
    "schema": "prints JSON anyway",
    "completion": "prints a script",
}
"""Verbs that print no document, and why."""


def schema_of(verb: str) -> dict[str, Any]:
    """The JSON Schema of what ``verb --json`` prints; a key that it does not know is refused.

    Raises:
        SpecError: there is no such document.
    """
    if verb not in DOCUMENTS:
        raise SpecError(
            f"No document is printed by '{verb}'. There is one by: {', '.join(DOCUMENTS)}"
        )
    written = TypeAdapter(DOCUMENTS[verb]).json_schema(mode="serialization")
    definitions = {name: _closed(part) for name, part in written.pop("$defs", {}).items()}
    head = {"$schema": DIALECT, "title": f"orchestrate {verb} --json"}
    made = {**head, **_closed(written), "title": head["title"]}
    return {**made, "$defs": definitions} if definitions else made


def _closed(part: dict[str, Any]) -> dict[str, Any]:
    """An object without titles that only repeat names, and without keys that nobody declared."""
    opened = part.get("title") in {kind.__name__ for kind in results.OPEN}
    for key, value in part.get("properties", {}).items():
        part["properties"][key] = _plain(value)
    if "properties" in part:
        part["additionalProperties"] = opened
    return _plain(part)


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in part.items() if key != "title"}
    if "description" in made:
        made["description"] = " ".join(made["description"].replace("``", "`").split())
    return made
