// The journal: every command that was decided, in order, as it happens.
import { html, useEffect, useRef, useState } from './html.js';
import { useData, session } from './state.js';
import { get, path } from './api.js';
import { Amount, Badge, Copy, Loading, Problem, Time, Who } from './parts.js';
import { go, query, usePlace, useTitle } from './router.js';
import { useBook } from './stream.js';

const most = 200; // entries on the page

// useEntries returns the latest entries of a book, newest first, and keeps them
// so while it is not paused.
export function useEntries(book, first = 50, paused = false) {
  const [entries, set] = useState([]);
  const waiting = useRef([]);
  const frame = useRef(0);
  const stopped = useRef(paused);
  stopped.current = paused;
  const take = () => {
    frame.current = 0;
    if (stopped.current) return;
    const fresh = waiting.current.splice(0);
    set((was) => merge(fresh, was));
  };
  const add = (events) => {
    waiting.current.push(...events);
    if (waiting.current.length > most) waiting.current.splice(0, waiting.current.length - most);
    if (!frame.current) frame.current = setTimeout(take, 120);
  };
  useEffect(() => { if (!paused && !frame.current) take(); }, [paused]);
  useEffect(() => () => clearTimeout(frame.current), []);
  const { error, loading, reload } = useData(async (signal) => {
    if (session.get().account) return []; // where the book ends is not for who opens a part of it: what comes is
    const head = await get(path`/v1/books/${book}`, {}, signal);
    const { items } = await get('/v1/events', { book, after: Math.max(0, head.seq - first), limit: first }, signal);
    set((was) => merge(items, was.filter((e) => e.book === book)));
    return items;
  }, [book, first]);
  useBook(book, (m) => {
    if (m.events) add(m.events);
    if (m.gap) reload();
  });
  return { entries, error, loading };
}

// merge puts entries together, newest first, each once.
function merge(fresh, was) {
  const bySeq = new Map(was.map((e) => [e.seq, e]));
  for (const e of fresh) bySeq.set(e.seq, e);
  return [...bySeq.values()].sort((a, b) => b.seq - a.seq).slice(0, most);
}

export default function Journal() {
  useTitle('Journal');
  const { query: q } = usePlace();
  const book = q.get('book') || 'main';
  const [paused, pause] = useState(false);
  const [word, filter] = useState('');
  const scoped = Boolean(session.get().account);
  const { data: books } = useData((signal) => (scoped ? null : get('/v1/books', {}, signal)), []);
  const { entries, error, loading } = useEntries(book, 50, paused);
  const shown = word ? entries.filter((e) => JSON.stringify(e).includes(word)) : entries;
  return html`<header class="title"><h1 tabindex="-1">Journal</h1>
    <div class="tools">
      ${books?.items.length > 1 && html`<label>Book <select onChange=${(e) => go(query({ book: e.target.value === 'main' ? '' : e.target.value }), { replace: true })}>
        ${books.items.map((b) => html`<option value=${b.name} selected=${b.name === book}>${b.name}</option>`)}</select></label>`}
      <label>Only with <input type="search" name="only" value=${word} placeholder="id, kind, code …" onInput=${(e) => filter(e.target.value.trim())} /></label>
      <button type="button" aria-pressed=${String(paused)} onClick=${() => pause(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
    </div></header>
    <p class="dim">Every command that was decided, refused ones too, in the order that they count. The newest ${most} are here.</p>
    <${Problem} error=${error} />
    ${!entries.length && (loading ? html`<${Loading} />` : !error && html`<p class="nothing">${scoped ? 'What happens from now on is shown here.' : 'This book has no entries yet.'}</p>`)}
    ${entries.length > 0 && shown.length === 0 && html`<p class="nothing">None of the ${entries.length} entries here has that.</p>`}
    <ol class="entries full">${shown.map((e, n) => html`${n > 0 && !word && shown[n - 1].seq !== e.seq + 1 && html`<li class="gap" key=${'gap' + e.seq}>entries ${e.seq + 1} to ${shown[n - 1].seq - 1} went by too fast to be shown</li>`}
      <${Entry} key=${e.id} entry=${e} />`)}</ol>`;
}

// An Entry is one event: what it did in a line, and all of it when opened.
export function Entry({ entry: e, brief }) {
  const [open, set] = useState(false);
  return html`<li class=${e.outcome === 'refused' ? 'refused' : ''}>
    <div class="entry">
      ${!brief && html`<button type="button" class="plain seq" aria-expanded=${String(open)} onClick=${() => set(!open)} aria-label=${'Entry ' + e.seq}>${e.seq}</button>`}
      <${Time} at=${e.created_at} />
      <span class="what">${summary(e, brief)}</span>
      ${!brief && e.command_id && html`<code class="command" title=${e.command_id}>${e.command_id}</code>`}
    </div>
    ${open && html`<div class="whole"><${Copy} text=${JSON.stringify(e, null, 2)} label="Copy the entry">JSON<//><pre tabindex="0" aria-label=${'Entry ' + e.seq + ' as JSON'}>${JSON.stringify(e, null, 2)}</pre></div>`}
  </li>`;
}

function summary(e, brief) {
  if (e.outcome === 'refused') return html`<${Badge} tone="bad">refused<//> ${e.code} ${e.account && html`<${Who} id=${e.account} />`}`;
  const parts = [];
  for (const t of (e.transfers || []).slice(0, brief ? 1 : 6)) {
    parts.push(html`<span class="part"><b>${t.kind}</b> <${Amount} value=${t.amount} unit=${t.unit} /> <span class="route"><${Who} id=${t.via || t.from} /> → <${Who} id=${t.to} /></span>${
      t.forced && html` <${Badge} tone="warn">forced<//>`}${t.reason && !brief && html` <q>${t.reason}</q>`}</span>`);
  }
  const left = (e.transfers?.length || 0) - parts.length;
  if (left > 0) parts.push(html`<span class="part dim">and ${left} more</span>`);
  for (const h of e.holds || []) parts.push(html`<span class="part"><b>hold ${h.act}</b> <${Amount} value=${h.act === 'placed' ? h.amount : h.remaining} unit=${h.unit} /> <${Who} id=${h.account} />${h.id && html` <code>${h.id}</code>`}</span>`);
  for (const o of e.opened || []) parts.push(html`<span class="part"><b>account opened</b> <${Who} id=${o.id} /></span>`);
  for (const s of e.settings || []) {
    const what = [s.status && `status ${s.status}`, s.credit_limit_set && 'credit limit', s.cap_set && 'cap', s.name && 'name', s.metadata && 'metadata'].filter(Boolean).join(', ');
    parts.push(html`<span class="part"><b>set</b> ${what || 'settings'} <${Who} id=${s.id} />${s.reason && html` <q>${s.reason}</q>`}</span>`);
  }
  for (const id of e.erased || []) parts.push(html`<span class="part"><b>erased</b> <${Who} id=${id} /></span>`);
  for (const u of e.units || []) parts.push(html`<span class="part"><b>unit added</b> ${u}</span>`);
  return parts.length ? parts : html`<span class="dim">records</span>`;
}
