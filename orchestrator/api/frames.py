"""DataFrames of rows and of columns, each column with its type."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from orchestrator.extras import naming_extras
from orchestrator.results.groups import cell

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Row = Mapping[str, Any]

DTYPES: Mapping[str, str] = {
    **dict.fromkeys(("name", "state", "outcome", "reason", "executor", "handle"), "str"),
    **dict.fromkeys(("basis", "kind", "message", "example", "answer", "what"), "str"),
    **dict.fromkeys(("attention", "job", "metric", "file", "id", "axis"), "str"),
    **dict.fromkeys(("epoch", "epochs", "step", "attempts", "n", "missing", "diverged"), "int64"),
    **dict.fromkeys(
        ("count", "stopped", "things", "bytes", "of_others", "bytes_of_others"), "int64"
    ),
    **dict.fromkeys(("params", "forward_macs", "training_macs", "lists_of_images"), "int64"),
    **dict.fromkeys(("stale_s", "hours", "gpu_hours", "cpu_hours", "crossings"), "float64"),
    **dict.fromkeys(("mean", "std", "low", "high", "after", "by", "until", "rung"), "float64"),
    **dict.fromkeys(("relative_to_vanilla", "relative_to_first", "time"), "float64"),
    **dict.fromkeys(("config", "job_ids", "mixes", "only", "blocks"), "object"),
    **dict.fromkeys(("lasting", "undecided", "values", "flags"), "object"),
    **dict.fromkeys(("contrast.ci95", "contrast.bootstrap95"), "object"),
    "older_code": "bool",
    "older_weights": "bool",
}
"""Of columns. A text or number that is not there is NaN; integers and truths always are there."""


def table(
    rows: Iterable[Row],
    known: Sequence[str],
    *,
    index: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> "DataFrame":
    """A DataFrame of rows, whose columns stand in the order in which rows name them.

    Args:
        rows: what each column has there; what a row lacks is NaN.
        known: columns that an empty table has, too.
        index: the column that names a row.
        about: becomes ``attrs``.

    Raises:
        PackageError: pandas is not installed.
    """
    rows = list(rows)
    names = dict.fromkeys([*chain.from_iterable(rows), *filter(None, (index,)), *known])
    return columns({name: [row.get(name) for row in rows] for name in names}, index, about)


def columns(
    values: Mapping[str, Sequence[Any]],
    index: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> "DataFrame":
    """As ``table``, of whole columns.

    Those that ``DTYPES`` lacks, axes and metrics, have the dtype that suits their values; a group
    of settings is its JSON.
    """
    with naming_extras():
        from pandas import DataFrame
    made = DataFrame({name: _column(each, DTYPES.get(name)) for name, each in values.items()})
    if index is not None:
        made = made.set_index(index)
    made.attrs.update(about or {})
    return made


def _column(values: Sequence[Any], dtype: str | None) -> "Series[Any]":
    from pandas import Series

    if dtype is not None:
        return Series(list(values), dtype=dtype)
    nothing = all(value is None for value in values)
    return Series([cell(value) for value in values], dtype="float64" if nothing else None)
