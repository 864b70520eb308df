#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/8b655d41d202ceea${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool 5ef9d2fd2952
