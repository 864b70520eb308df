"""Which metrics are better high, and which low."""

HIGH, LOW = 1, -1
BY_END: dict[str, int] = {
    **dict.fromkeys(("/top1", "/top5", "/top1_masked", "/clean_masked"), HIGH),
    **dict.fromkeys(("val/loss", "train/loss", "stability/epoch_loss", "/gap"), LOW),
    **dict.fromkeys(("stability/loss_spikes", "stability/nonfinite_steps"), LOW),
    **dict.fromkeys(("time/epoch_s", "time/step_p50_s", "time/data_wait_share"), LOW),
    **dict.fromkeys(("memory/peak_gb", "flops/forward_macs", "flops/params"), LOW),
    "flops/relative_to_vanilla": LOW,
    **dict.fromkeys(("train/images_per_s", "train/mfu"), HIGH),
}
"""By the end of a metric's name. Of what probes measure none is better: that is the question."""
IN_POINTS = ("/top1", "/top5", "/top1_masked", "/clean_masked", "/gap")
"""Ends of the names of metrics in percent, of which differences are told in points."""
COUNTED = "flops/"
"""Before the names of metrics that follow from a job's configuration: no seed changes them."""


def direction(metric: str) -> int | None:
    """`HIGH` or `LOW`: what is better; None: neither is known to be."""
    return next((better for end, better in BY_END.items() if metric.endswith(end)), None)


def in_points(metric: str) -> bool:
    """Whether it is a percentage."""
    return metric.endswith(IN_POINTS)
