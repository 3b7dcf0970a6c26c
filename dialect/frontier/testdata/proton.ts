// @raystack/proton over every transport of Connect: those of Node.js, and the
// browser's, which Frontier's own React components use.
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { createConnectTransport as createBrowserTransport } from '@connectrpc/connect-web';
import { AdminServiceQueries, FrontierServiceQueries } from '@raystack/proton/frontier';
import { answer } from './answer.mjs';

const baseUrl = process.env.URL!;

const transports: Record<string, Transport> = {
  'connect 1.1': createConnectTransport({ baseUrl, httpVersion: '1.1' }),
  'connect 2': createConnectTransport({ baseUrl, httpVersion: '2' }),
  'connect json': createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false }),
  'connect gzip': createConnectTransport({ baseUrl, httpVersion: '2', compressMinBytes: 1 }),
  grpc: createGrpcTransport({ baseUrl }),
  'grpc-web 1.1': createGrpcWebTransport({ baseUrl, httpVersion: '1.1' }),
  'grpc-web 2': createGrpcWebTransport({ baseUrl, httpVersion: '2' }),
  browser: createBrowserTransport({ baseUrl }),
};

const raised = (e: unknown) => {
  if (!(e instanceof ConnectError)) throw e;
  const { rawMessage, details } = e;
  const violated = details.map((d) => ('type' in d ? d.type : ''));
  throw Object.assign(new ConnectError(rawMessage, e.code), { word: Code[e.code], violated, wait: e.metadata.get('retry-after') });
};

const service = (transport: string) => createClient(FrontierServiceQueries.getBillingBalance.parent, transports[transport]);
const admin = (transport: string) => createClient(AdminServiceQueries.revertBillingUsage.parent, transports[transport]);
const as = (authorization: string) => ({ headers: authorization ? { Authorization: authorization } : undefined });

type Usage = { id: string; source: string; description: string; amount: string; user_id: string; metadata: Record<string, never> };

answer({
  transports: () => Object.keys(transports),
  read: async (transport: string, id: string, authorization: string, timeoutMs?: number) => {
    try {
      const { balance } = await service(transport).getBillingBalance({ id, orgId: 'ignored' }, { ...as(authorization), timeoutMs });
      return { amount: balance!.amount, currency: balance!.currency, dated: balance!.updatedAt !== undefined };
    } catch (e) {
      return raised(e);
    }
  },
  balance: async (transport: string, _: string, id: string, who: string) =>
    (await service(transport).getBillingBalance({ id }, as(who)).catch(raised))!.balance!.amount,
  usage: async (transport: string, orgId: string, billingId: string, usages: Usage[], who: string) => {
    const batch = usages.map(({ user_id: userId, amount, ...rest }) => ({ ...rest, userId, amount: BigInt(amount) }));
    await service(transport).createBillingUsage({ orgId, billingId, usages: batch }, as(who)).catch(raised);
    return {};
  },
  revert: async (transport: string, orgId: string, billingId: string, usageId: string, amount: string, who: string) => {
    await admin(transport).revertBillingUsage({ orgId, billingId, usageId, amount: BigInt(amount) }, as(who)).catch(raised);
    return {};
  },
  transactions: async (transport: string, orgId: string, billingId: string, who: string) =>
    (await service(transport).listBillingTransactions({ orgId, billingId }, as(who)).catch(raised))!.transactions.map(
      ({ id, source, amount, type, description, userId: user_id, metadata }) => ({ id, source, amount, type, description, user_id, metadata })),
  debited: async (transport: string, orgId: string, billingId: string, who: string) =>
    (await service(transport).totalDebitedTransactions({ orgId, billingId }, as(who)).catch(raised))!.debited!.amount,
  entitled: async (transport: string, orgId: string, amount: string, who: string) =>
    (await service(transport).checkCreditEntitlement({ orgId, amount: BigInt(amount) }, as(who)).catch(raised))!.status,
});
