#!/bin/bash

# Parameters
#SBATCH --array=0-1%2
#SBATCH --chdir=/shared/runs
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=a100:2
#SBATCH --job-name=o-0123456789ab
#SBATCH --mem=61440M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/shared/runs/submissions/0123456789ab/logs/allocation%a-batch.log
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=2880

# setup
set +e
export PYTHONPATH=/shared/runs/snapshots/c0de${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/shared/runs ORCHESTRATE_DATA=/data
export ORCHESTRATE_HANDLE="${SLURM_ARRAY_JOB_ID}"@alpha
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
export ORCHESTRATE_ADDRESS=127.0.0.1
export GLOO_SOCKET_IFNAME=lo NCCL_SOCKET_IFNAME=lo
ended=
trap ended=1 TERM
trap : USR2

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /shared/runs/submissions/0123456789ab/logs/%A_%a_%t_log.out --output /shared/runs/submissions/0123456789ab/logs/allocation%a.log --mpi=none --cpus-per-task=16 --kill-on-bad-exit=0 --wait=60 sh -c 'trap "" USR2; exec "$@"' rank /venv/bin/python -P -m orchestrator.executors.pool 0123456789ab "$SLURM_ARRAY_TASK_ID"


# teardown
code=$?
if [ "$code" -eq 79 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" && sleep 60
elif [ "$code" -eq 75 ] && [ -z "$ended" ]; then
  sleep 120
fi
exit "$code"