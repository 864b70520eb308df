"""The task itself: load what is analysed, analyse it, leave what was found."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from orchestrator.config import AnalyzeConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.probes import probe_file
from orchestrator.worker.analysis.probes import Analysed, Means, probes
from orchestrator.worker.analysis.subjects import Origin, Subject, subject_of
from orchestrator.worker.claim import Claim
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.ranks import Ranks, joined
from orchestrator.worker.records import Outcome, leave_if_superseded
from orchestrator.worker.stop import StopFlag

ANALYSES: Mapping[str, Callable[[Subject, Means], Analysed | None]] = {"probes": probes}
"""By ``analysis.name``; each is collective, and the first rank alone gets what was found."""


def analyze(claim: Claim, config: AnalyzeConfig, stop: StopFlag) -> Outcome:
    """Analyse a model; one point of the journal, at the step of its weights.

    Raises:
        RootError: its parent has no such weights, or they are damaged.
        WeightsError: timm's weights cannot be had here.
        SpecError: timm has no such model, or its kind cannot be looked into.
        DataError: there are no images, or they cannot be read.
        Stopped: the ranks were asked to stop and agreed; nothing is saved.
    """
    with joined(claim) as ranks:
        subject = subject_of(claim, config, ranks)
        with closing(_images(claim, config)) as images:
            means = _means(claim, config, ranks, images, stop)
            found = ANALYSES[config.analysis.name](subject, means)
        if found is not None:
            _write(claim, subject.origin, found)
    sha256 = subject.origin.sha256
    facts = {"of": config.of, "checkpoint": config.checkpoint, "weights_sha256": sha256}
    return Outcome(Ending.FINISHED, facts)


def _images(claim: Claim, config: AnalyzeConfig) -> SplitImages:
    data_root = Path(claim.me.submission.data_root)
    return SplitImages(load_index(data_root, load_manifest(data_root, config.data.name), "val"))


def _means(
    claim: Claim, config: AnalyzeConfig, ranks: Ranks, images: SplitImages, stop: StopFlag
) -> Means:
    placement = claim.me.submission.placement
    helpers = Helpers(processes=placement.loader_workers, pin=ranks.device.type == "cuda")
    return Means(images, config.analysis.images, placement.micro_batch, helpers, stop)


def _write(claim: Claim, origin: Origin, found: Analysed) -> None:
    """The first rank's: what it leaves of the model's inside, then the journal."""
    leave_if_superseded(claim.folder, claim.attempt)
    number = claim.attempt.number
    publish(probe_file(claim.folder.probes, number, origin.step), found.file)
    header = Header(claim.folder.path.name, number, from_step=None, steps=origin.step)
    with JournalWriter(claim.attempt.journal, header) as journal:
        journal.point(origin.step, origin.epoch, found.metrics)
