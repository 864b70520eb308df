"""Which images a job is trained on, and how they are cut."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section

DATASET_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class DataConfig(Section):
    """The dataset by name, and the random changes made to its training images."""

    name: str = Field(pattern=DATASET_NAME)
    """Folder of the dataset under the data root."""
    crop: Literal["center", "random_resized"] = "center"
    """Training crop: the centre, or a random box of 8-100 % of the area (DeiT III's)."""
    flip: bool = False
    """Mirror a training image with probability one half."""
    shift: int = Field(default=0, ge=0)
    """Move a training image by up to so many pixels each way, filled with black."""
    corrupt: Literal["fail", "skip"] = "fail"
    """A training image that does not decode ends the job, or the next one that does stands in."""
    max_corrupt: int = Field(default=10, ge=1)
    """With ``corrupt: skip``, so many different ones may a rank meet; one more ends the job."""

    @model_validator(mode="after")
    def _has_a_use(self) -> Self:
        if self.corrupt == "fail" and self.max_corrupt != 10:
            raise ValueError(
                f"max_corrupt is {self.max_corrupt}, but corrupt is fail: no image may be corrupt. "
                "Set corrupt to skip, or leave max_corrupt out"
            )
        return self
