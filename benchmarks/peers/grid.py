"""The grid that all launch: three axes, the longest last."""

LR, DECAY, SEED = "lr", "weight_decay", "seed"
SHORT = 10
"""Values of the two shorter axes."""


def axes(jobs: int) -> dict[str, list[float]]:
    """Values by axis; their product has so many points.

    Raises:
        SystemExit: no grid of these axes has.
    """
    if jobs % SHORT**2:
        raise SystemExit(f"{jobs} jobs: give a multiple of {SHORT**2}")
    lr = [round(1e-3 * (i + 2), 4) for i in range(SHORT)]
    decay = [round(0.01 * (i + 1), 2) for i in range(SHORT)]
    return {LR: lr, DECAY: decay, SEED: list(range(jobs // SHORT**2))}
