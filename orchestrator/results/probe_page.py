"""A probe's findings as one HTML file: no script, nothing outside of it, light and dark."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator.results.pages import breakable, document

FAMILIES = {
    "norms": "Norms of tokens, before the final norm",
    "attention": "Attention of patch tokens",
    "gates": "Gates",
    "activations": "Activations",
    "mlp": "What MLPs add to outliers",
    "redundancy": "Likeness of neighbouring patches",
    "layer_scale": "LayerScale",
}
"""What scalars' names begin with, in the order of the page; others follow under their own name."""
MEANINGS = {
    "norms/median": "L2 norm of patch tokens after the last block: median",
    "norms/max": "the largest of them",
    "norms/max_over_median": "largest over median; well above 2 to 3 where there are artifacts",
    "norms/outlier_share": "share beyond median + 10 x 1.4826 x MAD and 1.5 x median",
    "norms/share_above_2x": "share above 2 x median",
    "norms/share_above_3x": "share above 3 x median",
    "norms/share_above_5x": "share above 5 x median",
    "norms/kurtosis": "tails of the norms; 3 for a normal distribution",
    "norms/worst_block": "the block with most outliers, from 0",
    "norms/worst_outlier_share": "their share there",
    "norms/cls": "class token, last block: mean norm",
    "norms/register": "registers, last block: mean norm",
    "norms/after_final_median": "median after the final norm, which hides artifacts",
    "norms/after_final_max_over_median": "largest over median after the final norm",
    "attention/entropy": "nats; the logarithm of the number of tokens where uniform",
    "attention/cls_share": "share paid to the class token",
    "attention/register_share": "share paid to all registers together",
    "attention/patch_share": "share paid to all patches together",
    "attention/top_patch_share": "share paid to the one patch that receives most",
    "attention/cls_share_over_uniform": "multiple of uniform attention",
    "attention/register_share_over_uniform": "multiple of uniform attention",
    "attention/top_patch_share_over_uniform": "multiple of uniform attention",
    "attention/distance": "how far patches look, in patches",
    "attention/sink_rate": "share of heads with a token that takes more than 0.3",
    "attention/nop_rate": "share of heads whose sink moves nothing",
    "attention/broadcast_rate": "share of heads whose sink hands its value to all",
    "attention/row_mass": "what rows of attention sum to; 1 for softmax",
    "attention/empty_rows": "share of rows that sum to 0 and are left out of the rest",
    "attention/outliers_received": "attention on outliers over the median patch's; 5 is much",
    "gates/mean": "mean gate over patch tokens, blocks and heads",
    "gates/sparsity": "share of gate values below 0.1",
    "gates/dead": "share of heads that are nearly always shut",
    "gates/saturated": "share of heads that are nearly always open",
    "activations/max_inf": "largest absolute value of a block's output",
    "activations/kurtosis": "tails of the blocks' outputs; 3 for a normal distribution",
    "activations/massive_channels": "channels with massive values in half of the images",
    "redundancy/outliers": "cosine of outliers to their neighbours, right after patch embedding",
    "redundancy/rest": "the same of patches that are no outliers",
}
"""What a scalar is, in a few words; one that is not here appears without."""
STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
.lead { margin: 0 0 1rem; color: var(--soft); max-width: 46rem; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; }
.key div { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .55rem .75rem; }
.key dt { color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
.key dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.figures { columns: 3 21rem; column-gap: 1.5rem; }
figure { margin: 0 0 1.5rem; break-inside: avoid; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); overflow: hidden; }
figure img { display: block; width: 100%; height: auto; background: #ffffff; }
figcaption { padding: .7rem .9rem .85rem; font-size: .875rem; color: var(--soft); }
figcaption b { display: block; color: var(--ink); font-size: .95rem; }
.tables { columns: 2 30rem; column-gap: 2rem; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; margin: 0 0 1.5rem;
  break-inside: avoid; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; font-weight: normal;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding: .3rem 0;
  width: 6.5rem; }
th small { display: block; color: var(--soft); font-size: .8rem; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin-top: 1rem; } summary { cursor: pointer; }
.facts th { width: 34%; }
@media print { body { max-width: none; padding: 0; } }
"""
HEADLINES = (
    *("norms/max_over_median", "norms/outlier_share", "attention/top_patch_share"),
    *("attention/entropy", "gates/mean", "activations/max_inf"),
)
"""Scalars that stand above the figures, where there are such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A figure with the words beneath it."""

    name: str
    title: str
    caption: str
    png: bytes


def page(
    findings: Mapping[str, Any],
    figures: Sequence[Shown],
    shapes: Mapping[str, Sequence[int]],
) -> str:
    """The whole page: the findings of ``findings.json``, figures, and which arrays there are."""
    name, scalars = str(findings["name"]), findings["scalars"]
    parts = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="lead">{escape(_lead(findings))}</p>',
        *(f'<p class="lead">Warning: {escape(one)}</p>' for one in findings.get("warnings", ())),
        '<dl class="key">',
        *(_headline(key, scalars[key]) for key in HEADLINES if key in scalars),
        "</dl>",
        "<h2>Figures</h2>",
        '<div class="figures">',
        *map(_figure, figures),
        "</div>",
        "<h2>Scalars</h2>",
        '<div class="tables">',
        *_tables(scalars),
        "</div>",
        "<h2>How it was measured</h2>",
        *_facts(findings),
        _arrays(shapes),
    ]
    return document(f"{name} - probe", STYLE, parts)


def _lead(findings: Mapping[str, Any]) -> str:
    images, model = findings["images"], findings["model"]
    return (
        f"What the probes found inside this vision transformer ({model['parameters']:,} "
        f"parameters) on {images['count']:,} images of {images['source']}, in evaluation mode."
    )


def _headline(key: str, value: Any) -> str:
    return f"<div><dt>{breakable(key)}</dt><dd>{_number(value)}</dd></div>"


def _figure(shown: Shown) -> str:
    content = base64.b64encode(shown.png).decode()
    return (
        f'<figure id="{escape(shown.name)}">'
        f'<img src="data:image/png;base64,{content}" alt="{escape(shown.title)}">'
        f"<figcaption><b>{escape(shown.title)}</b> {escape(shown.caption)}</figcaption></figure>"
    )


def _tables(scalars: Mapping[str, Any]) -> Iterator[str]:
    """A table for each family of metrics, known ones first; in each, explained ones first."""
    by_family: dict[str, list[str]] = {family: [] for family in FAMILIES}
    order = {name: rank for rank, name in enumerate(MEANINGS)}
    for name in sorted(scalars, key=lambda name: (order.get(name, len(order)), name)):
        by_family.setdefault(name.partition("/")[0], []).append(name)
    for family, names in by_family.items():
        if names:
            rows = "".join(_row(name, scalars[name]) for name in names)
            title = escape(FAMILIES.get(family, family))
            yield f"<table><caption>{title}</caption><tbody>{rows}</tbody></table>"


def _row(name: str, value: Any) -> str:
    meaning = f"<small>{escape(MEANINGS[name])}</small>" if name in MEANINGS else ""
    shown = f"<code>{breakable(name)}</code>{meaning}"
    return f'<tr><th scope="row">{shown}</th><td class="n">{_number(value)}</td></tr>'


def _facts(findings: Mapping[str, Any]) -> Iterator[str]:
    """A table for every other part of the findings, nested keys joined by dots."""
    for part, facts in findings.items():
        if isinstance(facts, Mapping) and part != "scalars":
            rows = "".join(
                f'<tr><th scope="row">{breakable(key)}</th>'
                f"<td><code>{escape(str(value))}</code></td></tr>"
                for key, value in _flat(facts)
            )
            title = escape(part.capitalize())
            yield f'<table class="facts"><caption>{title}</caption>{rows}</table>'


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}", inner


def _arrays(shapes: Mapping[str, Sequence[int]]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th>'
        f'<td class="n">{" x ".join(map(str, shape)) or "one value"}</td></tr>'
        for name, shape in shapes.items()
    )
    return (
        f"<details><summary>The {len(shapes)} arrays in <code>arrays.npz</code>, and their "
        f"shapes</summary><table><tbody>{rows}</tbody></table></details>"
    )


def _number(value: Any) -> str:
    """Four digits that count; what is not finite comes as a string."""
    if isinstance(value, str):
        return escape(value)
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
