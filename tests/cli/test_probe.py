import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.pool_bench import Bench

from model.vit import build_vit
from orchestrator.config import RunConfig
from orchestrator.jobs.files import to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import write_revision
from orchestrator.jobs.submissions import write_intent
from orchestrator.worker import weights

CONFIG = RunConfig.from_plain(
    {
        "data": {"name": "digits"},
        "model": {
            "img_size": 8, "patch_size": 4, "in_chans": 1, "num_classes": 10,
            "dim": 16, "depth": 2, "heads": 2, "registers": 1,
        },
    }
)  # fmt: skip
JOB = job_id(CONFIG)


@pytest.fixture
def saved(bench: Bench) -> Bench:
    """A root with a job whose weights were kept, though no sweep has it."""
    write_job(bench.root, JOB, CONFIG)
    folder = bench.root.job(JOB)
    model = build_vit(CONFIG.model, 1)
    weights.save(folder, folder.attempt(1), 40, 2, model.state_dict())
    return bench


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(3):
        pixels = np.random.default_rng(n).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{n}.png")
    return folder


def test_a_jobs_model_is_probed_on_its_own_validation_images(saved: Bench) -> None:
    done = saved.orchestrate("probe", JOB[:8], "--count", "20")

    assert done.returncode == 0, done.stderr
    out = saved.folder / f"probe-{JOB[:8]}-{JOB[:8]}-step40"
    assert str(out / "index.html") in done.stdout
    told = json.loads((out / "findings.json").read_text())
    assert (told["model"]["job"], told["model"]["epoch"]) == (JOB, 2)
    assert told["images"]["count"] == 20
    assert told["scalars"]["norms/median"] > 0
    assert (out / "register_maps.png").is_file()


def test_a_job_is_probed_on_the_scale_of_pixels_it_was_trained_on(
    bench: Bench, pictures: Path
) -> None:
    medians = set()
    for scale in ("half", "imagenet"):
        plain = CONFIG.to_plain()
        plain["model"]["in_chans"], plain["data"]["normalisation"] = 3, scale
        config = RunConfig.from_plain(plain)
        job = job_id(config)
        write_job(bench.root, job, config)
        folder = bench.root.job(job)
        weights.save(folder, folder.attempt(1), 1, 1, build_vit(config.model, 1).state_dict())
        done = bench.orchestrate("probe", job, "--images", str(pictures), "--out", scale, "--json")
        assert done.returncode == 0, done.stderr
        medians.add(json.loads(done.stdout)["scalars"]["norms/median"])

    assert len(medians) == 2


def test_json_is_the_document_of_the_report_and_where_it_is(saved: Bench) -> None:
    done = saved.orchestrate("probe", JOB[:8], "--count", "5", "--out", "o", "--json")
    told = json.loads(done.stdout)

    assert told.pop("out") == str(saved.folder / "o")
    assert told == json.loads((saved.folder / "o" / "findings.json").read_text())
    assert " ".join(told) == "schema name model images conditions versions scalars warnings"


def test_a_vision_transformer_of_timms_is_probed_without_a_root_or_a_network(
    bench: Bench, pictures: Path
) -> None:
    words = ("probe", "timm:vit_tiny_patch16_224", "--untrained", "--images", str(pictures))
    done = bench.orchestrate(*words, ORCHESTRATE_ROOT="/nowhere", HF_HUB_OFFLINE="1")

    assert done.returncode == 0, done.stderr
    folder = bench.folder / "probe-vit_tiny_patch16_224-untrained"
    assert json.loads((folder / "findings.json").read_text())["images"]["count"] == 3


