// Rules: what has to be true for somebody to be told, and what was told.
import { html, useState } from './html.js';
import { useData, useEvery, may, notify } from './state.js';
import { get, path } from './api.js';
import { Badge, Check, Field, Loading, Modal, Nothing, Pager, Problem, Table, Time, Who } from './parts.js';
import { Link, query, usePlace, useTitle } from './router.js';
import { Buttons, Confirm, Outcome, useCommand } from './forms.js';
import { Words, firing } from './held.js';

// conditions says of each what it is, with … for the threshold, and how that is
// written.
const conditions = {
  balance: ['balance at or below …', '12.50, or 20% of the last top-up'], runway: ['time left at or below …', '36h or 3d'], reading_age: ['last reading … old, or older', '1h'],
  drift: ['… or more between it and our own account', '1.00'], credit_used: ['… of the credit limit is used', '80%'], hold_expired: ['a hold expired', ''],
};
const ofSource = ['balance', 'runway', 'reading_age', 'drift'], ofAccount = ['balance', 'runway', 'credit_used', 'hold_expired'];

export default function Rules() {
  useTitle('Rules');
  const { data: alerts, reload } = useData((signal) => get('/v1/alerts', { limit: 100 }, signal), []);
  useEvery(reload, 3000);
  return html`<${RuleList} heading=${html`<h1 tabindex="-1">Rules</h1>`} />
    <section aria-labelledby="told"><h2 id="told">What was told</h2>
      ${alerts && (alerts.items.length === 0 ? html`<${Nothing}>Nothing yet.<//>` : html`<${Table} label="Alerts" head=${['Time', 'State', 'Level', 'Rule', 'In words']}><tbody>${alerts.items.map((a) => html`<tr key=${a.id}>
        <td><${Time} at=${a.created_at} /></td><td><${Badge}>${a.state}<//></td><td><${Badge}>${a.level}<//></td><td>${a.rule}${a.test && ' (test)'}</td><td class="what"><${Words} alert=${a} /></td></tr>`)}</tbody><//>`)}</section>`;
}

