package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/watch"
)

// The calls about sources, rules, webhooks (endpoints of any kind), deliveries
// and alerts. They are about a whole tenant: a credential that opens a subtree
// of its accounts is refused.

// watchEndpoints are the calls of the native API that are about watching.
func (n *node) watchEndpoints() []native.Endpoint {
	w := watchAPI{n.watch}
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	all := []native.Endpoint{
		{Method: get, Path: "/v1/sources", Operation: "listSources", Scope: auth.Read, Serve: w.listSources,
			Doc: documentOf("source", "Balances at vendors, and how they stand", "", "Source", true)},
		{Method: post, Path: "/v1/sources", Operation: "createSource", Scope: auth.Admin, Status: http.StatusCreated, Serve: w.createSource,
			Doc: documentOf("source", "Add a source, or change the one that has the name", "SourceRequest", "Source", false)},
		{Method: get, Path: "/v1/sources/{id}", Operation: "readSource", Scope: auth.Read, Serve: w.readSource,
			Doc: documentOf("source", "One source", "", "Source", false, "id")},
		{Method: del, Path: "/v1/sources/{id}", Operation: "deleteSource", Scope: auth.Admin, Serve: w.deleteSource,
			Doc: documentOf("source", "Take a source away, with its history", "", "Removed", false, "id")},
		{Method: post, Path: "/v1/sources/{id}/test", Operation: "testSource", Scope: auth.Admin, Serve: w.testSource,
			Doc: documentOf("source", "Ask a source now, and explain in a sentence what goes wrong", "", "SourceTest", false, "id")},
		{Method: get, Path: "/v1/sources/{id}/readings", Operation: "listReadings", Scope: auth.Read, Serve: w.listReadings,
			Doc: documentOf("source", "What a source has shown, oldest first; since=2030-01-31T12:00:00Z (default: a week)", "", "Reading", true, "id")},

		{Method: get, Path: "/v1/rules", Operation: "listRules", Scope: auth.Read, Serve: w.listRules,
			Doc: documentOf("rule", "The rules of a tenant, or those about an account or a source, by name", "", "Rule", true)},
		{Method: post, Path: "/v1/rules", Operation: "createRule", Scope: auth.Admin, Status: http.StatusCreated, Serve: w.createRule,
			Doc: documentOf("rule", "Add a rule about a source or an account", "RuleRequest", "Rule", false)},
		{Method: get, Path: "/v1/rules/{id}", Operation: "readRule", Scope: auth.Read, Serve: w.readRule,
			Doc: documentOf("rule", "One rule, by id or name", "", "Rule", false, "id")},
		{Method: del, Path: "/v1/rules/{id}", Operation: "deleteRule", Scope: auth.Admin, Serve: w.deleteRule,
			Doc: documentOf("rule", "Take a rule away", "", "Removed", false, "id")},
		{Method: post, Path: "/v1/rules/{id}/test", Operation: "testRule", Scope: auth.Admin, Serve: w.testRule,
			Doc: documentOf("rule", "Send a sample to everywhere that the rule tells", "", "RuleTest", false, "id")},

		{Method: get, Path: "/v1/webhooks", Operation: "listWebhooks", Scope: auth.Read, Serve: w.listWebhooks,
			Doc: documentOf("webhook", "Where alerts go", "", "Webhook", true)},
		{Method: post, Path: "/v1/webhooks", Operation: "createWebhook", Scope: auth.Admin, Status: http.StatusCreated, Serve: w.createWebhook,
			Doc: documentOf("webhook", "Add an endpoint: a webhook, an Alertmanager, or a service to notify", "WebhookRequest", "Webhook", false)},
		{Method: get, Path: "/v1/webhooks/{id}", Operation: "readWebhook", Scope: auth.Read, Serve: w.readWebhook,
			Doc: documentOf("webhook", "One endpoint", "", "Webhook", false, "id")},
		{Method: del, Path: "/v1/webhooks/{id}", Operation: "deleteWebhook", Scope: auth.Admin, Serve: w.deleteWebhook,
			Doc: documentOf("webhook", "Take an endpoint away", "", "Removed", false, "id")},
		{Method: post, Path: "/v1/webhooks/{id}/rotate", Operation: "rotateWebhook", Scope: auth.Admin, Serve: w.rotateWebhook,
			Doc: documentOf("webhook", "Give a webhook a new secret; the one before signs too, until the next rotation", "", "Webhook", false, "id")},
		{Method: post, Path: "/v1/webhooks/{id}/enable", Operation: "enableWebhook", Scope: auth.Admin, Serve: w.enableWebhook,
			Doc: documentOf("webhook", "Let an endpoint that was disabled get alerts again", "", "Webhook", false, "id")},
		{Method: post, Path: "/v1/webhooks/{id}/test", Operation: "testWebhook", Scope: auth.Admin, Serve: w.testWebhook,
			Doc: documentOf("webhook", "Send a sample", "", "WebhookTest", false, "id")},

		{Method: get, Path: "/v1/deliveries", Operation: "listDeliveries", Scope: auth.Read, Serve: w.listDeliveries,
			Doc: documentOf("webhook", "Alerts on their way or, with state=dead, those that could not be delivered", "", "Delivery", true)},
		{Method: post, Path: "/v1/deliveries/{id}/replay", Operation: "replayDelivery", Scope: auth.Admin, Serve: w.replay,
			Doc: documentOf("webhook", "Deliver once more, under the same id of the message", "", "Removed", false, "id")},
		{Method: get, Path: "/v1/alerts", Operation: "listAlerts", Scope: auth.Read, Serve: w.listAlerts,
			Doc: documentOf("rule", "What rules have fired and resolved, newest first; state=firing: what fires now", "", "Alert", true)},
	}
	for i := range all {
		all[i].Tenant = true
		serve := all[i].Serve
		all[i].Serve = func(c *native.Call) (any, error) {
			if !c.Credential.Root.IsZero() {
				return nil, native.Refuse(native.CodeForbidden, "This is for a credential that opens the whole tenant")
			}
			return serve(c)
		}
	}
	return all
}

