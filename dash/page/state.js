// State that more than one part of the page shows, and the hooks that read it.
import { useState, useEffect, useRef, useCallback } from './html.js';

// A store is a value that tells who listens when it changes.
export function store(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore(s) {
  const [, redraw] = useState(0);
  useEffect(() => s.listen(() => redraw((n) => n + 1)), [s]);
  return s.get();
}

// session is who is signed in: undefined while that is not known, null if
// nobody is, or what GET /v1/session says.
export const session = store(undefined);

// ended says that the last session was ended by the server, and not by a person here.
export const ended = store(false);

// connection says whether the server answers. since is when it last did.
export const connection = store({ up: true, since: new Date() });

// notices are what was done, told once to eyes and ears.
export const notices = store([]);

let noticed = 0;
export function notify(text, detail) {
  const notice = { key: ++noticed, text, detail };
  notices.set([...notices.get(), notice].slice(-3));
  setTimeout(() => notices.set(notices.get().filter((n) => n !== notice)), 12000);
}

// may says whether the credential has a scope. An operator has them all.
export function may(scope) {
  const who = session.get();
  return Boolean(who) && (who.scopes.includes(scope) || who.scopes.includes('operator'));
}

// remembered keeps a small choice in this browser, where that is allowed.
export const remembered = {
  get(key) {
    try { return localStorage.getItem('saldo.' + key); } catch { return memory.get(key) ?? null; }
  },
  set(key, value) {
    memory.set(key, value);
    try {
      if (value === null) localStorage.removeItem('saldo.' + key);
      else localStorage.setItem('saldo.' + key, value);
    } catch { /* private windows may refuse; memory has it */ }
  },
};
const memory = new Map();

// useData loads something and loads it again when deps change, when it is told
// to, and when a server that was gone is back. What there was stays on the page
// until the new is there.
export function useData(load, deps) {
  const [state, setState] = useState({ loading: true });
  const running = useRef(null);
  const key = JSON.stringify(deps);
  const reload = useCallback(async () => {
    running.current?.abort();
    const own = (running.current = new AbortController());
    try {
      const data = await load(own.signal);
      if (!own.signal.aborted) setState({ data, key });
    } catch (error) {
      if (!own.signal.aborted) setState((was) => ({ data: was.key === key ? was.data : undefined, key, error }));
    }
  }, [key]);
  useEffect(() => {
    setState((was) => ({ ...was, loading: true }));
    reload();
    const stop = connection.listen((c) => c.up && reload());
    return () => { stop(); running.current?.abort(); };
  }, [reload]);
  const stale = state.key !== key;
  return { data: stale ? undefined : state.data, before: state.data, error: stale ? undefined : state.error, loading: stale || state.loading, reload };
}

// useSlow returns a function that calls another at most once in ms, and once
// more at the end if it was called in between.
export function useSlow(call, ms) {
  const latest = useRef(call);
  latest.current = call;
  const timing = useRef({ timer: 0, again: false });
  useEffect(() => () => clearTimeout(timing.current.timer), []);
  return useCallback(() => {
    const t = timing.current;
    if (t.timer) { t.again = true; return; }
    latest.current();
    const wait = () => {
      t.timer = 0;
      if (!t.again) return;
      t.again = false;
      latest.current();
      t.timer = setTimeout(wait, ms);
    };
    t.timer = setTimeout(wait, ms);
  }, [ms]);
}

// useEvery calls something again and again while the page can be seen, but not
// while it is at it: a server that is slow is not asked the more often.
export function useEvery(call, ms) {
  const latest = useRef(call);
  latest.current = call;
  useEffect(() => {
    let since = 0; // when the call that is under way began
    const turn = async () => {
      if (document.hidden || (since && performance.now() - since < patience)) return;
      const own = (since = performance.now());
      await latest.current();
      if (since === own) since = 0;
    };
    const timer = setInterval(turn, ms);
    return () => clearInterval(timer);
  }, [ms]);
}

const patience = 30000; // of a call that does not end
