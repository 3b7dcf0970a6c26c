package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

func parsed(s string) money.Amount {
	a, err := usd.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// TestGoldenPrints fixes the fingerprints: a repeat after years must find its
// command the same.
func TestGoldenPrints(t *testing.T) {
	open := ledger.StatusOpen
	var got bytes.Buffer
	for _, c := range []struct {
		name string
		c    ledger.Command
	}{
		{"book", ledger.Command{Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}}}},
		{"open", ledger.Command{Ops: []ledger.Op{own("A"), &ledger.OpenAccount{ID: acc("B"), Named: true, Unit: "USD", Mode: ledger.Own, Limit: money.New(5)}, capped("Ac", 7)}}},
		{"set", ledger.Command{Ops: []ledger.Op{limit("A", 5), &ledger.SetAccount{Account: acc("A"), Expect: 3, Status: &open, NoCap: true, Profile: txt("p")}}}},
		{"transfers", ledger.Command{Ops: []ledger.Op{topup("A", 5), upTo(charge("A", 3)), named("x", forced(charge("A", 1)))}}},
		{"usage", ledger.Command{Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.Charge, Usage: ledger.Usage{Category: "sms", Count: money.New(2), Unit: "u"}}}}},
		{"refunds", ledger.Command{Ops: []ledger.Op{refund("x", 0), refund("y", 2)}}},
		{"holds", ledger.Command{Ops: []ledger.Op{hold("h", "A", 5), raise("h", 1), final(capture("h", 2)), capture("h", 0), &ledger.Release{Hold: "h"},
			&ledger.Extend{Hold: "h", Expires: ledger.Lifetime{For: time.Hour}}}}},
		{"erase", ledger.Command{Ops: []ledger.Op{&ledger.Erase{Account: acc("A")}}}},
		{"records", ledger.Command{Records: []ledger.RecordWrite{{Kind: "k", Key: "1", Expect: 2, Data: []byte("d"), Index: []ledger.IndexEntry{{Name: "n", Value: "v"}},
			Counters: []ledger.Counter{{Name: "c", Value: -1}}, Deadline: noon}, {Kind: "k", Key: "2", Delete: true}, {Kind: "k", Key: "3", Keep: true}}, Answer: txt("a")}},
		{"asked", ledger.Command{Asked: []byte("CreateHIT"), Ops: []ledger.Op{topup("A", 5)}}},
	} {
		fmt.Fprintf(&got, "%s %x\n", c.name, c.c.Print())
	}
	golden(t, "prints.golden", got.Bytes())
}

