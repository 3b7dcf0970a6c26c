package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier"
	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/dialect/native"
	"saldo/dialect/twilio"
	"saldo/ledger"
	"saldo/watch"
)

// A sourceKind is a way to ask for a balance.
type sourceKind struct {
	account string   // what its account is called among the vendor's options; "": it has none
	options []string // what else can be said
	needs   []string // of account, address, secret and the options
	reader  func(o map[string]string, address, secret string, h *http.Client) (dialect.Reader, error)
}

// sourceKinds is every kind of source, by name.
var sourceKinds = map[string]sourceKind{
	auth.Twilio:     vendorKind(auth.Twilio, "account_sid", "account", "secret"),
	auth.MTurk:      vendorKind(auth.MTurk, "access_key_id", "account", "secret"),
	auth.Gateway360: vendorKind(auth.Gateway360, "user_name", "secret"),
	auth.Frontier:   vendorKind(auth.Frontier, "billing_id", "account", "address", "secret"),
	"saldo": {account: "account", options: []string{"tenant"}, needs: []string{"account", "address", "secret"},
		reader: func(o map[string]string, address, secret string, h *http.Client) (dialect.Reader, error) {
			return &saldoReader{nativeReader{&native.Client{URL: address, Token: secret, Tenant: o["tenant"], HTTP: h, Tries: 1}, o["account"]}}, nil
		}},
	"deepseek": {options: []string{"currency"}, needs: []string{"secret"},
		reader: func(o map[string]string, address, secret string, h *http.Client) (dialect.Reader, error) {
			return &watch.DeepSeek{URL: address, APIKey: secret, Currency: o["currency"], HTTP: h}, nil
		}},
	"openrouter": {needs: []string{"secret"},
		reader: func(_ map[string]string, address, secret string, h *http.Client) (dialect.Reader, error) {
			return &watch.OpenRouter{URL: address, APIKey: secret, HTTP: h}, nil
		}},
	"generic": {account: "user", options: []string{"method", "body", "auth", "amount", "unit", "headers"}, needs: []string{"address", "amount", "unit"},
		reader: func(o map[string]string, address, secret string, h *http.Client) (dialect.Reader, error) {
			headers := map[string]string{}
			for line := range strings.Lines(o["headers"]) {
				name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
				if !ok {
					return nil, fmt.Errorf("headers: %.60q is not NAME: VALUE", line)
				}
				headers[name] = strings.TrimSpace(value)
			}
			g, err := watch.NewGeneric(watch.GenericOptions{Method: o["method"], URL: address, Body: o["body"], Headers: headers, Auth: o["auth"],
				User: o["user"], Secret: secret, Amount: o["amount"], Unit: o["unit"]})
			if err != nil {
				return nil, err
			}
			g.HTTP = h
			return g, nil
		}},
}

// vendorKind makes a kind of what saldo balance asks with.
func vendorKind(name, account string, needs ...string) sourceKind {
	v := vendorReaders[slices.IndexFunc(vendorReaders, func(v vendor) bool { return v.name == name })]
	k := sourceKind{account: account, needs: needs}
	for _, o := range v.options {
		if key := strings.ReplaceAll(o.flag, "-", "_"); key != account && key != "address" {
			k.options = append(k.options, key)
		}
	}
	k.reader = func(o map[string]string, address, secret string, h *http.Client) (dialect.Reader, error) {
		flags := map[string]string{}
		for key, value := range o {
			flags[strings.ReplaceAll(key, "_", "-")] = value
		}
		r := v.reader(flags, address, secret)
		switch c := r.(type) {
		case *twilio.Client:
			c.HTTP = h
		case *gateway360.Client:
			c.HTTP = h
		case *frontier.Client:
			c.HTTP = h
		case *mturk.Client:
			c.HTTP = h
		case *mturklegacy.Client:
			c.HTTP = h
		}
		return r, nil
	}
	return k
}

// sourceReader makes what asks a source, or says what is wrong with its spec.
func sourceReader(spec *watch.Spec, secret string, h *http.Client) (dialect.Reader, error) {
	k, ok := sourceKinds[spec.Kind]
	if !ok {
		return nil, fmt.Errorf("there is no kind of source %.40q; there are %s", spec.Kind, strings.Join(slices.Sorted(maps.Keys(sourceKinds)), ", "))
	}
	o := map[string]string{}
	for key, value := range spec.Options {
		if !slices.Contains(k.options, key) && key != k.account {
			return nil, fmt.Errorf("a source of kind %s has no %.40s; it can have %s", spec.Kind, key, strings.Join(append([]string{"account"}, k.options...), ", "))
		}
		o[key] = value
	}
	if spec.Account != "" {
		if k.account == "" {
			return nil, fmt.Errorf("a source of kind %s has no account: its secret says whose it is", spec.Kind)
		}
		o[k.account] = spec.Account
	}
	for _, need := range k.needs {
		given := o[need]
		switch need {
		case "account":
			given = o[k.account]
		case "address":
			given = spec.Address
		case "secret":
			given = secret
		}
		if given == "" {
			return nil, fmt.Errorf("a source of kind %s needs %s", spec.Kind, need)
		}
	}
	address := spec.Address
	if address != "" && !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		if strings.Contains(address, "://") {
			return nil, fmt.Errorf("address is %.80q; it has to begin with https:// or http://", address)
		}
		address = "https://" + address
	}
	return k.reader(o, address, secret, h)
}

