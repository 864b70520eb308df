"""The errors a user can meet, split by what the user can do about them.

    OrchestrateError            one message, no traceback, exit code 1
    +-- SpecError               the sweep file or an option is wrong: edit it
    +-- DataError               a dataset or an image is missing or damaged: prepare it again
    +-- WeightsError            weights that were trained elsewhere are not here: fetch them
    +-- RootError               the run root cannot be used: another path, rights, version
    +-- BusyError               somebody else holds what this verb needs: wait, then try again
    +-- PackageError            a package is not installed here: install the extra that brings it
    +-- StoreError              the tracking store did not take it: nothing is lost, sync again
    +-- SubmitError             a place did not take a submission
        +-- Refused             it said no: nothing was submitted
        +-- Full                it takes no more now: nothing was submitted, try again later
        +-- Unclear             it did not answer: it may have been submitted

Anything else that is raised is a defect of this program and keeps its traceback.
"""


class OrchestrateError(Exception):
    """A failure with a message for the user: what, to which thing, what to do next."""


class SpecError(OrchestrateError):
    """What the user wrote is wrong; the message names file, line, key and allowed values."""


class DataError(OrchestrateError):
    """A dataset is missing, damaged, or is not what the job was made for."""


class WeightsError(OrchestrateError):
    """Pretrained weights are neither on this machine nor to be had from where they are kept."""


class RootError(OrchestrateError):
    """The run root cannot be read or written, or is of a newer version."""


class BusyError(OrchestrateError):
    """Another process holds a lease of this root."""


class PackageError(OrchestrateError):
    """What was asked for needs a package of an extra, which is not installed here."""


class StoreError(OrchestrateError):
    """The tracking store does not answer, or refuses; the journals keep everything."""


class SubmitError(OrchestrateError):
    """A place did not take a submission."""


class Refused(SubmitError):  # noqa: N818 - the place's answer
    """The place said no; nothing was submitted."""


class Full(SubmitError):  # noqa: N818 - the place's answer
    """The place takes no more for now; nothing was submitted.

    ``slow``: it took minutes to say so, and may take as many to say so again.
    """

    def __init__(self, words: str, *, slow: bool = False) -> None:
        super().__init__(words)
        self.slow = slow


class Unclear(SubmitError):  # noqa: N818 - the place's answer
    """The place did not answer; the submission may have happened."""