// A RuleList is the rules of everybody, or those about one account, with what
// can be done with them.
export function RuleList({ account: a, heading }) {
  const cursor = usePlace().query.get('cursor') || '';
  const { data, error, reload } = useData((signal) => Promise.all([get('/v1/rules', { account: a?.id, cursor, limit: 50 }, signal), firing(signal)]), [a?.id, cursor]);
  useEvery(reload, 3000);
  const [form, open] = useState(null);
  const [rules, alerts] = data || [];
  const fires = new Set(alerts?.map((x) => x.rule_id));
  return html`<header class="title">${heading || html`<p class="dim">Who is told, and when, about this account.</p>`}
      ${may('admin') && (!a || a.mode !== 'drawing') && html`<div class="tools"><button type="button" onClick=${() => open({ kind: 'new' })}>New rule</button></div>`}</header>
    ${heading && html`<p class="dim">A rule tells once when a threshold is crossed, and once when it is good again.</p>`}
    <${Problem} error=${error} retry=${reload} />
    ${!data && !error && html`<${Loading} />`}
    ${rules && (rules.items.length === 0 ? html`<${Nothing}>${a ? 'There are no rules about it.' : 'There are no rules yet, beside what sources have of their own.'}<//>`
      : html`<${Table} label="List of rules" head=${['Rule', !a && 'About', 'When', 'State', { unseen: 'What can be done' }].filter(Boolean)}><tbody>${rules.items.map((r) => html`<${Rule} key=${r.id} rule=${r} fires=${fires.has(r.id)} about=${!a} open=${open} />`)}</tbody><//>
        <${Pager} next=${rules.next && query({ cursor: rules.next })} first=${cursor && query({ cursor: '' })} label="Pages of rules" />`)}
    ${form?.kind === 'new' && html`<${NewRule} account=${a} close=${() => open(null)} done=${reload} />`}
    ${form?.kind === 'test' && html`<${Confirm} title="Test the rule" verb="Send a sample" method="POST" address=${path`/v1/rules/${form.rule.id}/test`} tone="primary" close=${() => open(null)}
      done=${(d) => { notify('A sample was sent', d.endpoints.map((e) => `${e.endpoint}: ${e.ok ? 'taken' : e.why}`).join('; ') || 'There is nowhere to send it to.'); }}><p>A sample, marked as a test, goes to everywhere that this rule tells.</p><//>`}
    ${form?.kind === 'remove' && html`<${Confirm} title="Remove the rule" verb="Remove it" method="DELETE" address=${path`/v1/rules/${form.rule.id}`} close=${() => open(null)} done=${reload}><p>Nobody is told any more when ${form.rule.name} is so.</p><//>`}`;
}

const toppedUp = (u) => `tops up to ${u.to}, by ${u.webhook || 'another account'}, ${u.cap} at most in ${u.period || '30d'}`;

function Rule({ rule: r, fires, about, open }) {
  const words = conditions[r.when]?.[0] || r.when;
  return html`<tr>
    <th scope="row">${r.name}${r.to?.length > 0 && html`<br /><small class="dim">tells ${r.to.join(', ')}</small>`}</th>
    ${about && html`<td>${r.source ? html`<${Link} to=${path`/vendors/${r.source}`}>${r.source}<//>` : html`<${Who} id=${r.account} />`}</td>`}
    <td>${r.levels.map((l) => html`<p key=${l.level}><${Badge}>${l.level}<//> ${words.replace('…', l.at)}</p>`)}
      ${(r.clear || r.quiet_until_top_up || r.top_up) && html`<p><small class="dim">${[r.clear && `good again by ${r.clear}`, r.quiet_until_top_up && 'then quiet until a top-up', r.top_up && toppedUp(r.top_up)].filter(Boolean).join(', ')}</small></p>`}</td>
    <td>${fires ? html`<${Badge}>firing<//>` : html`<span class="dim">quiet</span>`}</td>
    <td class="buttons">${may('admin') && html`<button type="button" onClick=${() => open({ kind: 'test', rule: r })}>Test</button><button type="button" onClick=${() => open({ kind: 'remove', rule: r })}>Remove</button>`}</td></tr>`;
}

// NewRule adds a rule about what is chosen, or about the given account.
function NewRule({ account: a, close, done }) {
  const { data } = useData((signal) => Promise.all([a ? { items: [] } : get('/v1/sources', { limit: 1000 }, signal), get('/v1/webhooks', { limit: 1000 }, signal)]), []);
  const [sources, endpoints] = (data || []).map((d) => d.items);
  const [f, set] = useState({ name: '', about: 'account', account: a?.id || '', source: '', when: 'balance', warning: '', critical: '', clear: '', to: [], fill: '', from: '', cap: '', period: '' });
  const c = useCommand('rule', () => { close(); done(); });
  const change = (name) => (e) => set({ ...f, [name]: e.target.value });
  const kinds = f.about === 'account' ? ofAccount : ofSource;
  const when = kinds.includes(f.when) ? f.when : kinds[0];
  const happens = when === 'hold_expired';
  const fillable = f.about === 'account' && when === 'balance';
  const payers = endpoints?.filter((w) => w.kind === 'webhook') || [];
  const submit = (e) => {
    e.preventDefault();
    const sent = { name: f.name.trim(), when, levels: happens ? [{ level: 'warning' }] : ['warning', 'critical'].filter((l) => f[l].trim()).map((level) => ({ level, at: f[level].trim() })) };
    if (f.about === 'account') sent.account = f.account.trim();
    else sent.source = f.source || sources?.[0]?.name || '';
    if (!happens && f.clear.trim()) sent.clear = f.clear.trim();
    if (!happens && f.quiet) sent.quiet_until_top_up = true;
    if (f.to.length) sent.to = f.to;
    if (fillable && f.fills) sent.top_up = { to: f.fill.trim(), ...(f.payer ? { webhook: f.payer } : { from: f.from.trim() }), cap: f.cap.trim(), period: f.period.trim() || undefined };
    c.send('POST', '/v1/rules', sent);
  };
  const text = (name, label, hint, more) => html`<${Field} label=${label} hint=${hint}>${(x) => html`<input ...${x} name=${name} autocomplete="off" spellcheck="false" value=${f[name]} onInput=${change(name)} ...${more} />`}<//>`;
  return html`<${Modal} title=${a ? `New rule about ${a.name || a.id}` : 'New rule'} close=${close}><form onSubmit=${submit} method="post" noValidate><fieldset disabled=${c.busy || c.unknown}>
      ${text('name', 'Name', 'a-z, 0-9, -, _ and . as ann-low', { autofocus: true, maxlength: 63 })}
      ${!a && html`<${Field} label="About">${(x) => html`<select ...${x} name="about" onChange=${change('about')}><option value="account">an account</option>${sources?.length > 0 && html`<option value="source" selected=${f.about === 'source'}>a source</option>`}</select>`}<//>
        ${f.about === 'account' ? text('account', 'Its id')
          : html`<${Field} label="Which">${(x) => html`<select ...${x} name="source" onChange=${change('source')}>${sources?.map((s) => html`<option>${s.name}</option>`)}</select>`}<//>`}`}
      <${Field} label="When">${(x) => html`<select ...${x} name="when" onChange=${change('when')}>${kinds.map((k) => html`<option value=${k} selected=${k === when}>${conditions[k][0]}</option>`)}</select>`}<//>
      ${!happens && html`<div class="pair">${text('warning', 'Warning at', 'As ' + conditions[when][1])}${text('critical', 'Critical at (optional)')}</div>
        ${text('clear', 'Good again by (optional)', '5 % of the threshold, if nothing is said')}
        <${Check} label="Then quiet until money comes in" checked=${f.quiet} onChange=${(e) => set({ ...f, quiet: e.target.checked })} />`}
      ${fillable && html`<${Check} label="Top it up, too" checked=${f.fills} onChange=${(e) => set({ ...f, fills: e.target.checked })} />`}
      ${fillable && f.fills && html`<div role="group" aria-label="Automatic top-up">
        <div class="pair">${text('fill', 'Up to', 'What is spendable then', { inputmode: 'decimal' })}
          <${Field} label="Paid by">${(x) => html`<select ...${x} name="payer" onChange=${change('payer')}><option value="">another account</option>${payers.map((w) => html`<option value=${w.name} selected=${w.name === f.payer}>whom ${w.name} confirms</option>`)}</select>`}<//></div>
        ${!f.payer && text('from', 'Id of the account that pays', 'Of the same book and unit')}
        <div class="pair">${text('cap', 'In all, at most', '', { inputmode: 'decimal' })}${text('period', 'In a time of (optional)', '30d, if nothing is said')}</div></div>`}
      ${endpoints?.length > 1 && html`<div role="group" aria-label="Only to" class="checks"><span class="dim">Only to (else to all)</span>${endpoints.map((w) => html`<${Check} label=${w.name} checked=${f.to.includes(w.name)}
        onChange=${(e) => set({ ...f, to: e.target.checked ? [...f.to, w.name] : f.to.filter((n) => n !== w.name) })} />`)}</div>`}
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>Add the rule<//></form><//>`;
}
