package mturklegacy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"saldo/dialect/mturk"
)

// An input reads the parameters of one request. The first that cannot be read is
// why the request is refused; after it every other is empty.
type input struct {
	*node
	in     string // what the node is in, as messages have it: "Reward."
	refuse *refuser
}

// A refuser keeps the first refusal.
type refuser struct{ first error }

func newInput(n *node) *input { return &input{node: n, refuse: new(refuser)} }

func (in *input) err() error { return in.refuse.first }

// fail keeps a refusal, unless there is one.
func (in *input) fail(code string, more ...any) {
	if in.refuse.first == nil {
		in.refuse.first = refuse(code, more...)
	}
}

// one returns the only child of a name, or nil.
func (in *input) one(name string) *node {
	found := in.all(name)
	switch {
	case len(found) == 0 || in.err() != nil:
		return nil
	case len(found) > 1 || found[0].twice:
		in.fail(codeBadValue, found[0].shown(), in.in+name)
		return nil
	}
	return found[0]
}

// shown returns what a message may repeat of a value.
func (n *node) shown() string { return shortened(n.value, 64) }

// text returns a parameter as it was sent, "" if it was not.
func (in *input) text(name string) string {
	if n := in.one(name); n != nil {
		return n.value
	}
	return ""
}

// need is text of a parameter that there has to be.
func (in *input) need(name string) string {
	s := in.text(name)
	if s == "" {
		in.fail(codeMissingAny, in.in+name)
	}
	return s
}

// word is text of a parameter that has no blanks around it.
func (in *input) word(name string) string { return strings.TrimSpace(in.text(name)) }

// id is word of a parameter that there has to be.
func (in *input) id(name string) string {
	s := in.word(name)
	if s == "" {
		in.fail(codeMissingAny, in.in+name)
	}
	return s
}

// oneOf returns a word that is one of some, or absent.
func (in *input) oneOf(name, absent string, of ...string) string {
	s := in.word(name)
	switch {
	case s == "":
		return absent
	case !slices.Contains(of, s):
		in.fail(codeEnumeration, shortened(s, 64))
		return absent
	}
	return s
}

// int returns a whole number between two, or absent.
func (in *input) int(name string, absent, least, most int64) int64 {
	if n := in.one(name); n != nil {
		return in.number(n, absent, least, most)
	}
	return absent
}

// number is int of a child.
func (in *input) number(n *node, absent, least, most int64) int64 {
	text := strings.TrimSpace(n.value)
	if text == "" {
		return absent
	}
	v, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && v == 0: // it is not one that is too large
		in.fail(codeBadValue, n.shown(), in.in+n.name)
	case v < least || v > most:
		in.fail(codeOutOfRange, in.in+n.name, least, most)
	default:
		return v
	}
	return absent
}

// seconds returns a time in whole seconds, between two.
func (in *input) seconds(name string, absent, least, most time.Duration) time.Duration {
	return time.Duration(in.int(name, int64(absent/time.Second), int64(least/time.Second), int64(most/time.Second))) * time.Second
}

// needSeconds is seconds of a parameter that there has to be.
func (in *input) needSeconds(name string, least, most time.Duration) time.Duration {
	in.id(name)
	return in.seconds(name, 0, least, most)
}

// bool returns a boolean, nil if there is none.
func (in *input) bool(name string) *bool {
	yes := false
	switch s := in.word(name); strings.ToLower(s) {
	case "":
		return nil
	case "true", "1":
		yes = true
	case "false", "0":
	default:
		in.fail(codeBadValue, shortened(s, 64), in.in+name)
	}
	return &yes
}

// each calls use with every child of a name.
func (in *input) each(name string, use func(*input)) {
	for _, n := range in.all(name) {
		if in.err() == nil {
			use(&input{n, in.in + name + ".", in.refuse})
		}
	}
}

// list returns the values of a parameter that there may be many of. Some clients
// send one with commas.
func (in *input) list(name string) (words []string) {
	for _, n := range in.all(name) {
		if n.twice {
			in.fail(codeBadValue, n.shown(), in.in+name)
		}
		for word := range strings.SplitSeq(n.value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
	}
	return words
}

// price returns a Price that there has to be, in the one currency.
func (in *input) price(name, currency string) (amount mturk.Cents) {
	if len(in.all(name)) == 0 {
		in.fail(codeMissingAny, in.in+name)
	}
	if len(in.all(name)) > 1 {
		in.fail(codeBadValue, len(in.all(name)), in.in+name)
	}
	in.each(name, func(in *input) {
		text, code := in.id("Amount"), in.id("CurrencyCode")
		if in.err() != nil {
			return
		}
		if code != currency {
			in.fail(codeOtherCurrency, shortened(code, 16), in.in+"CurrencyCode", currency)
			return
		}
		var ok bool
		if amount, ok = parseCents(text); !ok {
			in.fail(codeBadValue, shortened(text, 64), in.in+"Amount")
		}
	})
	return amount
}

// parseCents reads an amount as an xs:decimal: 5, 0.05, .5, +5.00, 5.000. One
// that has a part of a cent, is negative or is beyond what a reward may be is
// none.
func parseCents(text string) (mturk.Cents, bool) {
	text = strings.TrimPrefix(text, "+")
	whole, part, _ := strings.Cut(text, ".")
	part = strings.TrimRight(part, "0")
	if strings.Trim(text, ".") == "" || strings.HasSuffix(text, "..") {
		return 0, false
	}
	if part != "" {
		part = "." + part
	}
	c, ok := mturk.ParseDollars("0" + whole + part)
	return c, ok && c <= mturk.MostCents
}

// A group is what of a HIT or of an assignment is shown.
type group uint8

const (
	groupDetail group = 1 << iota
	groupQuestion
	groupSummary
	groupFeedback
)

// groups returns what ResponseGroup asks for; what is shown if it is not there.
// The ids are always shown, and what was asked (Request, Parameters) is not.
func (in *input) groups(absent group) group {
	names := in.list("ResponseGroup")
	if len(names) == 0 {
		return absent
	}
	var g group
	for _, name := range names {
		switch name {
		case "Minimal", "Request", "Parameters":
		case "HITDetail":
			g |= groupDetail
		case "HITQuestion":
			g |= groupQuestion
		case "HITAssignmentSummary":
			g |= groupSummary
		case "AssignmentFeedback":
			g |= groupFeedback
		default:
			in.fail(codeEnumeration, shortened(name, 64))
		}
	}
	return g
}
