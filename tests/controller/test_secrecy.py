from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench

from orchestrator.config import ClusterProfile
from orchestrator.controller import snapshot
from orchestrator.controller.launch import launch
from orchestrator.controller.origin import Origin
from orchestrator.controller.secrecy import check_settings, secrets_in_code
from orchestrator.errors import SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.code import package_files
from orchestrator.jobs.layout import Root
from orchestrator.sweep.load import load_sweep

DRAWN = "Zx81mKq07Lw2Rt9vBn4c"
LINE = f"api_key = '{DRAWN}'"
PROFILE: dict[str, Any] = {"name": "alpha", "partitions": {"cpu": {}}}


@pytest.fixture
def fresh(tmp_path: Path, digits: Path) -> Bench:
    """A bench whose root is still to be made."""
    return Bench(tmp_path, digits)


def refused(fresh: Bench) -> str:
    """What a launch says, that must have created nothing."""
    path = fresh.folder / "s.yaml"
    if not path.exists():
        fresh.sweep("a")
    sweep = load_sweep(path, executors=EXECUTORS)
    with pytest.raises(SpecError) as error:
        launch(sweep, root_path=fresh.root.path, data_root=fresh.data)
    assert not fresh.root.path.exists()
    assert DRAWN not in str(error.value)
    return str(error.value)


def test_a_sweep_with_a_secret_is_refused_by_file_and_line(fresh: Bench) -> None:
    base = fresh.folder / "base.yaml"
    base.write_text(f"question: >\n  is this fine? # token={DRAWN}\n")
    path = fresh.sweep("a", text="extends: base.yaml\n")

    assert f"\n  {base}:2: a token or key\n" in refused(fresh)
    base.write_text("question: and now?\n")
    path.write_text(path.read_text() + f"# password: {DRAWN}\n")
    assert f"\n  {path}:{path.read_text().count(chr(10))}: a password\n" in refused(fresh)


def test_a_secret_among_the_words_of_a_command_is_refused(fresh: Bench) -> None:
    path = fresh.sweep("a", text=f'notify: [tell, "--password", "{DRAWN}"]\n')

    assert "\n  notify:1: a password\n" in refused(fresh)
    path.write_text(path.read_text().replace("notify:", "notify: [tell]\n#"))
    assert load_sweep(path, executors=EXECUTORS).notify is not None


def test_a_setting_of_the_command_line_with_a_secret_is_refused_by_its_key(fresh: Bench) -> None:
    sweep = load_sweep(fresh.sweep("a"), executors=EXECUTORS)

    with pytest.raises(SpecError, match=r"\n  --set data.name:1: a token of GitLab\n"):
        check_settings(replace(sweep, overrides=(f"data.name=gl{'pat-'}{DRAWN}",)), None)


def test_code_with_a_secret_is_refused_by_file_and_line(
    fresh: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited, linked = fresh.folder / "vit.py", fresh.folder / "linked.py"
    edited.write_text(f"import os\n\n{LINE}\n")
    linked.symlink_to(edited)
    files = {**package_files(), "model/vit.py": edited, "model/linked.py": linked}
    monkeypatch.setattr(snapshot, "package_files", lambda _: files)

    said = refused(fresh)

    assert "\n  model/vit.py:3: a token or key\n" in said
    assert "\n  model/linked.py:3: a token or key\n" in said


def test_a_secret_that_was_taken_out_and_not_committed_is_refused_too(
    fresh: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    diff = (
        "diff --git a/model/a.py b/model/a.py\n--- a/model/a.py\n+++ b/model/a.py\n"
        f"@@ -1,2 +1,1 @@\n import os\n-{LINE}\n"
        "diff --git a/model/b.py b/model/b.py\n@@ -1 +1 @@\n-a\n+b\n"
    )
    monkeypatch.setattr(snapshot, "find_origin", lambda _: Origin(commit="0" * 40, diff=diff))

    assert "\n  git diff HEAD -- model/a.py:6: a token or key\n" in refused(fresh)


def test_a_users_package_is_searched_like_our_own_code(fresh: Bench) -> None:
    mine = fresh.folder / "mine"
    mine.mkdir()
    table = "from model.variants import VARIANTS\n"
    (mine / "__init__.py").write_text(table)
    fresh.sweep("a", text="packages: [mine]\n")
    (mine / "__init__.py").write_text(table + LINE)

    assert "\n  mine/__init__.py:2: a token or key\n" in refused(fresh)


def test_what_a_change_adds_is_told_once_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(f"{LINE}\n")
    diff = f"diff --git a/model/a.py b/model/a.py\n@@ -0,0 +1,1 @@\n+{LINE}\n"

    found = list(secrets_in_code({"model/a.py": file}, diff))

    assert [str(one) for one in found] == ["model/a.py:1: a token or key"]


def test_code_that_was_copied_before_is_not_searched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*_: object) -> None:
        raise AssertionError("it was searched")

    monkeypatch.setattr(snapshot, "secrets_in_code", search)

    snapshot.check_code(bench.root)
    with pytest.raises(AssertionError):
        snapshot.check_code(Root(bench.folder / "another"))


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"setup": ["module load cuda", f"export MY_TOKEN={DRAWN}"]}, "setup:2: a token or key"),
        (
            {"launch_prefix": ["docker", f"--password {DRAWN}"]},
            "launch_prefix:1: a password",
        ),
        (
            {"extra": {"export": f"ALL,DB_PASSWORD={DRAWN}"}},
            "extra.export:1: a password",
        ),
        ({"notify": ["tell", "--password", DRAWN]}, "notify:1: a password"),
    ],
    ids=["setup", "launch_prefix", "extra", "notify"],
)
def test_a_profile_with_a_secret_is_refused_by_its_key(
    fresh: Bench, settings: dict[str, Any], place: str
) -> None:
    fresh.sweep("a")
    sweep = load_sweep(fresh.folder / "s.yaml", executors=EXECUTORS)
    check_settings(sweep, ClusterProfile.from_plain(PROFILE))

    with pytest.raises(SpecError) as error:
        check_settings(sweep, ClusterProfile.from_plain({**PROFILE, **settings}))

    assert f"\n  the profile of alpha, {place}\n" in str(error.value)
    assert DRAWN not in str(error.value)
