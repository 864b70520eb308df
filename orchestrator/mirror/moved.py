"""A root that was moved takes its own store along: where the pictures lie is written in that."""

import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.jobs.layout import Root
from orchestrator.mirror.store import STAMP_TAG

SQLITE = "sqlite:///"
HOMES = """
    SELECT DISTINCT artifact_location FROM experiments
    JOIN experiment_tags USING (experiment_id) WHERE key = ? AND artifact_location <> ?
"""
STATEMENTS = (
    "UPDATE experiments SET artifact_location = :here WHERE artifact_location = :old",
    """
    UPDATE runs SET artifact_uri = :here || substr(artifact_uri, length(:old) + 1)
    WHERE substr(artifact_uri, 1, length(:old) + 1) = :old || '/'
    """,
)
"""MLflow's own verbs cannot change where an experiment keeps its files; its tables can."""


def follow(root: Root, uri: str, here: str) -> None:
    """Let the root's own store look for pictures at ``here``, a URI, wherever they were before.

    A store that somebody named is left alone: it may be shared, and the pictures of another root
    are where they were.

    Raises:
        sqlite3.Error: the store is locked, or damaged.
    """
    file = Path(uri.removeprefix(SQLITE))
    is_own = file.is_relative_to(root.mlflow) or root.id() in uri
    if not (uri.startswith(SQLITE) and is_own and file.is_file()):
        return
    with closing(sqlite3.connect(file)) as store, store:
        if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return
        homes = store.execute(HOMES, (STAMP_TAG.format(root.id()), here)).fetchall()
        for (old,) in homes:
            for statement in STATEMENTS:
                store.execute(statement, {"here": here, "old": old})
