package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier"
	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
	"saldo/money"
)

// A cast is the accounts of the demo, and who may ask for them.
type cast struct {
	*asker
	front  *front
	serves []string // the vendors' dialects that are served

	org        string // the tenant's id
	spare      string // a USD account that nothing else touches
	twilio     string
	twilioSub  string
	gateway    string
	gatewaySub string
	requester  string
	billing    string

	keys    map[string]key // by dialect; of a sub-account, the dialect and "/sub"
	renewed bool           // they have other secrets than an earlier demo showed
}

// A key is a credential of the demo.
type key struct{ id, secret string }

// userName is what the Gateway360 sub-account is called, as in the vendor's manual.
const userName = "subaccount_user_name"

// fill makes the accounts and their credentials, or finds them again: every
// call has an id, so that a directory that is used again has each of them once.
// Secrets are shown once, so those of a directory that is used again are new.
func (d *cast) fill(ctx context.Context) error {
	do := &steps{ctx: ctx, d: d}
	do.call("/v1/units", object{"id": "demo-unit", "code": "CREDITS", "scale": 4, "kind": "credit"})

	ann := do.account("ann", object{"unit": "USD"}, "20.00")
	do.move(ann, "charges", object{"amount": "0.35", "category": "sms", "count": "5", "usage_unit": "messages"})
	phone := do.account("ann's phone", object{"parent": ann, "mode": "drawing", "cap": "5.00"}, "")
	do.move(phone, "charges", object{"amount": "2.50"})
	bjorn := do.account("bjørn", object{"unit": "EUR"}, "350.12")
	do.move(bjorn, "holds", object{"id": "demo-hold", "amount": "40.00", "expires_at": "never", "reason": "a job that runs"})
	dora := do.account("dora", object{"unit": "USD", "credit_limit": "25"}, "12.75")
	do.move(dora, "charges", object{"amount": "20.00"})

	d.spare = do.account("spare", object{"unit": "USD"}, "100.00")
	d.twilio = do.account("Twilio main account", object{"unit": "USD"}, "0.05")
	d.twilioSub = do.account("Twilio sub-account", object{"parent": d.twilio, "mode": "drawing"}, "")
	d.gateway = do.account("Gateway360 account", object{"unit": "EUR"}, "155.2493")
	d.gatewaySub = do.account("Gateway360 sub-account", object{"parent": d.gateway, "unit": "CREDITS", "mode": "own"}, "1225")
	d.requester = do.account("MTurk requester", object{"unit": "USD"}, "10000.00")
	d.billing = do.account("Frontier billing account", object{"unit": "CREDITS"}, "1000")
	do.call("/v1/accounts/"+d.gatewaySub+"/aliases", object{"id": "demo-alias", "dialect": auth.Gateway360, "external": userName})

	d.keys = map[string]key{}
	do.key(auth.Twilio, object{"dialect": auth.Twilio, "account": d.twilio}, "admin")          // its sub-accounts, keys and triggers
	do.key(auth.Gateway360, object{"dialect": auth.Gateway360, "account": d.gateway}, "admin") // its sub-accounts
	do.key(auth.Gateway360+"/sub", object{"dialect": auth.Gateway360, "account": d.gatewaySub})
	do.key(auth.MTurk, object{"dialect": auth.MTurk, "dialects": []string{auth.MTurkLegacy}, "account": d.requester})
	do.key(auth.Frontier, object{"dialect": auth.Frontier, "account": d.billing})
	d.org = do.read("/v1/tenants/" + ledger.FirstBook).ID
	return do.err
}

// steps makes calls until one fails.
type steps struct {
	ctx  context.Context
	d    *cast
	made int // accounts and movements, for their ids
	err  error
}

// A made is what a call answered.
type made struct{ ID, Secret string }

func (s *steps) call(path string, body object) (m made) {
	return s.do(http.MethodPost, path, body)
}

func (s *steps) read(path string) made { return s.do(http.MethodGet, path, nil) }

func (s *steps) do(method, path string, body any) (m made) {
	if s.err != nil {
		return m
	}
	data, err := s.d.call(s.ctx, method, path, body)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		s.err = fmt.Errorf("%s %s: %w", method, path, err)
	}
	return m
}

// account opens an account and tops it up.
func (s *steps) account(name string, open object, amount string) string {
	s.made++
	open["name"], open["id"] = name, fmt.Sprintf("demo-account-%d", s.made)
	id := s.call("/v1/accounts", open).ID
	if amount != "" {
		s.move(id, "topups", object{"amount": amount, "reason": "first top-up"})
	}
	return id
}

