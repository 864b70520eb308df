"""The worked example of docs/variants.md is trained: from a user's folder, and as one of ours."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lasting import lasting
from support.pool_bench import Bench

from orchestrator.controller.select import select
from orchestrator.jobs.code import package_files
from orchestrator.jobs.facts import read_history

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def blocks() -> dict[str, str]:
    """Code of the guide by the file that its first line names."""
    text = (REPOSITORY / "docs/variants.md").read_text()
    found = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    """A folder with the example's files, as its reader would write them."""
    made = Bench(tmp_path_factory.mktemp("desk"), digits)
    for name in ("mine/cosine.py", "mine/__init__.py", "sweeps/cosine.yaml"):
        (made.folder / name).parent.mkdir(exist_ok=True)
        (made.folder / name).write_text(blocks()[name])
    yield made
    made.tear_down()


def trained(
    desk: Bench, sweep: str = "cosine", **environment: str
) -> dict[str, list[dict[str, float]]]:
    """By point, what was measured of two steps at each of its points of time."""
    done = desk.orchestrate("launch", f"sweeps/{sweep}.yaml", "--wait", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = select(desk.root, sweep)
    points = {job.name: read_history(desk.root.job(job.id)).points for job in jobs}
    assert {name: told[-1].step for name, told in points.items()} == dict.fromkeys(points, 2)
    return {name: [dict(point.metrics) for point in told] for name, told in points.items()}


def test_the_example_of_a_users_own_variant_trains_and_is_measured(desk: Bench) -> None:
    before = sorted((desk.folder / "mine").iterdir())

    measured = trained(desk)

    assert sorted((desk.folder / "mine").iterdir()) == before
    mine = next(told for name, told in measured.items() if "mine.cosine" in name)
    plain = next(told for name, told in measured.items() if "softmax" in name)
    names = {key for told in mine for key in told}
    assert {"val/top1", "attention/entropy", "flops/params"} <= names
    assert mine[-1]["val/loss"] != plain[-1]["val/loss"]
    costs = json.loads(desk.orchestrate("flops", "sweeps/cosine.yaml", "--json").stdout)["arms"]
    plain_arm, my_arm = costs
    assert my_arm["params"] - plain_arm["params"] == 2 * 2  # a scale for each head of each block


def test_the_example_is_evaluated_with_the_package_that_it_is_of(desk: Bench) -> None:
    """Its sweep is named as it was launched, and lists the package."""
    before = trained(desk)
    text = "name: again\ntask: evaluate\nof: {sweeps: [cosine]}\nset: {data.name: digits}\n"
    (desk.folder / "sweeps/again.yaml").write_text(text)

    done = desk.orchestrate("launch", "sweeps/again.yaml", "--wait")

    assert done.returncode == 0, done.stdout + done.stderr
    for job in select(desk.root, "again"):
        measured = read_history(desk.root.job(job.id)).last()
        trained_as = before[job.name.removesuffix(",digits")][-1]
        assert measured["val/loss"] == pytest.approx(trained_as["val/loss"], rel=1e-6)
    rows = json.loads(desk.orchestrate("status", "again", "--json").stdout)["jobs"]
    assert [row["older_code"] for row in rows] == [False, False]


def test_the_example_as_one_of_ours_trains_to_the_very_same_numbers(desk: Bench) -> None:
    mine = trained(desk)
    code = desk.folder / "code"
    for name, source in package_files().items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, code / name)
    (code / "model/attention/cosine.py").write_text(blocks()["mine/cosine.py"])
    table, start = (
        code / "model/variants.py",
        "VARIANTS: Mapping[str, Variant] = MappingProxyType(\n    {\n",
    )
    assert start in table.read_text()
    table.write_text(table.read_text().replace(start, start + blocks()["model/variants.py"]))
    text = re.sub(r"packages:.*\n", "", blocks()["sweeps/cosine.yaml"])
    text = text.replace("name: cosine", "name: ours").replace("mine.cosine", "cosine")
    (desk.folder / "sweeps/ours.yaml").write_text(text)

    ours = trained(desk, "ours", PYTHONPATH=str(code))

    assert of_cosine(ours) == of_cosine(mine)


def of_cosine(measured: dict[str, list[dict[str, float]]]) -> list[dict[str, float]]:
    """What the same weights and images give again; speed is none of it."""
    (told,) = (points for name, points in measured.items() if "cosine" in name)
    return [lasting(one) for one in told]
