"""Which images a job is trained on, and how they are cut."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section

DATASET_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class DataConfig(Section):
    """The dataset by name, the changes made to its training images, and the scale of its pixels.

    A training image is cropped, mirrored, changed by ``three_augment``, then by ``color_jitter``,
    and moved by ``shift``.
    """

    name: str = Field(pattern=DATASET_NAME)
    """Folder of the dataset under the data root."""
    crop: Literal["center", "random_resized"] = "center"
    """Training crop: the centre, or a random box of 8-100 % of the area (DeiT III's)."""
    flip: bool = False
    """Mirror a training image with probability one half."""
    shift: int = Field(default=0, ge=0)
    """Move a training image by up to so many pixels each way, filled with black."""
    three_augment: bool = False
    """Make each training image grey, solarise it or blur it, one of the three (DeiT III's)."""
    color_jitter: float = Field(default=0.0, ge=0, le=1)
    """Change brightness, contrast and saturation by a factor of up to this more or less than 1."""
    normalisation: Literal["half", "imagenet"] = "half"
    """Pixels in [0, 1] less a mean, over a deviation: .5 and .5, or those of ImageNet's colours."""
    corrupt: Literal["fail", "skip"] = "fail"
    """A training image that does not decode ends the job, or the next one that does stands in."""
    max_corrupt: int = Field(default=10, ge=1)
    """With ``corrupt: skip``, so many different ones may a rank meet; one more ends the job."""

    decoded_px: int | None = Field(default=None, ge=1)
    """Train on images that were decoded once, their shorter sides reduced to at most so many pixels
    (bicubic, antialiased; nothing is enlarged); null decodes the originals at every draw. What is
    evaluated and probed is decoded from the originals, always."""

    @model_validator(mode="after")
    def _has_a_use(self) -> Self:
        if self.corrupt == "fail" and self.max_corrupt != 10:
            raise ValueError(
                f"max_corrupt is {self.max_corrupt}, but corrupt is fail: no image may be corrupt. "
                "Set corrupt to skip, or leave max_corrupt out"
            )
        return self
