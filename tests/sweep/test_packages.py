import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from model.flops import count_params
from orchestrator.sweep.expand import Sweep

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

TABLE = """
from model.variants import Variant
VARIANTS = {{
    "shifted": Variant(
        location="{location}", macs=lambda config: {macs}, params=lambda config: {params},
        description="x",
    )
}}
"""
SWEEP = """\
name: a
packages: [{path}]
set: {{data.name: d}}
grid:
  - model.attention: [softmax, {attention}]
"""


def package(
    folder: Path, *, location: str = "mine.shifted:Shifted", macs: str = "1", params: str = "7"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = TABLE.format(location=location, macs=macs, params=params)
    (folder / "__init__.py").write_text(table)
    (folder / "shifted.py").write_text("import torch\n")
    return folder


def sweep(path: str = "mine", attention: str = "mine.shifted") -> str:
    return SWEEP.format(path=path, attention=attention)


def test_a_package_is_found_beside_the_sweep_and_counts_for_its_variant(
    folder: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    package(folder / "mine", params="1000")
    before = list(sys.path)

    loaded = load(sweep())

    ours, mine = (count_params(point.config.model) for point in loaded.points)
    assert mine - ours == 12 * (1000 - 4 * (384**2 + 384))
    assert loaded.packages == {"mine": folder / "mine"}
    assert "mine.shifted" not in sys.modules
    assert sys.path == before
    assert [path.name for path in (folder / "mine").iterdir() if path.is_dir()] == []


def test_only_the_folder_itself_can_be_imported_and_not_what_lies_beside_it(
    folder: Path, load: Load
) -> None:
    package(folder / "lab" / "mine")
    (folder / "lab" / "beside.py").touch()

    load(sweep("lab/mine"))

    import_module("mine")
    with pytest.raises(ModuleNotFoundError):
        import_module("beside")


def test_the_path_of_a_package_starts_at_the_file_that_lists_it(folder: Path, load: Load) -> None:
    package(folder / "bases" / "mine")
    (folder / "bases" / "base.yaml").write_text("packages: [mine]\nset: {data.name: d}\n")
    text = "name: a\nextends: bases/base.yaml\nset: {model.attention: mine.shifted}\n"

    assert load(text).packages == {"mine": folder / "bases" / "mine"}


def test_a_childs_list_takes_the_place_of_its_parents(folder: Path, load: Load) -> None:
    package(folder / "mine")
    (folder / "base.yaml").write_text("packages: [mine]\nset: {data.name: d}\n")

    assert load("name: a\nextends: base.yaml\npackages: []\n").packages == {}


def test_a_package_is_loaded_anew_each_time(folder: Path, load: Load) -> None:
    init = package(folder / "mine", params="7 + more") / "__init__.py"
    init.write_text("from mine.costs import more\n" + init.read_text())
    (folder / "mine/costs.py").write_text("more = 0\n")
    first = count_params(load(sweep()).points[1].config.model)
    (folder / "mine/costs.py").write_text("more = 10_000\n")

    assert count_params(load(sweep()).points[1].config.model) - first == 12 * 10_000


def test_a_link_is_a_package_of_its_own_name(folder: Path, load: Load) -> None:
    package(folder / "mine-v2", location="linked.shifted:Shifted")
    (folder / "linked").symlink_to(folder / "mine-v2")

    assert load(sweep("linked", "linked.shifted")).packages == {"linked": folder / "linked"}


def test_listing_a_package_changes_no_id_of_jobs_that_do_not_use_it(
    folder: Path, load: Load
) -> None:
    package(folder / "mine")

    with_package, without = load(sweep()), load("name: a\nset: {data.name: d}\n")

    assert with_package.points[0].id == without.points[0].id


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (sweep("yours"), "a.yaml:2: packages: {folder}/yours is no package: it has no __init__.py"),
        (
            sweep("at/model"),
            (
                "a.yaml:2: packages: {folder}/at/model: the name model is taken, it is one of this "
                "program's packages; rename the folder"
            ),
        ),
        (
            sweep("at/json"),
            (
                "a.yaml:2: packages: {folder}/at/json: the name json is taken, it is a module of "
                "Python's own; rename the folder"
            ),
        ),
        (
            sweep("at/my-own"),
            (
                "a.yaml:2: packages: {folder}/at/my-own: my-own cannot be a package's name; rename "
                "the folder"
            ),
        ),
        (
            sweep("at/__main__"),
            (
                "a.yaml:2: packages: {folder}/at/__main__: __main__ cannot be a package's name; "
                "rename the folder"
            ),
        ),
        (
            sweep(attention="mine.shiftet"),
            (
                "a.yaml:5: model.attention: mine has no attention variant 'shiftet'; VARIANTS "
                "there has: shifted"
            ),
        ),
        (
            sweep(attention="yours.shifted"),
            (
                "a.yaml:5: model.attention is 'yours.shifted', but no folder yours is listed under "
                "packages (listed: mine); add it, as in packages: [../yours]"
            ),
        ),
        (
            sweep("mine, at/mine"),
            "a.yaml:2: packages: two packages are called mine; rename one",
        ),
        (sweep().replace("[mine]", "mine"), 'a.yaml:2: packages is "mine"; it must be a list'),
        (sweep("''"), 'a.yaml:2: packages[0] is ""; it must not be empty'),
    ],
)
def test_what_is_no_package_of_the_users_own_is_refused_by_its_line(
    folder: Path, refused: Refused, text: str, message: str
) -> None:
    package(folder / "mine")
    for name in ("model", "json", "my-own", "__main__", "mine"):
        package(folder / "at" / name)

    assert refused(text) == [message.format(folder=folder)]