def test_without_a_network_it_says_so_and_leaves_nothing(bench: Bench, pictures: Path) -> None:
    words = ("probe", "timm:vit_tiny_patch16_224", "--images", str(pictures))
    done = bench.orchestrate(*words, HF_HUB_OFFLINE="1", HF_HOME=str(bench.folder / "empty"))

    assert done.returncode == 1
    assert done.stderr.startswith("error: The weights of 'vit_tiny_patch16_224' are not in the")
    assert done.stderr.count("\n") == 1
    assert not (bench.folder / "probe-vit_tiny_patch16_224").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("nothing",), 1, "called 'nothing'"),
        (("{job}", "--images", "nowhere"), 1, "no folder"),
        (("{job}", "--images", "."), 1, "no images below"),
        (("{job}", "--out", "taken"), 1, "no report"),
        (("{job}", "--untrained"), 2, "go with timm:NAME"),
        (("timm:vit_tiny_patch16_224",), 2, "--images"),
        (("timm:nonsense", "--images", "{data}", "--untrained"), 1, "no model 'nonsense'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_message(
    saved: Bench, digits: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    (saved.folder / "taken").mkdir()
    filled = [word.format(job=JOB[:8], data=digits / "digits") for word in words]

    done = saved.orchestrate("probe", *filled)

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert told in done.stderr


def test_an_earlier_report_is_kept_unless_force_is_said(saved: Bench) -> None:
    words = ("probe", JOB[:8], "--out", "o", "--count")
    codes = [saved.orchestrate(*words, "5").returncode, saved.orchestrate(*words, "6").returncode]
    kept = json.loads((saved.folder / "o" / "findings.json").read_text())
    codes.append(saved.orchestrate(*words, "6", "--force").returncode)
    replaced = json.loads((saved.folder / "o" / "findings.json").read_text())

    assert codes == [0, 1, 0]
    assert (kept["images"]["count"], replaced["images"]["count"]) == (5, 6)


def own_package(folder: Path) -> Path:
    """A user's package of a variant that is softmax under another name."""
    folder.mkdir(parents=True)
    (folder / "plain.py").write_text(
        "from model.attention.softmax import SoftmaxAttention\n"
        "class Plain(SoftmaxAttention):\n    pass\n"
    )
    (folder / "__init__.py").write_text(
        "from model.variants import Variant\n"
        "VARIANTS = {'plain': Variant(location='mine.plain:Plain', macs=lambda c: 1,\n"
        "                             params=lambda c: 1, description='plain')}\n"
    )
    return folder


def test_a_model_of_a_users_own_variant_is_built_by_the_code_that_trained_it_or_says_otherwise(
    bench: Bench,
) -> None:
    plain = CONFIG.to_plain()
    config = RunConfig.from_plain({**plain, "model": {**plain["model"], "attention": "mine.plain"}})
    job = job_id(config)
    write_job(bench.root, job, config)
    folder = bench.root.job(job)
    weights.save(folder, folder.attempt(1), 40, 2, build_vit(CONFIG.model, 1).state_dict())
    submission = bench.draft("x", jobs=[job])
    write_intent(bench.root, submission, "")
    start = {"token": submission.token, "index": 0, "restart": 0, "time": 0.0}
    where = {"process": "elsewhere:boot:1:1", "host": "elsewhere", "code_hash": "c"}
    folder.attempt(1).path.mkdir(parents=True)
    folder.attempt(1).started.write_bytes(to_json({**start, **where}))
    snapshot = own_package(bench.root.snapshots / submission.snapshot / "mine")
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine" / "__init__.py").write_text("raise RuntimeError('edited since')")
    listed = own_package(bench.folder / "desk" / "mine")
    jobs = [{"id": job, "name": "x"}]
    write_revision(bench.root, "s", {"jobs": jobs, "packages": {"mine": str(listed)}})
    words = ("probe", job[:8], "--count", "5", "--force", "--json")

    by_snapshot = bench.orchestrate(*words)
    shutil.rmtree(snapshot)
    by_folder = bench.orchestrate(*words)
    shutil.rmtree(listed)
    by_nothing = bench.orchestrate(*words)

    assert by_snapshot.returncode == 0, by_snapshot.stderr
    told = json.loads(by_snapshot.stdout)["model"]
    assert told["package"] == "mine"
    assert told["package_from"] == f"snapshot {submission.snapshot}, which trained it"
    told = json.loads(by_folder.stdout)["model"]
    assert told["package_from"].startswith(f"{listed} as it is now")
    assert by_nothing.returncode == 1
    assert f"looked for {snapshot}, {listed}. Put it back" in by_nothing.stderr
    assert "Traceback" not in by_nothing.stderr


def test_images_that_are_not_there_are_told_before_a_report_that_is(saved: Bench) -> None:
    (saved.folder / "taken").mkdir()

    done = saved.orchestrate("probe", JOB[:8], "--images", "nowhere", "--out", "taken")

    assert "no folder" in done.stderr
