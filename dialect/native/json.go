package native

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"saldo/ledger"
	"saldo/money"
)

// A decoder reads one JSON text (RFC 8259) of which it knows every member: a
// member that it does not know, or that is given twice, is refused by name.
// What it returns as []byte is part of the text and lives as long; strings are
// copies. After the first fault it is at its end, and err says what was wrong.
//
// It never goes deeper than the calls of its user do, so that no nesting of the
// text can make it recurse.
type decoder struct {
	b   []byte
	i   int
	err *Error
}

// syntax refuses what is not JSON, with where it was found.
func (d *decoder) syntax(format string, args ...any) {
	if d.err == nil {
		d.err = refuse(CodeMalformedJSON, "byte %d: %s", d.i, fmt.Sprintf(format, args...))
		d.i = len(d.b)
	}
}

// fail refuses the value at hand; the objects and lists around it add where it is.
func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = invalid("", format, args...)
		d.i = len(d.b)
	}
}

// within notes that what went wrong did so inside of a member or an item.
func (d *decoder) within(name string) {
	if d.err == nil || len(d.err.Details) != 1 {
		return
	}
	switch field := &d.err.Details[0].Field; {
	case *field == "":
		*field = name
	case (*field)[0] == '[':
		*field = name + *field
	default:
		*field = name + "." + *field
	}
}

