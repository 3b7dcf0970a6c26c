// The page: who is signed in, where the page is, and what is shown there.
import { html, render, useEffect, useState } from './html.js';
import { session, useStore, may, useData } from './state.js';
import { get, readSession, signOut, tenant } from './api.js';
import { Banner, Notices, Loading, Problem, zone } from './parts.js';
import { Link, usePlace, go } from './router.js';
import { live } from './stream.js';
import { SignIn } from './signin.js';

// Pages are loaded when they are first shown. Those marked so are for who opens
// the whole tenant, as the overview is.
const pages = {
  '': ['Overview', () => import('./overview.js')],
  accounts: ['Accounts', () => import('./accounts.js')],
  vendors: ['Vendors', () => import('./vendors.js'), true],
  rules: ['Rules', () => import('./rules.js'), true],
  webhooks: ['Webhooks', () => import('./webhooks.js'), true],
  journal: ['Journal', () => import('./journal.js')],
};

function App() {
  const who = useStore(session);
  useEffect(() => { readSession(); }, []);
  if (who === undefined) return html`<${Banner} /><main><${Loading} /></main>`;
  if (who === null) return html`<${Banner} /><${SignIn} />`;
  return html`<${Frame} who=${who} />`;
}

function Frame({ who }) {
  const { path } = usePlace();
  const [, first = '', id, part] = path.split('/');
  const scoped = Boolean(who.account);
  useEffect(() => { if (scoped && first === '') go('/accounts/' + who.account, { replace: true }); }, [scoped, first]);
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById('main').focus(); }}>Skip to the content</a>
    <div class="frame">
      <header class="side">
        <${Link} to="/" class="brand" aria-label="Saldo, overview"><span class="logo" aria-hidden="true"></span>Saldo<//>
        <nav aria-label="Pages"><ul>${Object.entries(pages).filter(([name, [, , whole]]) => !(scoped && (name === '' || whole))).map(([name, [title]]) => html`
          <li><${Link} to=${'/' + name} aria-current=${first === name ? 'page' : undefined}>${title}<//></li>`)}</ul></nav>
        <${Whom} who=${who} />
      </header>
      <div class="body">
        <${Banner} />
        <main id="main" tabindex="-1"><${Page} key=${first + '/' + (id || '')} name=${first} id=${id && decodeURIComponent(id)} part=${part} /></main>
      </div>
    </div>
    <${Notices} />`;
}

function Page({ name, id, part }) {
  const [module, set] = useState(null);
  const [failed, fail] = useState(false);
  useEffect(() => {
    let shown = true;
    pages[name]?.[1]().then((m) => { if (shown) set(m); }, () => { if (shown) fail(true); });
    return () => { shown = false; };
  }, [name]);
  if (!pages[name]) return html`<h1>There is no such page</h1><p><${Link} to="/">To the overview<//></p>`;
  if (failed) return html`<h1>This page could not be loaded</h1><p>The server is gone, or is of another version now. <a href=${location.href}>Load it again</a></p>`;
  if (!module) return html`<${Loading} />`;
  return html`<${module.default} id=${id} part=${part} />`;
}

const flow = { on: 'Live', connecting: 'Connecting …', off: '' };

// Whom says who is signed in, and lets an operator choose the tenant.
function Whom({ who }) {
  const state = useStore(live);
  const [error, set] = useState(null);
  const leave = () => signOut().catch(set);
  return html`<div class="whom">
    <p class=${'live ' + state} role="status">${flow[state]}</p>
    ${who.everything && may('operator') ? html`<${Tenants} />` : html`<p title="Tenant">${who.tenant}</p>`}
    <p class="name" title=${'Scopes: ' + who.scopes.join(', ')}>${who.name || 'Credential ' + who.number}</p>
    <p class="dim scopes">${may('operator') ? 'operator' : who.scopes.join(', ')}</p>
    <p class="dim" title="Times are shown in this zone">${zone}</p>
    <button type="button" class="plain" onClick=${leave}>Sign out</button>
    <${Problem} error=${error} />
  </div>`;
}

function Tenants() {
  const { data } = useData((signal) => get('/v1/tenants', { limit: 1000 }, signal), []);
  const all = data?.items || [];
  if (all.length < 2) return html`<p title="Tenant">${all[0]?.name || tenant.get() || 'main'}</p>`;
  const choose = (e) => { tenant.set(e.target.value); location.assign('/'); };
  return html`<label class="tenant"><span class="unseen">Tenant</span>
    <select onChange=${choose}>${all.map((t) => html`<option value=${t.name} selected=${t.name === (tenant.get() || 'main')}>${t.name}</option>`)}</select></label>`;
}

render(html`<${App} />`, document.getElementById('app'));
