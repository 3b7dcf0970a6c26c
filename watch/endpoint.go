package watch

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"saldo/dialect"
	"saldo/ledger"
)

// An Endpoint is where alerts go.
type Endpoint struct {
	Tenant   ledger.TenantID
	Name     string
	URL      string   // see Kind
	Secrets  []string // of a webhook: whsec_…; two while one is being changed for the other
	Types    []string // of alerts, as account.balance.low or source.*; empty: all
	Disabled bool
	Why      string // it was disabled
	Created  ledger.Time
	FromFile bool
}

// The kinds of endpoints, told by the URL's scheme.
const (
	Webhook      = "webhook"      // https://… or http://…: Standard Webhooks
	Alertmanager = "alertmanager" // alertmanager+http://host:9093 or alertmanager+https://…
	Notification = "notification" // anything else that shoutrrr knows: slack://…, smtp://…
)

// Kind returns which of them an endpoint is.
func (e *Endpoint) Kind() string {
	switch scheme, _, _ := strings.Cut(e.URL, ":"); scheme {
	case "http", "https":
		return Webhook
	case "alertmanager+http", "alertmanager+https":
		return Alertmanager
	}
	return Notification
}

// Shown is the URL without what is secret in it.
func (e *Endpoint) Shown() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	if e.Kind() == Notification {
		return u.Scheme + "://…" // tokens stand anywhere in it
	}
	return u.Redacted()
}

func (e *Endpoint) key() string { return endpointKey(e.Tenant, e.Name) }

func endpointKey(tenant ledger.TenantID, name string) string { return tenantKey(tenant) + "/" + name }

// Check says what is wrong with an endpoint.
func (e *Endpoint) Check() error {
	if err := ValidName(e.Name); err != nil {
		return err
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme == "" || len(e.URL) > 2048 {
		return errors.New("the url has to be a whole one, as https://example.com/hook, alertmanager+http://host:9093 or slack://…")
	}
	if e.Kind() == Notification {
		if _, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{}, e.URL); err != nil {
			return fmt.Errorf("the url is of no service that can be notified: %s", strings.ReplaceAll(err.Error(), e.URL, "…"))
		}
		return nil
	}
	if u.Host == "" || u.Fragment != "" {
		return errors.New("the url names no host")
	}
	for _, s := range e.Secrets {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 {
			return errors.New("a secret is whsec_ and 24 to 64 bytes in base64")
		}
	}
	for _, t := range e.Types {
		if !slices.ContainsFunc(AlertTypes(), func(known string) bool { return matches(t, known) }) {
			return fmt.Errorf("there is no type of alert %.60q", t)
		}
	}
	return nil
}

// NewSecret makes a secret for a webhook.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

// wants reports whether an alert goes to an endpoint.
func (e *Endpoint) wants(a *Alert) bool {
	if len(a.To) > 0 && !slices.Contains(a.To, e.Name) {
		return false
	}
	return len(e.Types) == 0 || slices.ContainsFunc(e.Types, func(t string) bool { return matches(t, a.Type) })
}

// matches reports whether a type is one of a pattern: itself, or what comes
// before .* and more.
func matches(pattern, t string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(t, prefix)
	}
	return pattern == t
}

// An endpointRow is an endpoint that the API made, as stored.
type endpointRow struct {
	V        int             `json:"v"`
	Tenant   ledger.TenantID `json:"tenant"`
	URL      []byte          `json:"url"` // sealed: the URL of a notification has secrets in it
	Secrets  []byte          `json:"secrets,omitempty"`
	Types    []string        `json:"types,omitempty"`
	Disabled bool            `json:"disabled,omitempty"`
	Why      string          `json:"why,omitempty"`
	Created  ledger.Time     `json:"created"`
}

func (w *Watch) storedEndpoint(ctx context.Context, r *ledger.Record) (*Endpoint, error) {
	row, err := decode[endpointRow](r)
	if err != nil {
		return nil, err
	}
	_, name, _ := strings.Cut(r.Key, "/")
	e := &Endpoint{Tenant: row.Tenant, Name: name, Types: row.Types, Disabled: row.Disabled, Why: row.Why, Created: row.Created}
	var old, older bool
	if e.URL, old, err = w.seal.open(row.URL, kindEndpoint+" url "+r.Key); err != nil {
		return nil, err
	}
	secrets, older, err := w.seal.open(row.Secrets, kindEndpoint+" "+r.Key)
	if err != nil {
		return nil, err
	}
	e.Secrets = strings.Fields(secrets)
	if old || older { // the master key was changed: seal it under the new one
		write, err := w.writeEndpoint(e, r.Version)
		if err != nil {
			return nil, err
		}
		if _, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{write}}); err != nil {
			w.o.Logger.Warn("a secret could not be sealed under the new master key; it is tried again", "endpoint", r.Key, "error", err)
		}
	}
	return e, nil
}