// next returns the byte after white space, which it leaves there, or 0 at the end.
func (d *decoder) next() byte {
	for ; d.i < len(d.b); d.i++ {
		switch c := d.b[d.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// expected says what should have been there: broken JSON if nothing can start
// with what is, a value of the wrong type otherwise.
func (d *decoder) expected(what string) {
	switch c := d.next(); {
	case d.err != nil:
	case c == 0 && d.i >= len(d.b):
		d.syntax("the text ends where %s should be", what)
	case c == '"' || c == '{' || c == '[' || c == '-' || '0' <= c && c <= '9' || c == 't' || c == 'f' || c == 'n':
		d.fail("has to be %s", what)
	default:
		d.syntax("%q where %s should be", rune(c), what)
	}
}

// object reads an object. It calls member with each name that it meets, which
// is one of known, to read the value.
func (d *decoder) object(known []string, member func(name string)) {
	var seen uint64
	d.members("an object", func(name []byte) {
		n := index(known, name)
		switch {
		case n < 0:
			d.fail("is not known here; known are %s", strings.Join(known, ", "))
		case seen&(1<<n) != 0:
			d.fail("is given twice")
		default:
			seen |= 1 << n
			member(known[n])
		}
	})
}

// members reads an object, whatever its names are.
func (d *decoder) members(what string, member func(name []byte)) {
	if d.next() != '{' {
		d.expected(what)
		return
	}
	d.i++
	for first := true; ; first = false {
		c := d.next()
		if c == '}' {
			d.i++
			return
		}
		if !first {
			if c != ',' {
				d.syntax("a comma or } should follow a member")
				return
			}
			d.i++
			c = d.next()
		}
		if c != '"' {
			d.syntax("a member's name should be here, in double quotes")
			return
		}
		name := d.quoted()
		if d.err != nil {
			return
		}
		if d.next() != ':' {
			d.syntax("a colon should follow a member's name")
			return
		}
		d.i++
		member(name)
		if d.err != nil {
			d.within(shown(name))
			return
		}
	}
}

// array reads a list, and calls item to read each value.
func (d *decoder) array(item func(n int)) {
	if d.next() != '[' {
		d.expected("a list")
		return
	}
	d.i++
	if d.next() == ']' {
		d.i++
		return
	}
	for n := 0; ; n++ {
		item(n)
		if d.err != nil {
			d.within("[" + strconv.Itoa(n) + "]")
			return
		}
		switch d.next() {
		case ']':
			d.i++
			return
		case ',':
			d.i++
		default:
			d.syntax("a comma or ] should follow an item")
			return
		}
	}
}

// end refuses what follows the value.
func (d *decoder) end() {
	if d.next(); d.i < len(d.b) && d.err == nil {
		d.syntax("nothing may follow the object")
	}
}

func index(known []string, name []byte) int {
	for n := range known {
		if string(name) == known[n] {
			return n
		}
	}
	return -1
}

// shown returns a name as an error may repeat it.
func shown(name []byte) string {
	const most = 64
	if len(name) > most {
		name = name[:most]
	}
	return strings.ToValidUTF8(string(name), "")
}

// quoted reads a string. The text it returns is valid UTF-8.
func (d *decoder) quoted() []byte {
	if d.next() != '"' {
		d.expected("a string")
		return nil
	}
	d.i++
	start, ascii := d.i, true
	for ; d.i < len(d.b); d.i++ {
		switch c := d.b[d.i]; {
		case c == '"':
			s := d.b[start:d.i]
			if !ascii && !utf8.Valid(s) {
				d.syntax("a string is not UTF-8")
				return nil
			}
			d.i++
			return s
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			d.syntax("a control character in a string has to be escaped")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	d.syntax("the text ends inside a string")
	return nil
}

var escapes = [...]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the rest of a string that began at start and has an escape at d.i.
func (d *decoder) escaped(start int) []byte {
	s := bytes.Clone(d.b[start:d.i])
	for d.i < len(d.b) {
		c := d.b[d.i]
		d.i++
		switch {
		case c == '"':
			if !utf8.Valid(s) {
				d.syntax("a string is not UTF-8")
				return nil
			}
			return s
		case c < ' ':
			d.syntax("a control character in a string has to be escaped")
			return nil
		case c != '\\':
			s = append(s, c)
			continue
		case d.i == len(d.b):
			continue
		}
		c = d.b[d.i]
		d.i++
		if c == 'u' {
			r, ok := d.unicode()
			if !ok {
				d.syntax("an escape in a string is not \\uXXXX, or half of a surrogate pair")
				return nil
			}
			s = utf8.AppendRune(s, r)
			continue
		}
		if int(c) >= len(escapes) || escapes[c] == 0 {
			d.syntax("an escape in a string is not known")
			return nil
		}
		s = append(s, escapes[c])
	}
	d.syntax("the text ends inside a string")
	return nil
}

// unicode reads XXXX, and the other half where it is half of a surrogate pair.
func (d *decoder) unicode() (rune, bool) {
	r, ok := d.hex4()
	if !ok || r < 0xd800 || r > 0xdfff {
		return r, ok
	}
	if r >= 0xdc00 || d.i+2 > len(d.b) || d.b[d.i] != '\\' || d.b[d.i+1] != 'u' {
		return 0, false
	}
	d.i += 2
	low, ok := d.hex4()
	if !ok || low < 0xdc00 || low > 0xdfff {
		return 0, false
	}
	return (r-0xd800)<<10 | (low - 0xdc00) + 0x10000, true
}

func (d *decoder) hex4() (r rune, ok bool) {
	if d.i+4 > len(d.b) {
		return 0, false
	}
	for _, c := range d.b[d.i : d.i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	d.i += 4
	return r, true
}

// literal reads true, false or null, if it is there.
func (d *decoder) literal(word string) bool {
	if d.next() == word[0] && bytes.HasPrefix(d.b[d.i:], []byte(word)) {
		d.i += len(word)
		return true
	}
	return false
}

func (d *decoder) bool() bool {
	switch {
	case d.literal("true"):
		return true
	case d.literal("false"):
	default:
		d.expected("true or false")
	}
	return false
}

// number reads a number and returns its text.
func (d *decoder) number() []byte {
	if c := d.next(); c != '-' && (c < '0' || c > '9') {
		d.expected("a number")
		return nil
	}
	start := d.i
	if d.b[d.i] == '-' {
		d.i++
	}
	first := d.i
	ok := d.digits() && (d.b[first] != '0' || d.i == first+1)
	if ok && d.i < len(d.b) && d.b[d.i] == '.' {
		d.i++
		ok = d.digits()
	}
	if ok && d.i < len(d.b) && d.b[d.i]|0x20 == 'e' {
		d.i++
		if d.i < len(d.b) && (d.b[d.i] == '+' || d.b[d.i] == '-') {
			d.i++
		}
		ok = d.digits()
	}
	if !ok {
		d.syntax("a number is not written as JSON has it")
		return nil
	}
	return d.b[start:d.i]
}

func (d *decoder) digits() bool {
	start := d.i
	for d.i < len(d.b) && '0' <= d.b[d.i] && d.b[d.i] <= '9' {
		d.i++
	}
	return d.i > start
}

// integer reads a whole number from least to most.
func (d *decoder) integer(least, most int64) int64 {
	text := d.number()
	if d.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < least || n > most {
		d.fail("has to be a whole number from %d to %d", least, most)
		return 0
	}
	return n
}

// text reads a string of at most most bytes.
func (d *decoder) text(most int) string {
	s := d.quoted()
	if len(s) > most {
		d.fail("has %d bytes; at most %d are taken", len(s), most)
		return ""
	}
	return string(s)
}

// word reads a string that may not be empty.
func (d *decoder) word(most int) string {
	s := d.text(most)
	if s == "" {
		d.fail("may not be empty")
	}
	return s
}

// id reads a caller's id.
func (d *decoder) id() string {
	id := string(d.quoted())
	if d.err == nil && !ledger.ValidID(id) {
		d.fail(badID)
		return ""
	}
	return id
}

const badID = "has to be 1 to 255 printable ASCII characters, no space at either end"

// A numeral is the text of an amount whose unit is not known yet.
type numeral struct {
	text   []byte // part of the body
	number bool   // it was a JSON number, not a string
}

// numeral reads an amount: a string, or a number by its text.
func (d *decoder) numeral() numeral {
	if d.next() == '"' {
		return numeral{text: d.quoted()}
	}
	if c := d.next(); c != '-' && (c < '0' || c > '9') {
		d.expected(`an amount, as "12.50"`)
		return numeral{}
	}
	return numeral{d.number(), true}
}

// isZero reports whether no amount was given.
func (n numeral) isZero() bool { return n.text == nil }

// in returns the amount in a unit. Field is what it is called if it is not one.
func (n numeral) in(unit money.Unit, field string) (money.Amount, error) {
	var a money.Amount
	var err error
	if n.number {
		a, err = money.ParseNumber(n.text, int(unit.Scale))
	} else {
		a, err = money.Parse(n.text, int(unit.Scale))
	}
	if err != nil {
		return a, invalid(field, "%s: %s", unit.Code, err)
	}
	return a, nil
}

// above returns the amount in a unit, which has to be more than nothing.
func (n numeral) above(unit money.Unit, field string) (money.Amount, error) {
	a, err := n.in(unit, field)
	if err == nil && a.Sign() <= 0 {
		err = invalid(field, "has to be above zero")
	}
	return a, err
}

// A pair is a member of metadata.
type pair struct {
	name  []byte
	value []byte // as it is written again
}

// metadata reads an object of strings, numbers and booleans and returns it in
// one form: no white space, names in order.
func (d *decoder) metadata() []byte {
	var pairs []pair
	d.members("an object", func(name []byte) {
		switch c := d.next(); {
		case len(name) == 0:
			d.fail("may not be empty")
		case c == '"':
			pairs = append(pairs, pair{name, appendQuoted(nil, d.quoted())})
		case c == 't' || c == 'f':
			pairs = append(pairs, pair{name, strconv.AppendBool(nil, d.bool())})
		case c == '-' || '0' <= c && c <= '9':
			pairs = append(pairs, pair{name, d.number()})
		default:
			d.expected("a string, a number, true or false")
		}
	})
	if d.err != nil {
		return nil
	}
	slices.SortFunc(pairs, func(a, b pair) int { return bytes.Compare(a.name, b.name) })
	out := []byte{'{'}
	for n, p := range pairs {
		if n > 0 && bytes.Equal(p.name, pairs[n-1].name) {
			d.fail("is given twice")
			d.within(shown(p.name))
			return nil
		}
		out = appendQuoted(comma(out), p.name)
		out = append(append(out, ':'), p.value...)
	}
	out = append(out, '}')
	if len(out) > maxMetadata {
		d.fail("has %d bytes; at most %d are taken", len(out), maxMetadata)
		return nil
	}
	return out
}

// comma appends a comma unless dst has just opened an object or a list.
func comma(dst []byte) []byte {
	if c := dst[len(dst)-1]; c == '{' || c == '[' {
		return dst
	}
	return append(dst, ',')
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s, which is UTF-8, as a JSON string.
func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
