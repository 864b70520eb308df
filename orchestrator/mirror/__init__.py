"""Journals projected into MLflow, so that its runs can always be made again.

The package settles MLflow's habits before a module of it imports MLflow, which looks at them then.
"""

import os

HABITS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""No word to others, and no minutes of waiting for a server that is away; a user's own win."""

for _name, _value in HABITS.items():
    os.environ.setdefault(_name, _value)
