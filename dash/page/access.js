// Who may ask for an account, what other systems call it, and what is below it.
import { html, useEffect, useState } from './html.js';
import { useData, useSlow, may } from './state.js';
import { get, path } from './api.js';
import { Amount, Badge, Check, Copy, Field, Loading, Modal, Nothing, Pager, Problem, Table, Time, keepName } from './parts.js';
import { Link, go, query, usePlace } from './router.js';
import { Buttons, Confirm, NewAccount, Outcome, useCommand } from './forms.js';

export const dialects = { native: 'Saldo', twilio: 'Twilio', mturk: 'MTurk', 'mturk-legacy': 'MTurk before 2017', gateway360: 'Gateway360', frontier: 'Frontier' };

const childHead = ['Sub-account', 'Status', 'Money', { text: 'Posted', class: 'number' }, { text: 'Spendable', class: 'number' }, 'Unit'];

export function Children({ account: a, moved }) {
  const cursor = usePlace().query.get('cursor') || '';
  const [opening, open] = useState(false);
  const { data, error, reload } = useData((signal) => get('/v1/accounts', { parent: a.id, cursor, limit: 50 }, signal), [a.id, cursor]);
  const slowly = useSlow(reload, 1000);
  useEffect(() => { if (moved) slowly(); }, [moved]);
  data?.items.forEach(keepName);
  return html`<section aria-label="Sub-accounts">
    ${may('admin') && a.mode !== 'drawing' && html`<div class="filters"><button type="button" class="right" onClick=${() => open(true)}>New sub-account</button></div>`}
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${data && (data.items.length ? html`<${Table} label="List of sub-accounts" head=${childHead}><tbody>${data.items.map((c) => html`<tr key=${c.id}>
      <th scope="row"><${Link} to=${'/accounts/' + c.id}>${c.name || html`<code>${c.id}</code>`}<//></th><td><${Badge}>${c.effective_status}<//></td>
      <td>${c.mode === 'drawing' ? 'draws on its parent' : 'its own'}</td><td class="number"><${Amount} value=${c.balance.posted} /></td>
      <td class="number"><${Amount} value=${c.balance.spendable} strong /></td><td><abbr class="unit">${c.unit}</abbr></td></tr>`)}</tbody><//>
      <${Pager} next=${data.next && query({ cursor: data.next })} first=${cursor && query({ cursor: '' })} />` : html`<${Nothing}>There are none.<//>`)}
    ${opening && html`<${NewAccount} parent=${a} close=${() => open(false)} done=${(c) => go('/accounts/' + c.id)} />`}
  </section>`;
}

export function Access({ account: a }) {
  return html`${may('admin') ? html`<${Credentials} account=${a} />` : html`<${Nothing}>Credentials are shown to those who may change them (scope admin).<//>`}<${Aliases} account=${a} />`;
}

const keyHead = ['Credential', 'For', 'Scopes', { text: 'Last used', class: 'wide-only' }, { text: 'Made', class: 'wide-only' }, 'State', { unseen: 'What can be done' }];

function Credentials({ account: a }) {
  const { data, error, reload } = useData((signal) => get('/v1/credentials', { account: a.id, limit: 200 }, signal), [a.id]);
  const [form, open] = useState(null);
  const [secret, show] = useState(null);
  const told = (d) => { reload(); if (d?.secret) show(d); };
  const over = (c) => c.revoked || (c.credential_expires_at && new Date(c.credential_expires_at) < new Date());
  return html`<section aria-labelledby="credentials"><header class="title"><h2 id="credentials">Credentials</h2><div class="tools"><button type="button" onClick=${() => open({ kind: 'new' })}>New credential</button></div></header>
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${data && (data.items.length ? html`<${Table} label="List of credentials" head=${keyHead}><tbody>${data.items.map((c) => html`<tr key=${c.id} class=${over(c) ? 'dim' : ''}>
      <th scope="row">${c.name && html`${c.name}<br />`}<${Copy} text=${c.id} label="Copy the id"><code class="long">${c.id}</code><//></th>
      <td>${c.dialects.map((d) => dialects[d] || d).join(', ')}</td><td>${c.scopes.join(', ')}</td>
      <td class="wide-only">${c.last_used_at ? html`<${Time} at=${c.last_used_at} />` : 'never'}</td><td class="wide-only"><${Time} at=${c.created_at} /></td>
      <td>${c.revoked ? html`<${Badge} tone="dim">revoked<//>` : over(c) ? html`<${Badge} tone="dim">ended<//>` : html`<${Badge} tone="good">works<//>`}</td>
      <td class="buttons">${!over(c) && html`<button type="button" onClick=${() => open({ kind: 'rotate', key: c })}>Rotate</button><button type="button" onClick=${() => open({ kind: 'revoke', key: c })}>Revoke</button>`}</td>
    </tr>`)}</tbody><//>` : html`<${Nothing}>No credential is for this account alone.<//>`)}
    ${form?.kind === 'new' && html`<${NewCredential} account=${a} close=${() => open(null)} done=${told} />`}
    ${form?.kind === 'rotate' && html`<${Confirm} title="Rotate the secret" verb="Make a new secret" method="POST" address=${path`/v1/credentials/${form.key.id}/rotate`} tone="primary" close=${() => open(null)} done=${told}>
      <p>A new secret for <code>${form.key.id}</code>. The one before stops at once.</p><//>`}
    ${form?.kind === 'revoke' && html`<${Confirm} title="Revoke" verb="Revoke it" method="DELETE" address=${path`/v1/credentials/${form.key.id}`} close=${() => open(null)} done=${told}>
      <p><code>${form.key.id}</code> stops at once and for good. Whoever uses it is refused.</p><//>`}
    ${secret && html`<${Modal} title="The secret, this once" close=${() => show(null)}><div class="form"><p>It is not kept in a form that can be shown again. Copy it now.</p>
      <dl class="facts"><dt>Id</dt><dd><${Copy} text=${secret.id} label="Copy the id"><code>${secret.id}</code><//></dd><dt>Secret</dt><dd><${Copy} text=${secret.secret} label="Copy the secret"><code class="secret">${secret.secret}</code><//></dd></dl>
      <footer><button type="button" class="primary" onClick=${() => show(null)}>I have it</button></footer></div><//>`}
  </section>`;
}

function NewCredential({ account: a, close, done }) {
  const [f, set] = useState({ name: '', dialect: 'native', read: true });
  const c = useCommand('credential', (d) => { close(); done(d); });
  const scopes = ['read', 'charge', 'topup', 'admin'];
  const submit = (e) => {
    e.preventDefault();
    c.send('POST', '/v1/credentials', { account: a.id, dialect: f.dialect, name: f.name.trim() || undefined, scopes: scopes.filter((s) => f[s]) });
  };
  return html`<${Modal} title=${`New credential for ${a.name || a.id}`} close=${close}><form onSubmit=${submit} method="post" noValidate>
    <p class="dim">It opens this account and those below it, and nothing else.</p>
    <fieldset disabled=${c.busy || c.unknown}>
      <${Field} label="Name">${(x) => html`<input ...${x} name="name" autofocus maxlength="255" value=${f.name} onInput=${(e) => set({ ...f, name: e.target.value })} />`}<//>
      <${Field} label="For">${(x) => html`<select ...${x} onChange=${(e) => set({ ...f, dialect: e.target.value })}>${Object.entries(dialects).map(([d, t]) => html`<option value=${d} selected=${d === f.dialect}>${t}</option>`)}</select>`}<//>
      <div role="group" aria-label="Scopes" class="checks">${scopes.filter((s) => may(s)).map((s) => html`<${Check} label=${s} checked=${f[s]} onChange=${(e) => set({ ...f, [s]: e.target.checked })} />`)}</div>
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>Make it<//></form><//>`;
}

