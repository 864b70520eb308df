import time
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.code import package_files
from orchestrator.jobs.secrets import (
    IN_SETTINGS,
    MOST_TOLD,
    Finding,
    find_secrets,
    refuse_secrets,
)

REPOSITORY = Path(__file__).parents[2]
HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567"
DRAWN = "Zx81mKq07Lw2Rt9vBn4c"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
# Put together here, so that no line of this file looks like a secret to others that search it.
ANYWHERE = {
    "pem": (f"key = '''-----{'BEGIN'} RSA PRIVATE KEY-----", "a private key"),
    "pem in a line": (f'"\\n-----{"BEGIN"} OPENSSH PRIVATE KEY-----\\n"', "a private key"),
    "aws": (f"boto('AK{'IA'}QWERTYUIOPASDFGH')", "an access key of AWS"),
    "aws secret": (f"AWS_SECRET_ACCESS_KEY = '{DRAWN}/{DRAWN}'", "a password"),
    "github": (f"login(gh{'p_'}{LETTERS})", "a token of GitHub"),
    "github, newer": (f"x = 'github_{'pat_'}{HEX}_{HEX}'", "a token of GitHub"),
    "gitlab": (f"gl{'pat-'}{DRAWN}", "a token of GitLab"),
    "hugging face": (f"\\nh{'f_'}{LETTERS}", "a token of Hugging Face"),
    "openai": (f"call('s{'k-'}proj-{DRAWN}{DRAWN}')", "a key of OpenAI's kind"),
    "slack": (f"xo{'xb-'}123456789012-{DRAWN}", "a token of Slack"),
    "slack's webhook": (
        f"curl https://hooks.{'slack'}.com/services/T0AB12CD3/B0AB12CD3/{DRAWN}",
        "a webhook of Slack",
    ),
    "discord's webhook": (
        f"'https://{'discord'}.com/api/webhooks/123456789012345678/{HEX}{DRAWN}'",
        "a webhook of Discord",
    ),
    "google": (f"AI{'za'}{LETTERS[:35]}", "a key of Google"),
    "w&b": (f"os.environ['WANDB_API_KEY'] = '{HEX}'", "a key of W&B"),
    "w&b login": (f"MY_WANDB login {HEX}", "a key of W&B"),
    "jwt": (f"ey{'J'}{DRAWN}.eyJ{DRAWN}.{DRAWN}", "a signed token (JWT)"),
    "address": (f"store = 'postgresql://ann:{'tops'}ecret@db.lab/x'", "a password in an address"),
    "redis": (f"redis://:{DRAWN}@host", "a password in an address"),
    "password": ("DB_PASSWORD = 'correct-horse-7'", "a password"),
    "annotated": ("password: str = 'correct-horse-7'", "a password"),
    "argument": (f"connect(user, api_key='{DRAWN}')", "a token or key"),
    "mapping": (f'{{"Token": "{DRAWN}"}}', "a token or key"),
    "set default": (f"environ.setdefault('MY_TOKEN', '{DRAWN}')", "a token or key"),
}
SETTINGS = {
    "export": (f"export MY_API_KEY={DRAWN}", "a token or key"),
    "yaml": ("password: correct-horse-7", "a password"),
    "flag": (f"apptainer exec --docker-password {DRAWN} x.sif", "a password"),
    "flag with =": (f"run --access-token={DRAWN}", "a token or key"),
    "header": (f"curl -H 'Authorization: Bearer {DRAWN}'", "a bearer token"),
}
HARMLESS = (
    "export HF_TOKEN=$(cat ~/.hf_token_2)",
    "export WANDB_API_KEY=$MY_WANDB_KEY_2",
    "password: ${DB_PASSWORD_2}",
    "source ~/secrets2.sh",
    "password_file: registers-2024.txt",
    'TOKEN = "MLFLOW_TRACKING_TOKEN_2"',
    'password = getpass.getpass("Password for 10.0.0.1: ")',
    'token = "<your token from 2024 goes here>"',
    'url = f"https://{user}:{password}@{host}/"',
    "https://user:password@example.org",
    "http://10.0.0.1:5000/#/experiments?name=a@b",
    "git@github.com:lab/vit-2024.git",
    "cls_token: registers-and-gates-8x",
    "model.pool: token",
    'token = "imagenet-1k-patch16-224"',
    "token: Literal['cls', 'registers16'] = 'cls'",
    "secret:\n  learning_rate2: 0.00012345",
    "tokens = secrets.token_hex(16)",
    "task-register-estimators-with-2-Layers-and-more-words",
    f"code_hash: {HEX}",
    f"https://hooks.{'slack'}.com/services/T00000000/B00000000/{'X' * 24}",
    "-----BEGIN CERTIFICATE-----",
    f"hf_hub_download('{LETTERS[:20]}')",
)


