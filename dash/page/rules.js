// Rules: what has to be true for somebody to be told, and what was told.
import { html, useState } from './html.js';
import { useData, useEvery, may, notify } from './state.js';
import { get, path } from './api.js';
import { Badge, Field, Loading, Modal, Nothing, Problem, Table, Time, Who } from './parts.js';
import { Link, useTitle } from './router.js';
import { Buttons, Confirm, Outcome, useCommand } from './forms.js';
import { Words, firing } from './held.js';

const conditions = {
  balance: ['balance at or below', '12.50, or 20% of the last top-up'], runway: ['time left at or below', '36h or 3d'], reading_age: ['last reading is older than', '1h'],
  drift: ['differs from our own account by', '1.00'], credit_used: ['of the credit limit is used', '80%'], hold_expired: ['a hold expired', ''],
};
const ofSource = ['balance', 'runway', 'reading_age', 'drift'], ofAccount = ['balance', 'credit_used', 'hold_expired'];

export default function Rules() {
  useTitle('Rules');
  const { data, error, reload } = useData((signal) => get('/v1/rules', { limit: 1000 }, signal), []);
  const { data: alerts, reload: again } = useData((signal) => get('/v1/alerts', { limit: 200 }, signal), []);
  useEvery(() => { reload(); again(); }, 3000);
  const [form, open] = useState(null);
  const fires = new Set(firing(alerts?.items || []).map((a) => a.rule_id));
  const names = new Set(firing(alerts?.items || []).map((a) => a.rule));
  return html`<header class="title"><h1 tabindex="-1">Rules</h1>${may('admin') && html`<div class="tools"><button type="button" onClick=${() => open({ kind: 'new' })}>New rule</button></div>`}</header>
    <p class="dim">A rule tells once when a threshold is crossed, and once when it is good again.</p>
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${data && (data.items.length === 0 ? html`<${Nothing}>There are no rules yet.<//>` : html`<${Table} label="Rules" head=${['Rule', 'About', 'When', 'State', { unseen: 'What can be done' }]}><tbody>${data.items.map((r) => html`<tr key=${r.id}>
      <th scope="row">${r.name}</th><td>${r.source ? html`<${Link} to=${path`/vendors/${r.source}`}>${r.source}<//>` : html`<${Who} id=${r.account} />`}</td>
      <td>${conditions[r.when]?.[0] || r.when} ${r.levels.map((l) => html`<span class="level">${l.at} <${Badge}>${l.level}<//></span> `)}</td>
      <td>${fires.has(r.id) || names.has(r.name) ? html`<${Badge}>firing<//>` : html`<span class="dim">quiet</span>`}</td>
      <td class="buttons">${may('admin') && html`<button type="button" onClick=${() => open({ kind: 'test', rule: r })}>Test</button>${!r.id.includes('/') && html`<button type="button" onClick=${() => open({ kind: 'remove', rule: r })}>Remove</button>`}`}</td></tr>`)}</tbody><//>`)}
    <section aria-labelledby="told"><h2 id="told">What was told</h2>
      ${alerts && (alerts.items.length === 0 ? html`<${Nothing}>Nothing yet.<//>` : html`<${Table} label="Alerts" head=${['Time', 'State', 'Level', 'Rule', 'In words']}><tbody>${alerts.items.slice(0, 100).map((a) => html`<tr key=${a.id}>
        <td><${Time} at=${a.created_at} /></td><td><${Badge}>${a.state}<//></td><td><${Badge}>${a.level}<//></td><td>${a.rule}${a.test && ' (test)'}</td><td class="what"><${Words} alert=${a} /></td></tr>`)}</tbody><//>`)}</section>
    ${form?.kind === 'new' && html`<${NewRule} close=${() => open(null)} done=${reload} />`}
    ${form?.kind === 'test' && html`<${Confirm} title="Test the rule" verb="Send a sample" method="POST" address=${path`/v1/rules/${form.rule.id}/test`} tone="primary" close=${() => open(null)} done=${(d) => { notify('A sample was sent', (d.endpoints || []).map((e) => `${e.endpoint}: ${e.ok ? 'taken' : e.why}`).join('; ') || 'There is nowhere to send it to.'); }}><p>A sample, marked as a test, goes to everywhere that this rule tells.</p><//>`}
    ${form?.kind === 'remove' && html`<${Confirm} title="Remove the rule" verb="Remove it" method="DELETE" address=${path`/v1/rules/${form.rule.id}`} close=${() => open(null)} done=${reload}><p>Nobody is told any more when ${form.rule.name} is so.</p><//>`}`;
}

function NewRule({ close, done }) {
  const { data: sources } = useData((signal) => get('/v1/sources', { limit: 1000 }, signal), []);
  const [f, set] = useState({ name: '', about: 'account', account: '', source: '', when: 'balance', warning: '', critical: '' });
  const c = useCommand('rule', () => { close(); done(); });
  const change = (name) => (e) => set({ ...f, [name]: e.target.value });
  const kinds = f.about === 'account' ? ofAccount : ofSource;
  const when = kinds.includes(f.when) ? f.when : kinds[0];
  const submit = (e) => {
    e.preventDefault();
    const levels = when === 'hold_expired' ? [{ level: 'warning' }] : ['warning', 'critical'].filter((l) => f[l].trim()).map((level) => ({ level, at: f[level].trim() }));
    c.send('POST', '/v1/rules', { name: f.name.trim(), when, levels, ...(f.about === 'account' ? { account: f.account.trim() } : { source: f.source || sources?.items[0]?.name || '' }) });
  };
  return html`<${Modal} title="New rule" close=${close}><form onSubmit=${submit} method="post" noValidate><fieldset disabled=${c.busy || c.unknown}>
      <${Field} label="Name">${(x) => html`<input ...${x} name="name" autofocus autocomplete="off" value=${f.name} onInput=${change('name')} />`}<//>
      <${Field} label="About">${(x) => html`<select ...${x} name="about" onChange=${change('about')}><option value="account">an account</option>${sources?.items.length > 0 && html`<option value="source" selected=${f.about === 'source'}>a source</option>`}</select>`}<//>
      ${f.about === 'account' ? html`<${Field} label="Its id">${(x) => html`<input ...${x} name="account" autocomplete="off" spellcheck="false" value=${f.account} onInput=${change('account')} />`}<//>`
        : html`<${Field} label="Which">${(x) => html`<select ...${x} name="source" onChange=${change('source')}>${sources?.items.map((s) => html`<option>${s.name}</option>`)}</select>`}<//>`}
      <${Field} label="When">${(x) => html`<select ...${x} name="when" onChange=${change('when')}>${kinds.map((k) => html`<option value=${k} selected=${k === when}>${conditions[k][0]}</option>`)}</select>`}<//>
      ${when !== 'hold_expired' && ['warning', 'critical'].map((l) => html`<${Field} label=${l === 'warning' ? 'Warning at' : 'Critical at (optional)'} hint=${l === 'warning' ? 'As ' + conditions[when][1] : ''}>${(x) => html`<input ...${x} name=${l} autocomplete="off" value=${f[l]} onInput=${change(l)} />`}<//>`)}
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>Add the rule<//></form><//>`;
}
