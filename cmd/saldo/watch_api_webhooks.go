package main

import (
	"encoding/json"
	"slices"
	"time"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/watch"
)

type webhookView struct {
	ID        string   `json:"id"`
	CreatedAt string   `json:"created_at"`
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	URL       string   `json:"url"`
	Types     []string `json:"types,omitempty"`
	Disabled  bool     `json:"disabled"`
	Why       string   `json:"why,omitempty"`
	FromFile  bool     `json:"from_file"`
	Secret    string   `json:"secret,omitempty"` // when it was made, this once
}

func viewWebhook(e *watch.Endpoint) webhookView {
	created := time.Unix(0, 0)
	if e.Created != 0 {
		created = e.Created.Std()
	}
	return webhookView{ID: e.Name, CreatedAt: stamp(created), Name: e.Name, Kind: e.Kind(), URL: e.Shown(), Types: e.Types, Disabled: e.Disabled, Why: e.Why,
		FromFile: e.FromFile}
}

func (w watchAPI) createWebhook(c *native.Call) (any, error) {
	in, err := watchBody[struct {
		ID     string   `json:"id"`
		Name   string   `json:"name"`
		URL    string   `json:"url"`
		Secret string   `json:"secret"`
		Types  []string `json:"types"`
	}](c)
	if err != nil {
		return nil, err
	}
	id, err := idOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	e := &watch.Endpoint{Tenant: c.Tenant, Name: in.Name, URL: in.URL, Types: in.Types}
	if in.Secret != "" {
		e.Secrets = []string{in.Secret}
	}
	// Mail and chats go by clients of their own, whose addresses are not looked at
	// one by one as those of webhooks are.
	if e.Kind() == watch.Notification {
		if err := c.Credential.May(auth.Operator); err != nil {
			return nil, err
		}
	}
	if w.confirms(c.Tenant, in.Name) { // what it answers makes money
		if err := c.Credential.May(auth.TopUp); err != nil {
			return nil, err
		}
	}
	secret, replayed, err := w.CreateEndpoint(c.Context, c.Credential.Number, id, e)
	if err != nil {
		return nil, err
	}
	c.Replayed = replayed
	return w.shown(c, in.Name, secret)
}

// confirms reports whether rules of a tenant top up what a webhook of a name confirms.
func (w watchAPI) confirms(tenant ledger.TenantID, name string) bool {
	return slices.ContainsFunc(w.Rules(tenant), func(r *watch.Rule) bool { return r.TopUp != nil && r.TopUp.Webhook == name })
}

func (w watchAPI) shown(c *native.Call, name, secret string) (any, error) {
	e := w.Endpoint(c.Tenant, name)
	if e == nil {
		return nil, ledger.Errorf(ledger.NotFound, "there is no endpoint %.63s", name)
	}
	v := viewWebhook(e)
	v.Secret = secret
	return v, nil
}

func (w watchAPI) listWebhooks(c *native.Call) (any, error) {
	p := page{Items: []any{}}
	for _, e := range w.Endpoints(c.Tenant) {
		p.Items = append(p.Items, viewWebhook(e))
	}
	return p, nil
}

func (w watchAPI) readWebhook(c *native.Call) (any, error) { return w.shown(c, c.Params[0], "") }

func (w watchAPI) deleteWebhook(c *native.Call) (any, error) {
	return nowDeleted(c.Params[0], w.DeleteEndpoint(c.Context, c.Credential.Number, c.ID, c.Tenant, c.Params[0]))
}

func (w watchAPI) rotateWebhook(c *native.Call) (any, error) {
	secret, err := w.RotateEndpoint(c.Context, c.Credential.Number, c.ID, c.Tenant, c.Params[0])
	if err != nil {
		return nil, err
	}
	return w.shown(c, c.Params[0], secret)
}

func (w watchAPI) enableWebhook(c *native.Call) (any, error) {
	if err := w.EnableEndpoint(c.Context, c.Credential.Number, c.ID, c.Tenant, c.Params[0]); err != nil {
		return nil, err
	}
	return w.shown(c, c.Params[0], "")
}

func (w watchAPI) testWebhook(c *native.Call) (any, error) {
	e := w.Endpoint(c.Tenant, c.Params[0])
	if e == nil {
		return nil, ledger.Errorf(ledger.NotFound, "there is no endpoint %.63s", c.Params[0])
	}
	sample := w.Sample(&watch.Rule{Name: "test"})
	out := tested(e.Name, w.TestEndpoint(c.Context, e, sample))
	out["id"], out["created_at"] = sample.ID, stamp(time.Now())
	return out, nil
}

func (w watchAPI) listDeliveries(c *native.Call) (any, error) {
	state := c.Request.URL.Query().Get("state")
	if state != "" && state != "open" && state != "dead" {
		return nil, native.Invalid("state", "has to be open or dead")
	}
	all, err := w.Deliveries(c.Context, c.Tenant, state == "dead", 1000)
	if err != nil {
		return nil, err
	}
	p := page{Items: []any{}}
	for _, d := range all {
		item := map[string]any{"id": d.ID, "created_at": stamp(d.Created), "endpoint": d.Endpoint, "alert": d.Alert, "tries": d.Tries, "state": "open",
			"body": json.RawMessage(d.Body)}
		if d.Dead {
			item["state"] = "dead"
		} else {
			item["next_at"] = stamp(d.Next)
		}
		if d.Error != "" {
			item["error"] = d.Error
		}
		p.Items = append(p.Items, item)
	}
	return p, nil
}

func (w watchAPI) replay(c *native.Call) (any, error) {
	if err := w.Replay(c.Context, c.Credential.Number, c.Tenant, c.Params[0]); err != nil {
		return nil, err
	}
	return map[string]any{"id": c.Params[0], "created_at": stamp(time.Now()), "deleted": false}, nil
}

// listAlerts pages by the key of the last alert. state=firing chooses those that
// fire now, whenever they began to.
func (w watchAPI) listAlerts(c *native.Call) (any, error) {
	query := c.Request.URL.Query()
	from, limit, err := pageOf(query)
	if err != nil {
		return nil, err
	}
	state := query.Get("state")
	if state != "" && state != "firing" {
		return nil, native.Invalid("state", "has to be firing, or absent")
	}
	list := w.Alerts
	if state != "" {
		list = w.Firing
	}
	p := page{Items: []any{}}
	last := ""
	err = list(c.Context, c.Tenant, from, func(key string, a *watch.Alert) bool {
		if len(p.Items) == limit {
			p.Next = cursorAt(last)
			return false
		}
		last = key
		p.Items = append(p.Items, struct {
			watch.Alert
			CreatedAt string `json:"created_at"`
		}{*w.Named(c.Context, a), a.Time.String()})
		return true
	})
	return p, err
}
