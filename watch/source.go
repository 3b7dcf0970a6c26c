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

// A Spec is how a source is configured, in the file and in the API.
type Spec struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Address  string            `json:"address,omitempty"` // the vendor's own if ""
	Account  string            `json:"account,omitempty"`
	Options  map[string]string `json:"options,omitempty"`  // of the kind: region, org_id, amount …
	Interval string            `json:"interval,omitempty"` // "15m"
	Low      string            `json:"low,omitempty"`      // "20.00", or "25%" of the last top-up
	Critical string            `json:"critical,omitempty"`
	Runway   string            `json:"runway,omitempty"` // "3d"
	Labels   map[string]string `json:"labels,omitempty"`
	Mirror   string            `json:"mirror,omitempty"` // our own account for it
}

// A Source is a balance that a vendor keeps, and how it is asked.
type Source struct {
	Spec
	Tenant   ledger.TenantID
	Interval time.Duration
	Mirror   ledger.AccountID // zero: none
	Reader   dialect.Reader
	Rules    []*Rule // that Low, Critical and Runway make
	FromFile bool
	Created  time.Time

	version uint64 // of its record
}

// New makes a source of a spec, but for its Reader.
func (s Spec) New(tenant ledger.TenantID) (*Source, error) {
	if err := ValidName(s.Name); err != nil {
		return nil, err
	}
	src := &Source{Spec: s, Tenant: tenant, Interval: DefaultInterval}
	if s.Interval != "" {
		d, err := ParseDuration(s.Interval)
		if err != nil {
			return nil, fmt.Errorf("interval: %w", err)
		}
		if d < MinInterval || d > 7*24*time.Hour {
			return nil, fmt.Errorf("interval is %s; it has to be from %v to 7d", s.Interval, MinInterval)
		}
		src.Interval = d
	}
	if s.Mirror != "" {
		var ok bool
		if src.Mirror, ok = ledger.ParseAccountID(s.Mirror); !ok {
			return nil, fmt.Errorf("mirror is %.40q; it has to be the id of an account", s.Mirror)
		}
	}
	if len(s.Labels) > 16 {
		return nil, fmt.Errorf("labels: there may be 16")
	}
	if err := src.ownRules(); err != nil {
		return nil, err
	}
	return src, nil
}

// ownRules makes the rules that a spec has in short.
func (s *Source) ownRules() error {
	add := func(suffix string, when Condition, levels ...[2]string) error {
		r := &Rule{ID: s.Key() + "/" + suffix, Name: s.Name + "." + suffix, Tenant: s.Tenant, Source: s.Name, When: when}
		for _, l := range levels {
			if l[1] == "" {
				continue
			}
			t, err := ParseThreshold(l[1])
			if err != nil {
				return fmt.Errorf("%s: %w", l[0], err)
			}
			r.Levels = append(r.Levels, Level{Name: l[0], At: t})
		}
		if len(r.Levels) == 0 {
			return nil
		}
		s.Rules = append(s.Rules, r)
		named := *r
		named.Name = "x" // the source's own may be as long as a name can be
		if err := named.Check(); err != nil {
			return fmt.Errorf("%s: %w", suffix, err)
		}
		return nil
	}
	if err := add("balance", BalanceBelow, [2]string{"warning", s.Low}, [2]string{"critical", s.Critical}); err != nil {
		return err
	}
	return add("runway", TimeBelow, [2]string{"warning", s.Runway})
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

// Text shows an amount of a [Point].
func Text(a money.Amount) string { return text(a) }

// text shows a wide amount without zeros at its end.
func text(a money.Amount) string { return a.TextMin(wide, 0) }

// number is a wide amount as the forecast has it.
func number(a money.Amount) float64 {
	if n, ok := a.Neg(); ok && a.Sign() < 0 {
		return -number(n)
	}
	hi, lo := a.Parts()
	return (float64(hi)*(1<<64) + float64(lo)) / 1e18
}
