// The overview: what is owed, what moves, whether all is well.
import { html, useRef, useState } from './html.js';
import { useData, useEvery, useSlow, useStore, connection } from './state.js';
import { get, path } from './api.js';
import { Amount, Loading, Problem, Time } from './parts.js';
import { Link, useTitle } from './router.js';
import { useBook, live } from './stream.js';
import { Entry, useEntries } from './journal.js';
import { Held, Alerts } from './held.js';
import { Spark } from './spark.js';

export default function Overview() {
  useTitle('Overview');
  const { data, error, reload } = useData((signal) => get('/v1/overview', {}, signal), []);
  const slowly = useSlow(reload, 2000);
  useBook('main', (m) => { if (m.events || m.gap) slowly(); });
  useEvery(slowly, 5000); // other books are not followed
  const items = data?.items || [];
  const several = new Set(items.map((i) => i.book)).size > 1;
  return html`<h1 tabindex="-1">Overview</h1>
    <${Problem} error=${error} retry=${reload} />
    <section aria-labelledby="owed"><h2 id="owed">Owed to customers</h2>
      ${!data && !error && html`<${Loading} />`}
      ${data && !items.length && html`<p class="nothing">No account has any money yet. <${Link} to="/accounts">Open one<//>.</p>`}
      <div class="cards">${items.map((i) => html`<article class="card" key=${i.book + i.unit}>
        <h3>${i.unit}${several && html` <span class="dim">${i.book}</span>`}</h3>
        <p class="big"><${Amount} value=${i.customers} /></p>
        <dl><dt>Paid in</dt><dd><${Amount} value=${i.paid_in} /></dd><dt>Revenue</dt><dd><${Amount} value=${i.revenue} /></dd>
          ${i.fees && !/^-?[0.]+$/.test(i.fees) && html`<dt>Fees</dt><dd><${Amount} value=${i.fees} /></dd>`}</dl>
      </article>`)}</div>
    </section>
    <${Held} />
    <div class="columns">
      <${Latest} />
      <div><${Alerts} /><${Health} /></div>
    </div>`;
}

// rows is how many entries there is room for beside the rest.
const rows = () => {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return Math.max(10, Math.min(40, Math.floor((innerHeight - 24 * rem) / (2.15 * rem))));
};

function Latest() {
  const [most] = useState(rows);
  const { entries } = useEntries('main', most);
  return html`<section aria-labelledby="latest" class="latest"><h2 id="latest">Latest</h2>
    ${entries.length === 0 ? html`<p class="nothing">Nothing has happened yet.</p>` : html`<ol class="entries" aria-live="off">${entries.slice(0, most).map((e) => html`<${Entry} key=${e.id} entry=${e} brief />`)}</ol>`}
    <p><${Link} to="/journal">The whole journal<//></p></section>`;
}

// Health says whether the server is ready, and how fast its books grow.
function Health() {
  const c = useStore(connection);
  const flow = useStore(live);
  const { data, reload } = useData(async (signal) => {
    const { items } = await get('/v1/books', {}, signal);
    return Promise.all(items.map((b) => get(path`/v1/books/${b.id}`, {}, signal).then((head) => ({ ...head, read: performance.now() }))));
  }, []);
  useEvery(reload, 2000);
  return html`<section aria-labelledby="health"><h2 id="health">Health</h2>
    <dl class="facts">
      <dt>Server</dt><dd>${c.up ? html`<span class="badge good">answers</span>` : html`<span class="badge bad">does not answer</span>`}</dd>
      <dt>Event stream</dt><dd>${{ on: 'open', connecting: 'connecting …', off: 'closed' }[flow]}</dd>
    </dl>
    ${data?.map((b) => html`<${Book} key=${b.id} head=${b} />`)}</section>`;
}

function Book({ head }) {
  const past = useRef([]);
  const list = past.current;
  if (!list.length || list[list.length - 1].read !== head.read) list.push(head);
  while (list.length > 91) list.shift();
  const rates = list.slice(1).map((h, n) => Math.max(0, (h.seq - list[n].seq) / ((h.read - list[n].read) / 1000)));
  const window = list.slice(-6);
  const span = (window[window.length - 1].read - window[0].read) / 1000;
  const rate = span > 1 ? (head.seq - window[0].seq) / span : null;
  const shown = rate === null ? '…' : rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en').replaceAll(',', ' ');
  return html`<div class="book"><p><strong>${shown}</strong> entries a second in book <code>${head.name}</code></p>
    <${Spark} values=${rates} most=${5} label=${`Entries a second in the last minutes, now ${shown}`} />
    <p class="dim">Entry ${head.seq}${head.updated_at && html`, <${Time} at=${head.updated_at} />`}, head <code title=${head.hash}>${(head.hash || '').slice(0, 12)}</code></p></div>`;
}
