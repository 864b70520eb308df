"""The style of the page: system fonts, day and night, screens from phone to desk, paper."""

from orchestrator.results.report.marks import variables


def _marks(place: int) -> str:
    """The colours of arms as variables: 1 by day, 2 by night."""
    return " ".join(f"{one[0]}: {one[place]};" for one in variables().values())


STYLE = (
    f":root {{ {_marks(1)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_marks(2)} }} }}\n"
    """
:root { --link: #0b5cad; --good: #00704f; --bad: #a83200; }
@media (prefers-color-scheme: dark) { :root { --link: #8abcef; --good: #4fd1a5; --bad: #ff9d6b; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; color: var(--ink); background: var(--paper);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.75rem; }
footer { padding-bottom: 4rem; }
.kind { margin: 0; color: var(--soft); font-size: .875rem; letter-spacing: .06em;
  text-transform: uppercase; }
h1 { font-size: clamp(1.75rem, 1.2rem + 2.4vw, 2.6rem); line-height: 1.15; margin: .15rem 0 .6rem;
  letter-spacing: -.015em; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 1.4rem; line-height: 1.25; margin: 3.25rem 0 .75rem; letter-spacing: -.01em; }
h3 { font-size: 1.02rem; line-height: 1.35; margin: 0 0 .35rem; overflow-wrap: anywhere; }
p, .prose { max-width: 44rem; }
p { margin: 0 0 .9rem; }
.lead { color: var(--soft); max-width: none; }
a { color: var(--link); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: 1.25rem 0 0;
  padding: .7rem 0; border-block: 1px solid var(--line); font-size: .9rem; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
.short { margin: 0 0 1.5rem; padding: 1rem 1.25rem; border-left: 4px solid var(--link);
  background: var(--card); border-radius: 0 8px 8px 0; max-width: 52rem; }
.short p:last-child { margin: 0; }
.stop { font-weight: 600; font-size: 1.06rem; }
.asked { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 29rem), 1fr));
  gap: 1.1rem; align-items: start; }
.asked article { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.25rem; min-width: 0; }
.asked .question { font-size: 1.12rem; line-height: 1.4; margin: 0 0 .6rem; }
.asked .said p { margin: 0 0 .55rem; font-size: .92rem; }
.asked .said b { color: var(--ink); }
.asked .facts { color: var(--soft); font-size: .85rem; margin: 0; }
details { margin: .35rem 0 .7rem; font-size: .9rem; }
summary { cursor: pointer; color: var(--link); }
details p { font-size: .9rem; margin: .5rem 0; color: var(--soft); }
.scroll { overflow-x: auto; max-width: 100%; border: 1px solid var(--line); border-radius: 10px;
  margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding: .7rem .9rem;
  caption-side: bottom; border-top: 1px solid var(--line); }
caption span { display: block; position: sticky; left: .9rem;
  max-width: calc(min(100vw, 72rem) - 5.5rem); }
th, td { text-align: left; padding: .5rem .9rem; vertical-align: baseline; white-space: nowrap; }
thead th { font-weight: 600; font-size: .8rem; color: var(--soft); background: var(--card);
  border-bottom: 1px solid var(--line); white-space: normal; vertical-align: bottom;
  line-height: 1.3; }
tbody th { font-weight: 500; }
tbody tr + tr th, tbody tr + tr td { border-top: 1px solid var(--line); }
td.n, th.n { text-align: right; }
td small, dd small { color: var(--soft); font-size: .92em; }
td.wrap { white-space: normal; min-width: 16rem; }
.answers th, .answers td { padding-inline: .55rem; }
.answers tbody th { position: sticky; left: 0; background: var(--paper); }
tr.marked td, tr.marked th, .answers tr.marked th { background: var(--card); }
.mark { width: 1.5rem; height: .85rem; margin-right: .45rem; vertical-align: -.05rem; }
.verdict { font-weight: 600; }
.verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
.figures { display: grid; gap: 1.1rem; align-items: start; margin: 0 0 1rem; }
.figures.one { grid-template-columns: minmax(0, 36rem); }
.figures.two { grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
.figures.three { grid-template-columns: repeat(auto-fill, minmax(min(100%, 21.5rem), 1fr)); }
figure { overflow: hidden; margin: 0; padding: 1rem 1rem .9rem;
  border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); min-width: 0; }
figure svg { display: block; width: 100%; height: auto; margin: 0 auto .6rem; overflow: hidden; }
.figures.two svg { max-width: 24rem; }
figure svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif
  !important; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figcaption { font-size: .87rem; line-height: 1.5; color: var(--soft); }
figcaption b { color: var(--ink); font-weight: 600; }
pre { margin: 0 0 1rem; padding: .9rem 1.1rem; overflow-x: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; font-size: .85rem; line-height: 1.7; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em; }
p code, td code, li code { overflow-wrap: anywhere; }
ul.notes { max-width: 48rem; padding-left: 1.2rem; } ul.notes li { margin: 0 0 .4rem; }
.left { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .9rem; max-width: none; }
@media (max-width: 40rem) {
  header { padding-top: 1.75rem; } header, main, footer { padding-inline: 1rem; }
  h2 { margin-top: 2.5rem; } th, td { padding: .45rem .65rem; } figure { padding: .75rem; }
  .short { padding: .8rem 1rem; }
}
@page { margin: 16mm 14mm; }
@media print {
"""
    f"  :root {{ color-scheme: light; {_marks(1)} }}\n"
    """
  :root { --ink: #1c1e21; --soft: #474d57; --paper: #ffffff; --line: #c9cdd4; --card: #ffffff;
    --link: #0b5cad; --good: #00704f; --bad: #a83200; }
  html { font-size: 9.5pt; } header { padding-top: 0; }
  header, main, footer { max-width: none; padding-inline: 0; }
  nav { display: none; } h2 { margin-top: 1.6rem; break-after: avoid; }
  .asked { grid-template-columns: 1fr; } .short { border: 1px solid var(--line); }
  figure, .asked article, tr, pre { break-inside: avoid; }
  .figures.two, .figures.three { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .figures.one { grid-template-columns: minmax(0, 30rem); }
  .scroll { overflow: visible; } table { font-size: .76rem; } th, td { padding: .25rem .35rem; }
  tbody th, td.wrap { white-space: normal; }
  details::details-content { content-visibility: visible; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""
)
