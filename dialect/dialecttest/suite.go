package dialecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"saldo/dialect"
	"saldo/ledger"
)

// A Suite is what every dialect passes.
type Suite struct {
	// New returns the dialect's server.
	New func(*World, dialect.Options) http.Handler
	// Unit is the unit of accounts that it can show; USD if "".
	Unit string
	// Amounts are what accounts have, and how that stands in the dialect.
	Amounts []Amount
	// Reader returns the dialect's client half for an account of the world, as
	// what its holder has been given.
	Reader func(w *World, url string, account ledger.AccountID) dialect.Reader
	// Wrong returns the same with a secret that is wrong.
	Wrong func(w *World, url string, account ledger.AccountID) dialect.Reader
	// Unknown is the same for an account that does not exist, with a right
	// credential; nil where the credential says which account.
	Unknown func(w *World, url string, account ledger.AccountID) dialect.Reader
	// Requests are good requests, in the form of Sample, from which bad ones are
	// made. They are to be answered for an account of the world.
	Requests func(w *World, account ledger.AccountID) []string
	// Check says what is wrong with any answer of the dialect's server.
	Check func(*http.Response, []byte) error
}

// An Amount is what an account has, and how the dialect shows it.
type Amount struct{ Has, Shown string }

// Run runs the suite.
func (s *Suite) Run(t *testing.T) {
	if s.Unit == "" {
		s.Unit = "USD"
	}
	t.Run("halves agree", s.agree)
	t.Run("a balance falls with a charge", s.falls)
	t.Run("refusals", s.refusals)
	t.Run("bad input", s.bad)
	t.Run("rates", s.rates)
	t.Run("many at once", s.many)
	t.Run("a server that stops", s.stops)
}

func (s *Suite) serve(w *World) string { return w.Serve(s.New(w, dialect.Options{})) }

func (s *Suite) read(t *testing.T, r dialect.Reader) dialect.Reading {
	t.Helper()
	reading, err := r.Read(t.Context())
	must(t, err)
	return reading
}

func (s *Suite) agree(t *testing.T) {
	w := Open(t)
	url := s.serve(w)
	for _, a := range s.Amounts {
		account := w.Account(s.Unit, a.Has)
		if got := s.read(t, s.Reader(w, url, account)); got.Text != a.Shown {
			t.Errorf("an account with %s %s shows %q, want %q", a.Has, s.Unit, got.Text, a.Shown)
		}
	}
}

func (s *Suite) falls(t *testing.T) {
	w := Open(t)
	url := s.serve(w)
	account := w.Account(s.Unit, "100")
	r := s.Reader(w, url, account)
	before := s.read(t, r)
	w.Charge(account, "40")
	after := s.read(t, r)
	fell, ok := before.Amount.Sub(after.Amount)
	if want := whole(t, "40", after.Scale); !ok || fell != want.Amount || before.Scale != after.Scale || before.Unit != after.Unit {
		t.Errorf("%+v became %+v by a charge of 40", before, after)
	}
}

func whole(t *testing.T, n string, scale int) (r dialect.Reading) {
	t.Helper()
	if scale > 0 {
		n += "." + strings.Repeat("0", scale)
	}
	must(t, r.ReadAmount(n))
	return r
}

func (s *Suite) refusals(t *testing.T) {
	w := Open(t)
	url := s.serve(w)
	account := w.Account(s.Unit, "1")
	wrong := s.Wrong(w, url, account)
	wantReason(t, wrong, dialect.Unauthorized)
	if s.Unknown != nil {
		wantReason(t, s.Unknown(w, url, account), dialect.NotFound)
	}
	throttled := false
	for range 200 {
		_, err := wrong.Read(t.Context())
		var e *dialect.Error
		if !errors.As(err, &e) || e.Reason != dialect.Unauthorized && e.Reason != dialect.Throttled {
			t.Fatalf("a wrong secret is %v", err)
		}
		if throttled = e.Reason == dialect.Throttled; throttled {
			break
		}
	}
	if !throttled {
		t.Error("200 wrong secrets were not throttled")
	}
	if got := s.read(t, s.Reader(w, url, account)); got.Amount.Sign() <= 0 {
		t.Errorf("who has the right secret reads %+v", got)
	}
	// A server of no dialect, and one that redirects, are not taken for one.
	for _, status := range []int{200, 204, 301, 404, 500, 503} {
		odd := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			out.Header().Set("Location", "/elsewhere")
			out.Header().Set("Content-Type", "text/html")
			out.WriteHeader(status)
			if status != 204 {
				fmt.Fprint(out, "<html>hello</html>")
			}
		}))
		if got, err := s.Reader(w, odd, account).Read(t.Context()); err == nil {
			t.Errorf("a page with status %d was read as %+v", status, got)
		} else if e := new(dialect.Error); !errors.As(err, &e) {
			t.Errorf("a page with status %d is %T: %v", status, err, err)
		}
	}
}

