// The one place that the libraries are imported from.
import { h, render, Fragment } from './lib/preact.js';
import htm from './lib/htm.js';

export const html = htm.bind(h);
export { render, Fragment };
export { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useId } from './lib/hooks.js';
