"""What tests take from the environment of whoever runs them."""

FOREIGN = (
    *("ORCHESTRATE_ROOT", "ORCHESTRATE_DATA", "ORCHESTRATE_CLUSTER", "SLURM_CONF", "RAY_ADDRESS"),
    *("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    *("MLFLOW_TRACKING_TOKEN", "SSH_CONNECTION"),
)
"""What a user's environment may say, and a test must not hear."""
