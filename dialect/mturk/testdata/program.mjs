// What a requester's program calls, with @aws-sdk/client-mturk, unmodified.
import * as mturk from '@aws-sdk/client-mturk';
import { answer } from './answer.mjs';

let client;

// Times as seconds.
const plain = (v) => {
  if (v instanceof Date) return v.getTime() / 1000;
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  return v;
};

await answer({
  open(endpoint, accessKeyId, secretAccessKey) {
    client = new mturk.MTurkClient({ region: 'us-east-1', endpoint, credentials: { accessKeyId, secretAccessKey } });
  },
  // Calls an operation; of an error it returns what a catch clause sees.
  async call(name, params) {
    if ('ExpireAt' in params) params.ExpireAt = new Date(params.ExpireAt * 1000);
    try {
      const { $metadata, ...out } = await client.send(new mturk[`${name}Command`](params));
      return plain(out);
    } catch (e) {
      return { caught: e.name, code: e.TurkErrorCode ?? '', message: e.message };
    }
  },
});
