import twilio from 'twilio';
import { answer } from './answer.mjs';

await answer({
  async balance(accountSid, user, secret) {
    const client = twilio(user, secret, { accountSid });
    client.api.baseUrl = process.env.SALDO;
    const { balance, currency } = await client.balance.fetch();
    return [balance, currency];
  },
});
