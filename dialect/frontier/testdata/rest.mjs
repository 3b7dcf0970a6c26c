// @raystack/frontier's REST client. What it throws is the Response, with the
// body in error.
import { ApiClient } from '@raystack/frontier/api-client';
import { answer } from './answer.mjs';

const api = (headers) => new ApiClient({
  baseUrl: process.env.URL,
  securityWorker: () => ({ headers }),
  baseApiParams: { secure: true, credentials: 'include', redirect: 'error' },
});

// of returns what a promise of the client's comes to.
const of = async (reply) => {
  try {
    return (await reply).data;
  } catch (thrown) {
    if (!(thrown instanceof Response)) throw thrown;
    const { status, error } = thrown;
    throw Object.assign(new Error(error.message), { status, code: error.code, details: error.details });
  }
};

const read = (headers, org, id) => of(api(headers).frontierServiceGetBillingBalance(org, id));
const as = (authorization) => api({ Authorization: authorization });

answer({
  basic: (org, id, client, secret) => read({ Authorization: 'Basic ' + btoa(`${client}:${secret}`) }, org, id),
  bearer: (org, id, token) => read({ Authorization: `Bearer ${token}` }, org, id),
  nobody: (org, id) => read({}, org, id),

  balance: async (org, id, who) => (await of(as(who).frontierServiceGetBillingBalance(org, id))).balance.amount,
  usage: (org, id, usages, who) => of(as(who).frontierServiceCreateBillingUsage(org, id, { usages })),
  revert: (org, id, usage, amount, who) => of(as(who).adminServiceRevertBillingUsage(org, id, usage, { amount })),
  transactions: async (org, id, who) =>
    (await of(as(who).frontierServiceListBillingTransactions(org, id))).transactions.map(
      ({ id, source, amount, type, description, user_id, metadata }) => ({ id, source, amount, type, description, user_id, metadata })),
  debited: async (org, id, who) => (await of(as(who).frontierServiceTotalDebitedTransactions(org, id))).debited.amount,
  entitled: async (org, amount, who) => (await of(as(who).frontierServiceCheckCreditEntitlement({ org_id: org, amount }))).status,
  createAccount: async (org, name, who) => (await of(as(who).frontierServiceCreateBillingAccount(org, { offline: true, body: { name } }))).billing_account,
  limit: (org, id, creditMin, who) => of(as(who).adminServiceUpdateBillingAccountDetails(org, id, { credit_min: creditMin })),
  details: async (org, id, who) => (await of(as(who).frontierServiceGetBillingAccount(org, id, { with_billing_details: true }))).billing_details,
  createSecret: async (org, title, who) => {
    const { serviceuser } = await of(as(who).frontierServiceCreateServiceUser(org, { body: { title } }));
    return (await of(as(who).frontierServiceCreateServiceUserCredential(org, serviceuser.id, { title }))).secret;
  },
});
