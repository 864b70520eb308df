#!/bin/sh
export PYTHONPATH=/home/ann/study/runs/snapshots/02e3eb82c28c7a40${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/home/ann/study/runs ORCHESTRATE_DATA=/home/ann/study/data
exec /venv/bin/python -P -m orchestrator.executors.pool b2d6c55083cc
