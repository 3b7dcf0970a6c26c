package native

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"saldo/auth"
	"saldo/ledger"
)

// An Endpoint is a call that another package serves as part of this API: with
// its credentials and rates, in its envelope, in its metrics and its document.
type Endpoint struct {
	Method    string
	Path      string // as /v1/sources/{id}; up to three names
	Operation string // its operationId, and its label in the metrics
	Scope     auth.Scope
	Tenant    bool // it is about one tenant; otherwise about the server
	Status    int  // of a success; 200 if 0
	// Lasting calls take as long as they take: no bound of time ends them, and
	// their context ends when the client goes away.
	Lasting bool
	Serve   func(*Call) (any, error)
	// Doc is its OpenAPI operation, without operationId; it may refer to the
	// components of the document, and to those of [Options].
	Doc json.RawMessage
}

// A Call is a request to an Endpoint. What Serve returns is written as JSON;
// a refusal is an [*Error], or one of the ledger's.
type Call struct {
	Context    context.Context // does not end when the client goes away, unless the call is Lasting
	Request    *http.Request
	Credential *auth.Credential
	Tenant     ledger.TenantID
	Params     []string        // what the path names, in order
	Body       json.RawMessage // up to 1 MiB; nil: there is none
	ID         string          // of the header Idempotency-Key
	Replayed   bool            // set it to mark the answer as an earlier one
}

// Refuse returns a refusal with one of the codes of this API, and a text of its
// own or, without one, the code's.
func Refuse(code, format string, args ...any) *Error { return refuse(code, format, args...) }

// Invalid returns the refusal of a field.
func Invalid(field, format string, args ...any) *Error { return invalid(field, format, args...) }

// route returns an endpoint as one of the routes.
func (e *Endpoint) route() route {
	kind := anyTenant
	if e.Tenant {
		kind = inTenant
	}
	serve := func(s *server, q *request) (reply, error) {
		c := &Call{Context: q.ctx, Request: q.Request, Credential: q.cred, Tenant: q.tenant, Params: slices.Clone(q.params[:])}
		if e.Method != http.MethodGet {
			if _, err := q.read(maxBody, true); err != nil {
				return reply{}, err
			}
			if !json.Valid(q.in) {
				return reply{}, refuse(CodeMalformedJSON, "")
			}
			c.Body = slices.Clone(q.in)
			var err error
			if c.ID, err = q.id("", false); err != nil {
				return reply{}, err
			}
		}
		if e.Lasting {
			defer q.last(c)()
		}
		data, err := e.Serve(c)
		if err != nil {
			return reply{}, err
		}
		return reply{status: e.Status, replayed: c.Replayed}, q.value(data)
	}
	return route{e.Method, e.Path, e.Operation, e.Scope, serve, kind, nil}
}

// last takes the bounds of time from a request that was read, and its patience.
// What it returns gives the client the time again that it has to read an answer.
func (q *request) last(c *Call) (answer func()) {
	c.Context = q.Request.Context()
	control := http.NewResponseController(q.to)
	_ = control.SetReadDeadline(time.Time{}) // which would end the context; some have none
	_ = control.SetWriteDeadline(time.Time{})
	return func() { _ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) }
}

// under reports whether a path is one of several, or below it.
func under(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		return strings.HasPrefix(path, p) && (len(path) == len(p) || path[len(p)] == '/')
	})
}

// documented returns the document with endpoints and schemas added, and without
// what is elsewhere.
func documented(endpoints []Endpoint, schemas map[string]json.RawMessage, elsewhere []string) ([]byte, error) {
	if len(endpoints)+len(elsewhere) == 0 {
		return document, nil
	}
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	paths := doc["paths"].(map[string]any)
	for _, e := range endpoints {
		operation := map[string]any{"responses": map[string]any{"default": map[string]any{"$ref": "#/components/responses/Error"}}}
		if e.Doc != nil {
			if err := json.Unmarshal(e.Doc, &operation); err != nil {
				return nil, fmt.Errorf("native: the document of %s: %w", e.Operation, err)
			}
		}
		operation["operationId"] = e.Operation
		methods, ok := paths[e.Path].(map[string]any)
		if !ok {
			methods = make(map[string]any)
			paths[e.Path] = methods
		}
		methods[strings.ToLower(e.Method)] = operation
	}
	maps.DeleteFunc(paths, func(path string, _ any) bool { return under(elsewhere, path) })
	all := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for name, schema := range schemas {
		all[name] = schema
	}
	return json.Marshal(doc)
}