// move makes a movement of an account.
func (s *steps) move(account, call string, body object) {
	s.made++
	if body["id"] == nil {
		body["id"] = fmt.Sprintf("demo-%d", s.made)
	}
	s.call("/v1/accounts/"+url.PathEscape(account)+"/"+call, body)
}

// key makes a credential, or gives the one that is there a new secret.
func (s *steps) key(as string, body object, more ...string) {
	body["id"], body["scopes"], body["name"] = "demo-key-"+as, append([]string{"read", "charge"}, more...), "demo "+as
	m := s.call("/v1/credentials", body)
	if s.err == nil && m.Secret == "" {
		m = s.call("/v1/credentials/"+url.PathEscape(m.ID)+"/rotate", object{})
		s.d.renewed = true
	}
	s.d.keys[as] = key{m.ID, m.Secret}
}

// announce prints the line that scripts read.
func (a *app) announce(d *cast) error {
	line := object{"url": d.front.url(), "native": object{"token": d.Token, "account_id": d.spare}}
	twilio, mturk, frontier := d.keys[auth.Twilio], d.keys[auth.MTurk], d.keys[auth.Frontier]
	for name, o := range map[string]object{
		auth.Twilio:     {"account_sid": twilio.id, "auth_token": twilio.secret, "subaccount_sid": sid(d.twilioSub)},
		auth.MTurk:      {"access_key_id": mturk.id, "secret_access_key": mturk.secret},
		auth.Gateway360: {"api_key": d.keys[auth.Gateway360].secret, "subaccount": userName, "subaccount_api_key": d.keys[auth.Gateway360+"/sub"].secret},
		auth.Frontier:   {"org_id": d.org, "billing_id": d.billing, "client_id": frontier.id, "client_secret": frontier.secret},
	} {
		if slices.Contains(d.serves, name) {
			line[name] = o
		}
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", b)
	return err
}

// sid is how Twilio's clients call an account.
func sid(account string) string { return "AC" + strings.ReplaceAll(account, "-", "") }

// A face is one account as one dialect shows it.
type face struct {
	dialect string
	whose   string // for people
	reader  dialect.Reader
	curl    string // asks again
	answer  dialect.Reading

	// What the answer has to be, by the books: a figure of an account's native
	// balance, rounded down to decimals, of which least stay.
	account         string
	figure          string
	decimals, least int
}

// faces asks every account in its dialect, with that dialect's client half.
func (d *cast) faces(ctx context.Context) ([]face, error) {
	twilioKey, mturkKey, frontierKey := d.keys[auth.Twilio], d.keys[auth.MTurk], d.keys[auth.Frontier]
	gatewayKey, subKey := d.keys[auth.Gateway360].secret, d.keys[auth.Gateway360+"/sub"].secret
	at := d.front.dialectURL
	all := []face{
		{dialect: auth.Native, whose: "spare", account: d.spare, figure: "spendable", decimals: 6, least: 6,
			reader: &nativeReader{d.Client, d.spare},
			curl:   fmt.Sprintf(`curl -s -H "Authorization: Bearer %s" %s/v1/accounts/%s/balance`, d.Token, d.front.adminURL(), d.spare)},
		{dialect: auth.Twilio, whose: "main account", account: d.twilio, figure: "spendable", decimals: 5, least: 2,
			reader: &twilio.Client{URL: at(auth.Twilio), AccountSID: twilioKey.id, Secret: twilioKey.secret},
			curl:   fmt.Sprintf("curl -s -u %s:%s %s/2010-04-01/Accounts/%s/Balance.json", twilioKey.id, twilioKey.secret, at(auth.Twilio), twilioKey.id)},
		{dialect: auth.Gateway360, whose: "account", account: d.gateway, figure: "spendable", decimals: 4, least: 4,
			reader: &gateway360.Client{URL: at(auth.Gateway360), APIKey: gatewayKey},
			curl:   gatewayCurl(at(auth.Gateway360), "account/get-balance", object{"api_key": gatewayKey})},
		{dialect: auth.Gateway360, whose: "its sub-account", account: d.gatewaySub, figure: "spendable", decimals: 4, least: 4,
			reader: &gateway360.Client{URL: at(auth.Gateway360), APIKey: gatewayKey, UserName: userName},
			curl:   gatewayCurl(at(auth.Gateway360), "subaccount/get-balance", object{"api_key": gatewayKey, "user_name": userName})},
		{dialect: auth.Gateway360, whose: "the same, by its own key", account: d.gatewaySub, figure: "spendable", decimals: 4, least: 4,
			reader: &gateway360.Client{URL: at(auth.Gateway360), APIKey: subKey},
			curl:   gatewayCurl(at(auth.Gateway360), "account/get-balance", object{"api_key": subKey})},
		{dialect: auth.MTurk, whose: "requester", account: d.requester, figure: "available", decimals: 2, least: 2,
			reader: &mturk.Client{URL: at(auth.MTurk), AccessKeyID: mturkKey.id, SecretAccessKey: mturkKey.secret},
			curl: fmt.Sprintf("curl -s --aws-sigv4 aws:amz:us-east-1:mturk-requester -u %s:%s -H 'Content-Type: application/x-amz-json-1.1' "+
				"-H 'X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance' -d '{}' %s/", mturkKey.id, mturkKey.secret, at(auth.MTurk))},
		{dialect: auth.MTurkLegacy, whose: "the same, before 2017", account: d.requester, figure: "available", decimals: 2, least: 2,
			reader: &mturklegacy.Client{URL: at(auth.MTurkLegacy), AccessKeyID: mturkKey.id, SecretAccessKey: mturkKey.secret},
			curl: fmt.Sprintf(`T=$(date -u +%%FT%%TZ); curl -sG %s/ -d Operation=GetAccountBalance -d AWSAccessKeyId=%s -d Timestamp=$T `+
				`--data-urlencode "Signature=$(printf AWSMechanicalTurkRequesterGetAccountBalance$T | openssl dgst -sha1 -hmac %s -binary | base64)"`,
				at(auth.MTurkLegacy), mturkKey.id, mturkKey.secret)},
		{dialect: auth.Frontier, whose: "billing account", account: d.billing, figure: "available", decimals: 0, least: 0,
			reader: &frontier.Client{URL: at(auth.Frontier), OrgID: d.org, BillingID: d.billing, ClientID: frontierKey.id, ClientSecret: frontierKey.secret},
			curl: fmt.Sprintf("curl -s -u %s:%s %s/v1beta1/organizations/%s/billing/%s/balance",
				frontierKey.id, frontierKey.secret, at(auth.Frontier), d.org, d.billing)},
	}
	all = slices.DeleteFunc(all, func(f face) bool { return f.dialect != auth.Native && !slices.Contains(d.serves, f.dialect) })
	for i := range all {
		f := &all[i]
		var err error
		if f.answer, err = f.reader.Read(ctx); err != nil {
			return nil, fmt.Errorf("%s %s: %w", f.dialect, f.whose, err)
		}
	}
	return all, nil
}

func gatewayCurl(url, call string, body object) string {
	b, _ := json.Marshal(body) // texts
	return fmt.Sprintf("curl -s -H 'Content-Type: application/json' -d '%s' %s/api/3.0/%s", b, url, call)
}

// present shows a person what there is.
func (a *app) present(d *cast, faces []face, context string) error {
	fmt.Fprintf(a.stdout, "Saldo answers at %s. Balances, as each dialect just answered over HTTP:\n\n", d.front.url())
	rows := []object{}
	for i := range faces {
		f := &faces[i]
		rows = append(rows, object{"dialect": f.dialect, "account": f.whose, "balance": f.answer.Text, "unit": f.answer.Unit})
	}
	if err := a.showList(rows, "dialect", "account", "balance", "unit"); err != nil {
		return err
	}
	fmt.Fprint(a.stdout, "\nAsk again:\n")
	for i := range faces {
		fmt.Fprintf(a.stdout, "\n# %s, %s\n%s\n", faces[i].dialect, faces[i].whose, faces[i].curl)
	}
	fmt.Fprintf(a.stdout, "\nCharge the Gateway360 account, and ask again:\n\n"+
		`curl -s -H "Authorization: Bearer %s" -H 'Content-Type: application/json' -d '{"id": "try-1", "amount": "0.35"}' %s/v1/accounts/%s/charges`+"\n",
		d.Token, d.front.adminURL(), d.gateway)
	if slices.Contains(d.serves, auth.Gateway360) {
		fmt.Fprintf(a.stdout, "\nOr have it pay for a message, which goes to the log (--log-level info):\n\n%s\n",
			gatewayCurl(d.front.dialectURL(auth.Gateway360), "sms/send", object{"api_key": d.keys[auth.Gateway360].secret,
				"messages": []object{{"from": "ACME", "to": "34612345678", "text": "hello"}}}))
	}
	if context != "" {
		fmt.Fprintf(a.stdout, "\nMore accounts, some of which move: saldo account list --context %s\n", context)
	}
	fmt.Fprintln(a.stdout, "\nCtrl-C ends it.")
	return nil
}

// checkDemo compares what the dialects answered with the books.
func (a *app) checkDemo(ctx context.Context, d *cast, faces []face) error {
	var wrong []error
	for i := range faces {
		f := &faces[i]
		data, err := d.get(ctx, "/v1/accounts/"+f.account+"/balance", nil)
		if err != nil {
			return err
		}
		balance, err := asObject(data)
		if err != nil {
			return err
		}
		want, err := shown(field(balance, f.figure), f.decimals, f.least)
		if err != nil {
			return err
		}
		if f.answer.Text != want {
			wrong = append(wrong, fmt.Errorf("%s answers %s %s for the %s, and the books have %s %s: %s is to be shown",
				f.dialect, f.answer.Text, f.answer.Unit, f.whose, field(balance, f.figure), field(balance, "unit"), want))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d answers in %d dialects are as the books have it.\n", len(faces), len(d.serves)+1)
	return nil
}

// shown rounds an amount down to decimals, of which least stay.
func shown(text string, decimals, least int) (string, error) {
	_, fraction, _ := strings.Cut(text, ".")
	a, err := money.Parse(text, len(fraction))
	if err != nil {
		return "", err
	}
	a, ok := a.Rescale(len(fraction), decimals)
	if !ok {
		return "", fmt.Errorf("%s is too large for %d decimals", text, decimals)
	}
	return a.TextMin(decimals, least), nil
}

// traffic moves other accounts, so that there is something to see.
func (d *cast) traffic(ctx context.Context, log *slog.Logger) {
	do := &steps{ctx: ctx, d: d}
	var accounts []string
	for n, name := range []string{"live: messages", "live: calls", "live: tokens"} {
		unit := []string{"USD", "EUR", "CREDITS"}[n]
		accounts = append(accounts, do.call("/v1/accounts", object{"id": "demo-live-" + unit, "name": name, "unit": unit}).ID)
	}
	for n := 0; do.err == nil; n++ {
		account := accounts[rand.IntN(len(accounts))]
		move, body := "charges", object{"id": newID(), "amount": fmt.Sprintf("0.%04d", 50+rand.IntN(2000)), "up_to": true, "category": "demo"}
		if n%40 < len(accounts) {
			account, move = accounts[n%40], "topups"
			body = object{"id": newID(), "amount": "5.00", "reason": "demo top-up"}
		}
		do.call("/v1/accounts/"+account+"/"+move, body)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(100+rand.IntN(400)) * time.Millisecond):
		}
	}
	if ctx.Err() == nil {
		log.Warn("the demo's traffic ended", "error", do.err)
	}
}

// rememberDemo writes a context, under a name of its own when another demo has
// the first, and returns what takes it away.
func (a *app) rememberDemo(address, tokens string) (name string, forget func(), err error) {
	if tokens, err = filepath.Abs(tokens); err != nil {
		return "", nil, err
	}
	c := &serverContext{"demo", address, tokens}
	for n := 2; ; n++ {
		old, err := readContext(a.getenv, c.name)
		if err != nil || old.tokenFile == tokens || !isThere(old.tokenFile) {
			break
		}
		c.name = fmt.Sprintf("demo-%d", n)
	}
	if err := c.write(a.getenv); err != nil {
		return "", nil, err
	}
	return c.name, func() { os.Remove(filepath.Join(contextDir(a.getenv), c.name+".toml")) }, nil
}

// A nativeReader reads an account by the native API.
type nativeReader struct {
	*native.Client
	account string
}

// Read reads what is spendable.
func (r *nativeReader) Read(ctx context.Context) (dialect.Reading, error) {
	b, err := r.Balance(ctx, r.account)
	if err != nil {
		return dialect.Reading{}, err
	}
	out := dialect.Reading{Account: b.ID, Unit: b.Unit, OnHold: b.Held, Time: b.AsOf}
	return out, out.ReadAmount(b.Spendable)
}
