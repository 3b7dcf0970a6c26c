// Accounts: found by anything they are called, listed in pages, opened as a tree.
import { html, useEffect, useRef, useState } from './html.js';
import { useData, may } from './state.js';
import { get } from './api.js';
import { Amount, Badge, Loading, Nothing, Pager, Problem, Table, keepName } from './parts.js';
import { Link, go, query, usePlace, useTitle } from './router.js';
import { NewAccount } from './forms.js';
import Account from './account.js';

export default function Accounts({ id, part }) {
  return id ? html`<${Account} id=${id} part=${part} />` : html`<${List} />`;
}

const head = ['Account', { text: 'Status', class: 'wide-only' }, { text: 'Posted', class: 'number' }, { text: 'Held', class: 'number wide-only' }, { text: 'Available', class: 'number wide-only' },
  { text: 'Limit', class: 'number wide-only' }, { text: 'Spendable', class: 'number' }, 'Unit'];

function List() {
  useTitle('Accounts');
  const { query: q } = usePlace();
  const text = q.get('q') || '';
  const status = q.get('status') || '';
  const cursor = q.get('cursor') || '';
  const [opening, open] = useState(false);
  const { data, before, error, loading, reload } = useData((signal) => found((from) => (text
    ? get('/v1/search', { q: text, cursor: from, limit: 50 }, signal)
    : get('/v1/accounts', { roots: status ? undefined : true, status, cursor: from, limit: 50 }, signal)), cursor), [text, status, cursor]);
  const shown = data || before;
  shown?.items.forEach(keepName);
  return html`<header class="title"><h1 tabindex="-1">Accounts</h1>
    ${may('admin') && html`<div class="tools"><button type="button" onClick=${() => open(true)}>New account</button></div>`}</header>
    <div class="filters"><${Search} text=${text} />
      <label>Status <select disabled=${Boolean(text)} onChange=${(e) => go(query({ status: e.target.value, cursor: '' }), { keep: true })}>
        ${['', 'open', 'frozen', 'closed'].map((s) => html`<option value=${s} selected=${s === status}>${s || 'any'}</option>`)}</select></label></div>
    <${Problem} error=${error} retry=${reload} />
    ${loading && !shown && html`<${Loading} />`}
    ${shown && !error && (shown.items.length === 0 && !shown.next
      ? html`<${Nothing}>${text ? html`No account is called “${text}”, has a word like it in its name, or moved under such an id.` : 'There are no accounts here yet.'}<//>`
      : html`<${Table} label="Accounts" head=${head} classes=${'accounts' + (loading ? ' loading' : '')}>
          <tbody>${shown.items.map((a) => html`<${Row} key=${a.id} account=${a} depth=${0} found=${Boolean(text || status)} />`)}</tbody><//>
        ${shown.items.length === 0 && html`<p class="dim">None of this page is so. There are more.</p>`}
        <${Pager} next=${shown.next && query({ cursor: shown.next })} first=${cursor && query({ cursor: '' })} label="Pages of accounts" />`)}
    ${opening && html`<${NewAccount} close=${() => open(false)} done=${(a) => go('/accounts/' + a.id)} />`}`;
}

// found goes on where the server looked through all it does for one page and
// nothing was so, for a while.
async function found(page, cursor) {
  let list = await page(cursor);
  for (let n = 0; n < 20 && list.next && !list.items.length; n++) list = await page(list.next);
  return list;
}

// Search asks as one writes, a little after the last key.
function Search({ text }) {
  const [written, set] = useState(text);
  const timer = useRef(0);
  const sought = useRef(text); // what is written may be ahead of it
  useEffect(() => {
    if (text === sought.current) return;
    sought.current = text;
    set(text);
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const find = (value, replace) => {
    clearTimeout(timer.current);
    sought.current = value.trim();
    go(query({ q: value.trim(), cursor: '', status: '' }), { replace, keep: true });
  };
  const input = (e) => {
    const { value } = e.target;
    set(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(find, 300, value, true);
  };
  return html`<form role="search" onSubmit=${(e) => { e.preventDefault(); find(written, false); }}>
    <label>Find <input type="search" name="q" value=${written} onInput=${input} spellcheck="false" placeholder="name, id, AC…, e-mail, transfer, hold" autofocus /></label></form>`;
}

function Row({ account: a, depth, found }) {
  const [open, set] = useState(false);
  const b = a.balance;
  return html`<tr>
      <th scope="row" class=${'depth-' + Math.min(depth, 7)}><span class="tree">${a.children > 0 && !found
        ? html`<button type="button" class="plain twist" aria-expanded=${String(open)} aria-label=${`Sub-accounts of ${a.name || a.id}`} onClick=${() => set(!open)}><span aria-hidden="true">${open ? '▾' : '▸'}</span></button>`
        : html`<span class="twist"></span>`}<span class="named"><${Link} to=${'/accounts/' + a.id}>${a.name || html`<code>${a.id}</code>`}<//>
        ${a.children > 0 && html`<small class="dim"> ${a.children} sub</small>`}${a.mode === 'drawing' && html`<small class="dim"> draws</small>`}${a.effective_status !== 'open' && html` <span class="narrow-only"><${Badge}>${a.effective_status}<//></span>`}</span></span></th>
      <td class="wide-only"><${Badge}>${a.effective_status || a.status}<//></td>
      <td class="number"><${Amount} value=${b.posted} /></td>
      <td class="number wide-only"><${Amount} value=${b.held} quiet=${/^[0.]+$/.test(b.held)} /></td>
      <td class="number wide-only"><${Amount} value=${b.available} /></td>
      <td class="number wide-only"><${Amount} value=${b.credit_limit} quiet /></td>
      <td class="number"><${Amount} value=${b.spendable} strong /></td>
      <td><abbr class="unit">${a.unit}</abbr></td>
    </tr>${open && html`<${Children} id=${a.id} depth=${depth + 1} />`}`;
}

// Children are loaded a page at a time, below their parent.
function Children({ id, depth }) {
  const [pages, set] = useState(['']);
  return pages.map((cursor, n) => html`<${ChildPage} key=${cursor} id=${id} depth=${depth} cursor=${cursor} last=${n === pages.length - 1} more=${(next) => set([...pages, next])} />`);
}

function ChildPage({ id, depth, cursor, last, more }) {
  const { data, error } = useData((signal) => get('/v1/accounts', { parent: id, cursor, limit: 50 }, signal), [id, cursor]);
  if (error) return html`<tr><td colspan="8"><${Problem} error=${error} /></td></tr>`;
  if (!data) return html`<tr><td colspan="8" class="dim">Loading …</td></tr>`;
  data.items.forEach(keepName);
  return html`${data.items.map((a) => html`<${Row} key=${a.id} account=${a} depth=${depth} />`)}
    ${last && data.next && html`<tr><td colspan="8"><button type="button" class="plain" onClick=${() => more(data.next)}>More sub-accounts</button></td></tr>`}`;
}
