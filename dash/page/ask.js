// Ask as: what a program writes to ask for this account's balance, in each
// dialect, with its own ids. Secrets are left to who has them.
import { html, useState } from './html.js';
import { useData, may, session } from './state.js';
import { get, path } from './api.js';
import { Copy, Loading } from './parts.js';
import { dialects } from './access.js';

export function AskAs({ account: a }) {
  const [dialect, choose] = useState('native');
  const [base, setBase] = useState(location.origin);
  const { data } = useData(async (signal) => {
    const none = () => ({ items: [] });
    const [keys, aliases, tenant] = await Promise.all([
      may('admin') ? get('/v1/credentials', { account: a.id, limit: 200 }, signal).catch(none) : none(),
      get(path`/v1/accounts/${a.id}/aliases`, {}, signal).catch(none),
      session.get().account ? null : get('/v1/overview', {}, signal).catch(() => null),
    ]);
    return { keys: keys.items.filter((k) => !k.revoked), aliases: aliases.items, tenant };
  }, [a.id]);
  if (!data) return html`<${Loading} />`;
  const samples = of(dialect, a, base.replace(/\/+$/, ''), data);
  return html`<section aria-label="Ask as">
    <div class="filters"><div class="choice" role="group" aria-label="Dialect">${Object.entries(dialects).map(([d, title]) => html`<button type="button" aria-pressed=${String(d === dialect)} onClick=${() => choose(d)}>${title}</button>`)}</div>
      <label class="right">Address <input type="url" value=${base} onInput=${(e) => setBase(e.target.value)} /></label></div>
    ${samples.note && html`<p class="dim">${samples.note}</p>`}
    ${samples.all.map(([title, text]) => html`<article class="sample"><header><h3>${title}</h3><${Copy} text=${text} label=${`Copy: ${title}`}>Copy<//></header><pre tabindex="0" aria-label=${title}>${text}</pre></article>`)}
  </section>`;
}

// keyOf returns the id of a credential of a dialect, or what to put there.
const keyOf = (data, dialect, otherwise) => data.keys.find((k) => k.dialects.includes(dialect))?.id || otherwise;

// own prefers the credential whose root is the account itself: one of an
// account above it would be asked for another account.
function of(dialect, a, base, all) {
  const data = { ...all, keys: all.keys.filter((k) => !k.account || k.account === a.id) };
  const alias = (d) => all.aliases.find((x) => x.dialect === d)?.external;
  const without = (d) => (data.keys.some((k) => k.dialects.includes(d)) ? '' : ` This account has no ${dialects[d]} credential that is shown here: make one under Access.`);
  const host = base.replace(/^https?:\/\//, '');
  switch (dialect) {
    case 'native':
      return { note: 'The token is a credential with the scope read.', all: [
        ['curl', `curl -s -H "Authorization: Bearer $TOKEN" \\\n  ${base}/v1/accounts/${a.id}/balance`],
        ['saldo', `saldo balance ${a.id} --address ${base} --token-file token.txt`],
        ['Charge it, once', `curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\\n  -d '{"id":"YOUR-ID","amount":"0.35"}' \\\n  ${base}/v1/accounts/${a.id}/charges`],
      ] };
    case 'twilio': {
      const sid = alias('twilio') || 'AC' + a.id.replaceAll('-', '');
      const note = (a.mode === 'drawing' ? 'As with Twilio, a sub-account has no balance of its own: the answer is 404.' : 'What is spendable, with up to five decimals.') + without('twilio');
      return { note, all: [
        ['curl', `curl -s -u ${sid}:$AUTH_TOKEN \\\n  ${base}/2010-04-01/Accounts/${sid}/Balance.json`],
        ['Node, twilio', `import twilio from 'twilio';\n\nconst client = twilio('${sid}', process.env.AUTH_TOKEN);\nclient.api.baseUrl = '${base}';\nconst { balance, currency } = await client.balance.fetch();\nconsole.log(balance, currency);`],
        ['Python, twilio', `import os\n\nfrom twilio.rest import Client\n\nclient = Client("${sid}", os.environ["AUTH_TOKEN"])\nclient.api.base_url = "${base}"\ngot = client.balance.fetch()\nprint(got.balance, got.currency)`],
      ] };
    }
    case 'mturk': {
      const key = keyOf(data, 'mturk', '$ACCESS_KEY_ID');
      const named = key.startsWith('$') ? 'ACCESS_KEY_ID' : key;
      return { note: (a.unit === 'USD' ? 'What is available, in whole cents.' : 'MTurk knows USD only: this account is refused.') + without('mturk'), all: [
        ['curl', `curl -s --aws-sigv4 aws:amz:us-east-1:mturk-requester --user "${key}:$SECRET_ACCESS_KEY" \\\n  -H 'Content-Type: application/x-amz-json-1.1' \\\n  -H 'X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance' -d '{}' ${base}/`],
        ['Python, boto3', `import os\n\nimport boto3\n\nmturk = boto3.client(\n    "mturk", endpoint_url="${base}", region_name="us-east-1",\n    aws_access_key_id="${named}", aws_secret_access_key=os.environ["SECRET_ACCESS_KEY"],\n)\nprint(mturk.get_account_balance()["AvailableBalance"])`],
        ['JavaScript, AWS SDK', `import { MTurkClient, GetAccountBalanceCommand } from '@aws-sdk/client-mturk';\n\nconst mturk = new MTurkClient({\n  endpoint: '${base}', region: 'us-east-1',\n  credentials: { accessKeyId: '${named}', secretAccessKey: process.env.SECRET_ACCESS_KEY },\n});\nconst { AvailableBalance } = await mturk.send(new GetAccountBalanceCommand({}));\nconsole.log(AvailableBalance);`],
      ] };
    }
    case 'mturk-legacy': {
      const key = keyOf(data, 'mturk-legacy', '$KEY');
      const [name, port] = host.split(':');
      return { note: 'The APIs before 2017 are off unless the server is told to speak them.' + without('mturk-legacy'), all: [
        ['curl', `T=$(date -u +%FT%TZ)\ncurl -sG ${base}/ -d Operation=GetAccountBalance -d AWSAccessKeyId=${key} -d Timestamp=$T \\\n  --data-urlencode "Signature=$(printf AWSMechanicalTurkRequesterGetAccountBalance$T | openssl dgst -sha1 -hmac "$SECRET" -binary | base64)"`],
        ['Python, boto 2', `import os\n\nfrom boto.mturk.connection import MTurkConnection\n\nc = MTurkConnection("${key.replace('$', '')}", os.environ["SECRET"], is_secure=${base.startsWith('https') ? 'True' : 'False'}, host="${name}", port=${port || (base.startsWith('https') ? 443 : 80)})\nprint(c.get_account_balance()[0])`],
      ] };
    }
    case 'gateway360': {
      const user = alias('gateway360');
      return { note: 'What is spendable, with four decimals.' + without('gateway360'), all: [
        ['curl', `curl -s -H 'Content-Type: application/json' \\\n  -d '{"api_key":"'$API_KEY'"}' \\\n  ${base}/api/3.0/account/get-balance`],
        ...(user ? [['curl, with the key of an account above it', `curl -s -H 'Content-Type: application/json' \\\n  -d '{"api_key":"'$API_KEY'","user_name":"${user}"}' \\\n  ${base}/api/3.0/subaccount/get-balance`]] : []),
        ['Python, requests', `import os\n\nimport requests\n\nr = requests.post("${base}/api/3.0/account/get-balance", json={"api_key": os.environ["API_KEY"]}, timeout=10)\nr.raise_for_status()\nprint(r.json()["result"]["balance"])`],
      ] };
    }
    default: {
      const key = keyOf(data, 'frontier', '$CLIENT_ID');
      const org = all.tenant?.id || '$ORG_ID';
      const id = alias('frontier') || a.id;
      return { note: 'Whole credits, rounded down.' + without('frontier'), all: [
        ['curl', `curl -s -u ${key}:$CLIENT_SECRET \\\n  ${base}/v1beta1/organizations/${org}/billing/${id}/balance`],
        ['curl, Connect', `curl -s -u ${key}:$CLIENT_SECRET -H 'Content-Type: application/json' -d '{"id":"${id}"}' \\\n  ${base}/raystack.frontier.v1beta1.FrontierService/GetBillingBalance`],
        ['Python, requests', `import os\n\nimport requests\n\nr = requests.post(\n    "${base}/raystack.frontier.v1beta1.FrontierService/GetBillingBalance",\n    json={"id": "${id}"}, auth=("${key.replace('$', '')}", os.environ["CLIENT_SECRET"]), timeout=10,\n)\nr.raise_for_status()\nprint(int(r.json()["balance"].get("amount", 0)))`],
      ] };
    }
  }
}
