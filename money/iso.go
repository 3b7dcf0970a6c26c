package money

import "github.com/bojanz/currency"

// further are the currencies that accounts may hold and bojanz/currency leaves
// out, with their decimals: those that ended, and those of no country, for
// which ISO 4217 has no decimals.
var further = map[string]int{
	"BGN": 2, // Bulgaria, until 2025
	"HRK": 2, // Croatia, until 2022
	"XAU": 0, // gold, one troy ounce
	"XXX": 0, // no currency
}

// ISO returns the currency of an ISO 4217 code at the default scale, and how
// many decimals ISO gives it; or false if the code is not known.
func ISO(code string) (u Unit, digits int, ok bool) {
	digits, ok = further[code]
	if d, known := currency.GetDigits(code); known {
		digits, ok = int(d), true
	}
	if !ok {
		return Unit{}, 0, false
	}
	return Unit{code, DefaultCurrencyScale, Currency}, digits, true
}
