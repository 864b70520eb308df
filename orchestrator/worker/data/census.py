"""Counting a dataset while its samples go by, for the manifest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import SPLITS, Manifest, Shard, Split, lines_sha256
from orchestrator.worker.data.decode import Facts, facts_of
from orchestrator.worker.data.digests import Content, content_hash, layout_hash
from orchestrator.worker.data.samples import About, LeftOut, Sample


@dataclass(slots=True)
class Census:
    """What is counted while samples go by."""

    about: About
    lines: list[Content] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    counts: dict[Split, list[int]] = field(init=False)
    widths: set[int] = field(default_factory=set)
    heights: set[int] = field(default_factory=set)
    all_grey: bool = True
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = {split: [0] * len(self.about.classes) for split in SPLITS}

    def counted(self, samples: Iterable[Sample | LeftOut]) -> Iterator[Sample]:
        for sample in samples:
            if isinstance(sample, LeftOut):
                self.left_out.append(str(sample))
            else:
                self._count(sample)
                yield sample

    def _count(self, sample: Sample) -> None:
        if sample.key in self.keys or "." in sample.key:
            raise ValueError(f"the key '{sample.key}' has a dot, or is not the first of its name")
        self.keys.add(sample.key)
        name = self.about.classes[sample.label]
        line = Content.of(sample.key, name, sample.split, sample.image_bytes)
        self.add(line, sample.label, facts_of(sample.image_bytes))

    def add(self, line: Content, label: int, facts: Facts) -> None:
        """Count one image by what is known of it."""
        self.lines.append(line)
        self.counts[line.split][label] += 1
        self.widths.add(facts.width)
        self.heights.add(facts.height)
        self.all_grey &= facts.grey

    def refuse_gaps(self) -> None:
        """Make sure that there are images of every class to train on, and some to validate.

        Raises:
            DataError: there are not.
        """
        split: Split = "val" if self.about.only_val else "train"
        counts = zip(self.about.classes, self.counts[split], strict=True)
        empty = [name for name, count in counts if not count]
        kind = "image" if self.about.only_val else "training image"
        if empty or not any(self.counts["val"]):
            what = f"{kind} of class {', '.join(empty)}" if empty else "validation image"
            raise DataError(
                f"Dataset '{self.about.name}' from {self.about.source} would have no {what}. "
                "Add images (a class needs two where one of them is to be for validation), or "
                "remove the class."
            )

    def manifest(self, shards: list[Shard]) -> Manifest:
        about = self.about
        return Manifest(
            name=about.name,
            source=about.source,
            split_rule=about.split_rule,
            classes=list(about.classes),
            channels=1 if self.all_grey else 3,
            smallest=[min(self.widths), min(self.heights)],
            largest=[max(self.widths), max(self.heights)],
            counts=self.counts,
            shards=shards,
            left_out=sorted(self.left_out),
            content_hash=content_hash(self.lines),
            layout_hash=layout_hash(shards),
            label_space=about.label_space,
            classes_sha256=lines_sha256(about.classes),
            passed_over=dict(about.passed_over),
            members=about.members,
            remote=list(about.remote),
        )