// A saldoReader reads an account at another Saldo, and puts refusals as the
// vendors' client halves do.
type saldoReader struct{ nativeReader }

func (r *saldoReader) Read(ctx context.Context) (dialect.Reading, error) {
	out, err := r.nativeReader.Read(ctx)
	var refused *native.Error
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &refused):
		reply := dialect.Reply{Status: refused.Status, Header: http.Header{}}
		e := reply.Refusal("saldo")
		e.Code, e.Message, e.RetryAfter = refused.Code, refused.Message, refused.RetryAfter
		return out, e
	case ctx.Err() != nil:
		return out, &dialect.Error{Dialect: "saldo", Reason: dialect.Unavailable, Err: ctx.Err()}
	case errors.Is(err, native.ErrReply):
		return out, &dialect.Error{Dialect: "saldo", Reason: dialect.Unreadable, Message: err.Error()}
	}
	return out, &dialect.Error{Dialect: "saldo", Reason: dialect.Unavailable, Message: err.Error(), Err: err}
}

// A watchConfig is the part of the file of settings that says what is watched.
type watchConfig struct {
	allow     []netip.Prefix
	accounts  []ledger.AccountID // whose balances are metrics
	sources   []watch.Spec
	secrets   []string // of each source
	endpoints []*watch.Endpoint
}

// The keys of [watch], [[watch.sources]] and [[watch.endpoints]]. What else a
// source has is an option of its kind.
var (
	watchKeys    = []string{"allow", "accounts", "sources", "endpoints"}
	sourceKeys   = []string{"name", "kind", "address", "account", "secret", "secret_env", "secret_file", "interval", "low", "critical", "runway", "labels", "mirror"}
	endpointKeys = []string{"name", "url", "url_env", "url_file", "secret", "secret_env", "secret_file", "types"}
)

// A watchFile reads [watch] of a file of settings.
type watchFile struct {
	path   string
	getenv func(string) string
	open   bool // others may read the file
}

// readWatch reads what is watched.
func readWatch(path string, getenv func(string) string, table map[string]any) (*watchConfig, error) {
	f := &watchFile{path: path, getenv: getenv}
	if info, err := os.Stat(path); err == nil {
		f.open = info.Mode().Perm()&0o004 != 0
	}
	c := &watchConfig{}
	for key := range table {
		if !slices.Contains(watchKeys, key) {
			return nil, usagef("%s: [watch] has no %q; it has %s", path, key, strings.Join(watchKeys, ", "))
		}
	}
	for _, t := range texts(table["allow"]) {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err := netip.ParseAddr(t)
			if err != nil {
				return nil, usagef("%s: watch.allow has %q, which is neither an address nor a range as 10.0.0.0/8", path, t)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		c.allow = append(c.allow, p.Masked())
	}
	for _, t := range texts(table["accounts"]) {
		id, ok := ledger.ParseAccountID(t)
		if !ok {
			return nil, usagef("%s: watch.accounts has %q, which is no id of an account", path, t)
		}
		c.accounts = append(c.accounts, id)
	}
	sources, err := f.tables("sources", table["sources"])
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, t := range sources {
		spec, secret, err := f.source(t)
		if err == nil && names[spec.Name] {
			err = fmt.Errorf("there are two sources %s", spec.Name)
		}
		if err != nil {
			return nil, usagef("%s: [[watch.sources]] number %d (%v): %v", path, i+1, t["name"], err)
		}
		names[spec.Name] = true
		c.sources, c.secrets = append(c.sources, spec), append(c.secrets, secret)
	}
	endpoints, err := f.tables("endpoints", table["endpoints"])
	if err != nil {
		return nil, err
	}
	for i, t := range endpoints {
		e, err := f.endpoint(t)
		if err == nil && slices.ContainsFunc(c.endpoints, func(o *watch.Endpoint) bool { return o.Name == e.Name }) {
			err = fmt.Errorf("there are two endpoints %s", e.Name)
		}
		if err != nil {
			return nil, usagef("%s: [[watch.endpoints]] number %d (%v): %v", path, i+1, t["name"], err)
		}
		c.endpoints = append(c.endpoints, e)
	}
	return c, nil
}

// tables reads a list of tables.
func (f *watchFile) tables(name string, v any) (all []map[string]any, err error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, usagef("%s: write [[watch.%s]] above each", f.path, name)
	}
	for _, item := range list {
		t, ok := item.(map[string]any)
		if !ok {
			return nil, usagef("%s: write [[watch.%s]] above each", f.path, name)
		}
		all = append(all, t)
	}
	return all, nil
}

func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, t := range v {
			all = append(all, fmt.Sprint(t))
		}
	}
	return all
}

