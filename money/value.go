package money

// A Value is an amount and what it counts.
type Value struct {
	Amount Amount
	Unit   Unit
}

// String returns all of the unit's decimals and its code: "12.340000 USD".
func (v Value) String() string { return v.Unit.Text(v.Amount) + " " + v.Unit.Code }

// FormattedPrice returns v as the older requester API of Mechanical Turk wrote
// money for people, en-US whoever reads it: "$10,000.00". It has two decimals,
// rounded toward minus infinity. That API knew only USD and no negative
// amounts; other codes follow the number, and a minus comes first: "-$5.00",
// "10,000.00 EUR".
func (v Value) FormattedPrice() string {
	text := ""
	switch scale := int(v.Unit.Scale); scale {
	case 0:
		text = v.Amount.Text(0) + ".00"
	case 1:
		text = v.Amount.Text(1) + "0"
	default:
		cents, _ := v.Amount.Rescale(scale, 2) // fewer decimals always fit
		text = cents.Text(2)
	}
	text = group(text)
	switch {
	case v.Unit.Code != "USD":
		return text + " " + v.Unit.Code
	case text[0] == '-':
		return "-$" + text[1:]
	}
	return "$" + text
}

// group puts a comma before every three digits of the whole part of s.
func group(s string) string {
	whole := 0
	for whole < len(s) && s[whole] != '.' {
		whole++
	}
	var out []byte
	for i := range whole {
		out = append(out, s[i])
		if left := whole - 1 - i; isDigit(s[i]) && left > 0 && left%3 == 0 {
			out = append(out, ',')
		}
	}
	return string(out) + s[whole:]
}
