// Calls of the native API, in the browser's session.
import { connection, ended, session, remembered } from './state.js';

// A Refusal is the API's error, with its members. A Lost is no answer at all:
// what was asked may have been done.
export class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    Object.assign(this, { status }, error);
  }
}
export class Lost extends Error {
  constructor() { super('The server did not answer.'); }
}

// uncertain says whether what a failed call asked for may have been done.
export const uncertain = (error) => error instanceof Lost || error.code === 'TIMEOUT' || error.code === 'INTERNAL_ERROR';

// tenant is the tenant that an operator looks at; others have one.
export const tenant = {
  get: () => remembered.get('tenant') || '',
  set: (name) => remembered.set('tenant', name || null),
};

// newID makes an idempotency id. crypto.randomUUID is not there without TLS.
export function newID(kind) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `dash-${kind}-` + Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

export function headers(more) {
  const all = new Headers({ 'Saldo-CSRF': '1', ...more });
  const who = session.get();
  if (tenant.get() && (!who || who.everything)) all.set('Saldo-Tenant', tenant.get());
  return all;
}

export function path(strings, ...values) {
  return strings.reduce((all, s, n) => all + encodeURIComponent(values[n - 1]) + s);
}

export function withQuery(address, query) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(query || {})) {
    for (const v of [value].flat()) if (v !== undefined && v !== null && v !== '') q.append(name, v);
  }
  const text = q.toString();
  return text ? address + '?' + text : address;
}

// ask makes a call and returns the response, once it is known to be none of the
// API's refusals.
export async function ask(method, address, { query, body, more, signal } = {}) {
  const all = headers(more);
  if (body !== undefined) all.set('Content-Type', 'application/json');
  let response;
  try {
    response = await fetch(withQuery(address, query), {
      method, headers: all, signal, cache: 'no-store', credentials: 'same-origin', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    lost();
    throw new Lost();
  }
  answered();
  if (response.ok) return response;
  let refusal;
  try {
    refusal = (await response.json()).error;
  } catch { /* something between here and the server answered */ }
  refusal ||= { code: 'UNREADABLE', message: `The server answered ${response.status} in words that are not the API's`, retryable: true };
  if (response.status === 401 && session.get()) over();
  throw new Refusal(response.status, refusal);
}

// call makes a call and returns its data.
export async function call(method, address, options) {
  const response = await ask(method, address, options);
  const { data } = await whole(response.text().then((text) => JSON.parse(text, asWritten)), options?.signal);
  return data;
}

// asWritten keeps the text of a number that would be another one here: metadata
// has ids in it. Browsers that do not tell the text round them.
const asWritten = (_, v, from) => (typeof v === 'number' && from && String(v) !== from.source ? from.source : v);

// whole waits for the rest of an answer, which may break off.
export async function whole(reading, signal) {
  try {
    return await reading;
  } catch (error) {
    if (signal?.aborted) throw error;
    lost();
    throw new Lost();
  }
}

export const get = (address, query, signal) => call('GET', address, { query, signal });

// answered and lost keep what is known of the connection.
export function answered() {
  const was = connection.get();
  if (was.up) was.since = new Date();
  else connection.set({ up: true, since: new Date() });
}

let knocking = false;
export function lost() {
  const was = connection.get();
  if (was.up) connection.set({ up: false, since: was.since });
  if (!knocking) knock(1000);
}

// knock asks again and again whether the server is back.
function knock(ms) {
  knocking = true;
  setTimeout(async () => {
    try {
      const response = await fetch('/readyz', { cache: 'no-store' });
      if (response.ok) {
        knocking = false;
        answered();
        return;
      }
    } catch { /* still gone */ }
    knock(Math.min(ms * 1.5, 10000));
  }, ms * (0.8 + Math.random() * 0.4));
}

// readSession asks who is signed in. Without a sign that somebody is, nobody is
// asked for: the cookie cannot be read from here.
export async function readSession() {
  if (!remembered.get('signed-in')) {
    session.set(null);
    return;
  }
  try {
    session.set(await get('/v1/session'));
  } catch (error) {
    if (error.status === 401) over();
    else if (!(error instanceof Lost)) session.set(null);
    else setTimeout(readSession, 2000);
  }
}

// over forgets a session that the server knows no more.
function over() {
  remembered.set('signed-in', null);
  ended.set(true);
  session.set(null);
}

export async function signIn(token) {
  const who = await call('POST', '/v1/session', { more: { Authorization: 'Bearer ' + token } });
  remembered.set('signed-in', '1');
  ended.set(false);
  session.set(who);
}

export async function signOut() {
  await call('DELETE', '/v1/session');
  remembered.set('signed-in', null);
  session.set(null);
}
