// The form of a source: what its kind needs to be asked, and when it is low.
import { html, useState } from './html.js';
import { notify } from './state.js';
import { Field, Modal } from './parts.js';
import { Buttons, Outcome, useCommand } from './forms.js';

// kinds says of each kind of source what its account, its secret and its further
// options are called. What has no name here, it does not have.
const kinds = {
  twilio: { title: 'Twilio', account: ['Account SID', 'AC…'], secret: ['Auth token, or the secret of an API key'], options: { key_sid: ['API key (optional)', 'SK…, if the secret is its'] } },
  mturk: { title: 'Mechanical Turk', account: ['Access key'], secret: ['Secret access key'], options: { region: ['Region (optional)', 'us-east-1, if nothing is said'], legacy: ['Version (optional)', '2014-08-15, for the API before 2017'] } },
  gateway360: { title: 'Gateway360', account: ['user_name of a sub-account (optional)'], secret: ['API key'] },
  frontier: { title: 'Frontier', address: true, account: ['Id of the billing account'], secret: ['Secret of the client, or a token'], options: { client_id: ['Client (optional)', 'Empty: the secret is a token'], org_id: ['Organization', 'Its id, which REST needs'] } },
  saldo: { title: 'Saldo', address: true, account: ['Id of the account'], secret: ['Token'], options: { tenant: ['Tenant (optional)'] } },
  deepseek: { title: 'DeepSeek', secret: ['API key'], options: { currency: ['Currency (optional)', 'Which of several balances'] } },
  openrouter: { title: 'OpenRouter', secret: ['Management key'] },
  generic: { title: 'Any other, with JSON', address: true, account: ['User (optional)', 'With the way basic'], secret: ['Secret (optional)'],
    options: { auth: ['Way of the secret (optional)', 'bearer if nothing is said, basic, header:NAME, query:NAME or none'], amount: ['Amount', 'A jq path into the answer, as .data.balance'], unit: ['Unit', 'A code as USD, or a jq path as .currency'],
      method: ['Method (optional)', 'GET, if nothing is said'], body: ['Body (optional)', 'Of a POST'] } },
};

const written = (labels) => Object.entries(labels || {}).map(([k, v]) => `${k}=${v}`).join(', ');

// labelsOf reads "team=growth, env=prod"; null if it is not so.
function labelsOf(text) {
  const pairs = text.split(',').map((p) => p.trim()).filter(Boolean).map((p) => p.split('='));
  return pairs.every((p) => p.length === 2 && p[0].trim()) ? Object.fromEntries(pairs.map(([k, v]) => [k.trim(), v.trim()])) : null;
}

const intervals = [['60s', 'minute'], ['300s', '5 minutes'], ['900s', '15 minutes'], ['3600s', 'hour'], ['21600s', '6 hours'], ['86400s', 'day']];

// A SourceForm adds a source, or changes one. The secret of a source is not
// shown again; left empty, it stays, unless the address is another.
export function SourceForm({ source: s, taken = [], close, done }) {
  const [f, set] = useState(() => ({ name: s?.name || '', kind: s?.vendor || 'twilio', address: s?.address || '', account: s?.account || '', secret: '',
    interval: `${s?.interval_seconds || 900}s`, low: s?.low || '', critical: s?.critical || '', runway: s?.runway || '', mirror: s?.mirror || '', labels: written(s?.labels), ...s?.options }));
  const [tried, setTried] = useState(false);
  const c = useCommand('source', (d) => { notify(s ? `${d.name}: changed` : `${d.name} is watched`); close(); done(d); });
  const kind = kinds[f.kind] || { title: f.kind, account: ['Account'], secret: ['Secret'] };
  const options = Object.keys(kind.options || {});
  const labels = labelsOf(f.labels);
  const wrong = {
    name: !f.name.trim() ? 'Write a name' : !s && taken.includes(f.name.trim()) && 'There is a source of that name already',
    labels: !labels && 'Write them as team=growth, env=prod',
  };
  const change = (name) => (e) => set({ ...f, [name]: e.target.value });
  const submit = (e) => {
    e.preventDefault();
    setTried(true);
    const first = ['name', 'labels'].find((n) => wrong[n]);
    if (first && !c.unknown) { e.target.querySelector(`[name=${first}]`).focus(); return; }
    const sent = { name: f.name.trim(), kind: f.kind, interval: f.interval, options: { ...s?.options } };
    for (const name of ['address', kind.account && 'account', kind.secret && 'secret', 'low', 'critical', 'runway', 'mirror']) if (name && f[name].trim()) sent[name] = f[name].trim();
    for (const name of options) {
      if (f[name]?.trim()) sent.options[name] = f[name].trim();
      else delete sent.options[name];
    }
    if (Object.keys(labels).length) sent.labels = labels;
    c.send('POST', '/v1/sources', sent);
  };
  const text = (name, [label, hint], more) => html`<${Field} label=${label} hint=${hint} error=${tried && wrong[name]}>${(x) => html`<input ...${x} name=${name} autocomplete="off" spellcheck="false" value=${f[name] || ''} onInput=${change(name)} ...${more} />`}<//>`;
  return html`<${Modal} title=${s ? `Change ${s.name}` : 'New source'} close=${close}><form onSubmit=${submit} method="post" noValidate><fieldset disabled=${c.busy || c.unknown}>
      ${!s && html`<${Field} label="Vendor">${(x) => html`<select ...${x} name="kind" autofocus onChange=${change('kind')}>${Object.entries(kinds).map(([k, { title }]) => html`<option value=${k} selected=${k === f.kind}>${title}</option>`)}</select>`}<//>
        ${text('name', ['Name', 'a-z, 0-9, -, _ and . as sms-eu'], { maxlength: 63 })}`}
      ${text('address', kind.address ? ['Address', 'https://…'] : ['Address (optional)', 'The vendor’s own, if nothing is said'])}
      ${kind.account && text('account', kind.account, { autofocus: Boolean(s) })}
      ${kind.secret && text('secret', [kind.secret[0], s ? 'Empty: it stays as it is, at the same address' : 'It is sealed in the store and not shown again'], { type: 'password', autocomplete: 'new-password' })}
      ${options.map((name) => text(name, kind.options[name]))}
      <${Field} label="Asked every">${(x) => html`<select ...${x} name="interval" onChange=${change('interval')}>${intervals.some(([v]) => v === f.interval) ? '' : html`<option value=${f.interval} selected>${f.interval}</option>`}${intervals.map(([v, t]) => html`<option value=${v} selected=${v === f.interval}>${t}</option>`)}</select>`}<//>
      <div class="pair">${text('low', ['Low at (optional)', '20.00, or 25% of a top-up'])}${text('critical', ['Critical at (optional)'])}</div>
      <div class="pair">${text('runway', ['Time left below (optional)', '3d, or 36h'])}${text('labels', ['Labels (optional)', 'team=growth, env=prod'])}</div>
      ${text('mirror', ['Our own account for it (optional)', 'Its id: what the two differ by is kept'])}
    </fieldset><${Outcome} command=${c} /><${Buttons} command=${c} close=${close}>${s ? 'Change it' : 'Watch it'}<//></form><//>`;
}
