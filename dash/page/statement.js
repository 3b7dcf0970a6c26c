// The statement: every line with the balance after it, filtered, and as CSV
// with the same filter.
import { html, useState, useEffect } from './html.js';
import { useData, useSlow, may } from './state.js';
import { ask, get, path, whole } from './api.js';
import { Amount, Badge, Copy, Loading, Nothing, Pager, Problem, Table, Time, Who } from './parts.js';
import { go, query, usePlace } from './router.js';

const kinds = ['topup', 'charge', 'capture', 'refund', 'adjustment', 'move'];

const head = ['Time', 'Kind', 'What', { text: 'Amount', class: 'number' }, { text: 'Balance', class: 'number' }, { text: 'Held', class: 'number wide-only' }, { unseen: 'More' }];

// dayAfter is the midnight that ends a day of the reader's.
const midnight = (date, days = 0) => {
  const [y, m, d] = date.split('-').map(Number);
  return new Date(y, m - 1, d + days).toISOString();
};

export function Statement({ account: a, moved, refund }) {
  const { query: q } = usePlace();
  const [kind, from, to, cursor] = ['kind', 'from', 'to', 'cursor'].map((name) => q.get(name) || '');
  const filter = { kind, from: from && midnight(from), to: to && midnight(to, 1) };
  const { data, before, error, loading, reload } = useData((signal) => get(path`/v1/accounts/${a.id}/statement`, { ...filter, cursor, limit: 50 }, signal), [a.id, kind, from, to, cursor]);
  const slowly = useSlow(reload, 1000);
  useEffect(() => { if (moved && !cursor) slowly(); }, [moved]);
  const set = (changes) => go(query({ cursor: '', ...changes }), { replace: true, keep: true });
  const shown = data || before;
  const filtered = kind || from || to;
  return html`<section aria-label="Statement">
    <div class="filters">
      <label>Kind <select onChange=${(e) => set({ kind: e.target.value })}>${['', ...kinds].map((k) => html`<option value=${k} selected=${k === kind}>${k || 'any'}</option>`)}</select></label>
      <label>From <input type="date" value=${from} onChange=${(e) => set({ from: e.target.value })} /></label>
      <label>through <input type="date" value=${to} onChange=${(e) => set({ to: e.target.value })} /></label>
      ${filtered && html`<button type="button" class="plain" onClick=${() => set({ kind: '', from: '', to: '' })}>All of it</button>`}
      <${Export} account=${a} filter=${filter} />
    </div>
    <${Problem} error=${error} retry=${reload} />
    ${loading && !shown && html`<${Loading} />`}
    ${shown && !error && (shown.items.length === 0 && !shown.next ? html`<${Nothing}>${filtered ? 'No line is so.' : 'Nothing has moved yet.'}<//>`
      : html`<${Table} label="Lines of the statement" head=${head} classes="statement">
          ${shown.items.map((l) => html`<${Line} key=${l.id} line=${l} refund=${refund} />`)}<//>
        ${shown.items.length === 0 && html`<p class="dim">None of this page is so. There are more.</p>`}
        <${Pager} next=${shown.next && query({ cursor: shown.next })} first=${cursor && query({ cursor: '' })} label="Pages of the statement" />`)}
  </section>`;
}

// Export fetches the statement as CSV with the filter that is on the screen.
function Export({ account: a, filter }) {
  const [state, set] = useState({});
  const save = async () => {
    set({ busy: true });
    try {
      const response = await ask('GET', path`/v1/accounts/${a.id}/statement`, { query: { ...filter, order: 'asc' }, more: { Accept: 'text/csv' } });
      const blob = await whole(response.blob());
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `statement-${(a.name || a.id).replace(/[^\p{L}\p{N}]+/gu, '-')}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      set({});
    } catch (error) {
      set({ error });
    }
  };
  return html`<button type="button" class="right" disabled=${state.busy} onClick=${save}>${state.busy ? 'Writing …' : 'CSV'}</button>
    ${state.error && html`<${Problem} error=${state.error} />`}`;
}

const refundable = ['charge', 'capture', 'topup', 'move'];

function Line({ line: l, refund }) {
  const [open, set] = useState(false);
  const out = l.amount.startsWith('-');
  return html`<tbody class=${open ? 'open' : ''}><tr>
    <td><${Time} at=${l.created_at} /></td>
    <td>${l.kind}${l.forced && html` <${Badge} tone="warn">forced<//>`}</td>
    <td class="what">${[l.reason, [l.category, l.count && `${l.count} ${l.usage_unit || ''}`.trim()].filter(Boolean).join(', ')].filter(Boolean).join(' · ')} <span class="dim">${out ? 'to' : 'from'} <${Who} id=${l.counterparty} />${l.via && html` by <${Who} id=${l.via} />`}</span></td>
    <td class="number"><${Amount} value=${l.amount} signed /></td>
    <td class="number"><${Amount} value=${l.posted} /></td>
    <td class="number wide-only"><${Amount} value=${l.held} /></td>
    <td><button type="button" class="plain" aria-expanded=${String(open)} aria-label=${`More about ${l.id}`} onClick=${() => set(!open)}>${open ? '▴' : '▾'}</button></td>
  </tr>${open && html`<tr class="more"><td colspan="7"><${More} line=${l} refund=${refund} /></td></tr>`}</tbody>`;
}

function More({ line: l, refund }) {
  const rows = [['id', html`<${Copy} text=${l.id} label="Copy the id"><code>${l.id}</code><//>`], ['time', html`<code>${l.created_at}</code>`], ['journal entry', l.seq],
    l.of && ['gives back', html`<code>${l.of}</code>`], l.hold && ['from hold', html`<code>${l.hold}</code>`], l.asked && ['asked for', html`<${Amount} value=${l.asked} unit=${l.unit} />`],
    ...Object.entries(l.metadata || {}).map(([k, v]) => [k, String(v)])].filter(Boolean);
  return html`<dl class="facts">${rows.map(([k, v]) => html`<dt>${k}</dt><dd>${v}</dd>`)}</dl>
    ${may('topup') && refundable.includes(l.kind) && html`<button type="button" onClick=${() => refund(l)}>Refund …</button>`}`;
}
