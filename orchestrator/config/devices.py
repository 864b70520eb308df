"""What a kind of GPU could do at best."""

PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "A10G": 70.0}
"""By a part of the device's name, dense bfloat16, as NVIDIA's data sheets have it (of the SXM form,
where there are two)."""


def peak_tflops(name: str) -> float | None:
    """10^12 operations per second in bfloat16 of a GPU that is called so, in letters of any size.

    None where it is not known.
    """
    known = [peak for part, peak in PEAK_TFLOPS.items() if part.lower() in name.lower()]
    return known[0] if known else None
