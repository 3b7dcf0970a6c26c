package mturk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"saldo/ledger"
	"saldo/money"
)

// An input is the members of a request. What it is asked for and is not as the
// model has it is noted, for one refusal of all: err.
type input struct {
	members    []member
	path       string // of the members, where they are not the request's own
	violations *[]string
	malformed  *bool // a member has the wrong type of JSON
}

// A member is one of an object.
type member struct {
	name string
	raw  []byte
}

// read takes apart a body that is a JSON object, or empty.
func read(body []byte) input {
	return input{membersOf(body), "", new([]string), new(bool)}
}

// err returns the refusal of what was read, or nil.
func (in *input) err() error {
	switch n := len(*in.violations); {
	case *in.malformed:
		return refuse(faultSerialization)
	case n == 1:
		return refusef(faultValidation, "1 validation error detected: %s", (*in.violations)[0])
	case n > 1:
		return refusef(faultValidation, "%d validation errors detected: %s", n, strings.Join(*in.violations, "; "))
	}
	return nil
}

// get returns a member's JSON, nil if it is missing or null. The last of several
// counts.
func (in *input) get(name string) (raw []byte) {
	for i := range in.members {
		if m := &in.members[i]; m.name == name {
			if raw = m.raw; string(raw) == "null" {
				raw = nil
			}
		}
	}
	return raw
}

// need is get of a member that has to be there.
func (in *input) need(name string) []byte {
	raw := in.get(name)
	if raw == nil {
		in.violates(name, "null", "Member must not be null")
	}
	return raw
}

// violates notes a member that is not as it has to be, as the service said it:
// with the member's name, the first letter small.
func (in *input) violates(name, value, constraint string) {
	*in.violations = append(*in.violations, fmt.Sprintf("Value %s at '%s%s%s' failed to satisfy constraint: %s",
		value, in.path, strings.ToLower(name[:1]), name[1:], constraint))
}

// text reads a string, "" if it is not there.
func (in *input) text(name string) string { return in.string(in.get(name)) }

// needText reads a string that has to be there.
func (in *input) needText(name string) string { return in.string(in.need(name)) }

func (in *input) string(raw []byte) string {
	switch {
	case raw == nil:
		return ""
	case raw[0] != '"':
		*in.malformed = true
		return ""
	}
	if s, ok := unquote(raw[1 : len(raw)-1]); ok {
		return s
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		*in.malformed = true
	}
	return s
}

// unquote returns what is between the quotes of a JSON string, unless it takes
// more than the usual escapes.
func unquote(quoted []byte) (string, bool) {
	if !utf8.Valid(quoted) {
		return "", false
	}
	at := bytes.IndexByte(quoted, '\\')
	if at < 0 {
		return string(quoted), true
	}
	var plain strings.Builder
	plain.Grow(len(quoted))
	for ; at >= 0; at = bytes.IndexByte(quoted, '\\') {
		plain.Write(quoted[:at])
		switch c := quoted[at+1]; c { // JSON has something after it
		case '"', '\\', '/':
			plain.WriteByte(c)
		case 'n':
			plain.WriteByte('\n')
		case 't':
			plain.WriteByte('\t')
		case 'r':
			plain.WriteByte('\r')
		default:
			return "", false
		}
		quoted = quoted[at+2:]
	}
	plain.Write(quoted)
	return plain.String(), true
}

// bounded reads a string of 1 to most characters, "" if it is not there.
func (in *input) bounded(name string, most int) string {
	s := in.text(name)
	if in.get(name) != nil {
		in.within(name, s, most)
	}
	return s
}

