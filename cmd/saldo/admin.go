package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
)

// administration answers what is for those who run the server: /metrics itself,
// and the rest as calls of the API.
type administration struct {
	node     *node
	registry *prometheus.Registry
	next     http.Handler

	verifying sync.Mutex
}

func (m *administration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" {
		m.serveMetrics(w, r)
		return
	}
	m.next.ServeHTTP(w, r)
}

// adminPaths are what moves to the listener of administration, if there is one.
var adminPaths = []string{"/v1/tenants", "/v1/backups", "/v1/heads", "/v1/verifications", "/metrics"}

// endpoints are the calls of the API that are about the server's own store.
func (m *administration) endpoints() []native.Endpoint {
	get, post := http.MethodGet, http.MethodPost
	all := []native.Endpoint{
		{Method: post, Path: "/v1/backups", Operation: "createBackup", Serve: m.backup,
			Doc: adminDocument("Copy the books into the server's directory of backups", "BackupRequest", "Backup")},
		{Method: get, Path: "/v1/heads", Operation: "listHeads", Serve: m.heads,
			Doc: adminDocument("The end of every book's journal, to be kept elsewhere", "", "Heads")},
		{Method: post, Path: "/v1/verifications", Operation: "verify", Serve: m.verify,
			Doc: adminDocument("Prove the books: fold the journals again and compare", "VerificationRequest", "Verification")},
	}
	for i := range all {
		serve := all[i].Serve
		all[i].Scope, all[i].Lasting = auth.Operator, true
		all[i].Serve = func(c *native.Call) (any, error) {
			if !c.Credential.Everything {
				return nil, native.Refuse(native.CodeForbidden, "This is for a credential that opens everything")
			}
			data, err := serve(c)
			if err != nil && ledger.CodeOf(err) == ledger.Internal && !errors.As(err, new(*native.Error)) {
				// Who runs the server is told what is wrong with it.
				m.node.log.Error("a request failed", "path", c.Request.URL.Path, "error", err)
				err = native.Refuse(native.CodeInternal, "%v", err)
			}
			return data, err
		}
	}
	return all
}

// adminDocument makes the OpenAPI operation of a call.
func adminDocument(summary, request, answer string) json.RawMessage {
	schema := func(name string) object {
		return object{"application/json": object{"schema": object{"$ref": "#/components/schemas/" + name}}}
	}
	o := object{"summary": summary, "tags": []string{"server"}, "responses": object{
		"200": object{"description": "Done.", "content": object{"application/json": object{"schema": object{"type": "object",
			"required": []string{"success", "data"}, "properties": object{"success": object{"const": true}, "data": object{"$ref": "#/components/schemas/" + answer}}}}}},
		"default": object{"$ref": "#/components/responses/Error"}}}
	if request != "" {
		o["requestBody"] = object{"required": true, "content": schema(request)}
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain values marshal
	}
	return b
}

// adminSchemas are the shapes that the documents name.
var adminSchemas = map[string]json.RawMessage{
	"Head": json.RawMessage(`{"type":"object","required":["book","seq","hash","time"],"properties":{"book":{"type":"integer"},"seq":{"type":"integer"},` +
		`"hash":{"type":"string","description":"SHA-256 of the chain up to there."},"time":{"$ref":"#/components/schemas/Time"}}}`),
	"Heads": json.RawMessage(`{"type":"object","required":["items"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Head"}}}}`),
	"BackupRequest": json.RawMessage(`{"type":"object","required":["name"],"additionalProperties":false,"properties":{` +
		`"name":{"type":"string","description":"A plain name: letters, digits, '.', '_' and '-'."},"with_master_key":{"type":"boolean"}}}`),
	"Backup": json.RawMessage(`{"type":"object","required":["id","created_at","path","heads"],"properties":{"id":{"type":"string"},` +
		`"created_at":{"$ref":"#/components/schemas/Time"},"path":{"type":"string"},"heads":{"type":"array","items":{"$ref":"#/components/schemas/Head"}},"with_master_key":{"type":"boolean"}}}`),
	"VerificationRequest": json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{` +
		`"expect":{"type":"array","items":{"type":"string"},"description":"Heads kept elsewhere, as BOOK:SEQ:HASH."},` +
		`"incremental":{"type":"boolean","description":"Fold only what came after the last proof of this kind."}}}`),
	"Verification": json.RawMessage(`{"type":"object","required":["proved","heads"],"properties":{"proved":{"const":true},` +
		`"heads":{"type":"array","items":{"$ref":"#/components/schemas/Head"}},"events":{"type":"integer"},"accounts":{"type":"integer"},` +
		`"holds":{"type":"integer"},"records":{"type":"integer"},"ids":{"type":"integer"},"texts":{"type":"integer"},"erased":{"type":"integer"}}}`),
}

// serveMetrics answers Prometheus: anybody on this machine, and with a
// credential from elsewhere.
func (m *administration) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !m.local(r) {
		if refused := m.authenticate(r, auth.Read); refused != nil {
			refuse(w, refused)
			return
		}
	}
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
}

// local reports whether a request began on this machine: the server listens for
// no others, and no proxy brought it.
func (m *administration) local(r *http.Request) bool {
	c := m.node.config
	return isLoopback(firstOf(c.AdminListen, c.Listen)) && !c.PlaintextBehindProxy && len(r.Header["X-Forwarded-For"]) == 0
}

// authenticate refuses a request without an operator's credential or, for
// reading, one that opens everything.
func (m *administration) authenticate(r *http.Request, want auth.Scope) *native.Error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		token = ""
	}
	cred, err := m.node.auth.Bearer(r.Context(), strings.TrimSpace(token), clientAddr(m.node.config.TrustedProxies)(r))
	var throttled auth.ErrThrottled
	switch {
	case errors.As(err, &throttled):
		return &native.Error{Status: http.StatusTooManyRequests, Code: native.CodeRateLimited, Message: throttled.Error(), Retryable: true}
	case errors.Is(err, auth.ErrUnauthorized):
		return &native.Error{Status: http.StatusUnauthorized, Code: native.CodeUnauthorized, Message: "The credential is missing or wrong"}
	case err != nil:
		m.node.log.Error("a credential could not be looked up", "error", err)
		return &native.Error{Status: http.StatusServiceUnavailable, Code: native.CodeUnavailable, Message: "The credential could not be looked up; try again", Retryable: true}
	case !cred.Everything || cred.May(want) != nil:
		return &native.Error{Status: http.StatusForbidden, Code: native.CodeForbidden, Message: "The credential does not allow this: it needs one that opens everything, with the scope " + want.String()}
	}
	return nil
}

// refuse writes a refusal in the API's envelope.
func refuse(w http.ResponseWriter, e *native.Error) {
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="saldo"`)
	}
	write(w, e.Status, object{"success": false, "error": e})
}

func write(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // made of strings and numbers
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone needs no answer
}
