"""Where the code of a snapshot came from: a commit and what differs from it, or a version."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Self

from orchestrator.errors import RootError
from orchestrator.jobs.code import PACKAGES, SOURCES
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

SCHEMA = 1
DISTRIBUTION = "orchestrate-vit"
PATIENCE_S = 10.0
"""For all of git's answers together."""
DIFF_LIMIT = 1_000_000
"""Characters of a difference that are kept."""
ELSEWHERE = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_DIFF_OPTS"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)
"""Variables that lead git, and a launch from one of its hooks, away from the packages."""
QUIETLY = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
SETTINGS = ("core.fsmonitor=false", "core.quotePath=false", "diff.autoRefreshIndex=false")
"""No daemon, no quoted names, and nothing written: somebody may be committing just now."""
GIT = ("git", *chain.from_iterable(("-c", setting) for setting in SETTINGS))
DIFF = (
    *("diff", "--relative", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"),
    *("--text", "--full-index", "--src-prefix=a/", "--dst-prefix=b/", "HEAD", "--"),
)
_SECTION = re.compile(r"^(?=diff --git a/)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where code came from; ``why`` says what kept its commit from being known.

    ``diff`` leads from the commit to the code, if it is whole: ``left_out`` counts the characters
    beyond the limit. ``version`` is that of an installed package. ``own``: where packages of a
    user's beside ours came from, by name.
    """

    folder: str | None = None
    commit: str | None = None
    diff: str = ""
    left_out: int = 0
    version: str | None = None
    why: str = ""
    own: Mapping[str, "Origin"] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether the code differs from its commit."""
        return bool(self.diff)

    def to_plain(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "changed": self.changed, **asdict(self)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        known = {key: plain[key] for key in cls.__slots__ if key in plain}
        own = {name: cls.from_plain(one) for name, one in known.pop("own", {}).items()}
        return cls(**known, own=own)

    def __str__(self) -> str:
        return ", ".join([self._words(), *(f"{name}: {one}" for name, one in self.own.items())])

    def _words(self) -> str:
        if self.commit:
            return f"commit {self.commit[:12]}{' with changes' if self.changed else ''}"
        return f"version {self.version}" if self.version else "code of no known commit"


class _Unknown(Exception):  # noqa: N818 - what is not known, and why
    """Git does not tell."""


def find_origin(files: Mapping[str, Path]) -> Origin:
    """Where these source files came from, by their paths below the import root; never raises."""
    ours = {name: path for name, path in files.items() if _package(name) in PACKAGES}
    others = sorted(files.keys() - ours.keys())
    own = {
        package: _origin_of({name: files[name] for name in names})
        for package, names in groupby(others, key=_package)
    }
    return replace(_origin_of(ours), own=own)


def _package(name: str) -> str:
    return name.partition("/")[0]


def _origin_of(files: Mapping[str, Path]) -> Origin:
    """The origin of packages that are of one folder."""
    folder = _folder_of(files)
    if folder is None:
        return Origin(why="the packages are imported from several folders")
    try:
        commit, diff = _ask_git(folder, files)
    except (_Unknown, OSError) as unknown:
        return Origin(folder=str(folder), version=_installed(files), why=str(unknown))
    left_out = max(0, len(diff) - DIFF_LIMIT)
    return Origin(folder=str(folder), commit=commit, diff=diff[:DIFF_LIMIT], left_out=left_out)


def read_origin(root: Root, snapshot: str) -> Origin | None:
    """Where a snapshot came from; None for one of an older program.

    Raises:
        RootError: the record is damaged.
    """
    try:
        return Origin.from_plain(read_record(root.origin(snapshot)))
    except FileNotFoundError:
        return None


def origin_of(root: Root, token: str) -> Origin | None:
    """Where the code of a submission came from; None where that was not recorded, or is damaged."""
    with suppress(FileNotFoundError, RootError):
        return read_origin(root, Submission.read(root.submission(token)).snapshot)
    return None


def _folder_of(files: Mapping[str, Path]) -> Path | None:
    """The folder below which all of them are called as they are imported, if it is one."""
    found = set()
    for name, path in files.items():
        real = path.parent.resolve() / path.name
        if not real.as_posix().endswith(f"/{name}"):
            return None
        found.add(real.parents[name.count("/")])
    return found.pop() if len(found) == 1 else None


def _ask_git(folder: Path, files: Mapping[str, Path]) -> tuple[str, str]:
    """The commit, and the difference of these files from it.

    Raises:
        _Unknown: there is no git, no repository that has them, or no answer.
    """
    packages = sorted({_package(name) for name in files})
    where = [f"{package}/*{ending}" for package in packages for ending in SOURCES]
    deadline = time.monotonic() + PATIENCE_S
    commit = _git(folder, deadline, "rev-parse", "--verify", "HEAD").strip()
    tracked = set(_git(folder, deadline, "ls-files", "-z", "--", *where).split("\0"))
    if not tracked & files.keys():
        raise _Unknown("the repository around the packages does not have them")
    # An index that is not refreshed has files for changed that were only touched: a line each.
    told = sections(_git(folder, deadline, *DIFF, *where))
    changed = (section for section in told if section.count("\n") > 1)
    added = (_as_added(name, files[name]) for name in sorted(files.keys() - tracked))
    return commit, "".join(chain(changed, added))


def sections(diff: str) -> list[str]:
    """A difference cut into its files."""
    return _SECTION.split(diff)


def _git(folder: Path, deadline: float, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(
            [*GIT, "-C", str(folder), *words],
            env={**environment, **QUIETLY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(0.1, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Unknown(f"git did not answer within {PATIENCE_S:.0f} s") from None
    except OSError as error:
        raise _Unknown(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise _Unknown(f"git {words[0]} ended with {done.returncode}: {said[0]}")
    return done.stdout.decode(errors="surrogateescape")


def _as_added(name: str, path: Path) -> str:
    """A file that git does not have yet, as ``git diff`` would show it once it was added."""
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
    text = path.read_bytes().decode(errors="surrogateescape")
    if not text:
        return head
    lines = text.removesuffix("\n").split("\n")
    end = "" if text.endswith("\n") else "\\ No newline at end of file\n"
    body = "".join(f"+{line}\n" for line in lines)
    return f"{head}--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}"


def _installed(files: Mapping[str, Path]) -> str | None:
    """The version of the installed package, if these are its files."""
    name, path = next(iter(files.items()))
    try:
        ours = distribution(DISTRIBUTION)
        return ours.version if Path(str(ours.locate_file(name))).samefile(path) else None
    except (PackageNotFoundError, OSError):
        return None
