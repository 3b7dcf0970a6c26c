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
)

// administration answers what is for those who run the server, and leaves the
// rest to the API.
type administration struct {
	node     *node
	registry *prometheus.Registry
	next     http.Handler

	verifying sync.Mutex
}

func (m *administration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/metrics":
		m.serveMetrics(w, r)
	case r.URL.Path == "/v1/backups" && r.Method == http.MethodPost:
		m.answer(w, r, m.backup)
	case r.URL.Path == "/v1/heads" && r.Method == http.MethodGet:
		m.answer(w, r, m.heads)
	case r.URL.Path == "/v1/verifications" && r.Method == http.MethodPost:
		m.answer(w, r, m.verify)
	default:
		m.next.ServeHTTP(w, r)
	}
}

// withoutAdministration is the API for customers, when administration listens
// elsewhere.
type withoutAdministration struct{ next http.Handler }

func (h withoutAdministration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	for _, p := range []string{"/v1/tenants", "/v1/backups", "/v1/heads", "/v1/verifications", "/metrics"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			refuse(w, &native.Error{Status: http.StatusNotFound, Code: native.CodeNotFound,
				Message: "There is no such thing here; administration listens elsewhere"})
			return
		}
	}
	h.next.ServeHTTP(w, r)
}

// serveMetrics answers Prometheus: anybody on this machine, and with a
// credential from elsewhere.
func (m *administration) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if !m.local(r) {
		if err := m.authenticate(r, auth.Read); err != nil {
			refuse(w, err)
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
func (m *administration) authenticate(r *http.Request, want auth.Scope) error {
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
		return err
	case !cred.Everything || cred.May(want) != nil:
		return &native.Error{Status: http.StatusForbidden, Code: native.CodeForbidden, Message: "The credential does not allow this: it needs one that opens everything, with the scope " + want.String()}
	}
	return nil
}

// answer calls an endpoint for an operator, and writes what it returns in the
// API's envelope.
func (m *administration) answer(w http.ResponseWriter, r *http.Request, endpoint func(*http.Request) (any, error)) {
	data, err := any(nil), m.authenticate(r, auth.Operator)
	if err == nil {
		data, err = endpoint(r)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, http.StatusOK, object{"success": true, "data": data})
}

func refuse(w http.ResponseWriter, err error) {
	var e *native.Error
	if !errors.As(err, &e) {
		e = &native.Error{Status: http.StatusInternalServerError, Code: native.CodeInternal, Message: err.Error()}
	}
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
