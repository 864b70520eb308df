"""Secrets in texts that a run root would keep: where they are and of which kind, never which."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.errors import SpecError

MOST_TOLD = 20
CLEARED = "not a secret"
"""A line with these words in it is passed over: a person has looked at it."""
Verdict = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Finding:
    """What looks like a secret of this kind, in a line of a text."""

    where: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.kind}"


def _stands_alone(match: re.Match[str]) -> bool:
    """Whether it begins a word. The patterns do not ask: beginning with letters they are fast."""
    before = match.string[max(0, match.start() - 2) : match.start()]
    return not before or before[0] == "\\" or not (before[-1].isalnum() or before[-1] == "_")


@dataclass(frozen=True, slots=True)
class Pattern:
    """How secrets of a kind are written; ``verdict`` tells them from what is written alike."""

    kind: str
    regex: re.Pattern[str]
    verdict: Verdict = _stands_alone


_STAND_IN = re.compile(
    r"^[$~/<*]|^\.{1,2}/|://|[$%]?[{(]|\.\.\.|xxx|example|placeholder|change_?me|your|dummy"
    r"|redacted|^pass(word|wd)?\d*$|^secret\d*$",
    re.IGNORECASE,
)
"""Values that stand for another: a variable, a path, an address, a word of a manual."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_ABOUT_IT = re.compile(
    r"(file|path|dir|folder|name|url|uri|env|var|hash|id|ids|type|kind|len|size|count|limit)$",
    re.IGNORECASE,
)
"""Ends of names that hold something about a secret."""
_RUN = re.compile(r"[A-Za-z0-9]{12,}")


def _could_be_one(match: re.Match[str]) -> bool:
    """Whether a value that is called a password may be one."""
    name, value = match["name"], match["value"]
    if _ABOUT_IT.search(name) or _STAND_IN.search(value) or _VARIABLE.fullmatch(value):
        return False
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _was_drawn(match: re.Match[str]) -> bool:
    """Whether a value that is called a token or a key looks like one that was drawn by chance.

    Images have tokens too: what is called so is a secret only if it reads like no word.
    """
    runs = _RUN.findall(match["value"])
    return _could_be_one(match) and any(re.search(r"\d", r) and re.search(r"\D", r) for r in runs)


def _is_no_stand_in(match: re.Match[str]) -> bool:
    return not _STAND_IN.search(match["value"])


_A_WORD = r"(?P<name>(?i:password|passwd|passphrase|secret)[\w-]{0,24})"
_A_KEY = r"(?P<name>(?i:token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w-]{0,24})"
_QUOTED = (  # a text within a text has backslashes before its quotes
    r"\\{0,2}[\"']?\]?\s{0,4}(?::\s{0,4}\w{1,24}\s{0,4}=|[:=,])\s{0,4}\w{0,2}\\{0,2}[\"']"
    r"(?P<value>[^\"'\s]"
)
_BARE = r"[ \t]{0,4}[:=][ \t]{0,4}(?P<value>[^\s\"'#;&|,\[\]]"
_NEXT = r"[ \t]{1,4}(?P<value>[^\s\"'#;&|,\[\]]"

IN_CODE = (
    Pattern("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"), bool),
    Pattern("an access key of AWS", re.compile(r"A[KS]IA[0-9A-Z]{16}\b")),
    Pattern("a token of GitHub", re.compile(r"gh[opsur]_[A-Za-z0-9]{36}")),
    Pattern("a token of GitHub", re.compile(r"github_pat_[A-Za-z0-9_]{40}")),
    Pattern("a token of GitLab", re.compile(r"glpat-[A-Za-z0-9_-]{20}")),
    Pattern("a token of Hugging Face", re.compile(r"hf_[A-Za-z0-9]{30}")),
    Pattern(
        "a key of OpenAI's kind", re.compile(r"sk-(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Z])[\w-]{32}")
    ),
    Pattern("a token of Slack", re.compile(r"xox[abeoprs]-[0-9A-Za-z-]{10}")),
    Pattern(
        "a webhook of Slack",
        re.compile(r"hooks\.slack\.com/[a-z]{1,16}/T\w{6,16}/\w{6,16}/(?P<value>\w{16,})"),
        _is_no_stand_in,
    ),
    Pattern(
        "a webhook of Discord",
        re.compile(r"discord(?:app)?\.com/api/webhooks/\d{15,}/(?P<value>[\w-]{40,})"),
        _is_no_stand_in,
    ),
    Pattern("a key of Google", re.compile(r"AIza[0-9A-Za-z_-]{35}")),
    Pattern(
        "a key of W&B", re.compile(r"(?i:wandb)[\w .=:\"'\[\](),-]{0,40}\b[0-9a-f]{40}\b"), bool
    ),
    Pattern("a signed token (JWT)", re.compile(r"eyJ[\w-]{10,500}\.eyJ[\w-]{10,5000}\.[\w-]{10}")),
    Pattern(
        "a password in an address",
        re.compile(r"://[^\s/:@\"'<>{}$]*:(?P<value>[^\s/@\"'<>{}$]{1,200})@"),
        _is_no_stand_in,
    ),
    Pattern("a password", re.compile(_A_WORD + _QUOTED + r"{8,})[\"']"), _could_be_one),
    Pattern("a token or key", re.compile(_A_KEY + _QUOTED + r"{16,})[\"']"), _was_drawn),
)
"""What is a secret wherever it stands; in code a name without quotes is no value."""
IN_SETTINGS = (
    *IN_CODE,
    Pattern("a bearer token", re.compile(r"[Bb]earer\s{1,4}[A-Za-z0-9._~+/-]{20}")),
    Pattern("a password", re.compile(_A_WORD + _BARE + r"{8,})"), _could_be_one),
    Pattern("a token or key", re.compile(_A_KEY + _BARE + r"{16,})"), _was_drawn),
    Pattern(
        "a password", re.compile(r"--[\w-]{0,24}?" + _A_WORD + _NEXT + r"{8,})"), _could_be_one
    ),
    Pattern(
        "a token or key", re.compile(r"--[\w-]{0,24}?" + _A_KEY + _NEXT + r"{16,})"), _was_drawn
    ),
)
"""What is one in YAML and in lines of a shell, where values need no quotes."""


def find_secrets(where: str, text: str, patterns: Sequence[Pattern] = IN_CODE) -> list[Finding]:
    """What of ``text``, which is called ``where``, looks like a secret; in order of lines."""
    found = {
        Finding(where, text.count("\n", 0, match.start()) + 1, pattern.kind)
        for pattern in patterns
        for match in pattern.regex.finditer(text)
        if pattern.verdict(match) and CLEARED not in _line_around(text, match.start())
    }
    return sorted(found, key=lambda one: (one.line, one.kind))


def refuse_secrets(found: Iterable[Finding]) -> None:
    """Raise a SpecError that names every finding, if there is any."""
    told = [str(one) for one in found]
    if not told:
        return
    more = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    lines = "\n  ".join([*told[:MOST_TOLD], *more])
    raise SpecError(
        "A launch would copy what looks like a secret into the run root, for everybody who reads "
        f"it:\n  {lines}\n"
        "Nothing was launched. Let jobs take it from their environment, or read it from a file of "
        "yours outside the run root; what git diff shows as taken out, commit first. A line that "
        f"holds none may say so: # {CLEARED}"
    )


def _line_around(text: str, place: int) -> str:
    begin, end = text.rfind("\n", 0, place) + 1, text.find("\n", place)
    return text[begin : None if end < 0 else end]
