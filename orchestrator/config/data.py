"""Which images a job is trained on, and how they are cut."""

from typing import Literal

from pydantic import Field

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
