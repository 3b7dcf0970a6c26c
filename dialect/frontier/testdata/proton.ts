// @raystack/proton over every transport of Connect: those of Node.js, and the
// browser's, which Frontier's own React components use.
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { createConnectTransport as createBrowserTransport } from '@connectrpc/connect-web';
import { FrontierServiceQueries } from '@raystack/proton/frontier';
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

answer({
  transports: () => Object.keys(transports),
  balance: async (transport: string, id: string, authorization: string, timeoutMs?: number) => {
    const frontier = createClient(FrontierServiceQueries.getBillingBalance.parent, transports[transport]);
    const headers = authorization ? { Authorization: authorization } : {};
    try {
      const { balance } = await frontier.getBillingBalance({ id, orgId: 'ignored' }, { headers, timeoutMs });
      return { amount: balance!.amount, currency: balance!.currency, dated: balance!.updatedAt !== undefined };
    } catch (e) {
      if (!(e instanceof ConnectError)) throw e;
      const { rawMessage, details } = e;
      const violated = details.map((d) => ('type' in d ? d.type : ''));
      throw Object.assign(new ConnectError(rawMessage, e.code), { word: Code[e.code], violated, wait: e.metadata.get('retry-after') });
    }
  },
});
