// Small parts that the pages are made of.
import { html, useEffect, useLayoutEffect, useRef, useState, useId } from './html.js';
import { sign } from './decimal.js';
import { connection, notices, notify, useStore } from './state.js';
import { get, path, Lost } from './api.js';
import { Link } from './router.js';

// An Amount is the API's text, to the last zero. Groups of digits are set apart
// by the style, so that what is selected, copied or read aloud is that text and
// no other; zeros at the end are only quieter.
export function Amount({ value, unit, signed, quiet, strong }) {
  if (value === undefined || value === null) return html`<span class="unknown">unknown</span>`;
  const negative = value.startsWith('-');
  const [whole, fraction] = (negative ? value.slice(1) : value).split('.');
  const first = whole.length % 3 || 3;
  const groups = [whole.slice(0, first), ...(whole.slice(first).match(/.../g) || [])];
  let kept = fraction ? fraction.replace(/0+$/, '') : '';
  if (fraction && kept.length < 2) kept = fraction.slice(0, 2);
  const zeros = fraction ? fraction.slice(kept.length) : '';
  const s = sign(value);
  const classes = ['amount', s < 0 && !signed && 'negative', signed && s > 0 && 'positive', (quiet || s === 0) && 'quiet', strong && 'strong'];
  return html`<span class=${classes.filter(Boolean).join(' ')}>${negative ? '-' : signed && s > 0 ? html`<i class="plus"></i>` : ''}${
    groups.length === 1 ? groups[0] : groups.map((g) => html`<i>${g}</i>`)}${kept ? '.' + kept : zeros ? '.' : ''}${
    zeros && html`<i class="zeros">${zeros}</i>`}${unit && html` <abbr class="unit">${unit}</abbr>`}</span>`;
}

const near = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const far = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// A Time is shown in the reader's zone; the API's own text is its title.
export function Time({ at, full }) {
  const date = new Date(at);
  const today = new Date().toDateString() === date.toDateString();
  const year = new Date().getFullYear() === date.getFullYear();
  const text = full || !year ? far.format(date) : today ? near.format(date) : `${day.format(date)}, ${near.format(date)}`;
  return html`<time datetime=${at} title=${at}>${text}</time>`;
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const spans = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

// distance says how far off a time is: in 3 days, 5 minutes ago.
export function distance(at, now = Date.now()) {
  const seconds = (new Date(at) - now) / 1000;
  const [span, length] = spans.find(([, l]) => Math.abs(seconds) >= l) || spans[spans.length - 1];
  return relative.format(Math.trunc(seconds / length), span);
}

// useNow redraws a part every second, for what counts down.
export function useNow(ms = 1000) {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) set(Date.now()); }, ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

export function duration(seconds) {
  const [span, length] = spans.find(([, l]) => seconds >= l * 2) || spans[spans.length - 1];
  const n = Math.floor(seconds / length);
  return `${n} ${span}${n === 1 ? '' : 's'}`;
}

export const isAccount = (id) => /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id);

// Names of accounts, asked for once, few at a time, and only while there are
// not too many to ask for: a name is a comfort, the id is there anyway.
const names = new Map();
const wanted = [];
let asking = 0;

export function keepName(account) {
  names.set(account.id, account.name || '');
}

function wantName(id) {
  if (names.has(id) || wanted.length > 60) return;
  names.set(id, undefined);
  wanted.push(id);
  next();
}

async function next() {
  if (asking >= 3 || !wanted.length) return;
  asking++;
  const id = wanted.shift();
  try {
    names.set(id, (await get(path`/v1/accounts/${id}`)).name || '');
  } catch {
    names.set(id, '');
  }
  asking--;
  dispatchEvent(new CustomEvent('saldo-name', { detail: id }));
  next();
}

// A Who is an account by its name, or by the end of its id, which differs where
// the beginnings are alike; a system account by its own word.
export function Who({ id, link = true }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!isAccount(id)) return undefined;
    wantName(id);
    const told = (e) => { if (e.detail === id) redraw((n) => n + 1); };
    addEventListener('saldo-name', told);
    return () => removeEventListener('saldo-name', told);
  }, [id]);
  if (!isAccount(id)) return html`<span class="system">${id}</span>`;
  const name = names.get(id);
  const text = name ? name : html`<code title=${id}>…${id.slice(-12)}</code>`;
  return link ? html`<${Link} to=${'/accounts/' + id} title=${id}>${text}<//>` : html`<span title=${id}>${text}</span>`;
}

// copyText copies where browsers allow it, and where they did before TLS.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    (document.querySelector('dialog[open]') || document.body).append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

