// Package dialecttest is what every dialect is tested with: a ledger on a real
// store behind the native API, the suite that each dialect passes, exchanges
// that are held to files, and vendors' own clients in other languages.
package dialecttest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

// A World is a ledger in a directory of its own, who may ask it, and the native
// API on it.
type World struct {
	T      testing.TB
	Ledger *ledger.Ledger
	Auth   *auth.Auth
	Tenant ledger.Tenant
	Native *native.Client // as the operator, in Tenant
	Clock  *Clock         // nil: the real one

	ids atomic.Int64
}

// Keys are the master keys of every world.
var Keys = auth.MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {1, 2, 3}}}

// Wide are limits that no test comes up against, for what is to cost what it costs
// in a server.
var Wide = dialect.NewLimits(dialect.Rate{Requests: 1_000_000_000, Window: time.Minute})

// A Clock stands still until it is moved.
type Clock struct{ at atomic.Int64 }

// Now is where the clock stands.
func (c *Clock) Now() time.Time { return time.Unix(0, c.at.Load()).UTC() }

// Set moves the clock.
func (c *Clock) Set(t time.Time) { c.at.Store(t.UnixNano()) }

// Open returns a world with one tenant, "main", and a unit CREDITS of 4 decimals.
func Open(t testing.TB) *World { return open(t, nil) }

// OpenAt is Open with a clock that stands still, and with ids and secrets that
// are the same each time: for exchanges that are held to files.
func OpenAt(t testing.TB, at time.Time) *World {
	c := new(Clock)
	c.Set(at)
	return open(t, c)
}

// counting is chance that tests can foretell.
type counting struct{ n atomic.Uint64 }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.n.Add(1) * 131)
	}
	return len(p), nil
}

func open(t testing.TB, clock *Clock) *World {
	t.Helper()
	w := &World{T: t, Clock: clock}
	lo, ao, no := ledger.Options{}, auth.Options{}, native.Options{}
	if clock != nil {
		lo.Now, lo.Rand = clock.Now, new(counting)
		ao.Now, ao.Rand = clock.Now, new(counting)
		no.Now = clock.Now
	}
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	w.Ledger, err = ledger.Open(t.Context(), store, lo)
	must(t, err)
	t.Cleanup(func() { must(t, w.Ledger.Close()) })
	no.Keys = Keys
	w.Auth, err = auth.Open(t.Context(), w.Ledger, no.Keys, ao)
	must(t, err)
	token, _, err := w.Auth.FirstOperator(t.Context())
	must(t, err)
	w.Tenant, _, err = w.Ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "main"})
	must(t, err)
	w.Native = &native.Client{URL: w.Serve(native.New(w.Ledger, w.Auth, no)), Token: token, Tenant: "main"}
	must(t, w.Native.Do(t.Context(), http.MethodPost, "/v1/units", map[string]any{"id": "CREDITS", "code": "CREDITS", "scale": 4, "kind": "credit"}, nil))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Serve serves a handler, with the bounds that a server has, until the test
// ends, and returns its URL.
func (w *World) Serve(h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	native.Configure(s.Config)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	w.T.Cleanup(s.Close)
	return s.URL
}

// Open opens an account, and tops it up with an amount unless that is "" or
// begins with a minus; then it is charged, on credit.
func (w *World) Open(r native.AccountRequest, amount string) ledger.AccountID {
	w.T.Helper()
	if strings.HasPrefix(amount, "-") && r.CreditLimit == "" {
		r.CreditLimit = amount[1:]
	}
	a, err := w.Native.Open(w.T.Context(), r)
	must(w.T, err)
	id, ok := ledger.ParseAccountID(a.ID)
	if !ok {
		w.T.Fatalf("an account's id is %q", a.ID)
	}
	switch {
	case strings.HasPrefix(amount, "-"):
		w.Charge(id, amount[1:])
	case amount != "":
		w.TopUp(id, amount)
	}
	return id
}

// Account opens an account in a unit, as Open does.
func (w *World) Account(unit, amount string) ledger.AccountID {
	w.T.Helper()
	return w.Open(native.AccountRequest{Unit: unit}, amount)
}

// Charge charges an account by the native API.
func (w *World) Charge(id ledger.AccountID, amount string) {
	w.T.Helper()
	_, err := w.Native.Charge(w.T.Context(), id.String(), native.TransferRequest{ID: w.ID("charge"), Amount: amount})
	must(w.T, err)
}

// TopUp tops an account up by the native API.
func (w *World) TopUp(id ledger.AccountID, amount string) {
	w.T.Helper()
	_, err := w.Native.TopUp(w.T.Context(), id.String(), native.TransferRequest{ID: w.ID("top-up"), Amount: amount})
	must(w.T, err)
}

// ID returns an id that this world has not used.
func (w *World) ID(sort string) string {
	return sort + "-" + strconv.FormatInt(w.ids.Add(1), 10)
}

// Issue issues a credential that opens an account and its children.
func (w *World) Issue(dialect string, root ledger.AccountID, scopes auth.Scope) auth.Issued {
	w.T.Helper()
	issued, err := w.Auth.Issue(w.T.Context(), 0, "", auth.Spec{Dialect: dialect, Tenant: w.Tenant.Number, Root: root, Scopes: scopes})
	must(w.T, err)
	return issued
}
