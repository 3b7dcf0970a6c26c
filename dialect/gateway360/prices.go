package gateway360

import (
	"fmt"
	"strings"

	"saldo/ledger"
	"saldo/money"
)

// Bounds of a price list.
const (
	maxPrices = 20_000
	maxDigits = 15 // of a telephone number (E.164)
)

// A Price is what one message to the numbers of a prefix costs an account with a
// balance in a unit.
type Price struct {
	Country string // ISO 3166-1 alpha-2
	Prefix  string // 34, 3461: digits, no plus
	Unit    string
	Amount  money.Amount // above zero, in steps of Scale
	Scale   int
}

// ParsePrices reads a price list: of each price its country, prefix, amount and
// unit, as ES:34:0.0450:EUR.
func ParsePrices(texts []string) ([]Price, error) {
	if len(texts) > maxPrices {
		return nil, fmt.Errorf("there are %d prices; the most are %d", len(texts), maxPrices)
	}
	var prices []Price
	seen := make(map[priceKey]bool, len(texts))
	for _, text := range texts {
		p, err := parsePrice(text)
		if err != nil {
			return nil, fmt.Errorf("%.64q: %w", text, err)
		}
		if seen[p.key()] {
			return nil, fmt.Errorf("%.64q: there is a price of %s in %s before", text, p.Prefix, p.Unit)
		}
		seen[p.key()] = true
		prices = append(prices, p)
	}
	return prices, nil
}

func parsePrice(text string) (p Price, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 4 {
		return p, fmt.Errorf("write country, prefix, price and unit, as ES:34:0.0450:EUR")
	}
	p = Price{Country: parts[0], Prefix: parts[1], Unit: parts[3]}
	_, decimals, _ := strings.Cut(parts[2], ".")
	p.Scale = len(decimals)
	switch {
	case !isCountry(p.Country):
		return p, fmt.Errorf("a country is two capitals, as ES")
	case !isDigits(p.Prefix) || len(p.Prefix) > maxDigits:
		return p, fmt.Errorf("a prefix is 1 to %d digits, as 34", maxDigits)
	case p.Scale > money.MaxScale:
		return p, fmt.Errorf("a price has at most %d decimals", money.MaxScale)
	}
	if err := (money.Unit{Code: p.Unit, Kind: money.Credit}).Validate(); err != nil {
		return p, err
	}
	if p.Amount, err = money.Parse(parts[2], p.Scale); err == nil && p.Amount.Sign() <= 0 {
		err = fmt.Errorf("a price is above zero")
	}
	return p, err
}

func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// isDigits reports whether s has one digit or more, and nothing else.
func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

type priceKey struct{ unit, prefix string }

func (p *Price) key() priceKey { return priceKey{p.Unit, p.Prefix} }

// in returns the price in steps of its unit.
func (p *Price) in(unit money.Unit) (money.Amount, error) {
	a, ok := p.Amount.Rescale(p.Scale, int(unit.Scale))
	if back, fits := a.Rescale(int(unit.Scale), p.Scale); !ok || !fits || back != p.Amount {
		return a, ledger.Errorf(ledger.Internal, "the price of %s does not fit into %s, which has %d decimals", p.Prefix, unit.Code, unit.Scale)
	}
	return a, nil
}

// A priceList finds prices.
type priceList struct {
	all  []Price // as they were listed
	keys map[priceKey]*Price
}

func newPriceList(all []Price) priceList {
	l := priceList{all, make(map[priceKey]*Price, len(all))}
	for i := range all {
		l.keys[all[i].key()] = &all[i]
	}
	return l
}

// of returns the price of a number: that of the longest prefix it begins with.
func (l *priceList) of(unit, number string) *Price {
	for n := min(len(number), maxDigits); n > 0; n-- {
		if p := l.keys[priceKey{unit, number[:n]}]; p != nil {
			return p
		}
	}
	return nil
}

// countryPricing is account/pricing/sms/get-country-pricing: the prices of a
// country, or of all.
func (s *server) countryPricing(c *call) error {
	_, unit, err := s.holder(c)
	if err != nil {
		return err
	}
	var code param
	c.read(wanted{"country_code", &code})
	country, err := code.text("country_code")
	if err != nil {
		return err
	}
	country = strings.ToUpper(country)
	if country != "" && !isCountry(country) {
		return refuse(idBad, "Parameter `country_code` must be two letters, as ES.")
	}
	c.Out = appendPrices(c.Out, s.prices.where(unit, func(p *Price) bool { return country == "" || p.Country == country }))
	return nil
}

// prefixPricing is account/pricing/sms/get-prefix-pricing: the prices of a prefix
// and of those that begin with it or, without any, the one that holds for it.
func (s *server) prefixPricing(c *call) error {
	_, unit, err := s.holder(c)
	if err != nil {
		return err
	}
	var asked param
	c.read(wanted{"prefix", &asked})
	prefix, err := asked.scalar("prefix")
	switch {
	case err != nil:
		return err
	case prefix == "":
		return refuse(idMissing, "")
	case !isDigits(prefix) || len(prefix) > maxDigits:
		return refuse(idBad, "Parameter `prefix` must be digits, as 34.")
	}
	found := s.prices.where(unit, func(p *Price) bool { return strings.HasPrefix(p.Prefix, prefix) })
	if p := s.prices.of(unit.Code, prefix); p != nil && len(found) == 0 {
		found = append(found, p)
	}
	c.Out = appendPrices(c.Out, found)
	return nil
}

// where returns the prices in a unit that are wanted.
func (l *priceList) where(unit money.Unit, wanted func(*Price) bool) (found []*Price) {
	for i := range l.all {
		if p := &l.all[i]; p.Unit == unit.Code && wanted(p) {
			found = append(found, p)
		}
	}
	return found
}

// appendPrices appends the body that has prices: of the four decimals that
// balances have or, where a price has more, of all.
func appendPrices(dst []byte, prices []*Price) []byte {
	dst = append(dst, `{"status":"ok","result":[`...)
	for i, p := range prices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"country_code":"`...)
		dst = append(dst, p.Country...)
		dst = append(dst, `","prefix":"`...)
		dst = append(dst, p.Prefix...)
		dst = append(dst, `","price":"`...)
		if p.Scale > decimals {
			dst = append(dst, p.Amount.TextMin(p.Scale, decimals)...)
		} else {
			dst = appendAmount(dst, p.Amount, p.Scale)
		}
		dst = append(dst, `","currency":"`...)
		dst = append(dst, p.Unit...)
		dst = append(dst, `"}`...)
	}
	return append(dst, `]}`...)
}
