"""Journals projected into MLflow, so that its runs can always be made again."""
