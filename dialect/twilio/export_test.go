package twilio

import (
	"net/http"
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
