package watch

import (
	"fmt"
	"time"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// wide is the scale that amounts of all vendors are compared and kept at.
const wide = money.MaxScale

// DefaultInterval is how often a source is asked whose configuration does not say.
const DefaultInterval = 15 * time.Minute

// MinInterval is the shortest interval: a vendor is not to be hammered.
const MinInterval = time.Second

// A Source is a balance that a vendor keeps, and how it is asked.
type Source struct {
	Tenant   ledger.TenantID
	Name     string // unique in the tenant: 1 to 63 of a-z, 0-9, '-', '_' and '.'
	Kind     string // as "twilio": what sources of one vendor share
	Address  string // for people, and to tell vendors' servers apart
	Account  string
	Interval time.Duration
	Labels   map[string]string
	Mirror   ledger.AccountID // our own account for it; zero: none
	Reader   dialect.Reader
	Rules    []Rule // that its configuration makes: low, critical, runway
}

// Key names a source among those of all tenants.
func (s *Source) Key() string { return sourceKey(s.Tenant, s.Name) }

func sourceKey(tenant ledger.TenantID, name string) string {
	return fmt.Sprintf("%010d/%s", tenant, name)
}

// ValidName says what is wrong with the name of a source, a rule or an endpoint.
func ValidName(name string) error {
	ok := len(name) >= 1 && len(name) <= 63
	for i := 0; i < len(name); i++ {
		c := name[i]
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		return fmt.Errorf("the name %.80q cannot be used; write 1 to 63 of a-z, 0-9, '-', '_' and '.'", name)
	}
	return nil
}

// widen returns an amount of a scale in steps of the widest.
func widen(a money.Amount, scale int) (money.Amount, bool) {
	for ; scale < wide; scale++ {
		var ok bool
		if a, ok = a.Mul(10); !ok {
			return money.Amount{}, false
		}
	}
	return a, true
}

// text shows a wide amount without zeros at its end.
func text(a money.Amount) string { return a.TextMin(wide, 0) }

// number is a wide amount as the forecast and the metrics have it.
func number(a money.Amount) float64 {
	if n, ok := a.Neg(); ok && a.Sign() < 0 {
		return -number(n)
	}
	hi, lo := a.Parts()
	return (float64(hi)*(1<<64) + float64(lo)) / 1e18
}
