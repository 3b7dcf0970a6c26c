// Where alerts go, and those that did not arrive.
import { html, useState } from './html.js';
import { useData, useEvery, may, notify } from './state.js';
import { get, path } from './api.js';
import { Badge, Copy, Field, Loading, Modal, Nothing, Problem, Table, Time, distance } from './parts.js';
import { go, query, usePlace, useTitle } from './router.js';
import { Buttons, Confirm, Outcome, useCommand } from './forms.js';

export default function Webhooks() {
  useTitle('Webhooks');
  const state = usePlace().query.get('state') || 'open';
  const { data, error, reload } = useData((signal) => get('/v1/webhooks', { limit: 1000 }, signal), []);
  const { data: deliveries, before, error: failed, reload: again } = useData((signal) => get('/v1/deliveries', { state: state === 'open' ? '' : state, limit: 100 }, signal), [state]);
  useEvery(() => Promise.all([reload(), again()]), 3000);
  const [form, open] = useState(null);
  const [secret, show] = useState(null);
  const told = (d) => { reload(); again(); if (d?.secret) show(d); };
  const shown = deliveries || before;
  return html`<header class="title"><h1 tabindex="-1">Webhooks</h1>${may('admin') && html`<div class="tools"><button type="button" onClick=${() => open({ kind: 'new' })}>New endpoint</button></div>`}</header>
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${data && (data.items.length === 0 ? html`<${Nothing}>Alerts go nowhere yet.<//>` : html`<${Table} label="Endpoints" head=${['Endpoint', 'Kind', 'Address', 'Types', 'State', { unseen: 'What can be done' }]}><tbody>${data.items.map((w) => html`<tr key=${w.name}>
      <th scope="row">${w.name}</th><td>${w.kind}</td><td><code class="long">${w.url}</code></td><td>${w.types?.join(', ') || 'all'}</td>
      <td>${w.disabled ? html`<${Badge} tone="bad">disabled<//> ${w.why}` : html`<${Badge} tone="good">works<//>`}</td>
      <td class="buttons">${may('admin') && html`<button type="button" onClick=${() => open({ kind: 'test', of: w })}>Test</button>${w.disabled && html`<button type="button" onClick=${() => open({ kind: 'enable', of: w })}>Enable</button>`}
        ${!w.from_file && html`${w.kind === 'webhook' && html`<button type="button" onClick=${() => open({ kind: 'rotate', of: w })}>New secret</button>`}<button type="button" onClick=${() => open({ kind: 'remove', of: w })}>Remove</button>`}`}</td></tr>`)}</tbody><//>`)}
    <section aria-labelledby="deliveries"><header class="title"><h2 id="deliveries">Deliveries</h2><div class="tools"><div class="choice" role="group" aria-label="State">${[['open', 'On their way'], ['dead', 'Given up']].map(([s, t]) => html`
      <button type="button" aria-pressed=${String(s === state)} onClick=${() => go(query({ state: s === 'open' ? '' : s }), { replace: true, keep: true })}>${t}</button>`)}</div></div></header>
      <p class="dim">${state === 'dead' ? 'The endpoint did not take these for three days, or said that it never will.' : 'What waits for its turn, or for the next try.'}</p>
      <${Problem} error=${failed} retry=${again} />
      ${shown && (shown.items.length === 0 ? html`<${Nothing}>None.<//>` : html`<${Table} label="List of deliveries" head=${['Made', 'Endpoint', 'What', 'Tries', 'Last answer', 'Next try', { unseen: 'What can be done' }]}><tbody>${shown.items.map((d) => html`<tr key=${d.id}>
        <td><${Time} at=${d.created_at} /></td><th scope="row">${d.endpoint}</th><td class="what">${d.body?.type && html`<code>${d.body.type}</code> `}${d.body?.data?.text || ''}<br /><small><${Copy} text=${d.alert} label="Copy the id of the message"><code class="long">${d.alert}</code><//></small></td>
        <td class="number">${d.tries || 0}</td><td class="what">${d.error || ''}</td><td>${d.next_at && d.state === 'open' ? html`<${Time} at=${d.next_at} /><br /><small class="dim">${distance(d.next_at)}</small>` : '—'}</td>
        <td class="buttons">${may('admin') && html`<button type="button" onClick=${() => open({ kind: 'replay', of: d })}>Replay</button>`}</td></tr>`)}</tbody><//>`)}</section>
    ${form?.kind === 'new' && html`<${NewEndpoint} close=${() => open(null)} done=${told} />`}
    ${form?.kind === 'replay' && html`<${Confirm} title="Replay" verb="Deliver it again" tone="primary" method="POST" address=${path`/v1/deliveries/${form.of.id}/replay`} close=${() => open(null)} done=${() => { notify('It is delivered again'); again(); }}><p>${form.of.endpoint} gets the same message once more, under the same id: <code>${form.of.alert}</code>.</p><//>`}
    ${form?.kind === 'test' && html`<${Confirm} title="Test the endpoint" verb="Send a sample" tone="primary" method="POST" address=${path`/v1/webhooks/${form.of.name}/test`} close=${() => open(null)} done=${(d) => notify(d.ok === false ? 'It was not taken' : 'It was taken', d.why)}><p>${form.of.name} gets a sample, marked as a test.</p><//>`}
    ${form?.kind === 'enable' && html`<${Confirm} title="Enable the endpoint" verb="Enable it" tone="primary" method="POST" address=${path`/v1/webhooks/${form.of.name}/enable`} close=${() => open(null)} done=${told}><p>${form.of.name} gets alerts again.</p><//>`}
    ${form?.kind === 'rotate' && html`<${Confirm} title="New secret" verb="Make a new secret" tone="primary" method="POST" address=${path`/v1/webhooks/${form.of.name}/rotate`} close=${() => open(null)} done=${told}><p>Messages to ${form.of.name} are signed with the new one and the one before, until the next time.</p><//>`}
    ${form?.kind === 'remove' && html`<${Confirm} title="Remove the endpoint" verb="Remove it" method="DELETE" address=${path`/v1/webhooks/${form.of.name}`} close=${() => open(null)} done=${told}><p>What is on its way to ${form.of.name} is dropped.</p><//>`}
    ${secret && html`<${Modal} title="The secret, this once" close=${() => show(null)}><div class="form"><p>The endpoint checks signatures with it. Copy it now.</p><p><${Copy} text=${secret.secret} label="Copy the secret"><code class="secret">${secret.secret}</code><//></p>
      <footer><button type="button" class="primary" onClick=${() => show(null)}>I have it</button></footer></div><//>`}`;
}

function NewEndpoint({ close, done }) {
  const [f, set] = useState({ name: '', url: '' });
  const c = useCommand('endpoint', (d) => { close(); done(d); });
  const submit = (e) => { e.preventDefault(); c.send('POST', '/v1/webhooks', { name: f.name.trim(), url: f.url.trim() }); };
  return html`<${Modal} title="New endpoint" close=${close}><form onSubmit=${submit} method="post" noValidate><fieldset disabled=${c.busy || c.unknown}>
      <${Field} label="Name">${(x) => html`<input ...${x} name="name" autofocus autocomplete="off" value=${f.name} onInput=${(e) => set({ ...f, name: e.target.value })} />`}<//>
      <${Field} label="Address" hint="https://… for a signed webhook, alertmanager+http://host:9093, or a service as slack://…">${(x) => html`<input ...${x} name="url" autocomplete="off" spellcheck="false" value=${f.url} onInput=${(e) => set({ ...f, url: e.target.value })} />`}<//>
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>Add it<//></form><//>`;
}
