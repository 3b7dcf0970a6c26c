package dialect

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"saldo/auth"
)

// Options are what the server of every dialect takes. The zero value is usable.
type Options struct {
	Logger  *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now
	Metrics *Metrics         // nil: nothing is counted
	// ClientAddr returns whom a request comes from, where proxies may say so;
	// nil takes the connection's other end.
	ClientAddr func(*http.Request) netip.Addr
	Limits     *Limits // of each credential's requests; nil: none
}

// Filled returns the options with everything that was left out.
func (o Options) Filled() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClientAddr == nil {
		o.ClientAddr = remoteAddr
	}
	return o
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// A Handler serves what a dialect answers.
type Handler struct {
	Options
	// Unknown counts what Answer counts as nothing else.
	Unknown *Operation
	// Answer fills in the exchange: status, header and Out.
	Answer func(*Exchange)
	// Failed fills in the answer to a request that Answer panicked on: the
	// dialect's own word for an internal error.
	Failed func(*Exchange)

	pool sync.Pool // of *Exchange
}

// NewHandler returns a handler; the options are filled.
func NewHandler(o Options, unknown *Operation, answer, failed func(*Exchange)) *Handler {
	return &Handler{Options: o.Filled(), Unknown: unknown, Answer: answer, Failed: failed, pool: sync.Pool{New: func() any { return new(Exchange) }}}
}

// An Exchange is one request, and what is answered to it. It is used again for
// another once it was answered: nothing may keep it.
type Exchange struct {
	*http.Request
	Body      []byte     // of the request, once ReadBody has returned
	Operation *Operation // what it is counted as
	Status    int        // of the answer
	Out       []byte     // body of the answer
	Began     time.Time  // when the request was there
	header    http.Header
	o         *Options
	from      netip.Addr
	limited   io.LimitedReader
}

// Header returns the header of the answer. Content-Length is added to it.
func (x *Exchange) Header() http.Header { return x.header }

// From is whom the request comes from.
func (x *Exchange) From() netip.Addr {
	if !x.from.IsValid() {
		x.from = x.o.ClientAddr(x.Request)
	}
	return x.from
}

// Take takes one request of the rate of who makes it, or refuses it.
func (x *Exchange) Take(c *auth.Credential) error { return x.o.Limits.Take(c, x.Began, nil) }

// ErrTooLarge says that a body is longer than it may be.
var ErrTooLarge = errors.New("dialect: the body is too long")

// ReadBody reads the request's body, of up to most bytes. Beyond that it is
// ErrTooLarge, and the connection ends with the answer.
func (x *Exchange) ReadBody(most int) error {
	x.Body = x.Body[:0]
	if x.ContentLength > int64(most) {
		x.header.Set("Connection", "close")
		return ErrTooLarge
	}
	x.limited = io.LimitedReader{R: x.Request.Body, N: int64(most) + 1}
	for {
		if len(x.Body) == cap(x.Body) {
			x.Body = append(x.Body, make([]byte, max(512, len(x.Body)))...)[:len(x.Body)]
		}
		n, err := x.limited.Read(x.Body[len(x.Body):cap(x.Body)])
		x.Body = x.Body[:len(x.Body)+n]
		switch {
		case len(x.Body) > most:
			x.header.Set("Connection", "close")
			return ErrTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := h.pool.Get().(*Exchange)
	*x = Exchange{Request: r, Body: x.Body[:0], Out: x.Out[:0], Operation: h.Unknown, Began: start, header: w.Header(), o: &h.Options}
	defer func() {
		x.Operation.Observe(r.Context(), x.Status, time.Since(start))
		h.recycle(x)
	}()
	h.answer(x)
	if x.Status != http.StatusNoContent {
		x.header["Content-Length"] = []string{strconv.Itoa(len(x.Out))}
	}
	w.WriteHeader(x.Status)
	_, _ = w.Write(x.Out) // who went away does not read why
}

// answer fills in the exchange, whatever happens.
func (h *Handler) answer(x *Exchange) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		h.Logger.Error("a request failed", "operation", x.Operation.Name(), "panic", p, "stack", string(debug.Stack()))
		clear(x.header)
		x.Out = x.Out[:0]
		h.Failed(x)
	}()
	h.Answer(x)
}

// recycle keeps an exchange's memory for the next, unless it is large.
func (h *Handler) recycle(x *Exchange) {
	const most = 1 << 20
	if cap(x.Body) > most || cap(x.Out) > most {
		return
	}
	x.Request, x.header = nil, nil
	h.pool.Put(x)
}

// SetRetryAfter says in whole seconds, rounded up, when to ask again; of no time
// it says nothing.
func SetRetryAfter(h http.Header, wait time.Duration) {
	if wait > 0 {
		h["Retry-After"] = []string{strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)}
	}
}
