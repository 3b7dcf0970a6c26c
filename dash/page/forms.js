// Forms that move money or change an account.
//
// A form has its idempotency id from when it opens. A double click, or trying
// again after no answer came, is the same command and happens once. Where it is
// not known whether a command was done, its fields stay as they were: the same
// id with other words would be refused. Where it was refused, the next try is
// another command and gets another id.
import { html, useEffect, useMemo, useRef, useState } from './html.js';
import { may, notify, session } from './state.js';
import { call, newID, path, uncertain } from './api.js';
import { add, compare, negated, read, scaleOf, sign, sub } from './decimal.js';
import { Amount, Check, Field, Modal, Problem, Who } from './parts.js';

// useCommand keeps one command: its id, whether it is on its way, and what
// became of it.
function useCommand(kind, done) {
  const [id, setID] = useState(() => newID(kind));
  const [state, set] = useState({});
  const busy = useRef(false);
  const send = async (method, address, body, more) => {
    if (busy.current) return;
    busy.current = true;
    set({ busy: true });
    try {
      const data = await call(method, address, { body: method === 'DELETE' ? undefined : body || {}, more: { 'Idempotency-Key': id, ...more } });
      set({ data });
      done(data);
    } catch (error) {
      const unknown = uncertain(error);
      set({ error, unknown });
      if (!unknown && !error.retryable) setID(newID(kind));
    } finally {
      busy.current = false;
    }
  };
  return { id, send, ...state };
}

// What is said below a form: why it was not done, or that nobody knows.
function Outcome({ command: c }) {
  if (c.unknown) return html`<div class="problem" role="alert"><p><strong>No answer came: it may have been done.</strong> Try again with the same button. It is the same command (<code>${c.id}</code>) and happens once.</p></div>`;
  if (c.error?.code === 'INSUFFICIENT_FUNDS') {
    return html`<div class="problem" role="alert"><p><strong>Not done: less is spendable than required.</strong></p>
      <p><${Amount} value=${c.error.required} unit=${c.error.unit} /> required, <${Amount} value=${c.error.spendable} unit=${c.error.unit} /> spendable. Refused by the ${{ funds: 'funds', credit_limit: 'credit limit', cap: 'cap' }[c.error.limit_source]} of <${Who} id=${c.error.account} link=${false} />.</p></div>`;
  }
  if (c.error) return html`<${Problem} error=${c.error} />`;
  return null;
}

function Buttons({ command: c, close, children, disabled, tone = 'primary' }) {
  return html`<footer>
    <small class="dim command-id" title="The idempotency id of this form">${c.id}</small>
    <button type="button" onClick=${close}>Cancel</button>
    <button type="submit" class=${tone} disabled=${disabled || c.busy}>${c.busy ? 'Asking …' : c.unknown ? 'Try again' : children}</button>
  </footer>`;
}

// Preview shows figures before and after, of which the server decides the last.
function Preview({ rows }) {
  return html`<table class="preview" aria-live="polite"><thead><tr><th scope="col"><span class="unseen">Figure</span></th><th scope="col" class="number">Now</th><th scope="col" class="number">After</th></tr></thead>
    <tbody>${rows.map(([title, now, after]) => html`<tr><th scope="row">${title}</th><td class="number"><${Amount} value=${now} /></td>
      <td class=${'number' + (after && after !== now ? ' changed' : '')}>${after ? html`<${Amount} value=${after} />` : '—'}</td></tr>`)}</tbody></table>`;
}

const moves = {
  topup: { title: 'Top up', verb: 'Top up', past: 'Topped up', to: (a) => path`/v1/accounts/${a.id}/topups`, effect: (n) => n },
  charge: { title: 'Charge', verb: 'Charge', past: 'Charged', to: (a) => path`/v1/accounts/${a.id}/charges`, effect: negated, force: true, upTo: true, category: true },
  adjust: { title: 'Adjust', verb: 'Adjust', past: 'Adjusted', to: (a) => path`/v1/accounts/${a.id}/adjustments`, effect: (n) => n, signed: true, force: true, against: true },
  refund: { title: 'Refund', verb: 'Refund', past: 'Refunded', to: (a, o) => path`/v1/transfers/${o.of.id}/refunds`, effect: (n, o) => (o.of.amount.startsWith('-') ? n : negated(n)), optional: true, force: true },
  hold: { title: 'Place a hold', verb: 'Hold', past: 'Held', to: (a) => path`/v1/accounts/${a.id}/holds`, holds: (n) => n, ttl: true },
  release: { title: 'Release a hold', verb: 'Release', past: 'Released', to: (a, o) => path`/v1/holds/${o.hold.id}/release`, holds: (n, o) => negated(o.hold.remaining), whole: true },
  capture: { title: 'Capture from a hold', verb: 'Capture', past: 'Captured', to: (a, o) => path`/v1/holds/${o.hold.id}/captures`, effect: negated, holds: (n, o, f) => negated(f.final ? o.hold.remaining : n), optional: true, most: (o) => o.hold.remaining, final: true },
};

