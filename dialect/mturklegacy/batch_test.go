package mturklegacy

import (
	"fmt"
	"strings"
	"testing"

	"saldo/dialect"
	"saldo/ledger"
)

// TestBatch has Requests of which one fails in whatever way. What was done before
// is said, and what comes after is done.
func TestBatch(t *testing.T) {
	answer := func(outcomes ...error) string {
		n := 0
		op := operation{name: "Op", result: "OpResult", serve: func(_ *server, x *dialect.Exchange, _ *call) error {
			n++
			x.Out = appendElement(x.Out, "N", fmt.Sprint(n))
			return outcomes[n-1]
		}}
		resp, body := answered(t, func(s *server, x *dialect.Exchange) {
			c := &call{soap: true, op: &op, edition: &versions[6], results: len(outcomes), requests: make([]*node, len(outcomes))}
			if err := s.results(x, c); err != nil {
				s.refuse(x, c, s.refusalOf(x, err))
			}
		})
		text := fmt.Sprint(resp.StatusCode)
		if strings.Contains(string(body), "Fault>") {
			text += " Fault"
		}
		for _, result := range strings.Split(string(body), "<OpResult>")[1:] {
			text += " " + strings.Join(append(append(all(result, "IsValid"), all(result, "Code")...), all(result, "N")...), ",")
		}
		return text
	}
	busy, bad := ledger.Errorf(ledger.Unavailable, "the store is away"), refuse(codeBadValue, "a", "b")
	for _, tt := range []struct {
		outcomes []error
		want     string
	}{
		{[]error{nil, nil}, "200 True,1 True,2"},
		{[]error{bad, nil}, "200 False,AWS.MechanicalTurk.InvalidParameterValue True,2"},
		{[]error{nil, bad, nil}, "200 True,1 False,AWS.MechanicalTurk.InvalidParameterValue True,3"},
		{[]error{busy, nil}, "503 Fault"}, // nothing was done: all of it may be sent again
		{[]error{nil, busy, nil}, "200 True,1 False,ServiceUnavailable True,3"},
		{[]error{bad, busy}, "200 False,AWS.MechanicalTurk.InvalidParameterValue False,ServiceUnavailable"},
	} {
		if got := answer(tt.outcomes...); got != tt.want {
			t.Errorf("%v is answered %s, want %s", tt.outcomes, got, tt.want)
		}
	}
}

// TestLongAnswers sees that many Requests do not fill the memory.
func TestLongAnswers(t *testing.T) {
	done := 0
	op := operation{name: "Op", result: "OpResult", serve: func(_ *server, x *dialect.Exchange, _ *call) error {
		done++
		x.Out = append(x.Out, strings.Repeat("x", maxAnswer/2)...)
		return nil
	}}
	_, body := answered(t, func(s *server, x *dialect.Exchange) {
		if err := s.results(x, &call{soap: true, op: &op, edition: &versions[6], results: 50, requests: make([]*node, 50)}); err != nil {
			t.Error(err)
		}
	})
	if n := strings.Count(string(body), codeTooLong); done != 2 || n != 48 {
		t.Errorf("%d were answered, and %d refused", done, n)
	}
}
