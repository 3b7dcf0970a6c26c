// The overview: what is owed, what moves, whether all is well.
import { html, useRef, useState } from './html.js';
import { useData, useEvery, useSlow, useStore, connection } from './state.js';
import { get } from './api.js';
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

const sampled = 200; // entries that are counted of what happened between two looks

// look reads the heads of all books and, of those that moved since the looks
// before, how many transfers their new entries made. Where there are too many
// to read them all, the oldest of them stand for the rest.
async function look(looks, signal) {
  const { items } = await get('/v1/books', {}, signal);
  return Promise.all(items.map(async (head) => {
    const now = performance.now();
    const list = looks.get(head.id) || [];
    const was = list.at(-1);
    const step = { seq: head.seq, at: now };
    if (was) {
      step.entries = Math.max(0, head.seq - was.seq);
      step.seconds = (now - was.at) / 1000;
      const limit = Math.min(step.entries, sampled);
      const counted = limit ? (await get('/v1/events', { book: head.name, after: was.seq, limit }, signal)).items : [];
      const transfers = counted.reduce((n, e) => n + (e.transfers?.length || 0), 0);
      step.about = counted.length < step.entries;
      step.transfers = counted.length ? (transfers * step.entries) / counted.length : 0;
    }
    looks.set(head.id, [...list, step].slice(-91));
    return { head, steps: looks.get(head.id).slice(1) };
  }));
}

// Health says whether the server is ready, and how much its books move.
function Health() {
  const c = useStore(connection);
  const flow = useStore(live);
  const looks = useRef(new Map());
  const { data, reload } = useData((signal) => look(looks.current, signal), []);
  useEvery(reload, 2000);
  return html`<section aria-labelledby="health"><h2 id="health">Health</h2>
    <dl class="facts">
      <dt>Server</dt><dd>${c.up ? html`<span class="badge good">answers</span>` : html`<span class="badge bad">does not answer</span>`}</dd>
      <dt>Event stream</dt><dd>${{ on: 'open', connecting: 'connecting …', off: 'closed' }[flow]}</dd>
    </dl>
    ${data?.map(({ head, steps }) => html`<${Book} key=${head.id} head=${head} steps=${steps} />`)}</section>`;
}

function Book({ head, steps }) {
  const last = steps.slice(-5);
  const sum = (name) => last.reduce((n, s) => n + s[name], 0);
  const rate = (name) => {
    if (!sum('seconds')) return '…';
    const n = sum(name) / sum('seconds');
    return n < 10 ? n.toFixed(1) : Math.round(n).toLocaleString('en').replaceAll(',', ' ');
  };
  const about = last.some((s) => s.about) ? 'about ' : '';
  return html`<div class="book"><p>${about}<strong>${rate('transfers')}</strong> transfers a second in book <code>${head.name}</code></p>
    <${Spark} values=${steps.map((s) => s.transfers / s.seconds)} most=${5} label=${`Transfers a second in the last minutes, now ${about}${rate('transfers')}`} />
    <p class="dim">${rate('entries')} entries a second. Entry ${head.seq}${head.updated_at && html`, <${Time} at=${head.updated_at} />`}, head <code title=${head.hash}>${(head.hash || '').slice(0, 12)}</code></p></div>`;
}
