package gateway360

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/dialect/dialecttest"
)

// TestRepeats sends with an Idempotency-Key: a repeat is answered as the first
// was, and sends nothing.
func TestRepeats(t *testing.T) {
	var taken int
	s := newShop(t, dialecttest.Open(t), sinkFunc(func(_ context.Context, b *Batch) ([]Sent, error) {
		taken += len(b.Messages)
		return append(make([]Sent, len(b.Messages)-1), Sent{ErrorID: idDestination}), nil
	}), "EUR", "0.15")
	one := to("34612345678")
	one["custom"] = "é<"
	body := s.body(nil, one, to("x"), to("34612345678"), to("34612345678"), to("34612345678"))
	status, first := s.call(pathSend, body, "k1")
	if got := became(t, first); got != "ok INVALID_DESTINATION ok INVALID_DESTINATION NOT_ENOUGH_BALANCE" {
		t.Errorf("the first is %s", got)
	}
	s.want(t, "0.050000 0.000000")
	s.TopUp(s.account, "10")
	for range 3 {
		if status2, again := s.call(pathSend, body, "k1"); status2 != status || again != first {
			t.Errorf("a repeat is\n%s\nand the first was\n%s", again, first)
		}
	}
	s.h = New(s.Ledger, s.Auth, Options{Sink: quiet}) // without prices now
	if _, again := s.call(pathSend, strings.Replace(body, `"api_key"`, `"x":1,"api_key"`, 1), "k1"); again != first {
		t.Errorf("a repeat is\n%s\nand the first was\n%s", again, first)
	}
	s.want(t, "10.050000 0.000000")
	if taken != 3 {
		t.Errorf("%d messages were handed on", taken)
	}
	for _, other := range []string{s.body(nil, one), s.body(sms{"encoding": "UCS2"}, one, to("x"), to("34612345678"), to("34612345678"), to("34612345678"))} {
		if _, got := s.call(pathSend, other, "k1"); became(t, got) != idBad || !strings.Contains(got, "another request") {
			t.Errorf("another request with the same key is %s", got)
		}
	}
	s.h = newShop(t, s.World, quiet, "EUR", "").h
	if _, second := s.call(pathSend, body, "k2"); second == first {
		t.Error("another key gets the answer of the first")
	}
	stranger := newShop(t, s.World, quiet, "EUR", "1")
	if _, got := stranger.call(pathSend, stranger.body(nil, to("34612345678")), "k1"); became(t, got) != "ok" {
		t.Errorf("somebody else with the same key gets %s", got)
	}

	// What nothing came of is not remembered: there may be money by then.
	poor := newShop(t, s.World, quiet, "EUR", "")
	if _, got := poor.call(pathSend, poor.body(nil, to("34612345678")), "k"); became(t, got) != idFunds {
		t.Errorf("without money it is %s", got)
	}
	poor.TopUp(poor.account, "1")
	if _, got := poor.call(pathSend, poor.body(nil, to("34612345678")), "k"); became(t, got) != "ok" {
		t.Errorf("then with money it is %s", got)
	}
}

// TestRepeatsAtOnce sends the same many times at once: it is sent once.
func TestRepeatsAtOnce(t *testing.T) {
	var taken atomic.Int64
	s := newShop(t, dialecttest.Open(t), sinkFunc(func(_ context.Context, b *Batch) ([]Sent, error) {
		taken.Add(1)
		return make([]Sent, len(b.Messages)), nil
	}), "EUR", "1")
	body := s.body(nil, to("34612345678"))
	answers := make(chan string, 32)
	var all sync.WaitGroup
	for range cap(answers) {
		all.Go(func() {
			_, answer := s.call(pathSend, body, "once")
			answers <- answer
		})
	}
	all.Wait()
	close(answers)
	_, last := s.call(pathSend, body, "once")
	ok := 0
	for answer := range answers {
		switch got := became(t, answer); {
		case got == "ok" && answer == last:
			ok++
		case got != idBusy:
			t.Errorf("one of the same is %s, and the last %s", answer, last)
		}
	}
	if taken.Load() != 1 || ok == 0 {
		t.Errorf("it was handed on %d times, and %d were told so", taken.Load(), ok)
	}
	s.want(t, "0.950000 0.000000")
}

// TestBreaksOff has the server break off between setting money aside and paying:
// nothing is sent again, and after a day the money is free again.
func TestBreaksOff(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newShop(t, dialecttest.OpenAt(t, start), sinkFunc(func(context.Context, *Batch) ([]Sent, error) { panic("the power went") }), "EUR", "1")
	body := s.body(nil, to("34612345678"))
	if status, answer := s.call(pathSend, body, "k"); status != 500 {
		t.Errorf("it is answered %d %s", status, answer)
	}
	s.want(t, "0.950000 0.050000")
	for _, after := range []time.Duration{0, 12 * time.Hour, 24*time.Hour - time.Second} {
		s.Clock.Set(start.Add(after))
		if status, answer := s.call(pathSend, body, "k"); status != 503 || !strings.Contains(answer, "not sent again") {
			t.Errorf("after %v its repeat is answered %d %s", after, status, answer)
		}
		s.want(t, "0.950000 0.050000")
	}
	s.Clock.Set(start.Add(24 * time.Hour))
	s.want(t, "1.000000 0.000000")
	if status, _ := s.call(pathSend, body, "k"); status != 503 {
		t.Errorf("after a day its repeat is answered %d", status)
	}
	s.want(t, "1.000000 0.000000")
}

// TestMoveRepeats moves an amount with an Idempotency-Key.
func TestMoveRepeats(t *testing.T) {
	s := newShop(t, dialecttest.Open(t), nil, "EUR", "10")
	s.create(t, "shop1")
	add := s.about("shop1", `,"amount":"3"`)
	_, first := s.call(pathSubaccountAdd, add, "k")
	if first != `{"status":"ok","result":{"balance":"3.0000","currency":"EUR"}}` {
		t.Errorf("the first is %s", first)
	}
	if _, got := s.call(pathSubaccountDeduct, s.about("shop1", `,"amount":1`), "l"); !strings.Contains(got, `"2.0000"`) {
		t.Errorf("the way back is %s", got)
	}
	if _, again := s.call(pathSubaccountAdd, s.about("shop1", `,"amount":3.00`), "k"); again != first {
		t.Errorf("the repeat is %s", again)
	}
	s.want(t, "8.000000 0.000000")
	for path, body := range map[string]string{
		pathSubaccountAdd:    s.about("shop1", `,"amount":"4"`),
		pathSubaccountDeduct: add,
	} {
		if _, got := s.call(path, body, "k"); !strings.Contains(got, "another request") {
			t.Errorf("%s with the same key is %s", path, got)
		}
	}
	for range 2 { // without a key, each is one more
		s.call(pathSubaccountAdd, add, "")
	}
	s.want(t, "2.000000 0.000000")
}
