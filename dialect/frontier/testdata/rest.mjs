// @raystack/frontier's REST client. What it throws is the Response, with the
// body in error.
import { ApiClient } from '@raystack/frontier/api-client';
import { answer } from './answer.mjs';

const api = (headers) => new ApiClient({
  baseUrl: process.env.URL,
  securityWorker: () => ({ headers }),
  baseApiParams: { secure: true, credentials: 'include', redirect: 'error' },
});

const read = async (headers, org, id) => {
  try {
    const reply = await api(headers).frontierServiceGetBillingBalance(org, id);
    return reply.data;
  } catch (thrown) {
    if (!(thrown instanceof Response)) throw thrown;
    const { status, error } = thrown;
    throw Object.assign(new Error(error.message), { status, code: error.code, details: error.details });
  }
};

answer({
  basic: (org, id, client, secret) => read({ Authorization: 'Basic ' + btoa(`${client}:${secret}`) }, org, id),
  bearer: (org, id, token) => read({ Authorization: `Bearer ${token}` }, org, id),
  nobody: (org, id) => read({}, org, id),
});