func wantReason(t *testing.T, r dialect.Reader, want dialect.Reason) {
	t.Helper()
	got, err := r.Read(t.Context())
	var e *dialect.Error
	if !errors.As(err, &e) {
		t.Errorf("read %+v, %v; want it refused: %s", got, err, want)
	} else if e.Reason != want {
		t.Errorf("refused with %v; want %s", err, want)
	}
}

// rates has a credential ask more often than it may.
func (s *Suite) rates(t *testing.T) {
	w := Open(t)
	const most = 3
	url := w.Serve(s.New(w, dialect.Options{Limits: dialect.NewLimits(dialect.Rate{Requests: most, Window: time.Hour})}))
	r := s.Reader(w, url, w.Account(s.Unit, "1"))
	for range most {
		s.read(t, r)
	}
	_, err := r.Read(t.Context())
	if e := new(dialect.Error); !errors.As(err, &e) || !e.Reason.Retryable() {
		t.Errorf("beyond its rate it reads %v", err)
	}
	s.read(t, s.Reader(w, url, w.Account(s.Unit, "1"))) // another is not bound by it
}

// bad sends what no client means to send: every answer is one of the dialect's,
// and none is a fault of the server.
func (s *Suite) bad(t *testing.T) {
	w := Open(t)
	var log bytes.Buffer
	h := s.New(w, dialect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	account := w.Account(s.Unit, "10")
	chance := rand.New(rand.NewPCG(1, 2))
	for _, good := range s.Requests(w, account) {
		for n := range 400 {
			r, ok := spoiled(t, good, n, chance)
			if !ok {
				continue
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			resp := rec.Result()
			body, _ := io.ReadAll(resp.Body)
			err := s.Check(resp, body)
			throttled := resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" // where the vendor has no 429
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented && !throttled {
				err = errors.Join(err, errors.New("it is a fault of the server"))
			}
			if err != nil {
				t.Fatalf("%s %s with %v was answered %d %q: %v", r.Method, r.URL, r.Header, resp.StatusCode, body, err)
			}
		}
	}
	if log.Len() > 0 {
		t.Errorf("the server logged %s", &log)
	}
	if b, err := w.Ledger.Balance(t.Context(), account); err != nil || b.Posted.String() != b.Spendable.String() {
		t.Errorf("the balance is %+v, %v", b, err)
	}
}

// spoiled returns a request with something wrong in it, or the n-th of those
// that are told by name. Not all are: chance may pick what nobody looks at.
func spoiled(t *testing.T, good string, n int, chance *rand.Rand) (*http.Request, bool) {
	methods := []string{"GET", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "POST", "TRACE", "FOO"}
	r := Request(t, good)
	switch {
	case n < len(methods):
		r.Method = methods[n]
		return r, true
	case n == len(methods):
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", 2<<20))), 2<<20
		return r, true
	case n == len(methods)+1: // a length that nobody said
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("{\"a\":", 1<<20))), -1
		return r, true
	case n == len(methods)+2:
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))
		return r, true
	}
	text := []byte(good)
	for range 1 + chance.IntN(3) {
		at := chance.IntN(len(text))
		switch chance.IntN(5) {
		case 0:
			text[at] = byte(32 + chance.IntN(95))
		case 1:
			text = append(text[:at], text[at+1:]...)
		case 2:
			text = append(text[:at:at], append([]byte("\"'<{%00&=;,:/"[chance.IntN(10):]), text[at:]...)...)
		case 3:
			text = text[:at+1]
		case 4:
			text[at] |= 0x80
		}
	}
	return parsed(t, string(text))
}

// parsed reads a request if net/http would.
func parsed(t *testing.T, text string) (r *http.Request, ok bool) {
	quiet := &silentTB{TB: t}
	defer func() {
		if recover() != nil {
			r, ok = nil, false
		}
	}()
	return Request(quiet, text), true
}

// silentTB panics where a test would fail.
type silentTB struct{ testing.TB }

func (s *silentTB) Fatalf(string, ...any) { panic(s) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func (s *Suite) many(t *testing.T) {
	w := Open(t)
	url := s.serve(w)
	account := w.Account(s.Unit, "1000")
	r := s.Reader(w, url, account)
	first := s.read(t, r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			last := first
			for range 20 {
				got, err := r.Read(t.Context())
				if err != nil || last.Amount.Less(got.Amount) {
					t.Errorf("after %+v came %+v, %v", last, got, err)
					return
				}
				last = got
			}
		})
	}
	for range 20 {
		w.Charge(account, "1")
	}
	all.Wait()
	fell, _ := first.Amount.Sub(s.read(t, r).Amount)
	if fell != whole(t, "20", first.Scale).Amount {
		t.Errorf("the balance fell by %v, want 20", fell)
	}
}

// stops closes the ledger below a server.
func (s *Suite) stops(t *testing.T) {
	w := Open(t)
	account := w.Account(s.Unit, "1")
	r := s.Reader(w, s.serve(w), account)
	s.read(t, r)
	must(t, w.Ledger.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := r.Read(ctx)
	var e *dialect.Error
	if err != nil && (!errors.As(err, &e) || e.Reason != dialect.Unavailable) {
		t.Errorf("a server that stops says %v", err)
	}
}