const lifetimes = [['3600', 'an hour'], ['86400', 'a day'], ['604800', '7 days'], ['2592000', '30 days'], ['never', 'until it is released']];

// A Move is the form of one movement: of, hold say what it is about.
export function Move({ kind, account: a, close, done, of, hold }) {
  const m = moves[kind];
  const about = { of, hold };
  const b = a.balance;
  const scale = scaleOf(b.posted);
  const [f, set] = useState({ amount: '', reason: '', category: '', against: '@revenue', ttl: '604800' });
  const [tried, setTried] = useState(false);
  const c = useCommand(kind, (data) => {
    const amount = data.amount || data.transfers?.[0]?.amount;
    notify(html`${m.past} ${amount && html`<${Amount} value=${amount} unit=${b.unit} />`}`, html`${a.name || a.id} now has <${Amount} value=${data.balance?.posted} unit=${b.unit} /> posted.`);
    done();
    close();
  });
  const change = (name) => (e) => set({ ...f, [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const empty = (m.optional && f.amount.trim() === '') || m.whole;
  const amount = empty ? { text: m.most?.(about) } : read(f.amount, scale, m.signed);
  const tooMuch = amount.text && m.most && compare(amount.text, m.most(about)) > 0 && `At most ${m.most(about)} remains`;
  const problem = tried ? amount.error || tooMuch : f.amount && amount.error && !amount.zero ? amount.error : tooMuch;
  const noReason = tried && !f.reason.trim() && 'Say why: it stays in the statement';
  const after = useMemo(() => (amount.error || tooMuch || (!amount.text && !m.whole) ? null : result(b, m, amount.text, about, f)), [f, a, kind]);
  const short = after && !m.whole && (m.effect || m.holds) && sign(after.spendable) < 0 && compare(after.spendable, b.spendable) < 0;
  const submit = (e) => {
    e.preventDefault();
    setTried(true);
    if (c.unknown || (!amount.error && !tooMuch && f.reason.trim())) {
      c.send('POST', m.to(a, about), body(m, empty ? undefined : amount.text, f));
    } else {
      e.target.querySelector(amount.error || tooMuch ? 'input' : '[name=reason]')?.focus();
    }
  };
  const locked = c.busy || c.unknown;
  return html`<${Modal} title=${`${m.title}: ${a.name || a.id}`} close=${close}><form onSubmit=${submit} method="post" noValidate>
    ${of && html`<p class="dim">${of.kind} of <${Amount} value=${of.amount} unit=${of.unit} />${of.reason && html`, ${of.reason}`}, <code>${of.id}</code></p>`}
    ${hold && html`<p class="dim">Hold <code>${hold.id}</code>, of which <${Amount} value=${hold.remaining} unit=${hold.unit} /> remains</p>`}
    <fieldset disabled=${locked}>
      ${!m.whole && html`<${Field} label="Amount" unit=${b.unit} error=${problem} hint=${m.signed ? 'Below zero takes away' : m.optional ? 'Empty: all that is left' : undefined}>${(x) => html`
        <input ...${x} name="amount" inputmode="decimal" autocomplete="off" autofocus value=${f.amount} onInput=${change('amount')} placeholder=${'0.' + '0'.repeat(Math.min(scale, 2) || 1)} />`}<//>`}
      <${Field} label="Reason" error=${noReason}>${(x) => html`<input ...${x} name="reason" maxlength="1024" autocomplete="off" autofocus=${m.whole} value=${f.reason} onInput=${change('reason')} />`}<//>
      ${m.category && html`<${Field} label="Category (optional)">${(x) => html`<input ...${x} name="category" maxlength="64" value=${f.category} onInput=${change('category')} />`}<//>`}
      ${m.against && html`<${Field} label="Against">${(x) => html`<select ...${x} name="against" onChange=${change('against')}>${['@revenue', '@cash', '@fees'].map((s) => html`<option selected=${s === f.against}>${s}</option>`)}</select>`}<//>`}
      ${m.ttl && html`<${Field} label="Lives">${(x) => html`<select ...${x} name="ttl" onChange=${change('ttl')}>${lifetimes.map(([s, t]) => html`<option value=${s} selected=${s === f.ttl}>${t}</option>`)}</select>`}<//>`}
      ${m.upTo && html`<${Check} label="Take what there is, if it is less" checked=${f.up_to} onChange=${change('up_to')} />`}
      ${m.final && html`<${Check} label="Release what is left" checked=${f.final} onChange=${change('final')} />`}
      ${m.force && may('admin') && session.get().account !== a.id && html`<${Check} label="Even if spendable falls below zero" checked=${f.force} onChange=${change('force')} hint="It is marked as forced, for everybody to see." />`}
    </fieldset>
    <${Preview} rows=${[['Posted', b.posted, after?.posted], ['Held', b.held, after?.held], ['Spendable', b.spendable, after?.spendable]]} />
    ${short && !f.force && !f.up_to && html`<p class="warning">More than is spendable: this will be refused.</p>`}
    <${Outcome} command=${c} />
    <${Buttons} command=${c} close=${close}>${m.verb} ${!amount.error && amount.text && !m.whole ? html`<${Amount} value=${amount.text} unit=${b.unit} />` : ''}<//>
  </form><//>`;
}

// result calculates what a movement leaves, by the figures as they are shown.
function result(b, m, amount, about, f) {
  let delta = m.effect ? m.effect(amount, about) : '0';
  if (f.up_to && compare(negated(delta), b.spendable) > 0) delta = sign(b.spendable) > 0 ? negated(b.spendable) : '0';
  const held = add(b.held, m.holds ? m.holds(amount, about, f) : '0');
  const posted = add(b.posted, delta);
  const change = sub(delta, sub(held, b.held));
  return { posted, held, spendable: add(b.spendable, change) };
}

function body(m, amount, f) {
  const out = { reason: f.reason.trim() };
  if (amount !== undefined) out.amount = amount;
  if (m.category && f.category.trim()) out.category = f.category.trim();
  if (m.against) out.against = f.against;
  if (m.upTo && f.up_to) out.up_to = true;
  if (m.force && f.force) out.force = true;
  if (m.final && f.final) out.final = true;
  if (m.ttl) Object.assign(out, f.ttl === 'never' ? { expires_at: 'never' } : { ttl_seconds: Number(f.ttl) });
  return out;
}

const changes = {
  limit: { title: 'Set the credit limit', verb: 'Set the limit', field: 'credit_limit' },
  cap: { title: 'Set the cap', verb: 'Set the cap', field: 'cap' },
  name: { title: 'Rename', verb: 'Rename', field: 'name' },
  status: { title: '', verb: '' },
};
const statuses = {
  frozen: ['Freeze', 'There will be no new charges and holds. Top-ups, refunds, and what becomes of open holds go on.'],
  open: ['Reopen', 'Charges and holds are possible again.'],
  closed: ['Close', 'For good. It needs a zero balance, no open holds and closed sub-accounts. Only reading and refunds remain.'],
};

// A Change is the form of one setting. It applies to the account as it was when
// the form opened: if somebody changed it since, the server refuses.
export function Change({ kind, to, account: a, close, done }) {
  const [title, explained] = kind === 'status' ? statuses[to] : [changes[kind].title];
  const verb = kind === 'status' ? title : changes[kind].verb;
  const b = a.balance;
  const scale = scaleOf(b.posted);
  const [f, set] = useState({ value: kind === 'name' ? a.name || '' : kind === 'cap' ? a.cap ?? '' : kind === 'limit' ? a.credit_limit : to, reason: '' });
  const [tried, setTried] = useState(false);
  const [version] = useState(a.version); // as it was when the form opened: what is shown below it goes on
  const c = useCommand(kind, () => { notify(`${a.name || a.id}: ${kind === 'status' ? `is ${to}` : 'changed'}`); done(); close(); });
  const amounts = kind === 'limit' || kind === 'cap';
  let value = { text: f.value };
  if (amounts && !(kind === 'cap' && f.value.trim() === '')) {
    value = read(f.value, scale, kind === 'limit');
    if (value.zero) value = { text: value.text };
  }
  const wrong = (tried || f.value) && value.error;
  const noReason = tried && kind !== 'name' && !f.reason.trim() && 'Say why: it stays in the journal';
  const change = (name) => (e) => set({ ...f, [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const submit = (e) => {
    e.preventDefault();
    setTried(true);
    if (!c.unknown && (value.error || (kind !== 'name' && !f.reason.trim()))) return;
    const sent = kind === 'status' ? { status: to } : { [changes[kind].field]: kind === 'cap' && f.value.trim() === '' ? null : value.text };
    if (f.reason.trim()) sent.reason = f.reason.trim();
    if (f.force) sent.force = true;
    c.send('PATCH', path`/v1/accounts/${a.id}`, sent, kind === 'name' ? {} : { 'If-Match': `"${version}"` });
  };
  const limitAfter = kind === 'limit' && !value.error && add(b.available, value.text);
  return html`<${Modal} title=${`${title}: ${a.name || a.id}`} close=${close}><form onSubmit=${submit} method="post" noValidate>
    ${explained && html`<p>${explained}</p>`}
    <fieldset disabled=${c.busy || c.unknown}>
      ${kind !== 'status' && html`<${Field} label=${kind === 'name' ? 'Name' : kind === 'cap' ? 'Cap' : 'Credit limit'} unit=${amounts ? b.unit : ''} error=${wrong}
        hint=${{ limit: 'How far below zero it may go. Below zero: how much has to stay.', cap: 'How much of the parent’s money it may spend. Empty: no cap.' }[kind]}>${(x) => html`
        <input ...${x} name="value" autofocus autocomplete="off" inputmode=${amounts ? 'decimal' : 'text'} maxlength="255" value=${f.value} onInput=${change('value')} />`}<//>`}
      ${kind !== 'name' && html`<${Field} label="Reason" error=${noReason}>${(x) => html`<input ...${x} name="reason" maxlength="1024" autofocus=${kind === 'status'} value=${f.reason} onInput=${change('reason')} />`}<//>`}
      ${kind === 'limit' && html`<${Check} label="Even if spendable falls below zero" checked=${f.force} onChange=${change('force')} hint="It is marked as forced, for everybody to see." />`}
    </fieldset>
    ${kind === 'limit' && html`<${Preview} rows=${[['Credit limit', b.credit_limit, value.error ? null : value.text], ['Spendable', b.spendable, limitAfter || null]]} />
      ${limitAfter && sign(limitAfter) < 0 && !f.force && html`<p class="warning">Spendable would be below zero: this will be refused.</p>`}`}
    ${c.error?.code === 'PRECONDITION_FAILED' ? html`<div class="problem" role="alert"><p><strong>Somebody changed this account since you opened it.</strong> Close this, look again, and decide again.</p></div>` : html`<${Outcome} command=${c} />`}
    <${Buttons} command=${c} close=${close} tone=${to === 'closed' ? 'danger' : 'primary'}>${verb}<//>
  </form><//>`;
}

// NewAccount opens an account.
export function NewAccount({ close, done, parent }) {
  const [f, set] = useState({ name: '', unit: parent?.unit || 'USD', mode: 'own', credit_limit: '', cap: '' });
  const change = (name) => (e) => set({ ...f, [name]: e.target.value });
  const c = useCommand('account', (data) => { notify('Opened ' + (data.name || data.id)); close(); done(data); });
  const submit = (e) => {
    e.preventDefault();
    const sent = { name: f.name.trim() || undefined, unit: f.unit.trim().toUpperCase(), credit_limit: f.credit_limit.trim() || undefined };
    if (parent) Object.assign(sent, { parent: parent.id, mode: f.mode, cap: f.mode === 'drawing' ? f.cap.trim() || undefined : undefined });
    if (f.mode === 'drawing') { delete sent.unit; delete sent.credit_limit; }
    c.send('POST', '/v1/accounts', sent);
  };
  return html`<${Modal} title=${parent ? `New sub-account of ${parent.name || parent.id}` : 'New account'} close=${close}><form onSubmit=${submit} method="post" noValidate>
    <fieldset disabled=${c.busy || c.unknown}>
      <${Field} label="Name">${(x) => html`<input ...${x} name="name" autofocus maxlength="255" value=${f.name} onInput=${change('name')} />`}<//>
      ${parent && html`<${Field} label="Money">${(x) => html`<select ...${x} onChange=${change('mode')}><option value="own">its own</option><option value="drawing" selected=${f.mode === 'drawing'}>draws on the parent’s</option></select>`}<//>`}
      ${f.mode === 'own' && html`<${Field} label="Unit" hint="A currency, as USD, or a unit of yours, as CREDITS">${(x) => html`<input ...${x} name="unit" autocomplete="off" value=${f.unit} onInput=${change('unit')} />`}<//>
        <${Field} label="Credit limit (optional)">${(x) => html`<input ...${x} name="credit_limit" inputmode="decimal" autocomplete="off" value=${f.credit_limit} onInput=${change('credit_limit')} />`}<//>`}
      ${f.mode === 'drawing' && html`<${Field} label="Cap (optional)">${(x) => html`<input ...${x} name="cap" inputmode="decimal" autocomplete="off" value=${f.cap} onInput=${change('cap')} />`}<//>`}
    </fieldset>
    <${Outcome} command=${c} />
    <${Buttons} command=${c} close=${close}>Open the account<//>
  </form><//>`;
}

// A Confirm asks before something that cannot be taken back.
export function Confirm({ title, children, verb, method, address, close, done, tone = 'danger' }) {
  const c = useCommand('do', (data) => { done(data); close(); });
  const submit = (e) => { e.preventDefault(); c.send(method, address); };
  return html`<${Modal} title=${title} close=${close}><form onSubmit=${submit} method="post">${children}
    <${Outcome} command=${c} /><${Buttons} command=${c} close=${close} tone=${tone}>${verb}<//></form><//>`;
}

export { useCommand, Outcome, Buttons };
