// Holds: what is set aside, since when and until when.
import { html, useEffect } from './html.js';
import { useData, useSlow, may } from './state.js';
import { get, path } from './api.js';
import { Amount, Badge, Copy, Loading, Nothing, Pager, Problem, Table, Time, distance, useNow } from './parts.js';
import { go, query, usePlace } from './router.js';

const head = ['Hold', 'State', { text: 'Amount', class: 'number wide-only' }, { text: 'Captured', class: 'number wide-only' }, { text: 'Remaining', class: 'number' }, 'Placed', 'Ends', { unseen: 'What can be done' }];

export function Holds({ account: a, moved, open }) {
  const { query: q } = usePlace();
  const state = q.get('state') || 'open';
  const cursor = q.get('cursor') || '';
  const { data, before, error, loading, reload } = useData((signal) => get(path`/v1/accounts/${a.id}/holds`, { state, cursor, limit: 50 }, signal), [a.id, state, cursor]);
  const slowly = useSlow(reload, 1000);
  useEffect(() => { if (moved) slowly(); }, [moved]);
  const shown = data || before;
  return html`<section aria-label="Holds">
    <div class="filters"><label>State <select onChange=${(e) => go(query({ state: e.target.value === 'open' ? '' : e.target.value, cursor: '' }), { replace: true, keep: true })}>
      ${['open', 'captured', 'released', 'expired', 'all'].map((s) => html`<option value=${s} selected=${s === state}>${s}</option>`)}</select></label></div>
    <${Problem} error=${error} retry=${reload} />
    ${loading && !shown && html`<${Loading} />`}
    ${shown && !error && (shown.items.length === 0 && !shown.next ? html`<${Nothing}>${state === 'open' ? 'No holds are open.' : 'No hold is so.'}<//>`
      : html`<${Table} label="List of holds" head=${head}><tbody>${shown.items.map((h) => html`<${Hold} key=${h.id} hold=${h} open=${open} late=${slowly} />`)}</tbody><//>
        <${Pager} next=${shown.next && query({ cursor: shown.next })} first=${cursor && query({ cursor: '' })} label="Pages of holds" />`)}
  </section>`;
}

function Hold({ hold: h, open, late }) {
  const now = useNow();
  const over = h.state === 'open' && h.expires_at && new Date(h.expires_at) <= now;
  useEffect(() => { if (over) late(); }, [over]);
  return html`<tr>
    <th scope="row"><${Copy} text=${h.id} label="Copy the id"><code class="long">${h.id}</code><//>${h.reason && html`<br /><span class="reason">${h.reason}</span>`}</th>
    <td><${Badge}>${over ? 'expired' : h.state}<//></td>
    <td class="number wide-only"><${Amount} value=${h.amount} /></td>
    <td class="number wide-only"><${Amount} value=${h.captured} /></td>
    <td class="number"><${Amount} value=${h.remaining} /></td>
    <td><${Time} at=${h.created_at} /><br /><small class="dim">${distance(h.created_at, now)}</small></td>
    <td>${h.expires_at ? html`<${Time} at=${h.expires_at} /><br /><small class="dim">${distance(h.expires_at, now)}</small>` : 'never'}</td>
    <td class="buttons">${h.state === 'open' && !over && may('charge') && html`<button type="button" onClick=${() => open({ kind: 'release', hold: h })}>Release</button>
      <button type="button" onClick=${() => open({ kind: 'capture', hold: h })}>Capture</button>`}</td>
  </tr>`;
}
