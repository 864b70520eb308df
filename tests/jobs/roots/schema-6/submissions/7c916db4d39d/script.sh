#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/ee9dbafe30698b86${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool 7c916db4d39d
