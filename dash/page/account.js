// One account: what it has and had, what moved, and what can be done.
import { html, useState } from './html.js';
import { useData, useSlow, may, session, useEvery } from './state.js';
import { get, path } from './api.js';
import { Amount, Badge, Copy, Loading, Problem, Time, Who, keepName } from './parts.js';
import { Link, go, query, usePlace, useTitle } from './router.js';
import { useBook } from './stream.js';
import { Chart } from './chart.js';
import { Statement } from './statement.js';
import { Holds } from './holds.js';
import { Children, Access } from './access.js';
import { AskAs } from './ask.js';
import { RuleList } from './rules.js';
import { Move, Change } from './forms.js';

const parts = { '': 'Statement', holds: 'Holds', 'sub-accounts': 'Sub-accounts', rules: 'Rules', 'ask-as': 'Ask as', access: 'Access' };

export default function Account({ id, part = '' }) {
  const { data: account, error, reload } = useData((signal) => get(path`/v1/accounts/${id}`, {}, signal), [id]);
  const [moved, move] = useState(0);
  const [form, open] = useState(null);
  useTitle(account && (account.name || account.id));
  const slowly = useSlow(() => { reload(); move((n) => n + 1); }, 1000);
  const own = [id, account?.balance.drawn_from];
  useBook(account?.book, (m) => {
    if (m.gap || m.events?.some((e) => touches(e, own))) slowly();
  });
  useEvery(() => { if (account?.open_holds > 0 || account?.balance.drawn_from) slowly(); }, 5000); // a deadline passes without an entry
  if (!account) return error ? html`<h1 tabindex="-1">${error.status === 404 ? 'There is no such account' : 'Account'}</h1>
    ${error.status === 404 ? html`<p>Or this credential does not open it: <code>${id}</code>. <${Link} to="/accounts">All accounts<//></p>` : html`<${Problem} error=${error} retry=${reload} />`}` : html`<${Loading} />`;
  keepName(account);
  const whole = !session.get().account; // rules are for who opens all accounts
  const done = () => { reload(); move((n) => n + 1); };
  const has = (name) => ({ 'sub-accounts': account.children > 0 || part === name || (may('admin') && account.mode !== 'drawing'), rules: whole }[name] ?? true);
  return html`<${Head} account=${account} />
    <${Problem} error=${error} retry=${reload} />
    <${Figures} balance=${account.balance} />
    <${Actions} account=${account} open=${open} />
    <${History} account=${account} moved=${moved} />
    <nav class="tabs" aria-label="Of this account"><ul>${Object.entries(parts).filter(([name]) => has(name)).map(([name, title]) => html`
      <li><${Link} keep to=${path`/accounts/${account.id}` + (name ? '/' + name : '')} aria-current=${part === name ? 'page' : undefined}>${title}${
        name === 'holds' && account.open_holds > 0 ? html` <span class="count">${account.open_holds}</span>` : ''}${name === 'sub-accounts' && account.children > 0 ? html` <span class="count">${account.children}</span>` : ''}<//></li>`)}</ul></nav>
    ${part === '' && html`<${Statement} account=${account} moved=${moved} refund=${(line) => open({ kind: 'refund', of: line })} />`}
    ${part === 'holds' && html`<${Holds} account=${account} moved=${moved} open=${open} />`}
    ${part === 'sub-accounts' && html`<${Children} account=${account} moved=${moved} />`}
    ${part === 'rules' && whole && html`<section aria-label="Rules"><${RuleList} account=${account} /></section>`}
    ${part === 'ask-as' && html`<${AskAs} account=${account} />`}
    ${part === 'access' && html`<${Access} account=${account} />`}
    ${!(part in parts) && html`<p>There is no such part of an account.</p>`}
    ${form && (['limit', 'cap', 'status', 'name'].includes(form.kind)
      ? html`<${Change} key=${form.kind} ...${form} account=${account} close=${() => open(null)} done=${done} />`
      : html`<${Move} key=${form.kind} ...${form} account=${account} close=${() => open(null)} done=${done} />`)}`;
}

// touches reports whether an event is about one of these accounts.
function touches(e, ids) {
  const has = (id) => ids.includes(id);
  return has(e.account) || e.balances?.some((b) => has(b.id)) || e.holds?.some((h) => has(h.account))
    || e.settings?.some((s) => has(s.id)) || e.opened?.some((o) => has(o.parent));
}

function Head({ account: a }) {
  const sid = 'AC' + a.id.replaceAll('-', '');
  return html`<header class="title"><div>
      ${a.parent && html`<p class="crumbs"><${Who} id=${a.parent} /> ›</p>`}
      <h1 tabindex="-1">${a.name || html`<code>${a.id}</code>`} ${a.effective_status !== 'open' && html`<${Badge}>${a.effective_status}<//>`}</h1>
      <p class="ids"><${Copy} text=${a.id} label="Copy the id"><code>${a.id}</code><//> <${Copy} text=${sid} label="Copy the Twilio SID"><code class="wide-only">${sid}</code><span class="narrow-only">AC…</span><//>
        <span class="dim">${a.unit}, book ${a.book}, since <${Time} at=${a.created_at} />${a.status !== a.effective_status && html`, itself ${a.status}`}</span></p>
      ${a.metadata && html`<dl class="metadata">${Object.entries(a.metadata).slice(0, 8).map(([k, v]) => html`<dt>${k}</dt><dd>${String(v)}</dd>`)}</dl>`}
    </div></header>`;
}

function Figures({ balance: b }) {
  const figure = (title, value, note, strong) => html`<div class=${strong ? 'strong' : ''}><dt>${title}</dt><dd><${Amount} value=${value} unit=${strong ? b.unit : ''} /></dd>${note && html`<dd class="note">${note}</dd>`}</div>`;
  return html`<dl class="figures" aria-label="Balance">
    ${figure('Spendable', b.spendable, b.drawn_from ? html`drawn from <${Who} id=${b.drawn_from} />` : 'available + limit', true)}
    ${figure('Posted', b.posted, 'paid in − paid out')}
    ${figure('Held', b.held, 'in open holds')}
    ${figure('Available', b.available, 'posted − held')}
    ${b.drawn_from ? html`${figure('Spent', b.spent)}${b.cap !== undefined && figure('Cap', b.cap)}` : figure('Credit limit', b.credit_limit, b.credit_limit.startsWith('-') ? 'has to stay' : 'below zero')}
  </dl>`;
}

function Actions({ account: a, open }) {
  const drawing = a.mode === 'drawing';
  const own = session.get().account === a.id; // its own root is set by those who open more
  const usable = a.effective_status === 'open';
  const closed = a.status === 'closed';
  const all = [
    may('topup') && !drawing && !closed && ['topup', 'Top up', 'primary'],
    may('charge') && usable && ['charge', 'Charge'],
    may('topup') && !drawing && !closed && ['adjust', 'Adjust'],
    may('charge') && usable && ['hold', 'Hold'],
    may('admin') && !own && !closed && (drawing ? ['cap', 'Set cap'] : ['limit', 'Set limit']),
    may('admin') && !own && !closed && ['status', a.status === 'frozen' ? 'Reopen' : 'Freeze', '', a.status === 'frozen' ? 'open' : 'frozen'],
    may('admin') && ['name', 'Rename'],
    may('admin') && !own && !closed && ['status', 'Close', '', 'closed'],
  ].filter(Boolean);
  if (!all.length) return null;
  return html`<div class="actions" role="group" aria-label="What can be done">${all.map(([kind, title, style, to]) => html`
    <button type="button" class=${style || ''} onClick=${() => open({ kind, to })}>${title}</button>`)}</div>`;
}

const ranges = [['1h', 3600], ['24h', 86400], ['7d', 604800], ['30d', 2592000], ['90d', 7776000], ['1y', 31557600], ['all', 0]];

// local writes a time as a datetime-local field has it.
const local = (time) => {
  const d = new Date(time);
  return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

// History is the chart of any range: what the journal says at each of its
// points. Between two points with the same number of an entry nothing happened.
function History({ account: a, moved }) {
  const { query: q } = usePlace();
  const from = q.get('chart-from'), to = q.get('chart-to');
  const range = q.get('range') || (from ? '' : Date.now() - new Date(a.created_at) < 86400e3 ? 'all' : '7d');
  const points = Math.max(60, Math.min(400, Math.round(innerWidth / 3)));
  const { data, before, error, reload } = useData((signal) => {
    const seconds = Object.fromEntries(ranges)[range];
    const begin = from || (seconds ? new Date(Math.max(Date.now() - seconds * 1000, new Date(a.created_at))).toISOString() : undefined);
    return get(path`/v1/accounts/${a.id}/series`, { from: begin, to: to || undefined, points }, signal);
  }, [a.id, range, from, to, points]);
  const slowly = useSlow(reload, 2000);
  const [seen, see] = useState(moved);
  if (seen !== moved) { see(moved); if (!to) slowly(); }
  const set = (changes) => go(query(changes), { replace: true, keep: true });
  const zoom = (left, right) => set({ range: '', 'chart-from': new Date(left * 1000).toISOString(), 'chart-to': new Date(right * 1000).toISOString() });
  const series = data || before;
  const lines = a.mode === 'drawing' ? [{ name: 'spendable', label: 'spendable', tone: 'accent' }, { name: 'spent', label: 'spent', tone: 'amber' }]
    : [{ name: 'posted', label: 'posted', tone: 'accent' }, { name: 'available', label: 'available', tone: 'amber', dash: [4, 3] }];
  const field = (name, label, value) => html`<label class="wide-only">${label} <input type="datetime-local" value=${value ? local(value) : ''} max=${local(Date.now())}
    onChange=${(e) => set({ range: '', [name]: e.target.value ? new Date(e.target.value).toISOString() : '' })} /></label>`;
  return html`<section class="history" aria-labelledby="history"><header><h2 id="history">Balance over time</h2>
      <div class="tools"><div class="choice" role="group" aria-label="Range">${ranges.map(([name]) => html`<button type="button" aria-pressed=${String(range === name)}
        onClick=${() => set({ range: name, 'chart-from': '', 'chart-to': '' })}>${name}</button>`)}</div>
      ${field('chart-from', 'From', from)} ${field('chart-to', 'to', to)}</div></header>
    <${Problem} error=${error} retry=${reload} />
    ${series && (series.items.length ? html`<${Chart} points=${series.items} lines=${lines} unit=${a.unit} zoom=${zoom}
      label=${`Balance from ${series.from} to ${series.to}`} />` : html`<p class="nothing">The account did not exist then.</p>`)}
    ${!series && !error && html`<div class="chart-space"><${Loading} /></div>`}</section>`;
}