// TestSameCommand posts two commands with one id: the second is a repeat, or
// another command.
func TestSameCommand(t *testing.T) {
	c := func(ops ...ledger.Op) ledger.Command { return ledger.Command{Remember: true, Ops: ops} }
	pay := func(change func(*ledger.Transfer)) ledger.Command {
		op := topup("A", 1_000_000)
		change(op)
		return c(op)
	}
	place := func(change func(*ledger.PlaceHold)) ledger.Command {
		op := hold("", "M", 5)
		change(op)
		return c(op)
	}
	write := func(w ledger.RecordWrite) ledger.Command {
		w.Kind, w.Key, w.Expect = "k", "1", ledger.AnyVersion
		return ledger.Command{Records: []ledger.RecordWrite{w}}
	}
	large := func(last string) []byte { return []byte(strings.Repeat("x", 2000) + last) }
	plain := pay(func(*ledger.Transfer) {})
	const same, other = true, false
	for _, x := range []struct {
		what string
		a, b ledger.Command
		same bool
	}{
		{"the same", plain, pay(func(*ledger.Transfer) {}), same},
		{"1.0 and 1.00", pay(func(o *ledger.Transfer) { o.Amount = parsed("1.0") }), pay(func(o *ledger.Transfer) { o.Amount = parsed("1.00") }), same},
		{"another amount", plain, pay(func(o *ledger.Transfer) { o.Amount = parsed("1.000001") }), other},
		{"another payee", plain, pay(func(o *ledger.Transfer) { o.To = acc("B") }), other},
		{"another kind", plain, pay(func(o *ledger.Transfer) { o.Kind = ledger.Move }), other},
		{"up to", plain, pay(func(o *ledger.Transfer) { o.UpTo = true }), other},
		{"an id of its own", plain, pay(func(o *ledger.Transfer) { o.ID = "own" }), other},
		{"a usage", plain, pay(func(o *ledger.Transfer) { o.Usage.Category = "sms" }), other},
		{"another actor", plain, func() ledger.Command { c := plain; c.Actor = 9; return c }(), same},
		{"not to be remembered", plain, func() ledger.Command { c := plain; c.Remember = false; return c }(), same},
		{"a reason", plain, pay(func(o *ledger.Transfer) { o.Text = txt("why") }), other},
		{"the same reason", pay(func(o *ledger.Transfer) { o.Text = txt("why") }), pay(func(o *ledger.Transfer) { o.Text = txt("why") }), same},
		{"another reason", pay(func(o *ledger.Transfer) { o.Text = txt("why") }), pay(func(o *ledger.Transfer) { o.Text = txt("who") }), other},
		{"an empty reason", plain, pay(func(o *ledger.Transfer) { o.Text = txt("") }), other},
		{"two, and one", c(topup("A", 1), topup("A", 1)), c(topup("A", 1)), other},
		{"in another order", c(topup("A", 1), topup("A", 2)), c(topup("A", 2), topup("A", 1)), other},
		{"a lifetime and the time that it ends at", place(func(o *ledger.PlaceHold) { o.Expires.For = time.Hour }),
			place(func(o *ledger.PlaceHold) { o.Expires.At = noon.Add(time.Hour) }), other},
		{"nothing said, and what that means", place(func(*ledger.PlaceHold) {}), place(func(o *ledger.PlaceHold) { o.Expires.For = ledger.DefaultHoldLife }), other},
		{"for ever", place(func(*ledger.PlaceHold) {}), place(func(o *ledger.PlaceHold) { o.Expires.Never = true }), other},
		{"an id made up", c(&ledger.OpenAccount{ID: acc("new1"), Unit: "USD", Mode: ledger.Own}), c(&ledger.OpenAccount{ID: acc("new2"), Unit: "USD", Mode: ledger.Own}), same},
		{"an id that was chosen", c(&ledger.OpenAccount{ID: acc("new3"), Named: true, Unit: "USD", Mode: ledger.Own}),
			c(&ledger.OpenAccount{ID: acc("new4"), Named: true, Unit: "USD", Mode: ledger.Own}), other},
		{"a profile", c(&ledger.OpenAccount{ID: acc("new5"), Unit: "USD", Mode: ledger.Own, Profile: txt("Ada")}),
			c(&ledger.OpenAccount{ID: acc("new6"), Unit: "USD", Mode: ledger.Own, Profile: txt("Eve")}), other},
		{"a cap of zero, and none", c(func() ledger.Op { o := capped("Ax", 0); return o }()), c(drawing("Ax")), other},
		{"all that is left, and how much that is", c(refund("paid", 0)), c(refund("paid", 10)), other},
		{"a capture that ends the hold", c(capture("held", 1)), c(final(capture("held", 1))), other},
		{"what was refused", c(charge("A", 1<<60)), c(charge("A", 1<<60)), same},
		{"what was refused, and other", c(charge("A", 1<<60)), c(charge("A", 1)), other},
		{"a record", write(ledger.RecordWrite{Data: []byte("a")}), write(ledger.RecordWrite{Data: []byte("a")}), same},
		{"another record", write(ledger.RecordWrite{Data: []byte("a")}), write(ledger.RecordWrite{Data: []byte("b")}), other},
		{"large data", write(ledger.RecordWrite{Data: large("")}), write(ledger.RecordWrite{Data: large("")}), same},
		{"other large data", write(ledger.RecordWrite{Data: large("a")}), write(ledger.RecordWrite{Data: large("b")}), other},
		{"large data and none", write(ledger.RecordWrite{Data: large("a")}), write(ledger.RecordWrite{}), other},
		{"index entries in another order", write(ledger.RecordWrite{Index: []ledger.IndexEntry{{Name: "a"}, {Name: "b"}}}),
			write(ledger.RecordWrite{Index: []ledger.IndexEntry{{Name: "b"}, {Name: "a"}}}), same},
		{"an index entry and a counter", write(ledger.RecordWrite{Index: []ledger.IndexEntry{{Name: "a"}}}), write(ledger.RecordWrite{Counters: []ledger.Counter{{Name: "a"}}}), other},
		{"what was asked", ledger.Command{Asked: []byte("x"), Ops: []ledger.Op{topup("A", 1)}}, ledger.Command{Asked: []byte("x"), Ops: []ledger.Op{topup("A", 2)}}, same},
		{"asked otherwise", ledger.Command{Asked: []byte("x"), Ops: []ledger.Op{topup("A", 1)}}, ledger.Command{Asked: []byte("y"), Ops: []ledger.Op{topup("A", 1)}}, other},
		{"asked in words, and not", plain, ledger.Command{Asked: []byte("x"), Ops: plain.Ops}, other},
	} {
		t.Run(x.what, func(t *testing.T) {
			o := newOffice(t, own("A"), own("B"), own("M"), topup("M", 100), named("paid", charge("M", 10)), hold("held", "M", 20))
			x.a.ID, x.b.ID = "once", "once"
			first, firstErr := o.post(&x.a)
			if firstErr != nil && first.Event == nil {
				t.Fatal(firstErr)
			}
			again, err := o.post(&x.b)
			if x.same {
				if !again.Replayed || again.Event.Seq != first.Event.Seq || ledger.CodeOf(err) != ledger.CodeOf(firstErr) {
					t.Errorf("not taken for a repeat: %+v, %v", again, err)
				}
			} else if ledger.CodeOf(err) != ledger.IDTaken || again.Event != nil {
				t.Errorf("taken for a repeat: %+v, %v", again, err)
			}
		})
	}
}
