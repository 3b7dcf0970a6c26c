// Vendors: the balances that are kept elsewhere, how old each number is, how
// long it lasts, and in words what is wrong.
import { html, useState } from './html.js';
import { useData, useEvery, may, notify } from './state.js';
import { call, get, path, newID } from './api.js';
import { Amount, Badge, Loading, Nothing, Problem, Table, Time, distance, duration, useNow } from './parts.js';
import { Link, go, query, usePlace, useTitle } from './router.js';
import { Confirm } from './forms.js';
import { SourceForm } from './sourceform.js';
import { Left, sources } from './held.js';
import { Chart } from './chart.js';

// old reports whether a reading is older than three of its intervals.
const old = (s, now) => !s.read_at || now - new Date(s.read_at) > 3000 * (s.interval_seconds || 900);

function Age({ source: s }) {
  const now = useNow(5000);
  if (!s.read_at) return html`<span class="unknown">never read</span>`;
  return html`<span class=${old(s, now) ? 'stale' : ''} title=${s.read_at}>${distance(s.read_at, now)}${old(s, now) && html` <${Badge} tone="warn">stale<//>`}</span>`;
}

const head = ['Source', 'State', { text: 'Balance', class: 'number' }, 'Unit', { text: 'In a day', class: 'number wide-only' }, 'Time left', 'Read', 'In words'];

export default function Vendors({ id }) {
  return id ? html`<${Source} name=${id} />` : html`<${List} />`;
}