@pytest.mark.parametrize(("text", "kind"), ANYWHERE.values(), ids=ANYWHERE)
def test_a_secret_is_found_in_code_by_its_line_and_kind(text: str, kind: str) -> None:
    expected = Finding("a.py", 3, kind)

    assert expected in find_secrets("a.py", f"import os\n\n{text}\n")
    assert expected in find_secrets("a.py", f"import os\n\n{text}\n", IN_SETTINGS)


@pytest.mark.parametrize(("text", "kind"), SETTINGS.values(), ids=SETTINGS)
def test_a_secret_without_quotes_is_found_in_settings(text: str, kind: str) -> None:
    assert find_secrets("s.yaml", text, IN_SETTINGS) == [Finding("s.yaml", 1, kind)]


def test_every_kind_has_a_case_here() -> None:
    cases = [*ANYWHERE.values(), *SETTINGS.values()]

    assert {kind for _, kind in cases} == {pattern.kind for pattern in IN_SETTINGS}


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_names_a_secret_or_looks_alike_is_none(text: str) -> None:
    assert find_secrets("s.yaml", text, IN_SETTINGS) == []


def test_our_own_packages_sweeps_and_profile_hold_no_secret() -> None:
    code = package_files()
    settings = [*REPOSITORY.glob("sweeps/**/*.yaml"), *REPOSITORY.glob("slurm/*.yaml")]
    found = [one for name, path in code.items() for one in find_secrets(name, path.read_text())]
    found += [one for p in settings for one in find_secrets(p.name, p.read_text(), IN_SETTINGS)]

    assert found == []
    assert len(code) > 100
    assert len(settings) >= 2


def test_a_line_that_a_person_has_cleared_is_passed_over_and_no_other() -> None:
    text = f"token = '{DRAWN}'"

    found = find_secrets("a.py", f"{text}  # not a secret\n{text}\n")

    assert [one.line for one in found] == [2]


def test_a_refusal_names_places_and_kinds_and_never_the_secret() -> None:
    text = "\n".join(text for text, _ in ANYWHERE.values())
    found = find_secrets("model/a.py", text)

    with pytest.raises(SpecError) as refused:
        refuse_secrets(found)

    said = str(refused.value)
    assert all(str(one) in said for one in found[:MOST_TOLD])
    assert not any(secret in said for secret in (DRAWN, HEX, LETTERS, "horse", "QWERTY"))
    assert "Let jobs take it from their environment" in said


def test_of_many_findings_the_first_are_named_and_the_rest_are_counted() -> None:
    refuse_secrets([])
    with pytest.raises(SpecError, match="and 5 more"):
        refuse_secrets([Finding("a.py", line, "a password") for line in range(MOST_TOLD + 5)])


@pytest.mark.parametrize("seed", ["sk-", "eyJ", "password", "token ", "--token", "://a:", "wandb "])
def test_a_long_line_takes_no_longer_than_many_short_ones(seed: str) -> None:
    began = time.process_time()
    find_secrets("a.py", seed * (500_000 // len(seed)), IN_SETTINGS)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "line",
    [
        r'question: "password: \"hunter2hunter2\""',
        r'question: "hm password: \"hunter2hunter2\" ok"',
        r"""note: 'api_key = \"a8F3kQ9zL2mX7pR4tW6v\"'""",
    ],
)
def test_a_secret_in_a_text_within_a_text_is_found(line: str) -> None:
    assert find_secrets("s.yaml", line, IN_SETTINGS)