func (w *Watch) writeEndpoint(e *Endpoint, expect uint64) (ledger.RecordWrite, error) {
	key := e.key()
	address, err := w.seal.seal(e.URL, kindEndpoint+" url "+key)
	if err != nil {
		return ledger.RecordWrite{}, err
	}
	row := &endpointRow{V: rowVersion, Tenant: e.Tenant, URL: address, Types: e.Types, Disabled: e.Disabled, Why: e.Why, Created: e.Created}
	if len(e.Secrets) > 0 {
		if row.Secrets, err = w.seal.seal(strings.Join(e.Secrets, " "), kindEndpoint+" "+key); err != nil {
			return ledger.RecordWrite{}, err
		}
	}
	return ledger.RecordWrite{Kind: kindEndpoint, Key: key, Expect: expect, Data: encode(row),
		Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(e.Tenant)}}}, nil
}

// CreateEndpoint adds an endpoint. A webhook without a secret gets one: it is
// returned, this once.
func (w *Watch) CreateEndpoint(ctx context.Context, actor uint64, id string, e *Endpoint) (secret string, replayed bool, err error) {
	asked := []string{"endpoint", e.Name, e.URL, strings.Join(e.Secrets, " "), strings.Join(e.Types, " ")}
	if e.Kind() == Webhook && len(e.Secrets) == 0 {
		secret = NewSecret()
		e.Secrets = []string{secret}
	}
	if err := e.Check(); err != nil {
		return "", false, ledger.Errorf(ledger.Invalid, "%v", err)
	}
	e.Created = ledger.TimeOf(w.o.Now())
	_, replayed, err = w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: e.Tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		if w.Endpoint(e.Tenant, e.Name) != nil {
			return nil, nil, ledger.Errorf(ledger.Exists, "an endpoint %s exists already", e.Name)
		}
		if len(w.Endpoints(e.Tenant)) >= maxEndpoints {
			return nil, nil, ledger.Errorf(ledger.TooMany, "a tenant may have %d endpoints", maxEndpoints)
		}
		write, err := w.writeEndpoint(e, 0)
		return []ledger.RecordWrite{write, changed()}, nil, err
	})
	if err != nil {
		return "", false, err
	}
	if replayed {
		secret = "" // the first answer showed it
	}
	return secret, replayed, w.load(ctx)
}

// RotateEndpoint gives a webhook a new secret. What is sent is signed with the
// old one too, until the next rotation.
func (w *Watch) RotateEndpoint(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name string) (secret string, err error) {
	secret = NewSecret()
	_, replayed, err := w.changeEndpoint(ctx, actor, id, tenant, name, "rotate", func(e *Endpoint) error {
		if e.Kind() != Webhook {
			return ledger.Errorf(ledger.Invalid, "only a webhook has a secret")
		}
		e.Secrets = append([]string{secret}, e.Secrets[:min(len(e.Secrets), 1)]...)
		return nil
	})
	if replayed {
		secret = ""
	}
	return secret, err
}

// EnableEndpoint lets an endpoint that was disabled get alerts again.
func (w *Watch) EnableEndpoint(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name string) error {
	_, _, err := w.changeEndpoint(ctx, actor, id, tenant, name, "enable", func(e *Endpoint) error {
		e.Disabled, e.Why = false, ""
		return nil
	})
	return err
}

func (w *Watch) disableEndpoint(ctx context.Context, e *Endpoint, why string) error {
	if e.FromFile {
		return nil
	}
	_, _, err := w.changeEndpoint(ctx, 0, "", e.Tenant, e.Name, "disable", func(e *Endpoint) error {
		e.Disabled, e.Why = true, why
		return nil
	})
	return err
}

func (w *Watch) changeEndpoint(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name, what string, change func(*Endpoint) error) (*Endpoint, bool, error) {
	var e *Endpoint
	_, replayed, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"endpoint." + what, name}}, func() ([]ledger.RecordWrite, []byte, error) {
		r, err := w.record(ctx, kindEndpoint, endpointKey(tenant, name))
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no endpoint %.63s that the API made; those of the file of settings are changed there", name)
		}
		if e, err = w.storedEndpoint(ctx, r); err != nil {
			return nil, nil, err
		}
		if err := change(e); err != nil {
			return nil, nil, err
		}
		write, err := w.writeEndpoint(e, r.Version)
		return []ledger.RecordWrite{write, changed()}, nil, err
	})
	if err != nil {
		return nil, false, err
	}
	return e, replayed, w.load(ctx)
}

// DeleteEndpoint takes an endpoint away. What is on its way there is dropped.
func (w *Watch) DeleteEndpoint(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name string) error {
	_, _, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"endpoint.delete", name}}, func() ([]ledger.RecordWrite, []byte, error) {
		r, err := w.record(ctx, kindEndpoint, endpointKey(tenant, name))
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no endpoint %.63s that the API made; those of the file of settings are changed there", name)
		}
		return []ledger.RecordWrite{{Kind: kindEndpoint, Key: r.Key, Expect: r.Version, Delete: true}, changed()}, nil, nil
	})
	if err != nil {
		return err
	}
	return w.load(ctx)
}

// Endpoint returns a tenant's endpoint, or nil.
func (w *Watch) Endpoint(tenant ledger.TenantID, name string) *Endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.endpoints[endpointKey(tenant, name)]
}

