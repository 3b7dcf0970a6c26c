import { html } from './html.js';

// A Spark is a small line of plain numbers, for rates.
export function Spark({ values, most, label }) {
  const w = 240, h = 44, top = Math.max(most || 0, 1, ...values);
  const x = (n) => (values.length > 1 ? (n * w) / (values.length - 1) : 0);
  const line = values.map((v, n) => `${n ? 'L' : 'M'}${x(n).toFixed(1)} ${(h - 2 - (v / top) * (h - 6)).toFixed(1)}`).join('');
  return html`<svg class="spark" viewBox=${`0 0 ${w} ${h}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${values.length > 1 && html`<path class="area" d=${line + `L${w} ${h}L0 ${h}Z`} /><path class="line" d=${line} />`}</svg>`;
}
