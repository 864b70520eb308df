"""The one error that is the reader's to mend."""


class ClusterError(Exception):
    """What happened, and what to do next."""
