import json
import re

import pytest
from support.pool_bench import Bench
from support.terminal import Terminal


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 160])
def test_a_plan_fits_its_terminal(bench: Bench, columns: int) -> None:
    terminal = Terminal(bench, "plan", str(bench.sweep("a", "b")), columns=columns)

    assert terminal.exit_code() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.read()).splitlines()
    tables = [line for line in lines if line.startswith(("axis", "case", "jobs", "   "))]
    assert len(tables) >= 5
    assert max(map(len, tables)) <= columns
    told = " ".join(" ".join(lines).split())
    assert "case a 1 ?" in told
    assert "What a launch would take is not known." in told


@pytest.mark.slow
def test_cores_cost_no_gpu_hours_and_what_is_not_known_is_told(bench: Bench) -> None:
    path = bench.sweep("a")
    cpu = "placement: {device: cpu}"
    path.write_text(path.read_text().replace(cpu, "placement: {peak_tflops: 1.0e-6, device: cpu}"))

    cores = bench.orchestrate("plan", str(path), "--max-gpu-hours", "0")
    document = json.loads(bench.orchestrate("plan", str(path), "--json").stdout)
    unknown = bench.orchestrate("launch", str(bench.sweep("b")), "--max-gpu-hours", "0")

    assert (cores.returncode, cores.stderr) == (0, "")
    assert "operations at 35% of 1e-06 TFLOP/s (placement.peak_tflops)" in cores.stdout
    (job,) = document["jobs"]
    assert job["cpu_hours"] == job["hours"] == document["cpu_hours"] > 0
    assert (job["gpu_hours"], document["gpu_hours"], document["unknown"]) == (0, 0, 0)
    assert unknown.returncode == 0
    assert "1 of 1 jobs are of unknown cost" in unknown.stderr
