"""What naming the package costs, and what it says where pandas is missing."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "mlflow", "submitit", "numpy", "pandas", "matplotlib", "timm", "click")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_alone_loads_nothing_but_its_errors() -> None:
    ours = "sorted(name for name in sys.modules if name.startswith('orchestrator'))"

    assert python(f"import sys, orchestrator\nprint(*{ours})") == "orchestrator orchestrator.errors"


def test_a_root_and_a_sweep_load_no_heavy_package(tmp_path: Path) -> None:
    code = f"""
import sys
from orchestrator import OrchestrateError, Root, Sweep
try:
    Root({str(tmp_path)!r}).status()
except OrchestrateError:
    print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    assert python(code) == ""


def test_without_pandas_a_table_names_the_extra(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["pandas"] = None
from orchestrator import PackageError, Root
from orchestrator.jobs.store import create_root
create_root(__import__("pathlib").Path({str(tmp_path)!r}) / "runs")
try:
    Root({str(tmp_path / "runs")!r}).status()
except PackageError as error:
    print(error)
"""
    assert "pip install 'orchestrate-vit[frames]'" in python(code)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    assert python("import orchestrator; print(hasattr(orchestrator, 'Swep'))") == "False"
