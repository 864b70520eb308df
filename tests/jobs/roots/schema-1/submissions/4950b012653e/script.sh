#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/f552f931382b9043${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool 4950b012653e
