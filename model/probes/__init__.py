"""Measurements of the model's inside, one file each; `model.probes.suite` runs them."""
