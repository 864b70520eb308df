"""The task analyze: looking inside a model that a job has trained, or one of timm's."""
