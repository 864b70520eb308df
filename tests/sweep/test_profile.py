import re
from pathlib import Path

import pytest

from orchestrator.config import ClusterProfile, Partition
from orchestrator.errors import SpecError
from orchestrator.sweep.profile import load_profile, locate_profile
from orchestrator.sweep.strict_yaml import parse_document

EXAMPLE = Path(__file__).parents[2] / "slurm/cluster.example.yaml"
HEAD = "name: alpha\npartitions:\n  gpu: {time: 2d}\n"


def refused(folder: Path, text: str) -> list[str]:
    path = folder / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as refusal:
        load_profile(path)
    return [line.removeprefix(f"{folder}/") for line in str(refusal.value).splitlines()]


def switched_on() -> str:
    """The example with every key that is commented out; prose has a blank after its #."""
    return re.sub(r"^( *)#(?=[a-z])", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)


def test_the_example_is_a_profile_of_the_fewest_keys() -> None:
    profile = load_profile(EXAMPLE)

    assert profile.model_fields_set == {"name", "partitions"}
    assert list(profile.partitions) == ["gpu"]


def test_the_example_shows_every_key_there_is(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(switched_on())

    profile = load_profile(path)

    assert profile.model_fields_set == set(ClusterProfile.model_fields)
    assert profile.partitions["gpu"].model_fields_set == set(Partition.model_fields)


def test_the_example_shows_no_default_as_if_it_were_a_choice() -> None:
    profile = ClusterProfile.from_plain(parse_document(switched_on(), "").plain)

    for section in (profile, profile.partitions["gpu"]):
        for name, field in type(section).model_fields.items():
            assert getattr(section, name) != field.get_default(call_default_factory=True), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cluster.yaml: is empty; a cluster profile starts with name: ..."),
        ("- a", "cluster.yaml:1: is not a mapping of keys; a cluster profile starts with"),
        ("name: alpha", "cluster.yaml:1: partitions is missing; give it a value"),
        ("name: a\npartitions: {}", "cluster.yaml:2: partitions is {}; it must not be empty"),
        (f"{HEAD}acount: x", "cluster.yaml:4: acount is not a key here; nearest: account"),
        (f"{HEAD}notify: ./tell me", "cluster.yaml:4: notify: ./tell depends on where a program"),
        (f"{HEAD}seed: 3", "cluster.yaml:4: seed is not a key here; known keys: name, partitions"),
        (f"{HEAD}  cpu:\n    tme: 2d", "cluster.yaml:5: tme is not a key here; nearest: time"),
        (f"{HEAD}  cpu:\n    time: 2880", "cluster.yaml:5: partitions.cpu.time: 2880 has no unit"),
        (f"{HEAD}  cpu: 3", "cluster.yaml:4: partitions.cpu is 3; it must be a mapping"),
        (f"{HEAD}  cpu*: {{}}", 'cluster.yaml:4: partitions.cpu* is "cpu*"; it must be at most 64'),
        (
            f"{HEAD}  x: {{gpu_type: a:1}}",
            'cluster.yaml:4: partitions.x.gpu_type is "a:1"; it must',
        ),
        (f"{HEAD}ask_memory: no", 'cluster.yaml:4: ask_memory is "no"; it must be true or false'),
        (f"{HEAD}setup: module load x", "cluster.yaml:4: setup is "),
        (f"{HEAD}setup:\n  - a\n  - 3", "cluster.yaml:6: setup[1] is 3; it must be text"),
        (f"{HEAD}gpu_request: gpu", 'cluster.yaml:4: gpu_request is "gpu"; allowed: gpus-per-node'),
        (f"{HEAD}scratch: tmp", "cluster.yaml:4: scratch: tmp must be an absolute path, such as"),
        (f"{HEAD}extra: {{time: 1h}}", "cluster.yaml:4: extra.time: time is decided by resources."),
        (f"{HEAD}extra:\n  nice: 100", "cluster.yaml:5: extra.nice is 100; it must be text; put"),
        (
            f"{HEAD}controller_partition: gpus",
            "cluster.yaml:4: controller_partition: there is no partition 'gpus'; nearest: gpu",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (line,) = refused(tmp_path, text)

    assert line.startswith(message)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    lines = refused(tmp_path, "name: a b\npartitions: {g: {tme: 1}}\nmax_array: 0")

    assert [line.split(": ")[0] for line in lines] == [f"cluster.yaml:{n}" for n in (1, 2, 3)]


def test_the_first_profile_in_the_order_of_places_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "ORCHESTRATE_CLUSTER": "named.yaml",
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "HOME": str(tmp_path / "home"),
    }
    option, named, xdg, home, project = places = [
        Path("option.yaml"),
        Path("named.yaml"),
        tmp_path / "xdg/orchestrate/cluster.yaml",
        tmp_path / "home/.config/orchestrate/cluster.yaml",
        Path("slurm/cluster.yaml"),
    ]
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert locate_profile("option.yaml", environment) == option
    assert locate_profile(None, environment) == named
    del environment["ORCHESTRATE_CLUSTER"]
    assert locate_profile(None, environment) == xdg
    del environment["XDG_CONFIG_HOME"]
    assert locate_profile(None, environment) == home
    home.unlink()
    assert locate_profile(None, environment) == project
    project.unlink()
    assert locate_profile(None, environment) is None


@pytest.mark.parametrize(
    ("option", "environment", "who"),
    [
        ("x.yaml", {"ORCHESTRATE_CLUSTER": "y.yaml"}, "--cluster: there is no file x.yaml"),
        (None, {"ORCHESTRATE_CLUSTER": "y.yaml"}, "$ORCHESTRATE_CLUSTER: there is no file y.yaml"),
    ],
)
def test_a_profile_that_was_named_must_be_there(
    option: str | None,
    environment: dict[str, str],
    who: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SpecError) as refusal:
        locate_profile(option, environment)

    assert str(refusal.value).startswith(who)


def test_an_empty_variable_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert locate_profile(None, {"ORCHESTRATE_CLUSTER": ""}) is None
