#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/c66c72c869a49ea5${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool e79f8bb12e64
