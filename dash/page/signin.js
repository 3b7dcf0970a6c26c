// Signing in: a token is exchanged for a cookie that no script can read.
import { html, useState } from './html.js';
import { signIn, Lost } from './api.js';
import { Field } from './parts.js';
import { useTitle } from './router.js';
import { ended } from './state.js';

export function SignIn() {
  useTitle('Sign in');
  const [error, setError] = useState(ended.get() ? 'The session has ended: 12 hours are over, or its token was revoked.' : null);
  const [busy, setBusy] = useState(false);
  const submit = async (e) => {
    e.preventDefault();
    const field = e.target.elements.token;
    const token = field.value.trim();
    if (!token) { setError('Paste a token'); field.focus(); return; }
    setBusy(true);
    try {
      await signIn(token);
    } catch (problem) {
      setBusy(false);
      setError(problem instanceof Lost ? 'The server did not answer. Try again.'
        : problem.code === 'UNAUTHORIZED' ? 'This token is not known here, was revoked, or is out of its time.'
        : problem.code === 'RATE_LIMITED' ? 'Too many wrong tokens came from here. Wait a while.' : problem.message);
      field.select();
    }
  };
  return html`<main class="signin"><div>
    <h1><span class="logo" aria-hidden="true"></span>Saldo</h1>
    <form onSubmit=${submit} method="post">
      <${Field} label="Token" error=${error} hint="A token of the native API: it begins with saldo.">${(f) => html`
        <input ...${f} name="token" type="password" autocomplete="current-password" spellcheck="false" autofocus required=${false} />`}<//>
      <button type="submit" class="primary" disabled=${busy}>Sign in</button>
    </form>
    <details><summary>Where do I get one?</summary>
      <p>The first operator's is in the data directory, in the file <code>operator.token</code>. One that only reads is made by</p>
      <pre tabindex="0" aria-label="Command">saldo key create --name NAME --scopes read</pre>
      <p>The browser keeps it for 12 hours in a cookie that scripts cannot read. When the token is revoked, the session ends.</p>
    </details>
  </div></main>`;
}
