package twilio

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// Refusing returns a server that answers every request with an error, in JSON.
func Refusing(o dialect.Options, err error) http.Handler {
	s := new(Server)
	s.Handler = dialect.NewHandler(o, o.Metrics.Operation("twilio", "unknown"), func(x *dialect.Exchange) {
		q := request{Exchange: x, s: s, form: asJSON}
		q.begin()
		q.refuse(err)
	}, s.failed)
	return s.Handler
}

// Fault returns an error of the table, by its place there, as it is written.
func Fault(i int, extension, path string) []byte {
	_, form := cutForm(extension)
	return faults[i].append(nil, form, path)
}

// FaultAt returns a fault of the table, with its message about a path.
func FaultAt(i int, path string) (status, code int, message string) {
	f := &faults[i]
	return f.status, f.code, strings.Replace(f.message, "%s", path, 1)
}

// Faults is how many there are.
const Faults = len(faults)

// AmountText is amountText.
func AmountText(a money.Amount, scale int) string { return amountText(a, scale) }

// ParseSID is parseSID.
func ParseSID(sid string) (ledger.AccountID, bool) { return parseSID(sid) }

// Duration is duration.
func Duration(d time.Duration) string { return duration(d)[0] }

// Flights counts requests.
type Flights struct{ f flights }

// Enter counts one more.
func (f *Flights) Enter(id ledger.AccountID) int { return f.f.enter(id) }

// Leave counts one less.
func (f *Flights) Leave(id ledger.AccountID) { f.f.leave(id) }

// Kept is how many accounts are kept.
func (f *Flights) Kept() (n int) {
	for i := range f.f {
		n += len(f.f[i].n)
	}
	return n
}

// SetPauses makes every pause between the tries of a callback another.
func (s *Server) SetPauses(d time.Duration) {
	s.pauses = slices.Repeat([]time.Duration{d}, len(pauses))
}

// A Watcher looks at triggers when it is told to.
type Watcher struct{ w watcher }

// NewWatcher returns one of a server, which knows nothing yet.
func NewWatcher(s *Server) *Watcher {
	return &Watcher{watcher{s: s, seen: map[ledger.BookID]uint64{}, past: map[string]string{}}}
}

// Look looks once.
func (w *Watcher) Look(ctx context.Context) error { return w.w.look(ctx) }

// Firings are the crossings that are to be told, of a book.
func (s *Server) Firings(ctx context.Context, book ledger.BookID) (keys []string, err error) {
	for row, err := range s.ledger.Scan(ctx, ledger.Query{List: ledger.ListRecords, Book: book, Kind: kindFiring}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, row.Record.Key)
	}
	return keys, nil
}

// Signature is signature.
func Signature(to string, values url.Values, token string) string {
	return signature(to, values, []byte(token))
}

// Direct is direct.
var Direct = direct

// ReadToken reports whether a PageToken can be read, and what it becomes again.
func ReadToken(token string) (string, bool) {
	var p page
	if !p.read(token) {
		return "", false
	}
	return p.token(), true
}

// ReadPlace is the same for the place that a list of usage goes on from.
func ReadPlace(text string) (string, bool) {
	var at usagePlace
	if !at.read(text) {
		return "", false
	}
	return at.text(), true
}

// ParseDay is parseDay.
func ParseDay(text string, today ledger.Day) (ledger.Day, error) {
	return parseDay("StartDate", text, today)
}

// CheckURL is checkURL.
var CheckURL = checkURL

// Occupy has the server count a request of an account that never ends.
func (s *Server) Occupy(id ledger.AccountID) { s.flights.enter(id) }
