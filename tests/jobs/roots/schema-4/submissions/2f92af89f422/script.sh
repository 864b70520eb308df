#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/373317e467a7076d${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool 2f92af89f422
