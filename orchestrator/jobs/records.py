"""What a job's configuration is: by its record, and by what launched it until it has one.

A launch writes a job's *form* into the sweep's revision and into the submission's intent, whatever
number of jobs there are: no file of its own. The worker that starts the job first writes
``job.json``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from orchestrator.config import JobConfig, RunConfig
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.files import publish, publish_once, read_record, refuse_newer, to_json
from orchestrator.jobs.identity import (
    IDENTITY_VERSION,
    frozen_for,
    reduced,
    restored,
    stands_for,
)
from orchestrator.jobs.layout import Root

Made = TypeVar("Made")
Form = Mapping[str, Any]
"""``identity_version`` and ``reduced``: what an id stands for, as in ``job.json``."""

NONE: Mapping[str, Form] = MappingProxyType({})
SCHEMA = 1
"""Of ``job.json``."""


def form_of(config: JobConfig) -> dict[str, Any]:
    """The form of a configuration."""
    return {"identity_version": IDENTITY_VERSION, "reduced": reduced(config)}


def id_of(form: Form) -> str:
    """The id that a form has.

    Raises:
        KeyError, ValueError, TypeError: it is damaged.
    """
    return stands_for(form["reduced"], form["identity_version"])


def write_job(root: Root, job_id: str, config: JobConfig) -> None:
    """Write a job's record, or make sure that the one there is of the same configuration.

    Raises:
        OrchestrateError: another configuration stands under this id (a hash collision or damage).
    """
    if root.job(job_id).record.is_file():
        _compare(root, job_id, config)
    else:
        publish_once(root.job(job_id).record, to_json(record_of(job_id, config)))


def replace_job(root: Root, job_id: str, config: JobConfig) -> None:
    """Write the record of a job that begins afresh, whatever is there."""
    publish(root.job(job_id).record, to_json(record_of(job_id, config)))


def record_of(job_id: str, config: JobConfig) -> dict[str, Any]:
    """The content of ``job.json``."""
    plain = {"task": config.task, "config": config.to_plain()}
    return {"schema": SCHEMA, "id": job_id, **form_of(config), **plain}


def _compare(root: Root, job_id: str, config: JobConfig) -> None:
    form = reduced(config)
    if _read(root, job_id, None, dict) == form:
        return
    if reduced(read_job(root, job_id)) != form:  # an older form may say less
        raise OrchestrateError(
            f"{root.job(job_id).record} holds another configuration than job {job_id} stands for; "
            "it was damaged or edited. Restore it from a backup; if the job never started, remove "
            "its folder."
        )


def read_job(root: Root, job_id: str, form: Form | None = None) -> JobConfig:
    """The configuration of a job, filled from the frozen identity defaults.

    ``form`` is what launched it, of a job that has not started: it may have no record yet.

    Raises:
        OrchestrateError: its record is missing or damaged, or was written by a newer program.
    """
    return _read(root, job_id, form, restored)


def read_settings(root: Root, job_id: str, form: Form | None, *keys: str) -> tuple[Any, ...]:
    """Some settings of a job, by their dotted keys; the others are not looked at.

    None stands for one that jobs of its task do not have.

    Raises:
        OrchestrateError: as ``read_job``.
    """
    return _read(
        *(root, job_id, form),
        lambda plain: tuple(plain.get(k, frozen_for(plain).get(k)) for k in keys),
    )


def read_trained(
    root: Root, job_id: str, form: Form | None = None, parents: Mapping[str, Form] = NONE
) -> RunConfig | None:
    """The configuration that a job's model is trained by: its own, or that of its parent.

    None of a model that no job of ours has trained. ``parents``: forms of some that may have no
    record yet, by their ids; see `store.forms_of`.

    Raises:
        OrchestrateError: as ``read_job``, of the job or of its parent; or its parent is no job
            that trains.
    """
    config = read_job(root, job_id, form)
    if isinstance(config, RunConfig):
        return config
    if config.parent is None:
        return None
    parent = read_job(root, config.parent, parents.get(config.parent))
    if not isinstance(parent, RunConfig):
        raise OrchestrateError(
            f"Job {job_id} is to {config.task} {config.of}, which trains nothing: that is to "
            f"{parent.task} {parent.of}. Name a sweep of jobs that train under of."
        )
    return parent


def settings_in(
    root: Root, job: str, form: Form | None, parents: Mapping[str, Form]
) -> tuple[JobConfig | None, RunConfig | None, str]:
    """A job's configuration, that by which its model is trained, why the first cannot be read.

    None: it cannot be, or it is of no job of ours. ``parents`` is as of `read_trained`.
    """
    try:
        config = read_job(root, job, form)
    except OrchestrateError as error:
        return None, None, str(error)
    if isinstance(config, RunConfig):
        return config, config, ""
    try:
        return config, read_trained(root, job, form, parents), ""
    except OrchestrateError:
        return config, None, ""


def _read(
    root: Root, job_id: str, form: Form | None, make: Callable[[dict[str, Any]], Made]
) -> Made:
    """What ``make`` makes of a job's reduced form."""
    try:
        found = _record(root, job_id) if form is None else form
        version = found["identity_version"]
        if version > IDENTITY_VERSION:
            raise OrchestrateError(
                f"Job {job_id} has identity version {version}; this program reads up to "
                f"{IDENTITY_VERSION}. Use the newer program that launched it."
            )
        return make(found["reduced"])
    except (ValueError, KeyError, TypeError) as error:
        raise OrchestrateError(
            f"{root.job(job_id).record} cannot be read: {error}. Restore it from a backup; if the "
            "job is done, or never started, remove that file and launch its sweep again: that "
            "writes it anew."
        ) from None


def _record(root: Root, job_id: str) -> Form:
    path = root.job(job_id).record
    try:
        record = read_record(path)
    except FileNotFoundError:
        raise OrchestrateError(
            f"{path} is missing. Launch its sweep again: that writes it anew."
        ) from None
    refuse_newer(path, record.get("schema"), SCHEMA)
    return record
