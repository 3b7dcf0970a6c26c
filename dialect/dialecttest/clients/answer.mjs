// Makes the calls that a test asks for, one JSON object a line on stdin, and
// answers each with one on stdout: {"value": …} or {"error": {"type": …, …}}.
import readline from 'node:readline';

const plain = (_, v) => (typeof v === 'bigint' ? v.toString() : v);

export async function answer(calls) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { call, args } = JSON.parse(line);
    let out;
    try {
      out = { value: (await calls[call](...args)) ?? null };
    } catch (e) {
      out = { error: { ...e, type: e.constructor.name, name: e.name, message: e.message } };
    }
    let text;
    try {
      text = JSON.stringify(out, plain);
    } catch {
      const { type, name, message, code, status } = out.error;
      text = JSON.stringify({ error: { type, name, message, code, status } }, plain);
    }
    process.stdout.write(text + '\n');
  }
}