// A watchAPI answers the calls.
type watchAPI struct{ *watch.Watch }

// watchBody decodes a body, strictly.
func watchBody[T any](c *native.Call) (*T, error) {
	d := json.NewDecoder(bytes.NewReader(c.Body))
	d.DisallowUnknownFields()
	in := new(T)
	if err := d.Decode(in); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, native.Invalid(kind.Field, "has to be %s", kind.Type)
		}
		return nil, native.Invalid("", "%v", err)
	}
	return in, nil
}

// id returns the id of a write: the header's, or the body's, which have to agree.
func idOf(c *native.Call, body string) (string, error) {
	if c.ID != "" && body != "" && c.ID != body {
		return "", native.Refuse(native.CodeKeyDisagrees, "")
	}
	return firstOf(c.ID, body), nil
}

// A page is a list. Next is absent at its end.
type page struct {
	Items []any  `json:"items"`
	Next  string `json:"next,omitempty"`
}

type deletedView struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
	Deleted   bool   `json:"deleted"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func nowDeleted(id string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return deletedView{id, stamp(time.Now()), true}, nil
}

type timeLeftView struct {
	Known        bool   `json:"known"`
	LeastSeconds *int64 `json:"least_seconds,omitempty"`
	AboutSeconds *int64 `json:"about_seconds,omitempty"`
	MostSeconds  *int64 `json:"most_seconds,omitempty"`
	Why          string `json:"why,omitempty"`
}

type sourceView struct {
	ID        string            `json:"id"`
	CreatedAt string            `json:"created_at"`
	Name      string            `json:"name"`
	Vendor    string            `json:"vendor"`
	Address   string            `json:"address,omitempty"`
	Account   string            `json:"account,omitempty"`
	Options   map[string]string `json:"options,omitempty"`
	Interval  int64             `json:"interval_seconds"`
	Low       string            `json:"low,omitempty"`
	Critical  string            `json:"critical,omitempty"`
	Runway    string            `json:"runway,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Mirror    string            `json:"mirror,omitempty"`
	FromFile  bool              `json:"from_file"`

	State    string       `json:"state"`
	Balance  string       `json:"balance,omitempty"`
	Unit     string       `json:"unit,omitempty"`
	OnHold   string       `json:"on_hold,omitempty"`
	Change   string       `json:"change_1d,omitempty"`
	TimeLeft timeLeftView `json:"time_left"`
	Drift    string       `json:"drift,omitempty"`
	ReadAt   string       `json:"read_at,omitempty"`
	TriedAt  string       `json:"tried_at,omitempty"`
	NextAt   string       `json:"next_at,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Why      string       `json:"why,omitempty"`
	Firing   []string     `json:"firing,omitempty"`
}

func viewTimeLeft(r watch.Runway) timeLeftView {
	v := timeLeftView{Known: r.Known, Why: r.Why}
	if r.Known {
		seconds := func(d time.Duration) *int64 { n := int64(d / time.Second); return &n }
		v.LeastSeconds, v.AboutSeconds, v.MostSeconds = seconds(r.Least), seconds(r.About), seconds(r.Most)
	}
	return v
}

func viewSource(l *watch.Look) sourceView {
	s := l.Source
	return sourceView{ID: s.Name, CreatedAt: stamp(s.Created), Name: s.Name, Vendor: s.Kind, Address: s.Address, Account: firstOf(s.Account, l.Account),
		Options: s.Options, Interval: int64(s.Interval / time.Second), Low: s.Low, Critical: s.Critical, Runway: s.Spec.Runway, Labels: s.Labels,
		Mirror: s.Spec.Mirror, FromFile: s.FromFile, State: firstOf(l.State, "unknown"), Balance: l.Balance, Unit: l.Unit, OnHold: l.OnHold, Change: l.Change,
		TimeLeft: viewTimeLeft(l.Runway), Drift: l.Drift, ReadAt: stamp(l.Read), TriedAt: stamp(l.Tried), NextAt: stamp(l.Next),
		Reason: l.Reason, Why: l.Why, Firing: l.Firing}
}

func (w watchAPI) listSources(c *native.Call) (any, error) {
	p := page{Items: []any{}}
	for _, l := range w.Looks(c.Tenant) {
		p.Items = append(p.Items, viewSource(&l))
	}
	return p, nil
}

func (w watchAPI) look(tenant ledger.TenantID, name string) (*watch.Look, error) {
	for _, l := range w.Looks(tenant) {
		if l.Source.Name == name {
			return &l, nil
		}
	}
	return nil, ledger.Errorf(ledger.NotFound, "there is no source %.63s", name)
}

func (w watchAPI) readSource(c *native.Call) (any, error) {
	l, err := w.look(c.Tenant, c.Params[0])
	if err != nil {
		return nil, err
	}
	return viewSource(l), nil
}

func (w watchAPI) createSource(c *native.Call) (any, error) {
	in, err := watchBody[struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
		watch.Spec
	}](c)
	if err != nil {
		return nil, err
	}
	id, err := idOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	if c.Replayed, err = w.CreateSource(c.Context, c.Credential.Number, id, c.Tenant, in.Spec, in.Secret); err != nil {
		return nil, err
	}
	l, err := w.look(c.Tenant, in.Name)
	if err != nil {
		return nil, err
	}
	return viewSource(l), nil
}

func (w watchAPI) deleteSource(c *native.Call) (any, error) {
	return nowDeleted(c.Params[0], w.DeleteSource(c.Context, c.Credential.Number, c.ID, c.Tenant, c.Params[0]))
}

func (w watchAPI) testSource(c *native.Call) (any, error) {
	ctx, cancel := context.WithTimeout(c.Context, 25*time.Second)
	defer cancel()
	r, err := w.TestSource(ctx, c.Tenant, c.Params[0])
	if ledger.CodeOf(err) == ledger.NotFound {
		return nil, err
	}
	out := map[string]any{"id": c.Params[0], "created_at": stamp(time.Now()), "ok": err == nil}
	if err != nil {
		out["reason"], out["why"] = watch.Explain(err)
		return out, nil
	}
	out["balance"], out["unit"] = r.Text, r.Unit
	if r.Account != "" {
		out["account"] = r.Account
	}
	return out, nil
}

func (w watchAPI) listReadings(c *native.Call) (any, error) {
	since := time.Now().Add(-7 * 24 * time.Hour)
	if text := c.Request.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, native.Invalid("since", "has to be a time, as 2030-01-31T12:00:00Z")
		}
	}
	if _, err := w.look(c.Tenant, c.Params[0]); err != nil {
		return nil, err
	}
	p := page{Items: []any{}}
	err := w.Readings(c.Context, c.Tenant, c.Params[0], since, func(r watch.Point) error {
		at := time.Unix(r.At, 0)
		item := map[string]any{"id": strconv.FormatInt(r.At, 10), "created_at": stamp(at), "balance": watch.Text(r.Balance), "consumed": watch.Text(r.Consumed),
			"added": watch.Text(r.Added)}
		if r.HasDrift {
			item["drift"] = watch.Text(r.Drift)
		}
		p.Items = append(p.Items, item)
		return nil
	})
	return p, err
}

// ruleBody is a rule as it is asked for and shown.
type ruleBody struct {
	Name            string          `json:"name"`
	Source          string          `json:"source,omitempty"`
	Account         string          `json:"account,omitempty"`
	When            watch.Condition `json:"when"`
	Levels          []levelBody     `json:"levels"`
	Clear           string          `json:"clear,omitempty"`
	CooldownSeconds int64           `json:"cooldown_seconds,omitempty"`
	Quiet           bool            `json:"quiet_until_top_up,omitempty"`
	To              []string        `json:"to,omitempty"`
	TopUp           *watch.TopUp    `json:"top_up,omitempty"`
}

type levelBody struct {
	Level string `json:"level"`
	At    string `json:"at"`
}

type ruleView struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
	ruleBody
}

func viewRule(r *watch.Rule) ruleView {
	v := ruleView{ID: r.ID, CreatedAt: r.Created.String(), ruleBody: ruleBody{Name: r.Name, Source: r.Source, When: r.When, Clear: r.Clear.String(),
		CooldownSeconds: int64(r.Cooldown / time.Second), Quiet: r.Quiet, To: r.To, TopUp: r.TopUp, Levels: []levelBody{}}}
	if !r.Account.IsZero() {
		v.Account = r.Account.String()
	}
	for _, l := range r.Levels {
		v.Levels = append(v.Levels, levelBody{l.Name, l.At.String()})
	}
	return v
}

const longestCooldown = 366 * 24 * 60 * 60 // seconds

func (w watchAPI) createRule(c *native.Call) (any, error) {
	in, err := watchBody[struct {
		ID string `json:"id"`
		ruleBody
	}](c)
	if err != nil {
		return nil, err
	}
	id, err := idOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	if in.CooldownSeconds < 0 || in.CooldownSeconds > longestCooldown {
		return nil, native.Invalid("cooldown_seconds", "has to be a whole number from 0 to %d, a year", longestCooldown)
	}
	r := &watch.Rule{Name: in.Name, Tenant: c.Tenant, Source: in.Source, When: in.When, Cooldown: time.Duration(in.CooldownSeconds) * time.Second,
		Quiet: in.Quiet, To: in.To, TopUp: in.TopUp}
	if in.Account != "" {
		var ok bool
		if r.Account, ok = ledger.ParseAccountID(in.Account); !ok {
			return nil, native.Invalid("account", "has to be the id of an account")
		}
	}
	for _, l := range in.Levels {
		level := watch.Level{Name: l.Level}
		if l.At != "" {
			if level.At, err = watch.ParseThreshold(l.At); err != nil {
				return nil, native.Invalid("levels", "%v", err)
			}
		}
		r.Levels = append(r.Levels, level)
	}
	if in.Clear != "" {
		if r.Clear, err = watch.ParseThreshold(in.Clear); err != nil {
			return nil, native.Invalid("clear", "%v", err)
		}
	}
	if u := in.TopUp; u != nil { // a rule moves money then, of an account's or new
		scope := auth.TopUp
		if u.From != "" {
			scope = auth.Charge
		}
		if err := c.Credential.May(scope); err != nil {
			return nil, err
		}
	}
	if u := in.TopUp; u != nil && u.Webhook != "" {
		if e := w.Endpoint(c.Tenant, u.Webhook); e == nil || e.Kind() != watch.Webhook {
			return nil, native.Invalid("top_up", "asks %.63q, and there is no webhook of that name", u.Webhook)
		}
	}
	for _, name := range in.To {
		if w.Endpoint(c.Tenant, name) == nil {
			return nil, native.Invalid("to", "names %.63q, and there is no endpoint of that name", name)
		}
	}
	made, replayed, err := w.CreateRule(c.Context, c.Credential.Number, id, r)
	if err != nil {
		return nil, err
	}
	c.Replayed = replayed
	return viewRule(made), nil
}

// listRules pages by name; account and source choose those about one.
func (w watchAPI) listRules(c *native.Call) (any, error) {
	query := c.Request.URL.Query()
	after, limit, err := pageOf(query)
	if err != nil {
		return nil, err
	}
	var account ledger.AccountID
	if text := query.Get("account"); text != "" {
		var ok bool
		if account, ok = ledger.ParseAccountID(text); !ok {
			return nil, native.Invalid("account", "has to be the id of an account")
		}
	}
	source := query.Get("source")
	p := page{Items: []any{}}
	last := ""
	for _, r := range w.Rules(c.Tenant) {
		if r.Name <= after || !account.IsZero() && r.Account != account || source != "" && r.Source != source {
			continue
		}
		if len(p.Items) == limit {
			p.Next = cursorAt(last)
			break
		}
		last = r.Name
		p.Items = append(p.Items, viewRule(r))
	}
	return p, nil
}

func (w watchAPI) rule(c *native.Call) (*watch.Rule, error) {
	if r := w.FindRule(c.Tenant, c.Params[0]); r != nil {
		return r, nil
	}
	for _, l := range w.Looks(c.Tenant) {
		for _, r := range l.Source.Rules {
			if r.Name == c.Params[0] {
				return nil, ledger.Errorf(ledger.NotFound, "the rule %.80s is what the source %s has in short, as low, critical or runway: it is read and changed there",
					r.Name, l.Source.Name)
			}
		}
	}
	return nil, ledger.Errorf(ledger.NotFound, "there is no rule %.63s", c.Params[0])
}

func (w watchAPI) readRule(c *native.Call) (any, error) {
	r, err := w.rule(c)
	if err != nil {
		return nil, err
	}
	return viewRule(r), nil
}

func (w watchAPI) deleteRule(c *native.Call) (any, error) {
	return nowDeleted(c.Params[0], w.DeleteRule(c.Context, c.Credential.Number, c.ID, c.Tenant, c.Params[0]))
}

func (w watchAPI) testRule(c *native.Call) (any, error) {
	r, err := w.rule(c)
	if err != nil {
		return nil, err
	}
	sample := w.Sample(r)
	sent := []any{}
	for _, e := range w.Endpoints(c.Tenant) {
		if len(r.To) > 0 && !slices.Contains(r.To, e.Name) {
			continue
		}
		sent = append(sent, tested(e.Name, w.TestEndpoint(c.Context, e, sample)))
	}
	return map[string]any{"id": sample.ID, "created_at": stamp(time.Now()), "rule": r.Name, "endpoints": sent}, nil
}

func tested(name string, err error) map[string]any {
	out := map[string]any{"endpoint": name, "ok": err == nil}
	if err != nil {
		out["why"] = err.Error()
	}
	return out
}

// pageOf reads behind what a page begins and how many items it has.
func pageOf(query url.Values) (after string, limit int, err error) {
	limit = 50
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return "", 0, native.Invalid("limit", "has to be a whole number from 1 to 1000")
		}
	}
	if cursor := query.Get("cursor"); cursor != "" {
		key, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || len(key) == 0 {
			return "", 0, native.Invalid("cursor", "has to be what next was, unchanged")
		}
		after = string(key)
	}
	return after, limit, nil
}

// cursorAt writes where a page ended.
func cursorAt(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// filters are what lists of these can be asked for by.
var filters = map[string][]string{"Reading": {"since"}, "Rule": {"account", "source"}, "Delivery": {"state"}, "Alert": {"state"}}
