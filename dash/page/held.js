// What vendors hold for us, and what is firing: the part of it that the
// overview shows too.
import { html } from './html.js';
import { useData, useEvery } from './state.js';
import { get, path } from './api.js';
import { Amount, Badge, Problem, Time, Who, duration } from './parts.js';
import { Link } from './router.js';
import { add } from './decimal.js';

export const sources = (signal) => get('/v1/sources', { limit: 1000 }, signal);

// Left says how long a source lasts, as far as that is known.
export function Left({ time }) {
  if (!time?.known) return html`<span class="unknown" title=${time?.why}>unknown</span>`;
  return html`<span title=${`Between ${duration(time.least_seconds)} and ${time.most_seconds ? duration(time.most_seconds) : 'longer'}`}>about ${duration(time.about_seconds)}<br />
    <small class="dim">${duration(time.least_seconds)} – ${time.most_seconds ? duration(time.most_seconds) : 'longer'}</small></span>`;
}

// Held is what vendors hold for us, by unit, and what runs out first.
export function Held() {
  const { data, error, reload } = useData(sources, []);
  useEvery(reload, 5000);
  if (error && error.status !== 403) return html`<${Problem} error=${error} />`;
  if (!data?.items.length) return null;
  const units = new Map();
  for (const s of data.items) {
    const u = units.get(s.unit || '') || { known: 0, unknown: 0, sum: '0' };
    if (s.balance === undefined) u.unknown++;
    else { u.known++; u.sum = add(u.sum, s.balance); }
    units.set(s.unit || '', u);
  }
  const known = data.items.filter((s) => s.time_left?.known).sort((a, b) => a.time_left.about_seconds - b.time_left.about_seconds);
  return html`<section aria-labelledby="held"><h2 id="held">Held at vendors</h2><div class="cards">
    ${[...units].filter(([, u]) => u.known).map(([unit, u]) => html`<article class="card" key=${unit}><h3>${unit}</h3><p class="big"><${Amount} value=${u.sum} /></p>
      <p class="dim">${u.known} ${u.known === 1 ? 'source' : 'sources'}${u.unknown > 0 && `, ${u.unknown} unknown and not counted`}</p></article>`)}
    <article class="card"><h3>Runs out first</h3>${known[0] ? html`<p class="big"><${Link} to=${path`/vendors/${known[0].name}`}>${known[0].name}<//></p><p><${Left} time=${known[0].time_left} /></p>`
      : html`<p class="big unknown">unknown</p><p class="dim">No source has been read for long enough.</p>`}
      ${data.items.some((s) => s.state === 'failed') && html`<p><${Badge} tone="bad">${data.items.filter((s) => s.state === 'failed').length} cannot be read<//></p>`}</article>
  </div></section>`;
}

// firing asks for the alerts that fire now, the newest of them.
export const firing = async (signal) => (await get('/v1/alerts', { state: 'firing', limit: 200 }, signal)).items;

// Words is what an alert says, with its account by name.
export function Words({ alert: a }) {
  const [before, after] = a.account ? a.text.split(a.account_name ? `${a.account_name} (${a.account})` : a.account) : [];
  return after === undefined ? a.text : html`${before}<${Who} id=${a.account} />${after}`;
}

// Alerts is what fires now.
export function Alerts() {
  const { data, error, reload } = useData(firing, []);
  useEvery(reload, 3000);
  return html`<section aria-labelledby="alerts"><h2 id="alerts">Alerts</h2>
    <${Problem} error=${error} />
    ${data?.length === 0 && html`<p class="nothing">None is firing.</p>`}
    <ul class="alerts" aria-live="polite">${data?.map((a) => html`<li key=${a.id}><${Badge}>${a.level}<//> <${Words} alert=${a} /> <span class="dim"><${Time} at=${a.created_at} /></span></li>`)}</ul></section>`;
}
