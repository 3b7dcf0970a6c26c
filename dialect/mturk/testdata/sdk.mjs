// Reads balances with @aws-sdk/client-mturk, unmodified.
import { MTurkClient, GetAccountBalanceCommand, ListWorkerBlocksCommand } from '@aws-sdk/client-mturk';
import { answer } from './answer.mjs';

let client;

await answer({
  open(endpoint, accessKeyId, secretAccessKey, options = {}) {
    const { sessionToken, ...rest } = options;
    client = new MTurkClient({ region: 'us-east-1', endpoint, credentials: { accessKeyId, secretAccessKey, sessionToken }, ...rest });
  },
  async balance() {
    const { AvailableBalance, OnHoldBalance, $metadata } = await client.send(new GetAccountBalanceCommand({}));
    return { AvailableBalance, OnHoldBalance, requestId: $metadata.requestId, attempts: $metadata.attempts };
  },
  blocks: () => client.send(new ListWorkerBlocksCommand({})),
});
