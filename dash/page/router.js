// Where the page is: its address, which every state worth keeping is part of.
import { html, useEffect, useState } from './html.js';
import { store, useStore } from './state.js';

const read = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });
const place = store(read());

addEventListener('popstate', () => place.set(read()));

// go shows another address. Replacing one leaves no way back to it.
export function go(address, { replace = false, keep = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  place.set(read());
  if (!keep && !replace) {
    scrollTo(0, 0);
    requestAnimationFrame(() => document.querySelector('main h1')?.focus({ preventScroll: true }));
  }
}

export const usePlace = () => useStore(place);

// query returns the present address with some of its query changed.
export function query(changes) {
  const q = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === null || value === '') q.delete(name);
    else q.set(name, value);
  }
  const text = q.toString();
  return location.pathname + (text ? '?' + text : '');
}

// A Link is a link that stays within the page.
export function Link({ to, children, keep, ...rest }) {
  const click = (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    go(to, { keep });
  };
  return html`<a href=${to} onClick=${click} ...${rest}>${children}</a>`;
}

// useTitle names the page for the tab and for those who hear it.
export function useTitle(title) {
  useEffect(() => { document.title = title ? `${title} · Saldo` : 'Saldo'; }, [title]);
}

// useMedia reports whether a media query holds.
export function useMedia(text) {
  const [holds, set] = useState(() => matchMedia(text).matches);
  useEffect(() => {
    const m = matchMedia(text);
    const change = () => set(m.matches);
    m.addEventListener('change', change);
    return () => m.removeEventListener('change', change);
  }, [text]);
  return holds;
}