def test_the_name_of_an_installed_package_is_taken(folder: Path, refused: Refused) -> None:
    package(folder / "yaml")

    (line,) = refused(sweep("yaml"))

    assert "the name yaml is taken, it is installed at " in line
    package(folder / "mpl_toolkits")
    assert (
        "the name mpl_toolkits is taken, it is an installed package"
        in refused(sweep("mpl_toolkits"))[0]
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("import torch\n", "__init__.py:1: imports torch; the table must load without it, so"),
        ("\nfrom torch.nn import Module\n", "__init__.py:2: imports torch; the table must load"),
        ("from mine.shifted import x\n", "shifted.py:1: imports torch; the table must load"),
        ("import nowhere\n", "__init__.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("a = 1\nVARIANTS = {\n", "__init__.py:2: SyntaxError: '{' was never closed"),
        ("1 / 0\n", "__init__.py:1: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "__init__.py:2: SystemExit: 3"),
        ("", "__init__.py has no table VARIANTS of attention variants"),
        ("VARIANTS = {'shifted': 3}\n", "VARIANTS['shifted'] is 3; it must be a Variant of"),
        (
            TABLE.format(location="mine.sifted:Shifted", macs="1", params="1"),
            "VARIANTS['shifted'] is at 'mine.sifted:Shifted', which is no module:Class of the",
        ),
        (
            TABLE.format(location="nowhere:Shifted", macs="1", params="1"),
            "VARIANTS['shifted'] is at 'nowhere:Shifted', which is no module:Class of the",
        ),
        (
            TABLE.format(location="mine.shifted:S", macs="1", params="1").replace(
                '"shifted":', '"bad.row":'
            ),
            "VARIANTS['bad.row']: no sweep can name it; call the row by one plain word",
        ),
        (
            TABLE.format(location="mine.shifted", macs="1", params="1"),
            "VARIANTS['shifted'] is at 'mine.shifted', which is no module:Class of the",
        ),
    ],
)
def test_a_package_that_cannot_be_loaded_is_refused_by_its_own_line(
    folder: Path, refused: Refused, table: str, message: str
) -> None:
    package(folder / "mine").joinpath("__init__.py").write_text(table)
    held = sys.modules.get("torch")

    (line,) = refused(sweep())

    assert line.startswith(f"a.yaml:2: packages: {folder}/mine/")
    assert message in line
    assert sys.modules.get("torch") is held
    assert "mine" not in sys.modules


def test_a_setting_of_another_variant_is_refused_as_it_is_of_ours(
    folder: Path, refused: Refused
) -> None:
    package(folder / "mine")
    text = sweep().replace("{data.name: d}", "{data.name: d, model.clip_alpha: 2.5}")

    assert any("attention mine.shifted clips nothing" in line for line in refused(text))


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({"macs": "1 // 0"}, "macs of mine.shifted cannot be counted: "),
        ({"macs": "config.sizes"}, "__init__.py:5: AttributeError: "),
        ({"params": "-1"}, "params of mine.shifted is -1; it must be a whole number"),
        ({"params": "4 * config.dim / 3"}, "params of mine.shifted is 512.0; it must be a whole"),
    ],
)
def test_a_cost_that_cannot_be_counted_is_refused_where_the_variant_is_asked_for(
    folder: Path, refused: Refused, cost: dict[str, str], message: str
) -> None:
    package(folder / "mine", **cost)

    (line,) = refused(sweep())

    assert line.startswith("a.yaml:5: model.attention: ")
    assert message in line
