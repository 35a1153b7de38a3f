"""How the page looks: one style for light, dark, narrow and printed pages; nothing is loaded from anywhere."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --page: #fff; --card: #f6f8fa; --ink: #1f2328; --soft: #59636e; --rule: #d8dee4;
  --k0: #0969da; --k1: #d1480a; --k2: #1a7f37; --k3: #8250df; --k4: #0b7285; --k5: #9a6700;
  --good: 26 127 55; --bad: 207 34 46; --mark: #fff8c5; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --card: #161b22; --ink: #e6edf3; --soft: #9198a1;
  --rule: #30363d;
  --k0: #58a6ff; --k1: #f0883e; --k2: #3fb950; --k3: #bc8cff; --k4: #39c5cf; --k5: #d29922;
  --good: 46 160 67; --bad: 248 81 73; --mark: #3b2e00; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; max-width: 64rem; margin: 0 auto;
  padding: 1.5rem 1rem 4rem;
  color: var(--ink); background: var(--page); }
h1 { margin: 0; font-size: 2rem; } h2 { margin: 2.4rem 0 .5rem; font-size: 1.25rem;
  border-bottom: 1px solid var(--rule); }
h3 { margin: 1.1rem 0 .3rem; font-size: 1rem; } p { margin: .35rem 0; } ul { margin: .3rem 0; padding-left: 1.3rem; }
.soft, figcaption, summary { color: var(--soft); } .soft { font-size: 13px; } .failed { color: rgb(var(--bad)); }
code { font: 13px ui-monospace, SFMono-Regular, Consolas, monospace; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .8rem 0 0; font-size: 13px; } nav a {
  color: var(--k0); text-decoration: none; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.tiles div { background: var(--card); border-radius: 8px; padding: .5rem 1rem; min-width: 7rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles span { display: block; color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; vertical-align: top; white-space: nowrap; } th { font-weight: 600;
  }
tbody tr { border-top: 1px solid var(--rule); } .w { text-align: left; } .facts td:last-child { white-space: normal;
  overflow-wrap: anywhere; }
.chosen td { background: var(--mark); } .below td { border-top: 1px solid var(--rule); font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: .8rem 1.4rem; align-items: flex-start; }
figure { margin: .4rem 0; max-width: 100%; } figcaption { font-size: 13px; } img { display: block; max-width: 100%;
  image-rendering: pixelated; }
svg { max-width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--soft); }
.top { max-width: 460px; display: flex; flex-wrap: wrap; gap: 0 1.2rem; justify-content: space-between; } .top b { color: var(--ink); }
.legend span { margin-left: .9rem; white-space: nowrap; }
.legend i { display: inline-block; width: 16px; height: 3px; margin: 0 5px 3px 0; background: currentColor; }
.legend .square { width: 11px; height: 11px; margin-bottom: -1px; border-radius: 2px; }
.legend .dashed { height: 0; background: none; border-top: 2px dashed var(--soft); }
.k0 { color: var(--k0); } .k1 { color: var(--k1); } .k2 { color: var(--k2); } .k3 { color: var(--k3); } .k4 {
  color: var(--k4); }
.k5 { color: var(--k5); } .line { fill: none; stroke: currentColor; stroke-width: 2; } .dot { fill: currentColor;
  fill-opacity: .5; }
.hit { fill: transparent; } .hit:hover { fill: currentColor; }
.grid { stroke: var(--rule); stroke-opacity: .6; } .axis { fill: none; stroke: var(--soft); } .best {
  stroke: var(--soft); stroke-dasharray: 4 3; } .line.after { stroke-dasharray: 2 4; stroke-width: 3; }
.legend .after { height: 0; background: none; border-top: 3px dotted; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .35rem .7rem; align-items: center;
  max-width: 38rem; margin: .8rem 0; }
.bars div { background: var(--card); border-radius: 4px; } .bars i { display: block; height: 1.1rem; min-width: 2px;
  border-radius: 4px; background: currentColor; }
.verdict { font-size: 1.35rem; font-weight: 600; } .verdict::first-letter { text-transform: uppercase; }
.confusion td { min-width: 1.9rem; padding: .15rem .3rem; text-align: center; } .confusion th {
  padding: .15rem .4rem; }
.confusion thead th { vertical-align: bottom; text-align: center; } .confusion .tall { writing-mode: vertical-rl;
  transform: rotate(180deg); margin: 0 auto; }
.confusion tbody th { text-align: right; } .small td { min-width: 1rem; padding: .05rem; font-size: 10px; }
  .small th { font-size: 11px; padding: 0 .3rem; }
.good { background: rgb(var(--good) / calc(.08 + .6 * var(--p))); } .bad {
  background: rgb(var(--bad) / calc(.12 + .75 * var(--p))); }
.card { background: var(--card); border-radius: 8px; padding: .5rem; font-size: 13px; line-height: 1.35; }
.card img, .card svg { border-radius: 4px; margin-bottom: .25rem; } .card.no {
  outline: 2px solid rgb(var(--bad) / .7); }
.card .row { gap: .4rem; flex-wrap: nowrap; } .maps { display: flex; flex-wrap: wrap; gap: 4px; }
details { margin: .5rem 0; } summary { cursor: pointer; }
@media (max-width: 30rem) { body { padding: 1rem .7rem 3rem; } th, td { padding: .15rem .4rem; } .w { white-space: normal; } .tiles div {
  min-width: 5.5rem; padding: .4rem .7rem; } }
@media print { body { max-width: none; padding: 0; font-size: 12px; } nav { display: none; } figure, .card, tr {
  break-inside: avoid; }
  h2 { break-after: avoid; } .scroll { overflow: visible; } * { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } }
"""
