#!/bin/bash

# Parameters
#SBATCH --account=proj42
#SBATCH --array=0-2%2
#SBATCH --chdir=/shared/runs
#SBATCH --constraint='ib&a100'
#SBATCH --cpus-per-task=8
#SBATCH --exclusive
#SBATCH --gpus-per-node=a100:4
#SBATCH --job-name=o-0123456789ab
#SBATCH --mem=184832M
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --open-mode=append
#SBATCH --output=/shared/runs/submissions/0123456789ab/logs/%a-batch.log
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --requeue
#SBATCH --reservation='a study'
#SBATCH --signal=USR2@300
#SBATCH --time=2160

# setup
export TMPDIR='/local/my scratch'
module load cuda/12.6
source "$HOME/venv/bin/activate"
set +e
export PYTHONPATH=/shared/runs/snapshots/c0de${PYTHONPATH:+:$PYTHONPATH}
export ORCHESTRATE_ROOT=/shared/runs ORCHESTRATE_DATA=/data
export ORCHESTRATE_HANDLE="${SLURM_ARRAY_JOB_ID}"@alpha
export OMP_NUM_THREADS=2 MKL_NUM_THREADS=2
export ORCHESTRATE_ADDRESS="$(ip -4 -o address show dev ib0 | awk '{sub("/.*", "", $4); print $4; exit}')"
export GLOO_SOCKET_IFNAME=ib0 NCCL_SOCKET_IFNAME=ib0
ended=
trap ended=1 TERM
trap : USR2

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /shared/runs/submissions/0123456789ab/logs/%A_%a_%t_log.out --output /shared/runs/submissions/0123456789ab/logs/%a-rank%t.log --mpi=none --cpus-per-task=8 --kill-on-bad-exit=0 --wait=60 sh -c 'trap "" USR2; exec "$@"' rank apptainer exec --nv '/images/torch 2.sif' /venv/bin/python -P -m orchestrator.worker 0123456789ab "$SLURM_ARRAY_TASK_ID"


# teardown
code=$?
if [ "$code" -eq 79 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" && sleep 60
elif [ "$code" -eq 75 ] && [ -z "$ended" ]; then
  sleep 45
fi
exit "$code"