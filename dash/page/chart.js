// Balance over time. The line is drawn from numbers, which no reader sees: what
// is written beside it is the API's text.
import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { useMedia } from './router.js';
import { Amount, Time } from './parts.js';
import uPlot from './lib/uplot.js';

const sheet = document.createElement('link');
sheet.rel = 'stylesheet';
sheet.href = new URL('./lib/uplot.css', import.meta.url).pathname;
document.head.append(sheet);

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();

// clock writes the times of an axis, by what is between two of them: seconds,
// step, the form, and what is put below where a day or a year begins.
const clock = [
  [31536000, '{YYYY}', null, null, null, null, null, null, 1],
  [2419200, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [86400, '{D} {MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [60, '{HH}:{mm}', '\n{D} {MMM} {YYYY}', null, '\n{D} {MMM}', null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', '\n{D} {MMM} {YYYY}', null, '\n{D} {MMM}', null, null, null, 1],
];

// ticks writes the numbers of an axis. They are places on it, not amounts.
const ticks = (values) => values.map((v) => v.toLocaleString('en', { maximumFractionDigits: 6, useGrouping: true }).replaceAll(',', ' '));

// A Chart draws lines [{name, label, tone, dash}] of points [{at, NAME: text}],
// in steps, since a balance stays until it changes. Arrow keys move through the
// points; dragging calls zoom(from, to).
export function Chart({ points, lines, unit, zoom, label }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [at, setAt] = useState(null);
  const dark = useMedia('(prefers-color-scheme: dark)');
  const zooming = useRef(zoom);
  zooming.current = zoom;

  useLayoutEffect(() => {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const axis = { stroke: color('dim'), grid: { stroke: color('line'), width: 1 }, ticks: { show: false }, font: `${Math.round(rem * 0.8)}px ${getComputedStyle(document.body).fontFamily}` };
    const stepped = uPlot.paths.stepped({ align: 1 });
    const size = () => ({ width: place.current.clientWidth, height: 16 * rem });
    const u = (plot.current = new uPlot({
      ...size(),
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      legend: { show: false },
      scales: { y: { range: (_, lo, hi) => spread(lo, hi) } },
      series: [{}, ...lines.map((l, n) => ({ stroke: color(l.tone), width: n === 0 ? 1.75 : 1, dash: l.dash, paths: stepped, points: { show: false }, fill: n === 0 ? color('wash') : undefined, fillTo: n === 0 ? (_, __, lo) => lo : undefined }))],
      axes: [{ ...axis, values: clock, space: rem * 5.5, size: rem * 3 }, { ...axis, size: rem * 4.4, values: (_, values) => ticks(values) }],
      hooks: {
        setCursor: [(p) => setAt(p.cursor.idx ?? null)],
        setSelect: [(p) => {
          const { left, width } = p.select;
          if (width > 4) zooming.current?.(p.posToVal(left, 'x'), p.posToVal(left + width, 'x'));
          p.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
      },
    }, data(points, lines), place.current));
    const watch = new ResizeObserver(() => u.setSize(size()));
    watch.observe(place.current);
    return () => { watch.disconnect(); u.destroy(); plot.current = null; };
  }, [dark, lines.map((l) => l.name).join()]);

  useEffect(() => { plot.current?.setData(data(points, lines)); }, [points]);

  const keys = (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[e.key];
    if (!step || !points.length) return;
    e.preventDefault();
    const n = Math.max(0, Math.min(points.length - 1, (at ?? points.length - 1) + step));
    const u = plot.current;
    u.setCursor({ left: u.valToPos(new Date(points[n].at) / 1000, 'x'), top: 10 });
    setAt(n);
  };
  const shown = points[at ?? points.length - 1];
  return html`<figure class="chart">
    <figcaption aria-live="polite">${shown && html`<${Time} at=${shown.at} full /> ${lines.map((l) => html`
      <span class=${'key ' + l.tone}>${l.label} <${Amount} value=${shown[l.name]} /></span>`)} ${unit && html`<abbr class="unit">${unit}</abbr>`}`}</figcaption>
    <div class="plot" ref=${place} tabindex="0" role="group" aria-label=${label + '. Arrow keys move through the points.'} onKeyDown=${keys}></div>
  </figure>`;
}

// data makes numbers of texts, for the line.
function data(points, lines) {
  return [points.map((p) => new Date(p.at) / 1000), ...lines.map((l) => points.map((p) => (p[l.name] === undefined ? null : Number(p[l.name]))))];
}

// spread leaves air above and below, and shows zero where it is near.
function spread(lo, hi) {
  if (lo === null || hi === null) return [0, 1];
  if (lo >= 0 && lo < hi * 0.6) lo = 0;
  const air = (hi - lo || Math.abs(hi) || 1) * 0.08;
  return [lo === 0 ? 0 : lo - air, hi + air];
}