// sourceText reads a value that is text, or a whole number.
func sourceText(key string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case int64:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf(`%s has to stand in quotes, as %s = "…"`, key, key)
}

// pairs reads a table of texts.
func pairs(key string, v any) (map[string]string, error) {
	t, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf(`%s has to be a table, as { team = "growth" }`, key)
	}
	m := map[string]string{}
	for k, v := range t {
		s, err := sourceText(key+"."+k, v)
		if err != nil {
			return nil, err
		}
		m[k] = s
	}
	return m, nil
}

func (f *watchFile) source(t map[string]any) (s watch.Spec, secret string, err error) {
	for key, to := range map[string]*string{"name": &s.Name, "kind": &s.Kind, "address": &s.Address, "account": &s.Account, "interval": &s.Interval,
		"low": &s.Low, "critical": &s.Critical, "runway": &s.Runway, "mirror": &s.Mirror} {
		if *to, err = sourceText(key, t[key]); err != nil {
			return s, "", err
		}
	}
	if v, ok := t["labels"]; ok {
		if s.Labels, err = pairs("labels", v); err != nil {
			return s, "", err
		}
	}
	for key, v := range t {
		if slices.Contains(sourceKeys, key) {
			continue
		}
		if s.Options == nil {
			s.Options = map[string]string{}
		}
		if key == "headers" {
			headers, err := pairs(key, v)
			if err != nil {
				return s, "", err
			}
			for _, name := range slices.Sorted(maps.Keys(headers)) {
				s.Options[key] += name + ": " + headers[name] + "\n"
			}
			continue
		}
		if s.Options[key], err = sourceText(key, v); err != nil {
			return s, "", err
		}
	}
	if secret, err = f.secret("secret", t); err != nil {
		return s, "", err
	}
	if _, err := s.New(1); err != nil {
		return s, "", err
	}
	_, err = sourceReader(&s, secret, nil)
	return s, secret, err
}

// secret reads KEY, or what the variable KEY_env or the file KEY_file has.
func (f *watchFile) secret(key string, t map[string]any) (string, error) {
	given := 0
	values := [3]string{}
	for i, suffix := range []string{"", "_env", "_file"} {
		v, err := sourceText(key+suffix, t[key+suffix])
		if err != nil {
			return "", err
		}
		if values[i] = v; v != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "", fmt.Errorf("give one of %s, %s_env and %s_file", key, key, key)
	case values[0] != "" && f.open:
		return "", fmt.Errorf("%s stands in a file that everybody on this machine can read: chmod 600 %s, or use %s_env or %s_file", key, f.path, key, key)
	case values[1] != "":
		value := f.getenv(values[1])
		if value == "" {
			return "", fmt.Errorf("the variable %s, which %s_env names, is not set", values[1], key)
		}
		return value, nil
	case values[2] != "":
		path := values[2]
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.path), path)
		}
		value, err := readSecret(path)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", key, err)
		}
		return value, nil
	}
	return values[0], nil
}

func (f *watchFile) endpoint(t map[string]any) (*watch.Endpoint, error) {
	for key := range t {
		if !slices.Contains(endpointKeys, key) {
			return nil, fmt.Errorf("there is no %q; there are %s", key, strings.Join(endpointKeys, ", "))
		}
	}
	e := &watch.Endpoint{FromFile: true, Types: texts(t["types"])}
	var err error
	if e.Name, err = sourceText("name", t["name"]); err != nil {
		return nil, err
	}
	if e.URL, err = f.secret("url", t); err != nil {
		if !f.open || t["url"] == nil || t["url_env"] != nil || t["url_file"] != nil {
			return nil, err
		}
		// The URL of a webhook is no secret; that of a chat is.
		if e.URL, err = sourceText("url", t["url"]); err != nil {
			return nil, err
		}
		if e.Kind() == watch.Notification {
			return nil, fmt.Errorf("the url has secrets in it and stands in a file that everybody on this machine can read: chmod 600 %s, or use url_env or url_file", f.path)
		}
	}
	secret, err := f.secret("secret", t)
	if err != nil {
		return nil, err
	}
	e.Secrets = strings.Fields(secret)
	if e.Kind() == watch.Webhook && len(e.Secrets) == 0 {
		return nil, errors.New("a webhook needs a secret, as whsec_ and 24 to 64 random bytes in base64 (saldo webhook secret makes one)")
	}
	return e, e.Check()
}

// made returns the sources and endpoints of the file as those of a tenant.
func (c *watchConfig) made(tenant ledger.TenantID) (sources []*watch.Source, endpoints []*watch.Endpoint, err error) {
	if c == nil {
		return nil, nil, nil
	}
	for i := range c.sources {
		s, err := c.sources[i].New(tenant)
		if err != nil {
			return nil, nil, err
		}
		if s.Reader, err = sourceReader(&c.sources[i], c.secrets[i], nil); err != nil {
			return nil, nil, err
		}
		s.FromFile = true
		sources = append(sources, s)
	}
	for _, e := range c.endpoints {
		e.Tenant = tenant
		endpoints = append(endpoints, e)
	}
	return sources, endpoints, nil
}
