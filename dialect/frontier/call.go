package frontier

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"

	"saldo/auth"
)

// A call is one request, and what is written to it.
type call struct {
	http.ResponseWriter
	endpoint   *endpoint
	request    *http.Request
	params     params // of a path of REST
	began      time.Time
	o          *Options
	body       body
	credential *auth.Credential
	status     int          // that was written, if any
	refused    connect.Code // by this package
	whole      bool         // the answer was written: what comes now is dropped
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

func (c *call) from() netip.Addr { return c.o.ClientAddr(c.request) }

// WriteHeader notes the status.
func (c *call) WriteHeader(status int) {
	if c.whole {
		return
	}
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *call) Write(b []byte) (int, error) {
	if c.whole {
		return len(b), nil
	}
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(b)
}

// Flush sends what was written; gRPC needs it.
func (c *call) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// counted is the status that a call is counted as: of a refusal, that which it
// has in Connect, since gRPC says 200 to everything.
func (c *call) counted() int {
	switch {
	case c.refused != 0:
		return codes[c.refused].status
	case c.status == 0: // net/http says so where nobody does
		return http.StatusOK
	}
	return c.status
}

// serveCall answers a request by an endpoint.
func (s *server) serveCall(w http.ResponseWriter, r *http.Request, e *endpoint, p params) {
	c := &call{ResponseWriter: w, endpoint: e, request: r, params: p, o: &s.o, began: time.Now()}
	defer func() { e.operation.Observe(r.Context(), c.counted(), time.Since(c.began)) }()
	defer func() {
		if p := recover(); p != nil {
			s.failed(c, p)
		}
	}()
	in := r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	c.body = body{r.Body, maxBody}
	in.Body = &c.body
	e.handler.ServeHTTP(c, in)
}

// failed answers a request that a handler panicked on, if it can.
func (s *server) failed(c *call, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Logger.Error("a request failed", "operation", c.endpoint.operation.Name(), "panic", p, "stack", string(debug.Stack()))
	c.refused = connect.CodeInternal
	if c.status != 0 {
		panic(http.ErrAbortHandler) // so that the client sees that it is not whole
	}
	clear(c.Header())
	if c.endpoint.rest {
		c.refuseREST(refuse(internal))
		return
	}
	_ = s.refuse.Write(c, c.request, connect.NewError(connect.CodeInternal, errors.New(faults[internal].rpc)))
}

// unimplemented answers a call that is not served.
func (s *server) unimplemented(f fault) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callOf(r.Context()).refused = faults[f].code
		_ = s.refuse.Write(w, r, connect.NewError(faults[f].code, errors.New(faults[f].rpc)))
	})
}
