"""What is trained and how to look inside it; knows nothing of jobs, YAML files or trackers."""
