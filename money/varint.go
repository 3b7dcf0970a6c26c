package money

// MaxVarintLen is the most bytes that [Amount.AppendVarint] adds.
const MaxVarintLen = 19

// AppendVarint appends the stored form of a: 0, -1, 1, -2, 2 and so on are
// numbered 0, 1, 2, 3, 4 (zigzag), and the number is written in groups of 7
// bits, lowest first, with the top bit set in every byte but the last (LEB128).
// The form is the shortest and the only one; up to 63 steps take one byte.
//
//	  0  00
//	 -1  01
//	 63  7e
//	-64  7f
//	 64  80 01
func (a Amount) AppendVarint(dst []byte) []byte {
	sign := uint64(a.hi >> 63)
	hi := (uint64(a.hi)<<1 | a.lo>>63) ^ sign
	lo := a.lo<<1 ^ sign
	for hi != 0 || lo >= 0x80 {
		dst = append(dst, byte(lo)|0x80)
		lo = lo>>7 | hi<<57
		hi >>= 7
	}
	return append(dst, byte(lo))
}

// Varint reads an amount from the start of b and returns how many bytes it
// took. If n is 0, b ends before the amount does. If n is negative, the -n
// bytes it looked at are not the form that AppendVarint writes: too long, or
// padded.
func Varint(b []byte) (a Amount, n int) {
	var hi, lo uint64
	for i, c := range b {
		group := uint64(c & 0x7f)
		shift := 7 * i
		if i == MaxVarintLen-1 && c > 0x03 { // 18 groups hold 126 of 128 bits
			return Amount{}, -(i + 1)
		}
		if shift < 64 {
			lo |= group << shift
			hi |= group >> (64 - shift) // shifts of 64 and more give 0
		} else {
			hi |= group << (shift - 64)
		}
		if c >= 0x80 {
			continue
		}
		if c == 0 && i > 0 {
			return Amount{}, -(i + 1)
		}
		sign := -(lo & 1)
		return Amount{int64(hi>>1 ^ sign), (lo>>1 | hi<<63) ^ sign}, i + 1
	}
	return Amount{}, 0
}
