// Events as they happen, by the API's event stream.
//
// It is read with fetch, not EventSource, so that the lines which say that a
// quiet stream lives are seen: a connection that is gone without a word is
// noticed, and said. A page that nobody looks at holds no stream, since a
// browser has few connections to a host. A book that moves faster than a page
// can show is not followed entry by entry: what was passed over is told.
import { headers, withQuery, tenant, lost, answered } from './api.js';
import { useEffect, useRef } from './html.js';
import { store, session } from './state.js';

const silence = 40000; // the server speaks every 15 s
const most = 2000; // entries a second

// live says, of the streams that are open, whether they flow.
export const live = store('off'); // off, connecting, on

const followers = new Map(); // by book

// follow calls listener({events}) with what happens in a book, and
// listener({gap: true}) when it was not followed for a while.
export function follow(book, listener) {
  let f = followers.get(book);
  if (!f) followers.set(book, (f = { book, listeners: new Set(), last: undefined }));
  f.listeners.add(listener);
  if (f.listeners.size === 1) start(f);
  return () => {
    f.listeners.delete(listener);
    if (f.listeners.size === 0) stop(f);
  };
}

function tell(f, message) {
  for (const listener of [...f.listeners]) listener(message);
}

async function start(f) {
  const own = (f.own = new AbortController());
  let wait = 500;
  while (!own.signal.aborted) {
    if (document.hidden) {
      f.last = undefined;
      await until('visibilitychange', own.signal);
      continue;
    }
    live.set('connecting');
    const spoken = { any: false };
    try {
      await read(f, own.signal, spoken);
    } catch (error) {
      if (own.signal.aborted || !session.get()) return;
      if (error.status === 401 || error.status === 403) { live.set('off'); return; }
      if (!(error instanceof Pause)) lost();
    }
    if (own.signal.aborted) return;
    wait = spoken.any ? 500 : Math.min(wait * 2, 10000);
    if (!document.hidden) await pause(wait * (0.8 + Math.random() * 0.4), own.signal);
  }
}

function stop(f) {
  f.own?.abort();
  f.last = undefined;
  followers.delete(f.book);
  if (followers.size === 0) live.set('off');
}

class Pause extends Error {}

async function read(f, signal, spoken) {
  const own = new AbortController();
  const end = () => own.abort();
  signal.addEventListener('abort', end);
  document.addEventListener('visibilitychange', end);
  let quiet = setTimeout(end, silence);
  try {
    const more = { Accept: 'text/event-stream' };
    const resumed = f.last !== undefined;
    if (resumed) more['Last-Event-ID'] = f.last;
    const response = await fetch(withQuery('/v1/events', { book: f.book }), { headers: headers(more), signal: own.signal, cache: 'no-store' });
    if (!response.ok) throw Object.assign(new Error('refused'), { status: response.status });
    answered();
    live.set('on');
    spoken.any = true;
    tell(f, { open: true, gap: !resumed });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '', second = 0, taken = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(quiet);
      quiet = setTimeout(end, silence);
      const frames = (rest + value).split('\n\n');
      rest = frames.pop();
      const events = frames.map(data).filter(Boolean).map((text) => JSON.parse(text));
      if (!events.length) continue;
      f.last = events[events.length - 1].seq;
      tell(f, { events });
      const now = Math.floor(performance.now() / 1000);
      if (now !== second) { second = now; taken = 0; }
      taken += events.length;
      if (taken > most) { // go on from where the book is then
        f.last = undefined;
        throw new Pause();
      }
    }
  } catch (error) {
    if (document.hidden && own.signal.aborted) throw new Pause();
    throw error;
  } finally {
    clearTimeout(quiet);
    signal.removeEventListener('abort', end);
    document.removeEventListener('visibilitychange', end);
    own.abort();
    if (!signal.aborted) live.set('connecting');
  }
}

// data returns the data of a frame, if it has any.
function data(frame) {
  return frame.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

function until(name, signal) {
  return new Promise((resolve) => {
    document.addEventListener(name, resolve, { once: true });
    signal.addEventListener('abort', resolve, { once: true });
  });
}

// useBook follows a book while a part of the page is shown. No book: nothing.
export function useBook(book, listener) {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    if (!book) return undefined;
    return follow(book, (message) => latest.current(message));
  }, [book, tenant.get()]);
}