func (in *input) within(name, s string, most int) {
	switch n := utf8.RuneCountInString(s); {
	case *in.malformed:
	case n == 0:
		in.violates(name, "''", "Member must have length greater than or equal to 1")
	case n > most:
		in.violates(name, "'"+clip(s)+"'", fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
}

const maxEntity = 64

// entity reads an EntityId, "" if it is not there.
func (in *input) entity(name string) string {
	return in.matching(name, in.get(name), "^[A-Z0-9]+$", alphanumeric)
}

// needEntity reads an EntityId that has to be there.
func (in *input) needEntity(name string) string {
	return in.matching(name, in.need(name), "^[A-Z0-9]+$", alphanumeric)
}

// needWorker reads a CustomerId.
func (in *input) needWorker(name string) string {
	return in.matching(name, in.need(name), "^A[A-Z0-9]+$", func(s string) bool {
		return len(s) >= 2 && s[0] == 'A' && alphanumeric(s)
	})
}

func (in *input) matching(name string, raw []byte, pattern string, matches func(string) bool) string {
	s := in.string(raw)
	if raw == nil || *in.malformed {
		return ""
	}
	in.within(name, s, maxEntity)
	if !matches(s) {
		in.violates(name, "'"+clip(s)+"'", "Member must satisfy regular expression pattern: "+pattern)
	}
	return s
}

// needAmount reads a CurrencyAmount.
func (in *input) needAmount(name string) Cents {
	raw := in.need(name)
	s := in.string(raw)
	if raw == nil || *in.malformed {
		return 0
	}
	c, ok := ParseDollars(s)
	if !ok {
		in.violates(name, "'"+clip(s)+"'", `Member must satisfy regular expression pattern: ^[0-9]+(\.)?[0-9]{0,2}$`)
	}
	return c
}

// int reads a whole number, or returns what it is when it is not there.
func (in *input) int(name string, missing int64) int64 { return in.integer(in.get(name), missing) }

func (in *input) needInt(name string) int64 { return in.integer(in.need(name), 0) }

func (in *input) integer(raw []byte, missing int64) int64 {
	if raw == nil {
		return missing
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		*in.malformed = true
	}
	return n
}

// results reads MaxResults.
func (in *input) results() int {
	const least, most, usual = 1, 100, 10
	n := in.int("MaxResults", usual)
	switch {
	case n < least:
		in.violates("MaxResults", fmt.Sprintf("'%d'", n), "Member must have value greater than or equal to 1")
	case n > most:
		in.violates("MaxResults", fmt.Sprintf("'%d'", n), "Member must have value less than or equal to 100")
	}
	return int(n)
}

// bool reads a truth, false if it is not there.
func (in *input) bool(name string) bool {
	b := in.maybe(name)
	return b != nil && *b
}

// maybe reads a truth, nil if it is not there.
func (in *input) maybe(name string) *bool {
	raw := in.get(name)
	switch string(raw) {
	case "":
		return nil
	case "true", "false":
		b := raw[0] == 't'
		return &b
	}
	*in.malformed = true
	return nil
}

// needTime reads a Timestamp: seconds since 1970, a number in any form. One far
// from today is as good as one at the end of time.
func (in *input) needTime(name string) ledger.Time {
	raw := in.need(name)
	if raw == nil {
		return 0
	}
	t, err := money.ParseNumber(raw, timeScale)
	far := errors.Is(err, money.ErrRange)
	if err != nil && !far {
		*in.malformed = true
		return 0
	}
	micros, _ := t.Rescale(timeScale, 6)
	switch {
	case far && raw[0] != '-', !far && money.New(int64(ledger.MaxTime)).Less(micros):
		return ledger.MaxTime
	case far || micros.Sign() < 0:
		return 0
	}
	n, _ := micros.Int64()
	return ledger.Time(n)
}

// timeScale is how many decimals of a second are read.
const timeScale = 18

// one reads a string that is one of a list, "" if it is not there.
func (in *input) one(name string, of ...string) string { return in.oneOf(name, in.get(name), of) }

func (in *input) oneOf(name string, raw []byte, of []string) string {
	s := in.string(raw)
	if raw == nil || *in.malformed {
		return s
	}
	for _, word := range of {
		if s == word {
			return s
		}
	}
	in.violates(name, "'"+clip(s)+"'", "Member must satisfy enum value set: ["+strings.Join(of, ", ")+"]")
	return s
}

// each calls use with the elements of a list.
func (in *input) each(name string, use func(i int, raw []byte)) {
	raw := in.get(name)
	if raw == nil {
		return
	}
	if raw[0] != '[' {
		*in.malformed = true
		return
	}
	for i, element := range elementsOf(raw) {
		use(i, element)
	}
}

// objects calls use with the elements of a list of objects.
func (in *input) objects(name string, use func(*input)) {
	in.each(name, func(i int, raw []byte) {
		if raw[0] != '{' {
			*in.malformed = true
			return
		}
		// As the service named them: qualificationRequirements.1.member.comparator
		path := fmt.Sprintf("%s%s%s.%d.member.", in.path, strings.ToLower(name[:1]), name[1:], i+1)
		use(&input{membersOf(raw), path, in.violations, in.malformed})
	})
}

// membersOf takes apart the text of a JSON object, which is valid.
func membersOf(object []byte) []member {
	members := make([]member, 0, min(1+bytes.Count(object, []byte{','}), 16))
	scan := scanner{rest: bytes.TrimLeft(object, " \t\r\n")}
	if len(scan.rest) == 0 {
		return nil
	}
	scan.rest = scan.rest[1:]
	for {
		key := scan.value()
		if key == nil {
			return members
		}
		var name string
		if bytes.IndexByte(key, '\\') < 0 {
			name = string(key[1 : len(key)-1])
		} else if json.Unmarshal(key, &name) != nil {
			name = ""
		}
		members = append(members, member{name, scan.value()})
	}
}

// elementsOf takes apart the text of a JSON list, which is valid.
func elementsOf(list []byte) (elements [][]byte) {
	scan := scanner{rest: list[1:]}
	for {
		v := scan.value()
		if v == nil {
			return elements
		}
		elements = append(elements, v)
	}
}

// A scanner goes through the values of an object or a list. What it reads is
// valid JSON: that was checked.
type scanner struct{ rest []byte }

// value returns the next value, nil at the end.
func (s *scanner) value() []byte {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n,:")
	if len(s.rest) == 0 || s.rest[0] == '}' || s.rest[0] == ']' {
		return nil
	}
	n := s.length()
	v := s.rest[:n]
	s.rest = s.rest[n:]
	return v
}

// length returns how long the value is that rest begins with.
func (s *scanner) length() int {
	switch s.rest[0] {
	case '"':
		return stringLength(s.rest)
	case '{', '[':
		depth := 0
		for i := 0; i < len(s.rest); i++ {
			switch s.rest[i] {
			case '"':
				i += stringLength(s.rest[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(s.rest)
	}
	if n := bytes.IndexAny(s.rest, ",}] \t\r\n"); n >= 0 {
		return n
	}
	return len(s.rest)
}

func stringLength(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
