package twilio

import (
	"strings"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// FaultOf returns the status and the vendor's code for a code of the ledger.
func FaultOf(code ledger.Code) (status, vendor int) {
	f := faultOf(code)
	return f.status, f.code
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
