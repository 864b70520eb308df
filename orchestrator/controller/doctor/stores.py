"""What is stored: datasets, the root's cache, MLflow's store."""

import os
import socket
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.controller.doctor.finding import Finding, Patient, bad, ok, warn
from orchestrator.controller.sync import SQLITE, locate_store
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.datasets import Manifest, check_shards, known_datasets, load_manifest
from orchestrator.jobs.settled import recall
from orchestrator.jobs.store import compare_dataset

ANSWER_S = 5.0
"""A server that takes longer to answer counts as away."""
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def check_data(patient: Patient) -> Iterator[Finding]:
    """The data root, and every dataset in it: manifest, sizes, and what the root knows of it."""
    names = known_datasets(patient.data_root)
    if not names:
        yield warn(
            f"there are no datasets under {patient.data_root}",
            "orchestrate data prepare digits, or name another folder with --data-root",
        )
    for name in names:
        try:
            manifest = load_manifest(patient.data_root, name)
            check_shards(patient.data_root, manifest)
            warning = compare_dataset(patient.root, manifest) if patient.root else None
        except OrchestrateError as error:
            yield bad(str(error), "see above")
            continue
        if warning:
            yield warn(warning, "compare only jobs that were trained on one of the two")
        else:
            yield ok(_in_words(manifest))


def check_cache(patient: Patient) -> Iterator[Finding]:
    """What is remembered of jobs that are done for good."""
    root = patient.root
    if root is None:
        return
    try:
        known = len(recall(root).entries)
    except OrchestrateError as error:
        yield bad(str(error), "see above")
        return
    if root.settled.exists() and not known:
        advice = "nothing: the next orchestrate status reads all files and writes it anew"
        yield warn(f"{root.settled} is damaged, or of another version of this program", advice)
    else:
        yield ok(f"{known} jobs are known to be done for good")


def check_mlflow(patient: Patient) -> Iterator[Finding]:
    """Whether the store that `sync` would write to can be reached."""
    named = patient.store or os.environ.get("MLFLOW_TRACKING_URI")
    if find_spec("mlflow") is None:
        told, advice = "mlflow is not installed", "pip install 'orchestrate-vit[mlflow]'"
        yield bad(f"{told}, but a store is named", advice) if named else warn(told, advice)
        return
    if patient.root is None and named is None:
        yield ok("no store is named, and there is no run root yet")
        return
    uri = named or locate_store(patient.root) if patient.root else named or ""
    if uri.startswith(SQLITE):
        yield from _check_file(Path(uri.removeprefix(SQLITE)))
    elif urlsplit(uri).scheme.partition("+")[0] in PORTS:
        yield _check_server(uri)
    else:
        yield ok("the store is a folder or another place that is not looked at")


def _check_file(file: Path) -> Iterator[Finding]:
    if not file.exists():
        yield ok(f"{file} is not there yet; orchestrate sync or ui makes it")
        return
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1)) as base:
            runs = base.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.Error as error:
        yield bad(f"{file} cannot be read: {error}", "remove it; orchestrate sync makes it anew")
    else:
        yield ok(f"{file}: {runs} runs, {file.stat().st_size / 1e6:.1f} MB")


def _check_server(uri: str) -> Finding:
    """By its own word where it speaks HTTP, else whether somebody listens there."""
    parts = urlsplit(uri)
    kind = parts.scheme.partition("+")[0]
    where = f"{parts.hostname}:{parts.port or PORTS[kind]}"
    advice = "is it running, and reachable from here? Jobs do not need it: orchestrate sync later"
    began = time.monotonic()
    try:
        if kind.startswith("http"):
            _ask(f"{parts.scheme}://{where}{parts.path.rstrip('/')}/health")
        else:
            address = (parts.hostname or "localhost", parts.port or PORTS[kind])
            socket.create_connection(address, timeout=ANSWER_S).close()
    except OSError as error:
        return bad(f"the store at {where} does not answer ({error})", advice)
    return ok(f"the store at {where} answers after {(time.monotonic() - began) * 1e3:.0f} ms")


def _ask(address: str) -> None:
    """Any answer but that it cannot serve will do: it may want a password first.

    Raises:
        OSError: there is none.
    """
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_S):  # noqa: S310 - http or https
            pass
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise


def _in_words(manifest: Manifest) -> str:
    megabytes = sum(shard.bytes for shard in manifest.shards) / 1e6
    return (
        f"{manifest.name}: {manifest.images('train'):,} + {manifest.images('val'):,} images, "
        f"{len(manifest.shards)} shards of {megabytes:,.1f} MB, all there"
    )
