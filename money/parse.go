package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Why text is not an amount. What [Parse] and [ParseNumber] return wraps one
// of these; when more than one applies, the first of them.
var (
	ErrSyntax   = errors.New("not a decimal number")
	ErrDecimals = errors.New("too many decimals")
	ErrRange    = errors.New("out of range")
)

// MaxTextLen is the longest text that is read, in bytes.
const MaxTextLen = 64

// Parse reads an amount of at most scale decimals from text: a minus or
// nothing, digits, and where there are decimals a point and digits. More
// decimals than scale are refused even if they are zeros. Zeros in front are
// read, and "-0" is 0.
func Parse[T string | []byte](s T, scale int) (Amount, error) {
	checkScale(scale)
	if len(s) > MaxTextLen {
		return Amount{}, notDecimal(string(s))
	}
	i := 0
	if len(s) > 0 && s[0] == '-' {
		i = 1
	}
	start, point := i, -1
	var n uint64
	for ; i < len(s); i++ {
		d := s[i] - '0'
		if d <= 9 {
			n = n*10 + uint64(d) // wraps beyond 19 digits, and is then not used
			continue
		}
		if s[i] != '.' || point >= 0 || i == start {
			return Amount{}, notDecimal(string(s))
		}
		point = i
	}
	count, decimals := len(s)-start, 0
	if point >= 0 {
		count, decimals = count-1, len(s)-point-1
	}
	if count == 0 || point == len(s)-1 {
		return Amount{}, notDecimal(string(s))
	}
	if decimals > scale {
		return Amount{}, tooFine(string(s), scale)
	}
	if count > 19 {
		return parseLong(s, start, decimals, scale)
	}
	hi, lo := bits.Mul64(n, tens[scale-decimals]) // below 10^37: always fits
	a, _ := magnitude{hi, lo}.signed(start == 1)
	return a, nil
}

// parseLong reads more than 19 digits of s, whose form is known to be right.
func parseLong[T string | []byte](s T, start, decimals, scale int) (Amount, error) {
	var m magnitude
	ok := true
	for i := start; i < len(s) && ok; i++ {
		if s[i] != '.' {
			m, ok = m.push(s[i]-'0', 1)
		}
	}
	if ok {
		m, ok = m.mulTens(scale - decimals)
	}
	a, fits := m.signed(start == 1)
	if !ok || !fits {
		return Amount{}, tooLarge(string(s), scale)
	}
	return a, nil
}

// push returns m·10^places + d, or false beyond 128 bits.
func (m magnitude) push(d byte, places int) (magnitude, bool) {
	m, ok := m.mulTens(places)
	if !ok {
		return magnitude{}, false
	}
	return m.add(uint64(d))
}

func notDecimal(s string) error {
	if len(s) > MaxTextLen {
		return fmt.Errorf("a text of %d bytes is %w: write at most %d", len(s), ErrSyntax, MaxTextLen)
	}
	return fmt.Errorf("%q is %w: write digits, a minus in front if negative and a point before decimals, as in -12.50", s, ErrSyntax)
}

func tooFine(s string, scale int) error {
	if scale == 0 {
		return fmt.Errorf("%q has %w: write a whole number", s, ErrDecimals)
	}
	return fmt.Errorf("%q has %w: write at most %d", s, ErrDecimals, scale)
}

func tooLarge(s string, scale int) error {
	if s[0] == '-' {
		lowest := Amount{hi: math.MinInt64}
		return fmt.Errorf("%q is %w: write at least %s", s, ErrRange, lowest.Text(scale))
	}
	highest := Amount{math.MaxInt64, math.MaxUint64}
	return fmt.Errorf("%q is %w: write at most %s", s, ErrRange, highest.Text(scale))
}

func notNumber(s string) error {
	if len(s) > MaxTextLen {
		return notDecimal(s)
	}
	return fmt.Errorf("%q is %w: write a JSON number, as -12.5", s, ErrSyntax)
}