export function Copy({ text, label, children }) {
  const [done, set] = useState(false);
  const copy = async () => {
    await copyText(text);
    set(true);
    setTimeout(set, 1500, false);
  };
  return html`<button type="button" class="copy" onClick=${copy} title=${label}>
    ${children}<span class="unseen"> ${label}</span><svg class="mark" viewBox="0 0 16 16" aria-hidden="true">${done ? html`<path d="M3 8.5l3.2 3.2L13 4.8" />` : html`<path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" />`}</svg><span class="unseen" role="status">${done ? 'Copied' : ''}</span>
  </button>`;
}

const tones = { open: 'good', frozen: 'warn', closed: 'dim', captured: 'good', released: 'dim', expired: 'dim', refused: 'bad', done: 'good',
  firing: 'bad', resolved: 'good', ok: 'good', failed: 'bad', delivered: 'good', pending: 'warn', dead: 'bad', stale: 'warn', low: 'warn', critical: 'bad', warning: 'warn', unknown: 'warn' };

export function Badge({ children, tone }) {
  return html`<span class=${'badge ' + (tone || tones[children] || '')}>${children}</span>`;
}

// A Problem says why something cannot be shown, and offers to try again.
export function Problem({ error, retry }) {
  if (!error) return null;
  const lostIt = error instanceof Lost;
  return html`<div class="problem" role="alert">
    <p><strong>${lostIt ? 'The server did not answer.' : error.message}</strong>${error.code && html` <code>${error.code}</code>`}</p>
    ${error.details?.length > 0 && html`<ul>${error.details.map((d) => html`<li><code>${d.field}</code> ${d.reason}</li>`)}</ul>`}
    ${retry && !lostIt && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}

export function Loading({ children = 'Loading …' }) {
  return html`<p class="loading" role="status">${children}</p>`;
}

export function Nothing({ children }) {
  return html`<p class="nothing">${children}</p>`;
}

// A Table scrolls by itself where the page is too narrow for it.
export function Table({ label, head, children, classes = '' }) {
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0"><table class=${classes}>
    <thead><tr>${head.map((c) => (typeof c === 'string'
      ? html`<th scope="col">${c}</th>`
      : html`<th scope="col" class=${c.class}>${c.unseen ? html`<span class="unseen">${c.unseen}</span>` : c.text}</th>`))}</tr></thead>
    ${children}
  </table></div>`;
}

// A Modal is a dialog over the page, which waits for it.
export function Modal({ title, close, children, wide }) {
  const dialog = useRef(null);
  const heading = useId();
  const before = useRef(document.activeElement); // gets the focus back
  useLayoutEffect(() => {
    const d = dialog.current;
    d.showModal();
    return () => { d.close(); before.current?.focus(); };
  }, []);
  const cancel = (e) => { e.preventDefault(); close(); };
  return html`<dialog ref=${dialog} class=${wide ? 'wide' : ''} aria-labelledby=${heading} onCancel=${cancel}>
    <header><h2 id=${heading}>${title}</h2><button type="button" class="plain" aria-label="Close" onClick=${close}>✕</button></header>
    ${children}
  </dialog>`;
}

// A Field is a control with its label, a hint, and what is wrong with it.
export function Field({ label, hint, error, children, unit }) {
  const id = useId();
  const described = [hint && id + '-hint', error && id + '-error'].filter(Boolean).join(' ') || undefined;
  return html`<div class=${'field' + (error ? ' wrong' : '')}>
    <label for=${id}>${label}</label>
    <span class="control">${children({ id, 'aria-describedby': described, 'aria-invalid': error ? 'true' : undefined })}${unit && html`<abbr class="unit">${unit}</abbr>`}</span>
    ${hint && html`<small id=${id + '-hint'}>${hint}</small>`}
    ${error && html`<small class="error" id=${id + '-error'}>${error}</small>`}
  </div>`;
}

export function Check({ label, hint, ...rest }) {
  const id = useId();
  return html`<div class="check"><input type="checkbox" id=${id} aria-describedby=${hint ? id + '-hint' : undefined} ...${rest} /><label for=${id}>${label}</label>
    ${hint && html`<small id=${id + '-hint'}>${hint}</small>`}</div>`;
}

// A Banner says that what the page shows is old, for as long as it is.
export function Banner() {
  const c = useStore(connection);
  useNow(c.up ? 60000 : 1000);
  return html`<div role="alert" class="banner-place">${!c.up && html`<p class="banner">
    <strong>The server does not answer.</strong> What is shown is from ${near.format(c.since)}, ${distance(c.since)}, and may have changed since.
    Trying again …</p>`}</div>`;
}

export function Notices() {
  const all = useStore(notices);
  return html`<div class="notices" role="status">${all.map((n) => html`<p key=${n.key}><strong>${n.text}</strong>${n.detail && html`<br />${n.detail}`}</p>`)}</div>`;
}

// A Pager moves through a list by its cursor, which is part of the address: the
// way back is the browser's.
export function Pager({ next, first, label = 'Pages' }) {
  if (!next && !first) return null;
  return html`<nav class="pager" aria-label=${label}>
    ${first ? html`<${Link} to=${first}>First page<//>` : html`<span class="dim">First page</span>`}
    ${next ? html`<${Link} to=${next} rel="next">Next page<//>` : html`<span class="dim">That is all</span>`}
  </nav>`;
}

export { notify };
