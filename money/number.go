package money

// ParseNumber reads an amount from the text of a JSON number (RFC 8259,
// section 6), which is how some vendors' clients send money. A JSON number has
// a value and no form: 1.50, 1.5, 15e-1 and 1.5E0 are one, and languages pick
// among them without asking. So, unlike [Parse], it takes any that scale can
// hold exactly, and refuses the rest.
func ParseNumber[T string | []byte](s T, scale int) (Amount, error) {
	checkScale(scale)
	n, ok := scanNumber(s)
	if !ok {
		return Amount{}, notNumber(string(s))
	}
	shift := scale + n.exponent
	if n.digits == (magnitude{}) && n.fits {
		return Amount{}, nil
	}
	if shift < 0 { // and the last digit is not a zero
		return Amount{}, tooFine(string(s), scale)
	}
	m, fits := n.digits, n.fits && shift < 40
	if fits {
		m, fits = m.mulTens(shift)
	}
	a, ok := m.signed(n.negative)
	if !fits || !ok {
		return Amount{}, tooLarge(string(s), scale)
	}
	return a, nil
}

// A number is ±digits·10^exponent, with no zero at the end of its digits.
type number struct {
	negative bool
	digits   magnitude
	exponent int
	fits     bool // digits hold them all
}

// scanNumber takes a JSON number apart, or returns false if s is not one.
func scanNumber[T string | []byte](s T) (n number, ok bool) {
	if len(s) > MaxTextLen {
		return number{}, false
	}
	i := 0
	n.fits = true
	if len(s) > 0 && s[0] == '-' {
		n.negative = true
		i = 1
	}
	start, zeros := i, 0 // zeros: how many since the last other digit
	for ; i < len(s) && isDigit(s[i]); i++ {
		n.take(s[i]-'0', &zeros)
	}
	if i == start || s[start] == '0' && i > start+1 {
		return number{}, false
	}
	if i < len(s) && s[i] == '.' {
		point := i
		for i++; i < len(s) && isDigit(s[i]); i++ {
			n.take(s[i]-'0', &zeros)
		}
		n.exponent = -(i - point - 1)
		if n.exponent == 0 {
			return number{}, false
		}
	}
	n.exponent += zeros
	if i == len(s) {
		return n, true
	}
	if s[i] != 'e' && s[i] != 'E' {
		return number{}, false
	}
	e, ok := scanExponent(s, i+1)
	n.exponent += e
	return n, ok
}

// take adds one digit to n.
func (n *number) take(d byte, zeros *int) {
	if d == 0 {
		*zeros++
		return
	}
	if n.fits {
		n.digits, n.fits = n.digits.push(d, *zeros+1)
	}
	*zeros = 0
}

// scanExponent reads what follows the e of a number. Beyond any scale and any
// range one exponent is like another, so that it stops counting there.
func scanExponent[T string | []byte](s T, i int) (e int, ok bool) {
	const beyond = 1000
	negative := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		negative = s[i] == '-'
		i++
	}
	ok = i < len(s)
	for ; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		e = min(e*10+int(s[i]-'0'), beyond)
	}
	if negative {
		e = -e
	}
	return e, ok
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