// Endpoints returns a tenant's endpoints, by name.
func (w *Watch) Endpoints(tenant ledger.TenantID) (all []*Endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.endpoints {
		if e.Tenant == tenant {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *Endpoint) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// deliveryTime is how long an endpoint may take to answer.
const deliveryTime = 20 * time.Second

// A sendError is why an endpoint did not take an alert.
type sendError struct {
	text  string
	gone  bool          // it never will
	after time.Duration // not to be asked before
}

func (e *sendError) Error() string { return e.text }

// payload is the body of a webhook: what the Standard Webhooks have.
func payload(a *Alert) []byte {
	return encode(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      *Alert `json:"data"`
	}{a.Type, a.Time.String(), a})
}

// send hands an alert to an endpoint, once.
func (w *Watch) send(ctx context.Context, e *Endpoint, a *Alert) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTime)
	defer cancel()
	a = w.Named(ctx, a)
	switch e.Kind() {
	case Webhook:
		return w.sendWebhook(ctx, e, a.ID, payload(a))
	case Alertmanager:
		return w.post(ctx, strings.TrimPrefix(strings.TrimSuffix(e.URL, "/"), "alertmanager+")+"/api/v2/alerts", a.forAlertmanager(), nil)
	}
	return w.notify(ctx, e.URL, a)
}

// sendWebhook signs and sends a message.
func (w *Watch) sendWebhook(ctx context.Context, e *Endpoint, id string, body []byte) error {
	now := w.o.Now()
	var signatures []string
	for _, secret := range e.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return &sendError{text: "the secret cannot be used"}
		}
		signature, err := signer.Sign(id, now, body)
		if err != nil {
			return &sendError{text: "the message cannot be signed"}
		}
		signatures = append(signatures, signature)
	}
	return w.post(ctx, e.URL, body, http.Header{
		http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookID):        {id},
		http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookTimestamp): {strconv.FormatInt(now.Unix(), 10)},
		http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookSignature): {strings.Join(signatures, " ")},
	})
}

// post sends JSON. Only 2xx is success.
func (w *Watch) post(ctx context.Context, address string, body []byte, header http.Header) error {
	_, err := w.exchange(ctx, address, body, header)
	return err
}

// exchange is post that returns the answer.
func (w *Watch) exchange(ctx context.Context, address string, body []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, &sendError{text: "the url cannot be used"}
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Saldo")
	resp, err := w.client.Do(r)
	if err != nil {
		_, why := broken(dialect.WithoutAddress(err))
		return nil, &sendError{text: why}
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return answer, nil
	}
	failed := &sendError{text: "it answered " + resp.Status, gone: resp.StatusCode == http.StatusGone, after: dialect.RetryAfter(resp.Header)}
	busy := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout
	if busy && failed.after == 0 {
		failed.after = time.Minute
	}
	return answer, failed
}

// forAlertmanager is an alert as POST /api/v2/alerts takes it. One that fires
// goes on until it is resolved, or for a year.
func (a *Alert) forAlertmanager() []byte {
	labels := map[string]string{}
	for k, v := range a.Labels {
		labels[k] = v
	}
	for k, v := range map[string]string{"alertname": "Saldo" + camel(string(a.When)), "severity": a.Level, "rule": a.Rule, "source": a.Source,
		"vendor": a.Vendor, "account": a.Account, "tenant": a.Tenant} { // the same when it is resolved
		if v != "" {
			labels[k] = v
		}
	}
	ends := a.Time.Add(365 * 24 * time.Hour)
	if a.State == "resolved" || a.When == HoldExpired {
		ends = a.Time
	}
	alert := map[string]any{"labels": labels, "annotations": map[string]string{"summary": a.Text, "id": a.ID}, "endsAt": ends.String()}
	if a.State != "resolved" {
		alert["startsAt"] = a.Time.String()
	}
	return encode([]any{alert})
}

func camel(s string) string {
	out := ""
	for part := range strings.SplitSeq(s, "_") {
		out += strings.ToUpper(part[:1]) + part[1:]
	}
	return out
}

// notify sends an alert by one of shoutrrr's services. They know no context:
// one that hangs is left to itself.
func (w *Watch) notify(ctx context.Context, address string, a *Alert) error {
	done := make(chan error, 1)
	go func() {
		sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{HTTPClient: w.client}, address)
		if err != nil {
			done <- err
			return
		}
		title := "Saldo: " + a.Level
		if a.State == "resolved" {
			title = "Saldo: resolved"
		}
		params := types.Params{"title": title}
		done <- errors.Join(sender.Send(a.Text, &params)...)
	}()
	select {
	case <-ctx.Done():
		return &sendError{text: "it did not answer in time"}
	case err := <-done:
		if err != nil {
			return &sendError{text: clip(strings.ReplaceAll(err.Error(), address, "…"), 300)}
		}
		return nil
	}
}

// data is what a stored body is about.
func data(body []byte) (*Alert, error) {
	var b struct {
		Timestamp time.Time `json:"timestamp"`
		Data      *Alert    `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b.Data == nil {
		return nil, errors.New("watch: a delivery cannot be read")
	}
	b.Data.Time = ledger.TimeOf(b.Timestamp)
	return b.Data, nil
}
