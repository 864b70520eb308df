"""What stands in for a SLURM and for a place to run."""
