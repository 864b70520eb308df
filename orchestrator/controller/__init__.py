"""The verbs: plan, launch, watch, cancel."""
