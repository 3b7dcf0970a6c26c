// Amounts are text. What is shown is the API's text; where a page has to
// calculate, for a preview, it does so on whole steps, which BigInt keeps
// exactly. No number of JavaScript ever holds an amount, but for where a chart
// draws its line.

const form = /^([+-]?)(\d*)(?:\.(\d*))?$/;

// scaleOf returns how many decimals an amount is written with.
export function scaleOf(text) {
  const point = text.indexOf('.');
  return point < 0 ? 0 : text.length - point - 1;
}

// steps returns an amount as a whole number of steps of a scale.
export function steps(text, scale) {
  const [, sign, whole, fraction = ''] = form.exec(text);
  const n = BigInt((whole || '0') + fraction.padEnd(scale, '0'));
  return sign === '-' ? -n : n;
}

// textOf writes a whole number of steps with all decimals of its scale.
export function textOf(n, scale) {
  const digits = (n < 0n ? -n : n).toString().padStart(scale + 1, '0');
  const at = digits.length - scale;
  return (n < 0n ? '-' : '') + digits.slice(0, at) + (scale ? '.' + digits.slice(at) : '');
}

// add returns a + b; sub a − b; both with the decimals of the longer.
export function add(a, b) {
  const scale = Math.max(scaleOf(a), scaleOf(b));
  return textOf(steps(a, scale) + steps(b, scale), scale);
}

export function sub(a, b) {
  const scale = Math.max(scaleOf(a), scaleOf(b));
  return textOf(steps(a, scale) - steps(b, scale), scale);
}

export const negated = (a) => textOf(-steps(a, scaleOf(a)), scaleOf(a));

// sign returns -1, 0 or 1.
export function sign(a) {
  const n = steps(a, scaleOf(a));
  return n < 0n ? -1 : n > 0n ? 1 : 0;
}

// compare returns -1, 0 or 1.
export const compare = (a, b) => sign(sub(a, b));

// read reads what a person wrote into a field. It refuses what could be meant
// in two ways: there is no grouping, and a comma is no point.
export function read(written, scale, signed = false) {
  const text = written.trim().replace(/^−/, '-');
  const parts = form.exec(text);
  if (text === '' || !parts || (parts[2] === '' && !parts[3])) {
    if (/^[+-]?[\d.,\s']+$/.test(text)) return { error: 'Write it without separators and with a point, as 1234.50' };
    return { error: text === '' ? 'Write an amount' : 'This is not an amount' };
  }
  if (parts[1] && !signed) return { error: 'Write it without a sign' };
  if ((parts[3] || '').length > scale) return { error: `Write at most ${scale} decimals` };
  const n = steps(text, scale);
  if (n === 0n) return { error: 'It has to be more than zero', zero: true, text: textOf(n, scale) };
  return { text: textOf(n, scale) };
}