function Aliases({ account: a }) {
  const { data, error, reload } = useData((signal) => get(path`/v1/accounts/${a.id}/aliases`, {}, signal), [a.id]);
  const [form, open] = useState(null);
  return html`<section aria-labelledby="aliases"><header class="title"><h2 id="aliases">Other names</h2>
      ${may('admin') && html`<div class="tools"><button type="button" onClick=${() => open({ kind: 'new' })}>New name</button></div>`}</header>
    <p class="dim">What other systems call this account: it is found, and asked for, by these too.</p>
    <${Problem} error=${error} retry=${reload} />
    ${data && (data.items.length ? html`<${Table} label="List of other names" head=${['Where', 'Name', { unseen: 'What can be done' }]}><tbody>${data.items.map((x) => html`<tr key=${x.id}>
      <th scope="row">${dialects[x.dialect] || x.dialect}</th><td><${Copy} text=${x.external} label="Copy"><code class="long">${x.external}</code><//></td>
      <td class="buttons">${may('admin') && html`<button type="button" onClick=${() => open({ kind: 'remove', alias: x })}>Remove</button>`}</td></tr>`)}</tbody><//>` : html`<${Nothing}>It has none.<//>`)}
    ${form?.kind === 'new' && html`<${NewAlias} account=${a} close=${() => open(null)} done=${reload} />`}
    ${form?.kind === 'remove' && html`<${Confirm} title="Remove a name" verb="Remove it" method="DELETE" address=${path`/v1/accounts/${a.id}/aliases/${form.alias.dialect}/${form.alias.external}`} close=${() => open(null)} done=${reload}>
      <p>Programs that ask for <code>${form.alias.external}</code> will not find the account any more.</p><//>`}
  </section>`;
}

function NewAlias({ account: a, close, done }) {
  const [f, set] = useState({ dialect: 'twilio', external: '' });
  const c = useCommand('alias', () => { close(); done(); });
  const submit = (e) => { e.preventDefault(); if (f.external.trim()) c.send('POST', path`/v1/accounts/${a.id}/aliases`, { dialect: f.dialect, external: f.external.trim() }); };
  return html`<${Modal} title=${`New name for ${a.name || a.id}`} close=${close}><form onSubmit=${submit} method="post" noValidate>
    <fieldset disabled=${c.busy || c.unknown}>
      <${Field} label="Where">${(x) => html`<select ...${x} onChange=${(e) => set({ ...f, dialect: e.target.value })}>${Object.entries(dialects).map(([d, t]) => html`<option value=${d} selected=${d === f.dialect}>${t}</option>`)}</select>`}<//>
      <${Field} label="Name" hint="An Account SID, a user_name, an id">${(x) => html`<input ...${x} name="external" autofocus autocomplete="off" spellcheck="false" value=${f.external} onInput=${(e) => set({ ...f, external: e.target.value })} />`}<//>
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>Give it<//></form><//>`;
}
