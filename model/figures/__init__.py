"""Figures of what the probes found, from the arrays that they left; free of torch.

Every figure is as wide as one column of a paper (3.3 inches) or two (7), in 7 and 8 point type, and
is drawn on whatever a diverging model leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.figures.attention import attention_by_depth
from model.figures.found import Histogram, Probed
from model.figures.gates import gate_histograms, gate_map
from model.figures.maps import attention_map, norm_map, register_maps
from model.figures.norms import norms_by_arm, norms_by_block, norms_by_depth, norms_over_epochs
from model.figures.style import COLOURS, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "FIGURES",
    "PICTURES",
    "Drawing",
    "Histogram",
    "Probed",
    "norms_by_arm",
    "norms_over_epochs",
    "png",
]

Draw = Callable[[Probed], "Figure | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure of one probe: how it is drawn (None: the model has nothing of the kind), in words.

    ``in_training``: workers draw it at every probe, and MLflow's page opens on it.
    """

    draw: Draw
    title: str
    caption: str
    in_training: bool = False


FIGURES: Mapping[str, Drawing] = {
    "norms_by_block": Drawing(
        draw=norms_by_block,
        title="Norms of patch tokens by block",
        caption="Each row is the distribution of the L2 norms of all patch tokens after one block, "
        "before the final LayerNorm; the circle is its median. Artifacts are a second, faint cloud "
        "to the right of the main one. Both scales are logarithmic.",
        in_training=True,
    ),
    "norms_by_depth": Drawing(
        draw=norms_by_depth,
        title="Norms of tokens over depth",
        caption="Above: the median of the patch norms after each block, the band that holds 90 % "
        "of them, and the largest; class token and registers apart. Below: the share of outliers, "
        "patch tokens beyond both median + 10 x 1.4826 x MAD and 1.5 x median. A gap that opens "
        "between the band and the largest norm tells in which block artifacts arise.",
    ),
    "norm_map": Drawing(
        draw=norm_map,
        title="Norm maps",
        caption="The first images, beneath each the L2 norms of its patch tokens after the last "
        "block, before the final LayerNorm, all on one scale. Artifacts are single bright patches, "
        "mostly where the image shows nothing.",
        in_training=True,
    ),
    "attention_map": Drawing(
        draw=attention_map,
        title="Attention maps of the class token",
        caption="Where the class token looks in the last block: its attention to each patch, mean "
        "over heads, in units of uniform attention over the patches. A clean map follows the "
        "object; artifacts take much of the attention in a few patches beside it.",
        in_training=True,
    ),
    "register_maps": Drawing(
        draw=register_maps,
        title="Attention maps of the registers",
        caption="Where each register looks in the last block, as for the class token. Registers "
        "that look alike do the same work.",
    ),
    "attention_by_depth": Drawing(
        draw=attention_by_depth,
        title="Attention of patch tokens over depth",
        caption="Above: the attention that patch tokens pay to each kind of token, and to the one "
        "patch that receives most. Below: the entropy of their attention rows. Lines are means "
        "over heads and images, bands reach from the lowest head to the highest. A high share on "
        "one patch, or on class token and registers, is a sink.",
    ),
    "gate_map": Drawing(
        draw=gate_map,
        title="Mean gate of each head",
        caption="The mean gate value over patch tokens and channels of each block and head. "
        "A trained gate that stays near 0.5 does little; near 0 it shuts its head.",
        in_training=True,
    ),
    "gate_histograms": Drawing(
        draw=gate_histograms,
        title="Gate values by block",
        caption="How the gate values of all heads of a block are spread, patch tokens filled, the "
        "class token as a line; each is scaled to its own highest bin. Mass near 0 is what a "
        "sparse gate means.",
    ),
}
"""Name -> figure of what one probe left, in the order in which a page shows them."""

PICTURES: Mapping[str, Draw] = {
    name: drawing.draw for name, drawing in FIGURES.items() if drawing.in_training
}
"""Name -> drawing of what one probe left; None where the model has nothing of the kind."""

OVER_EPOCHS = (
    "The patch norms of the last block at each epoch that was probed, oldest on top; a tick marks "
    "each median. Heights are logarithmic, from one token in 100,000 per bin to one in ten: "
    "artifacts are a second hill that rises on the right."
)
"""The caption of `norms_over_epochs`, which needs the histograms of several probes."""
