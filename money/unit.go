package money

import (
	"errors"
	"fmt"
)

const (
	MaxScale             = 18 // the most decimals a unit keeps
	DefaultCurrencyScale = 6  // of currencies, unless told otherwise
	DefaultCreditScale   = 4  // of other units, unless told otherwise

	maxCodeLen = 16
)

// ErrUnit is what [Unit.Validate] and [ParseKind] wrap.
var ErrUnit = errors.New("not a unit")

// A Kind says whether the world knows a unit or only its operator does.
type Kind uint8

const (
	Currency Kind = 1 + iota // of ISO 4217
	Credit                   // the operator's own: CREDITS, SMS
)

// String returns "currency" or "credit".
func (k Kind) String() string {
	switch k {
	case Currency:
		return "currency"
	case Credit:
		return "credit"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind reads what [Kind.String] returns.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "currency":
		return Currency, nil
	case "credit":
		return Credit, nil
	}
	return 0, fmt.Errorf("%w: kind %.32q; write currency or credit", ErrUnit, s)
}

// A Unit is what amounts count. Two units are the same if == says so.
type Unit struct {
	Code  string // USD, CREDITS: see Validate
	Scale uint8  // decimals kept, 0 to MaxScale; fixed when the unit is made
	Kind  Kind
}

// Validate returns nil if u can be a unit: its code is 1 to 16 upper-case
// letters, digits, '_' and '-', a letter first, and for a currency one that
// [ISO] knows; its scale is 0 to [MaxScale]; its kind is known. Otherwise it
// says what to change.
func (u Unit) Validate() error {
	switch {
	case !isCode(u.Code):
		return fmt.Errorf("%w: code %.32q; write 1 to %d of A-Z, 0-9, _ and -, a letter first", ErrUnit, u.Code, maxCodeLen)
	case u.Scale > MaxScale:
		return fmt.Errorf("%w: scale %d of %s; write 0 to %d", ErrUnit, u.Scale, u.Code, MaxScale)
	case u.Kind != Currency && u.Kind != Credit:
		return fmt.Errorf("%w: %v of %s; write currency or credit", ErrUnit, u.Kind, u.Code)
	case u.Kind == Credit:
		return nil
	}
	if _, _, ok := ISO(u.Code); !ok {
		return fmt.Errorf("%w: currency %s is not in ISO 4217; write one that is, or make it a credit", ErrUnit, u.Code)
	}
	return nil
}

func isCode(s string) bool {
	if len(s) == 0 || len(s) > maxCodeLen || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for _, c := range []byte(s) {
		if !('A' <= c && c <= 'Z' || isDigit(c) || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// Parse reads an amount of u, as [Parse] does.
func (u Unit) Parse(s string) (Amount, error) { return Parse(s, int(u.Scale)) }

// Text returns a with all of u's decimals, as [Amount.Text] does.
func (u Unit) Text(a Amount) string { return a.Text(int(u.Scale)) }
