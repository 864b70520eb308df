"""What the command ``slurm/dev_cluster`` is made of; nothing but the standard library."""
