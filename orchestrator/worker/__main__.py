"""``python -P -m orchestrator.worker TOKEN INDEX``: one rank of one member of a submission."""

import sys

from orchestrator.worker.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
