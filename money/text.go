package money

import "fmt"

// Text returns a as decimal text with exactly scale decimals, and without a
// point if scale is 0: -12340000 steps of scale 6 are "-12.340000".
func (a Amount) Text(scale int) string {
	var buf [MaxTextLen]byte
	return string(a.AppendText(buf[:0], scale))
}

// AppendText appends what [Amount.Text] returns.
func (a Amount) AppendText(dst []byte, scale int) []byte {
	checkScale(scale)
	var digits [40]byte // 2^127 has 39
	first := len(digits)
	m := a.abs()
	for m.hi != 0 {
		var low uint64
		m, low = m.div(tens[19])
		for range 19 {
			first--
			digits[first] = byte('0' + low%10)
			low /= 10
		}
	}
	point := len(digits) - scale
	for n := m.lo; n != 0 || first >= point; n /= 10 {
		first--
		digits[first] = byte('0' + n%10)
	}
	if a.hi < 0 {
		dst = append(dst, '-')
	}
	dst = append(dst, digits[first:point]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[point:]...)
	}
	return dst
}

// TextMin is [Amount.Text] without the zeros at its end, except that the first
// least decimals stay: 12.340000 with least 2 is "12.34", and 12 is "12.00".
func (a Amount) TextMin(scale, least int) string {
	s := a.Text(scale)
	for cut := scale - least; cut > 0 && s[len(s)-1] == '0'; cut-- {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// checkScale panics where no unit could have such a scale.
func checkScale(scale int) {
	if scale < 0 || scale > MaxScale {
		panic(fmt.Sprintf("money: scale %d is outside 0 to %d", scale, MaxScale))
	}
}
