"""A process that opens the decoded training images of a dataset and says what it did."""

import sys
import time
from pathlib import Path

from orchestrator.config import Placement
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker.data import decoding
from orchestrator.worker.data.decode import Picture
from orchestrator.worker.data.decoded import open_training_images
from orchestrator.worker.stop import StopFlag


def main(data_root: Path, name: str, px: int, cache_dir: str, slow_s: float) -> None:
    """``slow_s``: each image takes so much longer to decode."""
    bounded = decoding.bounded

    def slowly(image: Picture, px: int) -> Picture:
        time.sleep(slow_s)
        return bounded(image, px)

    decoding.bounded = slowly
    stop = StopFlag()
    stop.listen()
    manifest = load_manifest(data_root, name)
    images = open_training_images(data_root, manifest, px, Placement(cache_dir=cache_dir), stop)
    sys.stdout.write(f"open {len(images)} {int(images.image(0).sum())}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]))
