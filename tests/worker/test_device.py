"""What a deterministic run sets, seen by a process of its own."""

import json
import subprocess
import sys

SET = """
import json, os, torch
from torch._inductor import config
from orchestrator.worker.device import be_deterministic
be_deterministic()
print(json.dumps({
    "algorithms": torch.are_deterministic_algorithms_enabled(),
    "only_warns": torch.is_deterministic_algorithms_warn_only_enabled(),
    "cudnn_attention": torch.backends.cuda.cudnn_sdp_enabled(),
    "cudnn_benchmark": torch.backends.cudnn.benchmark,
    "inductor": config.deterministic,
    "cublas": os.environ["CUBLAS_WORKSPACE_CONFIG"],
    "of_inductors_processes": os.environ["TORCHINDUCTOR_DETERMINISTIC"],
}))
"""


def test_determinism_is_asked_of_everything_that_could_lack_it() -> None:
    done = subprocess.run([sys.executable, "-c", SET], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == {
        "algorithms": True,
        "only_warns": False,
        "cudnn_attention": False,
        "cudnn_benchmark": False,
        "inductor": True,
        "cublas": ":4096:8",
        "of_inductors_processes": "1",
    }
