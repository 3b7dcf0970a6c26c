import twilio from 'twilio';
import { answer } from './answer.mjs';

const connect = (who) => {
  const client = twilio(who.user, who.secret, { accountSid: who.account });
  client.api.baseUrl = process.env.SALDO;
  return client;
};

const account = (a) => ({
  sid: a.sid, owner: a.ownerAccountSid, name: a.friendlyName, status: a.status, token: a.authToken,
  created: a.dateCreated.toISOString(), balance: a.subresourceUris.balance,
});
const record = (r) => ({
  category: r.category, count: r.count, usage: r.usage, unit: r.usageUnit, price: r.price, priceUnit: r.priceUnit,
  start: r.startDate.toISOString().slice(0, 10), end: r.endDate.toISOString().slice(0, 10),
});
const trigger = (t) => ({
  sid: t.sid, value: t.triggerValue, current: t.currentValue, by: t.triggerBy, category: t.usageCategory, name: t.friendlyName,
  recurring: t.recurring, url: t.callbackUrl, fired: t.dateFired ? true : false,
});
const key = (k) => ({ sid: k.sid, name: k.friendlyName, secret: k.secret ?? null });

await answer({
  async balance(accountSid, user, secret) {
    const { balance, currency } = await connect({ account: accountSid, user, secret }).balance.fetch();
    return [balance, currency];
  },
  createAccount: async (who, name) => account(await connect(who).api.v2010.accounts.create({ friendlyName: name })),
  fetchAccount: async (who, sid) => account(await connect(who).api.v2010.accounts(sid).fetch()),
  updateAccount: async (who, sid, name, status) =>
    account(await connect(who).api.v2010.accounts(sid).update({ ...(name && { friendlyName: name }), ...(status && { status }) })),
  listAccounts: async (who, name, status, pageSize) =>
    (await connect(who).api.v2010.accounts.list({ ...(name && { friendlyName: name }), ...(status && { status }), pageSize })).map(account),
  createKey: async (who, name) => key(await connect(who).newKeys.create({ friendlyName: name })),
  fetchKey: async (who, sid) => key(await connect(who).keys(sid).fetch()),
  updateKey: async (who, sid, name) => key(await connect(who).keys(sid).update({ friendlyName: name })),
  deleteKey: async (who, sid) => connect(who).keys(sid).remove(),
  listKeys: async (who) => (await connect(who).keys.list()).map(key),
  usage: async (who, list, category, pageSize) => {
    const records = connect(who).usage.records;
    return (await (list ? records[list[0].toLowerCase() + list.slice(1)] : records).list({ ...(category && { category }), pageSize })).map(record);
  },
  createTrigger: async (who, category, by, value, recurring, url) =>
    trigger(await connect(who).usage.triggers.create({
      usageCategory: category, triggerBy: by, triggerValue: value, callbackUrl: url, ...(recurring && { recurring }), friendlyName: 'first',
    })),
  fetchTrigger: async (who, sid) => trigger(await connect(who).usage.triggers(sid).fetch()),
  updateTrigger: async (who, sid, name) => trigger(await connect(who).usage.triggers(sid).update({ friendlyName: name })),
  deleteTrigger: async (who, sid) => connect(who).usage.triggers(sid).remove(),
  listTriggers: async (who, recurring) => (await connect(who).usage.triggers.list({ ...(recurring && { recurring }) })).map(trigger),
  validate: (token, url, params, signature) => twilio.validateRequest(token, signature, url, params),
});