function List() {
  useTitle('Vendors');
  const { data, error, reload } = useData(sources, []);
  useEvery(reload, 5000);
  const [adding, add] = useState(false);
  return html`<header class="title"><h1 tabindex="-1">Vendors</h1>${may('admin') && html`<div class="tools"><button type="button" onClick=${() => add(true)}>New source</button></div>`}</header>
    <p class="dim">What you have paid in advance elsewhere.</p>
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${data && (data.items.length === 0 ? html`<${Nothing}>No source is watched yet.${may('admin') ? ' Add one here, in the configuration file, or by ' : ' One is added in the configuration file, or by '}<code>saldo watch add</code>.<//>`
      : html`<${Table} label="Sources" head=${head}><tbody>${data.items.map((s) => html`<tr key=${s.name}>
        <th scope="row"><${Link} to=${path`/vendors/${s.name}`}>${s.name}<//><br /><small class="dim long">${s.vendor}${s.account && ` · ${s.account}`}</small></th>
        <td><${Badge}>${s.state}<//></td><td class="number"><${Amount} value=${s.balance} strong /></td><td><abbr class="unit">${s.unit}</abbr></td>
        <td class="number wide-only">${s.change_1d === undefined ? html`<span class="dim">—</span>` : html`<${Amount} value=${s.change_1d} signed />`}</td>
        <td><${Left} time=${s.time_left} /></td><td><${Age} source=${s} /></td><td class="what">${s.why || ''}</td></tr>`)}</tbody><//>`)}
    ${adding && html`<${SourceForm} taken=${data?.items.map((s) => s.name)} close=${() => add(false)} done=${(s) => go(path`/vendors/${s.name}`)} />`}`;
}

const spans = [['24h', 86400], ['7d', 604800], ['30d', 2592000], ['1y', 31557600]];

function Source({ name }) {
  useTitle(name);
  const range = usePlace().query.get('range') || '7d';
  const { data: s, error, reload } = useData((signal) => get(path`/v1/sources/${name}`, {}, signal), [name]);
  const { data: readings, before, reload: again } = useData((signal) => get(path`/v1/sources/${name}/readings`,
    { since: new Date(Date.now() - Object.fromEntries(spans)[range] * 1000).toISOString(), limit: 1000 }, signal), [name, range]);
  useEvery(() => Promise.all([reload(), again()]), 5000);
  const [form, open] = useState(null);
  const [asked, answer] = useState(null);
  const test = async () => {
    answer({ busy: true });
    try {
      answer(await call('POST', path`/v1/sources/${name}/test`, { body: {}, more: { 'Idempotency-Key': newID('test') } }));
    } catch (problem) {
      answer({ problem });
    }
    reload();
  };
  if (!s) return error ? html`<h1 tabindex="-1">${name}</h1><${Problem} error=${error} retry=${reload} />` : html`<${Loading} />`;
  const points = ((readings || before)?.items || []).map((p) => ({ ...p, at: p.created_at }));
  return html`<p class="crumbs"><${Link} to="/vendors">Vendors<//> ›</p><h1 tabindex="-1">${s.name} <${Badge}>${s.state}<//></h1>
    <${Problem} error=${error} retry=${reload} />
    ${s.why && html`<p class="problem">${s.why}</p>`}
    <dl class="figures"><div class="strong"><dt>Balance</dt><dd><${Amount} value=${s.balance} unit=${s.unit} /></dd><dd class="note"><${Age} source=${s} /></dd></div>
      <div><dt>Time left</dt><dd><${Left} time=${s.time_left} /></dd>${!s.time_left.known && html`<dd class="note">${s.time_left.why}</dd>`}</div>
      ${s.on_hold !== undefined && html`<div><dt>On hold</dt><dd><${Amount} value=${s.on_hold} /></dd></div>`}
      ${s.change_1d !== undefined && html`<div><dt>In a day</dt><dd><${Amount} value=${s.change_1d} signed /></dd></div>`}
      ${s.drift !== undefined && html`<div><dt>Drift from our own account</dt><dd><${Amount} value=${s.drift} signed /></dd></div>`}</dl>
    ${may('admin') && html`<div class="actions"><button type="button" disabled=${asked?.busy} onClick=${test}>${asked?.busy ? 'Asking …' : 'Ask it now'}</button>
      ${!s.from_file && html`<button type="button" onClick=${() => open('change')}>Change</button><button type="button" onClick=${() => open('remove')}>Remove</button>`}</div>`}
    ${asked && !asked.busy && html`<p role="status" class=${asked.ok ? 'good-news' : 'problem'}>${asked.problem ? asked.problem.message : asked.ok ? html`It answers: <${Amount} value=${asked.balance} unit=${asked.unit} />` : asked.why}</p>`}
    <section class="history" aria-labelledby="history"><header><h2 id="history">As it was read</h2><div class="choice" role="group" aria-label="Range">${spans.map(([r]) => html`<button type="button" aria-pressed=${String(r === range)} onClick=${() => go(query({ range: r }), { replace: true, keep: true })}>${r}</button>`)}</div></header>
      ${points.length > 1 ? html`<${Chart} points=${points} lines=${[{ name: 'balance', label: 'balance', tone: 'accent' }]} unit=${s.unit} label="Balance as it was read" />` : html`<${Nothing}>There are no two readings in this time.<//>`}</section>
    <dl class="facts"><dt>Vendor</dt><dd>${s.vendor}</dd>${s.account && html`<dt>Account</dt><dd><code>${s.account}</code></dd>`}${s.address && html`<dt>Address</dt><dd><code>${s.address}</code></dd>`}
      <dt>Asked every</dt><dd>${duration(s.interval_seconds || 900)}</dd>${s.tried_at && html`<dt>Last tried</dt><dd><${Time} at=${s.tried_at} /></dd>`}${s.next_at && html`<dt>Next</dt><dd><${Time} at=${s.next_at} /></dd>`}
      ${['low', 'critical', 'runway'].map((k) => s[k] && html`<dt>${k}</dt><dd>${s[k]}</dd>`)}
      ${s.mirror && html`<dt>Our own account for it</dt><dd><${Link} to=${'/accounts/' + s.mirror}><code>${s.mirror}</code><//></dd>`}
      <dt>Configured</dt><dd>${s.from_file ? 'in the file' : 'by the API'}</dd></dl>
    ${form === 'change' && html`<${SourceForm} source=${s} close=${() => open(null)} done=${() => { answer(null); reload(); }} />`}
    ${form === 'remove' && html`<${Confirm} title="Remove the source" verb="Remove it" method="DELETE" address=${path`/v1/sources/${name}`} close=${() => open(null)} done=${() => { notify(name + ' is not watched any more'); go('/vendors'); }}><p>${name} and its history go. Nothing changes at the vendor.</p><//>`}`;
}
