"""What the store of a root shows."""

import shutil
from pathlib import Path

from mlflow import MlflowClient

from orchestrator.controller.sync import locate_store
from orchestrator.jobs.layout import Root


def plant_store(root: Root, empty: Path) -> None:
    """Give a root a store with nothing in it: to make its tables takes seconds."""
    file = Path(locate_store(root).removeprefix("sqlite:///"))
    file.parent.mkdir()
    shutil.copyfile(empty, file)


def statuses(root: Root, study: str) -> dict[str, str]:
    """MLflow's word on each run, by the job's name; two runs of one name are an error."""
    client = MlflowClient(tracking_uri=locate_store(root))
    experiment = client.get_experiment_by_name(study)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    found = {run.info.run_name.rpartition(" ")[0]: run.info.status for run in runs}
    assert len(found) == len(runs)
    return found
