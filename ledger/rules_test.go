package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// TestStatus tries every operation on an account that is open or frozen, or
// whose parent is.
func TestStatus(t *testing.T) {
	const open, frozen = ledger.StatusOpen, ledger.StatusFrozen
	const ok, no = ledger.OK, ledger.Frozen
	other := func(kind ledger.TransferKind, from, to string) *ledger.Transfer {
		return &ledger.Transfer{Kind: kind, From: acc(from), To: acc(to), Amount: money.New(1)}
	}
	for _, c := range []struct {
		what   string
		op     ledger.Op
		frozen ledger.Code // what becomes of it when frozen; it is fine when open
	}{
		{"top-up", topup("RA", 1), ok},
		{"charge", charge("RA", 1), no},
		{"charge up to", upTo(charge("RA", 1)), no},
		{"forced charge", forced(charge("RA", 1)), no},
		{"move out", other(ledger.Move, "RA", "B"), no},
		{"move in", other(ledger.Move, "B", "RA"), ok},
		{"adjustment out", other(ledger.Adjustment, "RA", "B"), ok},
		{"adjustment in", other(ledger.Adjustment, "B", "RA"), ok},
		{"hold", hold("new", "RA", 1), no},
		{"capture", capture("h", 10), ok},
		{"capture of more", capture("h", 11), no},
		{"raise", raise("h", 1), no},
		{"extend", &ledger.Extend{Hold: "h"}, ok},
		{"release", &ledger.Release{Hold: "h"}, ok},
		{"refund in", refund("paid", 0), ok},
		{"refund out", refund("in", 0), ok},
		{"charge of a child", charge("RAd", 1), no},
		{"adjustment of a child", other(ledger.Adjustment, "RAd", "B"), ok},
		{"new child", own("RAn"), ok},
		{"limit", limit("RA", 5), ok},
		{"erasure", &ledger.Erase{Account: acc("RA")}, ok},
	} {
		for _, st := range []struct{ root, account ledger.Status }{{open, open}, {open, frozen}, {frozen, open}, {frozen, frozen}} {
			t.Run(fmt.Sprintf("%s/%v/%v", c.what, st.root, st.account), func(t *testing.T) {
				d := newDesk(t, own("R"), own("RA"), drawing("RAd"), own("B"), topup("RA", 100), topup("B", 100))
				d.as("in", topup("RA", 20))
				d.as("paid", charge("RA", 20))
				d.as("h", hold("", "RA", 10))
				d.do(status("R", st.root), status("RA", st.account))
				if st.root == open && st.account == open || c.frozen == ok {
					d.do(c.op)
				} else if r := d.no(c.frozen, c.op); r.Account != acc("RA") && r.Account != acc("RAd") {
					t.Errorf("refused by %v", r.Account)
				}
			})
		}
	}
}

// TestClosed tries every operation on a closed account: refunds out, reads and
// opening it again are all that goes.
func TestClosed(t *testing.T) {
	for _, c := range []struct {
		what string
		op   ledger.Op
		want ledger.Code
	}{
		{"top-up", topup("RA", 1), ledger.Closed},
		{"charge", charge("RA", 1), ledger.Closed},
		{"forced charge", forced(charge("RA", 1)), ledger.Closed},
		{"hold", hold("h", "RA", 1), ledger.Closed},
		{"refund in", refund("paid", 0), ledger.Closed},
		{"refund out", refund("in", 0), ledger.OK},
		{"forced refund out", &ledger.Refund{Of: "in", Force: true, Text: txt("why")}, ledger.OK},
		{"adjustment out", &ledger.Transfer{Kind: ledger.Adjustment, From: acc("RA"), To: revenue, Amount: money.New(1)}, ledger.Closed},
		{"adjustment of a closed drawing account", &ledger.Transfer{Kind: ledger.Adjustment, From: acc("Rd"), To: revenue, Amount: money.New(1)}, ledger.Closed},
		{"charge of a closed drawing account", charge("Rd", 1), ledger.Closed},
		{"capture to it", &ledger.Capture{Hold: "other", To: []ledger.Payee{{To: acc("RA"), Amount: money.New(1)}}}, ledger.Closed},
		{"child", own("RAn"), ledger.Closed},
		{"opening", status("RA", ledger.StatusOpen), ledger.OK},
		{"freezing", status("RA", ledger.StatusFrozen), ledger.OK},
		{"closing again", status("RA", ledger.StatusClosed), ledger.OK},
		{"erasure", &ledger.Erase{Account: acc("RA")}, ledger.OK},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDesk(t, own("R"), own("RA"), limit("RA", 50), drawing("Rd"), topup("R", 10))
			d.as("in", topup("RA", 20))
			d.as("paid", charge("RA", 20))
			d.as("other", hold("", "R", 5))
			d.do(status("RA", ledger.StatusClosed), status("Rd", ledger.StatusClosed))
			if c.want == ledger.OK {
				d.do(c.op)
			} else {
				d.no(c.want, c.op)
			}
		})
	}
}

func TestClosing(t *testing.T) {
	const closed = ledger.StatusClosed
	d := newDesk(t, own("A"), own("Ab"), drawing("Ad"), topup("A", 10))
	d.no(ledger.NotEmpty, status("A", closed)) // a balance
	d.do(charge("Ad", 10))
	d.no(ledger.NotEmpty, status("A", closed)) // children
	d.do(status("Ab", closed), status("Ad", closed))
	d.do(status("A", closed))
	d.no(ledger.Closed, status("Ab", ledger.StatusOpen)) // the parent is closed
	d.do(status("A", ledger.StatusOpen))
	d.do(status("Ab", ledger.StatusFrozen))
	if d.Account(acc("A")).Children != 1 {
		t.Errorf("children %d", d.Account(acc("A")).Children)
	}
	d.do(status("Ab", closed), status("A", closed)) // in one command

	d = newDesk(t, own("B"), drawing("Bd"), topup("B", 10), hold("h", "Bd", 10))
	d.no(ledger.NotEmpty, status("Bd", closed)) // its hold
	d.do(capture("h", 0))
	d.no(ledger.NotEmpty, status("B", closed)) // its child
	d.do(status("Bd", closed), status("B", closed))
	d.no(ledger.Invalid, status("B", 3))
}

func TestSpending(t *testing.T) {
	t.Run("own money", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		d.short("A", ledger.Funds, 101, 100, charge("A", 101))
		d.do(charge("A", 100))
		d.short("A", ledger.Funds, 1, 0, charge("A", 1))
		d.has("A", 0, 0)
		d.sum(cash, -100, 0)
		d.sum(revenue, 100, 0)
	})
	t.Run("credit", func(t *testing.T) {
		d := newDesk(t, own("A"), limit("A", 50))
		d.short("A", ledger.CreditLimit, 51, 50, charge("A", 51))
		d.do(charge("A", 50))
		d.short("A", ledger.CreditLimit, -49, -50, limit("A", 49)) // it is in use
		d.do(limit("A", 50), limit("A", 60))
		d.do(&ledger.SetAccount{Account: acc("A"), Limit: amt(0), Force: true, Reason: txt("bankrupt")})
		d.short("A", ledger.Funds, 1, -50, charge("A", 1))
		d.do(limit("A", 10)) // better, if not good
		d.do(topup("A", 50))
		d.do(charge("A", 10))
	})
	t.Run("what must stay", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		d.short("A", ledger.CreditLimit, 101, 100, limit("A", -101))
		d.do(limit("A", -30))
		d.short("A", ledger.CreditLimit, 71, 70, charge("A", 71))
		d.do(charge("A", 70))
		d.has("A", 30, 0)
	})
	t.Run("held", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100), hold("h", "A", 80))
		d.short("A", ledger.Funds, 21, 20, charge("A", 21))
		d.do(charge("A", 20))
		d.has("A", 80, 80)
	})
	t.Run("up to", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100), capped("Ac", 30))
		if p := d.do(upTo(charge("Ac", 40))).Transfers[0]; p.Amount != money.New(30) || p.Asked != money.New(40) || p.Via != acc("Ac") {
			t.Errorf("took %+v", p)
		}
		d.short("Ac", ledger.Cap, 1, 0, upTo(charge("Ac", 1)))
		if p := d.do(upTo(charge("A", 70))).Transfers[0]; p.Amount != money.New(70) || p.Asked != money.New(70) {
			t.Errorf("took %+v", p)
		}
		d.short("A", ledger.Funds, 5, 0, upTo(charge("A", 5)))
		d.do(upTo(topup("A", 5))) // @cash has no bound
		d.do(&ledger.Transfer{Kind: ledger.Charge, From: acc("A"), To: revenue, Amount: money.New(25), Force: true, Text: txt("r")})
		d.short("A", ledger.Funds, 5, -20, upTo(charge("A", 5)))
	})
	t.Run("forced", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 10), capped("Ac", 5))
		d.no(ledger.Invalid, &ledger.Transfer{Kind: ledger.Charge, From: acc("A"), To: revenue, Amount: money.New(1), Force: true})
		d.no(ledger.Invalid, upTo(forced(charge("A", 1))))
		d.no(ledger.Invalid, &ledger.SetAccount{Account: acc("A"), Limit: amt(0), Force: true})
		d.do(forced(charge("Ac", 30)))
		d.has("A", -20, 0)
		d.has("Ac", -30, 0)
		d.short("A", ledger.Funds, 1, -20, charge("A", 1))
		// One command may force one transfer and not another.
		d.do(topup("A", 21), charge("A", 1), forced(charge("A", 7)))
		d.has("A", -7, 0)
	})
	t.Run("who and what", func(t *testing.T) {
		d := newDesk(t, own("A"), own("B"), drawing("Bd"), topup("A", 10),
			&ledger.OpenAccount{ID: acc("S"), Unit: "SMS", Mode: ledger.Own})
		pay := func(from, to ledger.AccountID, n int64) *ledger.Transfer {
			return &ledger.Transfer{Kind: ledger.Move, From: from, To: to, Amount: money.New(n)}
		}
		d.no(ledger.Invalid, charge("A", 0))
		d.no(ledger.Invalid, charge("A", -1))
		d.no(ledger.Invalid, pay(acc("A"), acc("A"), 1))
		d.no(ledger.Invalid, pay(acc("Bd"), acc("B"), 1)) // B pays itself
		d.no(ledger.Invalid, pay(acc("A"), acc("Bd"), 1)) // no money of its own
		d.no(ledger.Invalid, pay(acc("A"), acc("S"), 1))  // another unit
		d.no(ledger.NotFound, pay(acc("A"), acc("X"), 1))
		d.no(ledger.NotFound, pay(acc("X"), acc("A"), 1))
		d.no(ledger.NotFound, pay(acc("A"), ledger.SystemID(2, 0, ledger.Cash), 1)) // another book's
		d.no(ledger.NotFound, pay(acc("A"), ledger.SystemID(1, 2, ledger.Cash), 1)) // no such unit
		d.no(ledger.NotFound, pay(acc("A"), ledger.SystemID(1, 0, 4), 1))           // no such role
		alias := revenue
		alias[14] = 1 // reads as @revenue only if the role is cut to a byte
		d.no(ledger.NotFound, pay(acc("A"), alias, 1))
		d.no(ledger.Invalid, pay(ledger.SystemID(1, 0, 4), acc("A"), 0))
		for _, kind := range []ledger.TransferKind{0, ledger.Capturing, ledger.Refunding, 7} {
			d.no(ledger.Invalid, &ledger.Transfer{Kind: kind, From: cash, To: acc("A"), Amount: money.New(1)})
		}
		d.no(ledger.Invalid, &ledger.Transfer{Kind: ledger.Charge, From: acc("A"), To: revenue, Amount: money.New(1), Usage: ledger.Usage{Category: strings.Repeat("x", 65)}})
		d.no(ledger.Invalid, &ledger.Transfer{Kind: ledger.Charge, From: acc("A"), To: revenue, Amount: money.New(1), Usage: ledger.Usage{Unit: strings.Repeat("x", 33)}})
		if _, r := d.post(&ledger.Command{Tenant: 2, Ops: []ledger.Op{topup("A", 1)}}); r == nil || r.Code != ledger.NotFound {
			t.Errorf("another tenant's book: %+v", r)
		}
	})
}

func TestOverflow(t *testing.T) {
	top := func(name string, a money.Amount) *ledger.Transfer {
		return &ledger.Transfer{Kind: ledger.TopUp, From: cash, To: acc(name), Amount: a}
	}
	d := newDesk(t, own("A"), own("B"), limit("B", 10))
	d.no(ledger.Overflow, top("A", pow2(124, 0)))
	d.do(top("A", pow2(124, -1)))
	d.no(ledger.Overflow, topup("A", 1))
	d.no(ledger.Overflow, topup("B", 2)) // @cash
	d.do(topup("B", 1))                  // @cash goes down to -2^124
	d.no(ledger.Overflow, topup("B", 1))
	d.no(ledger.Overflow, &ledger.SetAccount{Account: acc("B"), Limit: ptr(pow2(124, 0))})
	d.do(&ledger.SetAccount{Account: acc("B"), Limit: ptr(pow2(124, -1))})
	d.do(&ledger.PlaceHold{ID: "h", Account: acc("B"), Amount: pow2(124, -1)})
	d.no(ledger.Overflow, raise("h", 1))
	d.no(ledger.Overflow, &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: revenue, Amount: pow2(124, -1)}, {To: revenue, Amount: money.New(1)}}})
	if got := d.Account(acc("B")).Spendable(); got != money.New(1) {
		t.Errorf("spendable %v", got)
	}
	d.no(ledger.Overflow, &ledger.PlaceHold{ID: "h2", Account: acc("B"), Amount: pow2(124, 0)})
	d.no(ledger.Overflow, &ledger.PlaceHold{ID: "h2", Account: acc("B"), Amount: pow2(126, 0)})
	d.do(capture("h", 0))
	big := drawing("Ac")
	big.Cap = ptr(pow2(124, 0))
	d.no(ledger.Overflow, big)

	d = newDesk(t, own("A"), top("A", pow2(124, -1)), &ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: pow2(124, -1)})
	d.do(&ledger.Capture{ID: "c", Hold: "h", To: []ledger.Payee{{To: revenue, Amount: pow2(124, -2)}}})
	d.do(refund("c", 0))
	d.no(ledger.Overflow, raise("h", 1)) // all that was ever set aside, what came back too
}

func ptr[T any](v T) *T { return &v }

// TestCaps draws through seven accounts, each with a cap, down to the deepest.
func TestCaps(t *testing.T) {
	d := newDesk(t, own("A"), topup("A", 1000))
	name := "A"
	for i := range ledger.MaxDepth - 1 {
		name += string(rune('b' + i))
		d.do(capped(name, int64(100-10*i))) // 100 for Ab, 40 for the deepest
	}
	deepest, middle, first := name, name[:4], name[:2]
	d.no(ledger.TooMany, drawing(name+"z"))
	d.no(ledger.TooMany, own(name+"z"))
	d.short(deepest, ledger.Cap, 41, 40, charge(deepest, 41))
	d.do(charge(deepest, 30), hold("h", deepest, 10))
	d.short(deepest, ledger.Cap, 1, 0, charge(deepest, 1))
	d.short(deepest, ledger.Cap, 1, 0, raise("h", 1))
	d.has("A", 970, 10)
	for n := 2; n <= len(name); n++ {
		d.has(name[:n], -30, 10)
		if a := d.Account(acc(name[:n])); a.OpenHolds != 1 || a.Spent() != money.New(30) || a.Room() != money.New(int64(100-10*(n-2)-40)) {
			t.Errorf("%s: %d open holds, %v spent, %v room", name[:n], a.OpenHolds, a.Spent(), a.Room())
		}
	}
	d.short(middle, ledger.Cap, 41, 40, charge(middle, 41)) // its 80 less what its descendant took
	d.do(charge(middle, 40))
	d.short(first, ledger.Cap, 21, 20, charge(first, 21))
	d.do(capture("h", 10)) // needs no room: it was set aside
	d.has(deepest, -40, 0)
	d.has("A", 920, 0)
	d.do(&ledger.SetAccount{Account: acc(deepest), NoCap: true})
	d.short(middle, ledger.Cap, 1, 0, charge(deepest, 1)) // the next one bounds
	d.do(&ledger.SetAccount{Account: acc(first), Cap: amt(10)})
	d.short(first, ledger.Cap, 1, -70, charge(first, 1))
	d.do(charge("A", 920))
	d.short("A", ledger.Funds, 1, 0, charge("A", 1))
}

func TestRefunds(t *testing.T) {
	d := newDesk(t, own("A"), topup("A", 100), capped("Ac", 50), drawing("Acd"))
	d.as("c1", charge("Acd", 40))
	if e := d.as("r1", refund("c1", 15)); e.Transfers[0].Via != acc("Acd") || e.Transfers[0].From != revenue || e.Transfers[0].To != acc("A") ||
		*e.Transfers[0].Of != (ledger.TransferAt{Book: 1, Seq: 2}) {
		t.Errorf("refund %+v", e.Transfers[0])
	}
	d.has("A", 75, 0)
	d.has("Ac", -25, 0)
	d.has("Acd", -25, 0)
	if r := d.no(ledger.OverRefund, refund("c1", 26)); r.Required != money.New(26) || r.Spendable != money.New(25) {
		t.Errorf("refusal %+v", r)
	}
	d.no(ledger.OverRefund, refund("c1", 20), refund("c1", 6)) // together too much
	d.do(refund("c1", 20), refund("c1", 5))
	d.no(ledger.OverRefund, refund("c1", 0))
	d.no(ledger.OverRefund, refund("c1", 1))
	d.no(ledger.Invalid, refund("c1", -1))
	d.no(ledger.Invalid, refund("r1", 1)) // of a refund
	d.no(ledger.NotFound, refund("c2", 1))
	d.has("Ac", 0, 0)

	// A top-up comes back only as far as there is money, unless forced.
	d.as("in", topup("A", 10))
	d.do(charge("A", 105))
	d.short("A", ledger.Funds, 10, 5, refund("in", 0))
	d.no(ledger.Invalid, &ledger.Refund{Of: "in", Force: true})
	d.do(refund("in", 5))
	d.do(&ledger.Refund{Of: "in", Force: true, Text: txt("bounced")})
	d.has("A", -5, 0)

	// Of one of several: by its number, or by its own id.
	d.do(topup("A", 100))
	d.as("batch", charge("A", 1), charge("A", 2), named("own", charge("A", 3)))
	d.do(refund("batch#1", 0), refund("own", 0), refund("batch", 0))
	d.no(ledger.NotFound, refund("batch#2", 0)) // it has an id of its own

	// Of a capture for two.
	d.do(own("B"), hold("h", "A", 30))
	d.as("cap", &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: acc("B"), Amount: money.New(10)}, {To: revenue, Amount: money.New(5)}}})
	d.has("A", 80, 15)
	d.no(ledger.NotFound, refund("cap", 0))
	d.do(refund("cap#0", 0), refund("cap#1", 2))
	d.has("A", 92, 15)
	d.has("B", 0, 0)
}

func TestHolds(t *testing.T) {
	t.Run("captures", func(t *testing.T) {
		d := newDesk(t, own("A"), own("B"), topup("A", 100), hold("h", "A", 60))
		d.has("A", 100, 60)
		d.as("c1", capture("h", 10))
		d.has("A", 90, 50)
		e := d.as("c2", &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: acc("B"), Amount: money.New(20)}, {To: revenue, Amount: money.New(5)}}})
		if e.TransferID(0) != "c2#0" || e.TransferID(1) != "c2#1" || e.Holds[0].Remaining != money.New(25) || e.Holds[0].Captured != money.New(35) {
			t.Errorf("event %+v", e)
		}
		d.has("B", 20, 0)
		d.as("c3", final(capture("h", 5)))
		d.has("A", 60, 0)
		h := d.Hold(ledger.RefOf(1, "h"))
		if h.State != ledger.HoldCaptured || h.Captured != money.New(40) || !h.Remaining.IsZero() || d.Account(acc("A")).OpenHolds != 0 {
			t.Errorf("hold %+v", h)
		}
		for _, op := range []ledger.Op{capture("h", 1), capture("h", 0), raise("h", 1), &ledger.Release{Hold: "h"}, &ledger.Extend{Hold: "h"}} {
			d.no(ledger.HoldClosed, op)
		}
		d.no(ledger.NotFound, capture("g", 1))
	})
	t.Run("all of it", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100), hold("h", "A", 60))
		d.do(capture("h", 10), capture("h", 0))
		d.has("A", 40, 0)
		if h := d.Hold(ledger.RefOf(1, "h")); h.State != ledger.HoldCaptured || h.Captured != money.New(60) {
			t.Errorf("hold %+v", h)
		}
	})
	t.Run("raise", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100), hold("h", "A", 60))
		d.short("A", ledger.Funds, 41, 40, raise("h", 41))
		d.short("A", ledger.Funds, 41, 40, capture("h", 101))
		d.no(ledger.Invalid, raise("h", 0))
		d.do(raise("h", 10))
		d.has("A", 100, 70)
		d.do(capture("h", 90)) // the raise of 20 and the capture
		d.has("A", 10, 0)
		if h := d.Hold(ledger.RefOf(1, "h")); h.Amount != money.New(90) || h.Captured != money.New(90) || h.State != ledger.HoldCaptured {
			t.Errorf("hold %+v", h)
		}
	})
	t.Run("capture never fails for money", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100), capped("Ac", 60), hold("h", "Ac", 60))
		d.do(forced(charge("A", 500)), &ledger.SetAccount{Account: acc("Ac"), Cap: amt(0)})
		d.do(capture("h", 60))
		d.has("A", -460, 0)
		d.has("Ac", -60, 0)
	})
	t.Run("lifetime", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		for i, c := range []struct {
			life ledger.Lifetime
			ends ledger.Time // 0: refused
		}{
			{ledger.Lifetime{}, noon.Add(7 * 24 * time.Hour)},
			{ledger.Lifetime{For: time.Minute}, noon.Add(time.Minute)},
			{ledger.Lifetime{For: -1}, 0},
			{ledger.Lifetime{For: time.Microsecond - 1}, 0},
			{ledger.Lifetime{For: time.Microsecond}, noon + 1},
			{ledger.Lifetime{At: noon}, 0},
			{ledger.Lifetime{At: noon + 1}, noon + 1},
			{ledger.Lifetime{At: -1}, 0},
			{ledger.Lifetime{At: ledger.MaxTime}, ledger.MaxTime},
			{ledger.Lifetime{At: ledger.MaxTime + 1}, 0},
			{ledger.Lifetime{At: 1<<63 - 1}, 0},
		} {
			id := fmt.Sprint("h", i)
			if c.ends == 0 {
				d.no(ledger.Invalid, &ledger.PlaceHold{ID: id, Account: acc("A"), Amount: money.New(1), Expires: c.life})
				continue
			}
			d.do(&ledger.PlaceHold{ID: id, Account: acc("A"), Amount: money.New(1), Expires: c.life})
			if got := d.Hold(ledger.RefOf(1, id)).Expires; got != c.ends {
				t.Errorf("%+v: ends at %v, want %v", c.life, got, c.ends)
			}
		}
	})
	t.Run("expiry", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		ends := noon.Add(time.Minute)
		d.do(&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(100), Expires: ledger.Lifetime{At: ends}})
		d.now = ends - 1
		d.short("A", ledger.Funds, 1, 0, charge("A", 1))
		d.do(&ledger.Extend{Hold: "h", Expires: ledger.Lifetime{At: ends + 5}})
		d.now = ends + 4
		d.do(capture("h", 1))
		d.now = ends + 5 // the exact microsecond
		d.no(ledger.HoldExpired, capture("h", 1))
		d.no(ledger.HoldExpired, &ledger.Extend{Hold: "h"})
		d.do(charge("A", 99))
		d.has("A", 0, 0)
		if h := d.Hold(ledger.RefOf(1, "h")); h.State != ledger.HoldGone || !h.Remaining.IsZero() || h.Captured != money.New(1) {
			t.Errorf("hold %+v", h)
		}
	})
	t.Run("never", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		d.do(&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(60), Expires: ledger.Lifetime{Never: true}})
		d.now = noon.Add(200 * 365 * 24 * time.Hour)
		d.do(capture("h", 60))
	})
	t.Run("the book's time goes on", func(t *testing.T) {
		// The clock went back; the book's time, at which the hold ends, did not.
		d := newDesk(t, own("A"), topup("A", 100))
		d.do(&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(60), Expires: ledger.Lifetime{For: time.Minute}})
		d.now = noon.Add(time.Minute)
		d.do(topup("A", 1))
		d.now = noon
		d.no(ledger.HoldExpired, capture("h", 1))
		if e := d.do(topup("A", 1)); e.Time != noon.Add(time.Minute) {
			t.Errorf("time %v", e.Time)
		}
	})
	t.Run("what must expire first", func(t *testing.T) {
		d := newDesk(t, own("A"), topup("A", 100))
		d.do(&ledger.PlaceHold{ID: "h", Account: acc("A"), Amount: money.New(60), Expires: ledger.Lifetime{For: time.Minute}})
		c := &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{topup("A", 1)}}
		if _, r := ledger.Decide(d, noon.Add(time.Minute), c); r == nil || r.Code != ledger.Internal {
			t.Errorf("decided over a hold that is due: %+v", r)
		}
		if _, r := ledger.Decide(d, noon, &ledger.Command{Tenant: 1, Book: 1, Ops: []ledger.Op{&ledger.Expire{Holds: []ledger.Ref{ledger.RefOf(1, "h")}}}}); r == nil {
			t.Error("a hold expired before its time")
		}
	})
	t.Run("who", func(t *testing.T) {
		d := newDesk(t, own("A"), own("B"), topup("A", 100))
		d.no(ledger.Invalid, &ledger.PlaceHold{ID: "h", Account: cash, Amount: money.New(1)})
		d.no(ledger.NotFound, hold("h", "X", 1))
		d.no(ledger.Invalid, hold("", "A", 1)) // a command without an id
		d.no(ledger.Invalid, hold("h", "A", 0))
		d.do(hold("h", "A", 1))
		d.no(ledger.IDTaken, hold("h", "A", 1))
		d.no(ledger.Invalid, &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: acc("A"), Amount: money.New(1)}}}) // to itself
		d.no(ledger.Invalid, &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: revenue, Amount: money.New(0)}}})
		d.no(ledger.Invalid, &ledger.Capture{Hold: "h", Usage: ledger.Usage{Category: strings.Repeat("x", 65)}})
		d.no(ledger.Invalid, &ledger.Capture{ID: "c", Hold: "h", To: []ledger.Payee{{To: revenue, Amount: money.New(1)}, {To: acc("B"), Amount: money.New(1)}}})
	})
}

func TestBatches(t *testing.T) {
	d := newDesk(t, own("A"), own("B"), topup("A", 100))
	head := *d.Head()
	move := func(id string, n int64) *ledger.Transfer {
		return &ledger.Transfer{ID: id, Kind: ledger.Move, From: acc("A"), To: acc("B"), Amount: money.New(n)}
	}
	if r := d.no(ledger.Insufficient, charge("A", 60), move("", 30), charge("A", 20)); r.Op != 2 || r.Spendable != money.New(10) {
		t.Errorf("refusal %+v", r)
	}
	if d.Head().Seq != head.Seq || d.Head().Hash != head.Hash {
		t.Error("a refused batch is in the journal")
	}
	d.has("A", 100, 0)
	// What a batch brings in, it may spend; in that order.
	d.short("B", ledger.Funds, 5, 0, charge("B", 5), move("", 30))
	d.do(move("", 30), charge("B", 5))
	d.has("B", 25, 0)
	// Ids of its own: one namespace with commands and holds.
	d.no(ledger.IDTaken, move("x", 1), move("x", 1))
	d.no(ledger.IDTaken, move("x", 1), hold("x", "A", 1))
	e := d.as("batch", move("x", 1), move("", 1), hold("y", "A", 1))
	if e.TransferID(0) != "x" || e.TransferID(1) != "batch#1" || e.HoldID(0) != "y" {
		t.Errorf("ids %s, %s, %s", e.TransferID(0), e.TransferID(1), e.HoldID(0))
	}
	for _, id := range []string{"x", "y", "batch"} {
		d.no(ledger.IDTaken, move(id, 1))
	}
	d.no(ledger.Invalid, move("é", 1))
	// A command's own id may be spelled out once more.
	if e := d.as("batch2", move("batch2", 1)); e.TransferID(0) != "batch2" {
		t.Errorf("id %s", e.TransferID(0))
	}
	// All of a tree in one command.
	d.do(own("C"), drawing("Cd"), capped("Cde", 7), topup("C", 10), charge("Cde", 7), limit("C", 1), status("C", ledger.StatusFrozen))
	d.has("Cde", -7, 0)
	d.no(ledger.Frozen, charge("Cd", 1))
	d.no(ledger.Exists, own("D"), own("D"))
	// A hold that comes and goes at once.
	d.do(hold("brief", "A", 10), raise("brief", 5), capture("brief", 3), &ledger.Release{Hold: "brief"})
	if h := d.Hold(ledger.RefOf(1, "brief")); h.State != ledger.HoldReleased || h.Captured != money.New(3) {
		t.Errorf("hold %+v", h)
	}
}

func TestOpening(t *testing.T) {
	id := func(change func(*ledger.OpenAccount)) *ledger.OpenAccount {
		op := own("N")
		change(op)
		return op
	}
	d := newDesk(t, own("A"), drawing("Ad"))
	for _, c := range []struct {
		op   *ledger.OpenAccount
		want ledger.Code
	}{
		{id(func(o *ledger.OpenAccount) { o.ID = ledger.AccountID{} }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.ID = cash }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.ID = acc("A") }), ledger.Exists},
		{id(func(o *ledger.OpenAccount) { o.Mode = ledger.System }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Mode = 0 }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Unit = "" }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Unit = "EUR" }), ledger.NotFound},
		{id(func(o *ledger.OpenAccount) { o.Limit = money.New(-1) }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Cap = amt(1) }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Mode = ledger.Drawing }), ledger.Invalid}, // on whom?
		{id(func(o *ledger.OpenAccount) { o.Parent = acc("X") }), ledger.NotFound},
		{id(func(o *ledger.OpenAccount) { o.Parent = cash }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Parent, o.Mode, o.Unit = acc("A"), ledger.Drawing, "SMS" }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Parent, o.Mode, o.Limit = acc("A"), ledger.Drawing, money.New(1) }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Parent, o.Mode, o.Cap = acc("A"), ledger.Drawing, amt(-1) }), ledger.Invalid},
		{id(func(o *ledger.OpenAccount) { o.Profile = txt(strings.Repeat("x", ledger.MaxText+1)) }), ledger.TooMany},
	} {
		d.no(c.want, c.op)
	}
	d.do(id(func(o *ledger.OpenAccount) { o.Parent, o.Unit = acc("Ad"), "SMS" })) // own, in another unit, below a drawing one
	if a := d.Account(acc("N")); a.Unit != 1 || a.Depth != 3 || a.Version != 2 {
		t.Errorf("account %+v", a)
	}
	d.no(ledger.Invalid, &ledger.OpenAccount{ID: acc("Nd"), Parent: acc("N"), Mode: ledger.Drawing, Unit: "USD"})
	d.do(&ledger.OpenAccount{ID: acc("Nd"), Parent: acc("N"), Mode: ledger.Drawing})
}

func TestSettings(t *testing.T) {
	set := func(change func(*ledger.SetAccount)) *ledger.SetAccount {
		op := &ledger.SetAccount{Account: acc("A")}
		change(op)
		return op
	}
	d := newDesk(t, own("A"), capped("Ac", 10))
	d.no(ledger.Invalid, set(func(*ledger.SetAccount) {}))
	d.no(ledger.NotFound, limit("X", 1))
	d.no(ledger.Invalid, &ledger.SetAccount{Account: revenue, Limit: amt(1)})
	d.no(ledger.Invalid, set(func(s *ledger.SetAccount) { s.Cap = amt(1) }))
	for _, n := range []int64{1, -1} { // and not that it has too little for one
		d.no(ledger.Invalid, set(func(s *ledger.SetAccount) { s.Account, s.Limit = acc("Ac"), amt(n) }))
	}
	d.no(ledger.Invalid, set(func(s *ledger.SetAccount) { s.Account, s.Cap = acc("Ac"), amt(-1) }))
	d.no(ledger.Invalid, set(func(s *ledger.SetAccount) { s.Account, s.Cap, s.NoCap = acc("Ac"), amt(1), true }))
	d.no(ledger.TooMany, set(func(s *ledger.SetAccount) { s.Profile = txt(strings.Repeat("x", ledger.MaxText+1)) }))
	d.do(topup("A", 1)) // is no change of settings
	d.do(set(func(s *ledger.SetAccount) { s.Expect, s.Limit = 1, amt(5) }))
	d.no(ledger.Changed, set(func(s *ledger.SetAccount) { s.Expect, s.Limit = 1, amt(6) }))
	d.do(set(func(s *ledger.SetAccount) { s.Expect, s.Profile = 3, txt("name") }))
	if a := d.Account(acc("A")); a.Version != 4 || a.Profile != (ledger.TextAt{Seq: 4, N: 1}) || a.Limit != money.New(5) {
		t.Errorf("account %+v", a)
	}
	d.no(ledger.NotFound, &ledger.Erase{Account: acc("X")})
	d.no(ledger.Invalid, &ledger.Erase{Account: cash})
	d.do(&ledger.Erase{Account: acc("A")})
	if a := d.Account(acc("A")); a.Erased != 5 || a.Profile != (ledger.TextAt{}) || a.Limit != money.New(5) {
		t.Errorf("account %+v", a)
	}
}

func TestUnitsOfABook(t *testing.T) {
	d := newDesk(t)
	d.do(&ledger.AddUnit{Unit: usd}) // as it is: no change
	if units := d.Head().Units; len(units) != 2 {
		t.Errorf("units %v", units)
	}
	d.no(ledger.Exists, &ledger.AddUnit{Unit: money.Unit{Code: "USD", Scale: 2, Kind: money.Currency}})
	d.no(ledger.Exists, &ledger.AddUnit{Unit: money.Unit{Code: "USD", Scale: 6, Kind: money.Credit}})
	d.no(ledger.Invalid, &ledger.AddUnit{Unit: money.Unit{Code: "usd", Scale: 6, Kind: money.Currency}})
	d.no(ledger.Invalid, &ledger.AddUnit{Unit: money.Unit{Code: "PTS", Scale: 19, Kind: money.Credit}})
	d.do(&ledger.AddUnit{Unit: money.Unit{Code: "PTS", Scale: 18, Kind: money.Credit}},
		&ledger.OpenAccount{ID: acc("P"), Unit: "PTS", Mode: ledger.Own})
	if a := d.Account(acc("P")); a.Unit != 2 {
		t.Errorf("account %+v", a)
	}
}

func TestFirstEvent(t *testing.T) {
	d := &desk{TB: t, Replay: ledger.NewReplay(1), now: noon}
	d.no(ledger.NotFound, topup("A", 1))
	d.no(ledger.NotFound, &ledger.AddUnit{Unit: usd}, &ledger.OpenBook{})
	// A refusal cannot be remembered where there is no book yet.
	e, r := d.post(&ledger.Command{ID: "first", Remember: true, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, own("A"), charge("A", 1)}})
	if e != nil || r == nil || r.Code != ledger.Insufficient {
		t.Fatalf("%+v, %+v", e, r)
	}
	d.as("first", &ledger.OpenBook{})
	if d.Head().Tenant != 1 {
		t.Errorf("head %+v", d.Head())
	}
	d.no(ledger.Exists, &ledger.OpenBook{})
}

func TestRecords(t *testing.T) {
	write := func(w ledger.RecordWrite) *ledger.Command {
		if w.Kind == "" {
			w.Kind, w.Key = "hit", "1"
		}
		return &ledger.Command{Records: []ledger.RecordWrite{w}}
	}
	d := newDesk(t, own("A"))
	done := func(w ledger.RecordWrite) *ledger.Record {
		t.Helper()
		if _, r := d.post(write(w)); r != nil {
			t.Fatalf("refused: %+v", r)
		}
		return d.Record("hit", "1")
	}
	index := []ledger.IndexEntry{{Name: "state", Value: "b"}, {Name: "state", Value: "a"}, {Name: "owner", Value: ""}}
	d.refused(ledger.NotFound, write(ledger.RecordWrite{Expect: ledger.AnyVersion, Delete: true}))
	d.refused(ledger.NotFound, write(ledger.RecordWrite{Expect: ledger.AnyVersion, Keep: true}))
	d.refused(ledger.Changed, write(ledger.RecordWrite{Expect: 1}))
	r := done(ledger.RecordWrite{Data: []byte("v1"), Index: index, Counters: []ledger.Counter{{Name: "n", Value: 2}, {Name: "m", Value: 0}}, Deadline: 7})
	if r.Version != d.Head().Seq || string(r.Data) != "v1" || r.Index[0].Name != "owner" || r.Index[1].Value != "a" || r.Counters[0] != (ledger.Counter{Name: "m"}) || r.Deadline != 7 {
		t.Errorf("record %+v", r)
	}
	d.refused(ledger.Exists, write(ledger.RecordWrite{}))
	d.refused(ledger.Changed, write(ledger.RecordWrite{Expect: r.Version + 1}))
	r = done(ledger.RecordWrite{Expect: r.Version, Keep: true, Data: []byte("not this"), Counters: []ledger.Counter{{Name: "n", Value: -5}, {Name: "n", Value: 1}, {Name: "o", Value: 1}}})
	if r.Version != d.Head().Seq || string(r.Data) != "v1" || len(r.Index) != 3 || r.Deadline != 7 || r.Counters[1] != (ledger.Counter{Name: "n", Value: -2}) || len(r.Counters) != 3 || r.Created == 0 {
		t.Errorf("record %+v", r)
	}
	for _, add := range []int64{1<<63 - 1, -1 << 63} {
		d.refused(ledger.Overflow, write(ledger.RecordWrite{Expect: r.Version, Keep: true, Counters: []ledger.Counter{{Name: "o", Value: add}, {Name: "o", Value: add}}}))
	}
	r = done(ledger.RecordWrite{Expect: r.Version, Keep: true, Counters: []ledger.Counter{{Name: "o", Value: 1<<63 - 2}}})
	d.refused(ledger.Overflow, write(ledger.RecordWrite{Expect: r.Version, Keep: true, Counters: []ledger.Counter{{Name: "o", Value: 1}}}))
	many := make([]ledger.Counter, ledger.MaxEntries-2)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	d.refused(ledger.TooMany, write(ledger.RecordWrite{Expect: r.Version, Keep: true, Counters: many})) // with the three that it has
	r = done(ledger.RecordWrite{Expect: ledger.AnyVersion, Data: []byte(strings.Repeat("x", 1025))})
	if r.Version != d.Head().Seq || len(r.Index) != 0 || r.Deadline != 0 || len(r.Counters) != 3 || r.At != (ledger.TextAt{Seq: d.Head().Seq, N: 1}) {
		t.Errorf("record %+v", r)
	}
	// Where its data stands stays when they stay.
	if next := done(ledger.RecordWrite{Expect: r.Version, Keep: true}); next.At != r.At {
		t.Errorf("record %+v", next)
	}
	if r = done(ledger.RecordWrite{Expect: d.Record("hit", "1").Version, Data: []byte(strings.Repeat("x", 1024))}); r.At != (ledger.TextAt{}) || len(r.Data) != 1024 {
		t.Errorf("record %+v", r)
	}
	if r = done(ledger.RecordWrite{Expect: r.Version, Delete: true}); r != nil {
		t.Errorf("record %+v", r)
	}
	// A record that is made again has no version that an earlier one had.
	if r = done(ledger.RecordWrite{}); r.Version != d.Head().Seq || r.Data != nil || len(r.Counters) != 0 {
		t.Errorf("record %+v", r)
	}
	long := strings.Repeat("x", 256)
	for _, w := range []ledger.RecordWrite{
		{Kind: long[:33], Key: "k"}, {Kind: "k\x00", Key: "k"}, {Kind: "k", Key: ""}, {Kind: "k", Key: long},
		{Kind: "k", Key: "k", Delete: true, Keep: true}, {Kind: "k", Key: "k", Index: []ledger.IndexEntry{{Name: ""}}},
		{Kind: "k", Key: "k", Index: []ledger.IndexEntry{{Name: long[:33]}}}, {Kind: "k", Key: "k", Index: []ledger.IndexEntry{{Name: "n", Value: long}}},
		{Kind: "k", Key: "k", Index: []ledger.IndexEntry{{Name: "n", Value: "a\x00"}}},
		{Kind: "k", Key: "k", Counters: []ledger.Counter{{Name: long, Value: 1}}}, {Kind: "k", Key: "k", Counters: []ledger.Counter{{}}},
		{Kind: "k", Key: "k", Deadline: -1}, {Kind: "k", Key: "k", Deadline: ledger.MaxTime + 1},
	} {
		d.refused(ledger.Invalid, write(w))
	}
	done(ledger.RecordWrite{Kind: long[:32], Key: long[:255], Index: []ledger.IndexEntry{{Name: long[:32], Value: long[:255]}}, Deadline: ledger.MaxTime})
	d.refused(ledger.Invalid, &ledger.Command{Records: []ledger.RecordWrite{{Kind: "a", Key: "b"}, {Kind: "a", Key: "b"}}})
	// Together with money: all or none.
	seq := d.Head().Seq
	d.refused(ledger.Insufficient, &ledger.Command{Ops: []ledger.Op{charge("A", 1)}, Records: []ledger.RecordWrite{{Kind: "hit", Key: "2"}}})
	if r := d.refused(ledger.Exists, &ledger.Command{Ops: []ledger.Op{topup("A", 1)}, Records: []ledger.RecordWrite{{Kind: "hit", Key: "1"}}}); r.Op != 1 {
		t.Errorf("refusal %+v", r)
	}
	if d.Head().Seq != seq || d.Record("hit", "2") != nil {
		t.Error("half of a command took effect")
	}
}

// TestBounds tries every bound at its edge.
func TestBounds(t *testing.T) {
	ops := func(n int) []ledger.Op {
		list := make([]ledger.Op, n)
		for i := range list {
			list[i] = topup("A", 1)
		}
		return list
	}
	records := func(n, size int) (list []ledger.RecordWrite) {
		for i := range n {
			list = append(list, ledger.RecordWrite{Kind: "k", Key: fmt.Sprint(i), Data: make([]byte, size)})
		}
		return list
	}
	payees := func(n int) *ledger.Capture {
		op := &ledger.Capture{Hold: "h"}
		for range n {
			op.To = append(op.To, ledger.Payee{To: revenue, Amount: money.New(1)})
		}
		return op
	}
	text := func(n int) *ledger.Text { return txt(strings.Repeat("x", n)) }
	for _, c := range []struct {
		what    string
		most    *ledger.Command
		more    *ledger.Command
		refused ledger.Code
	}{
		{"operations", &ledger.Command{Ops: ops(ledger.MaxOps)}, &ledger.Command{Ops: ops(ledger.MaxOps + 1)}, ledger.TooMany},
		{"id", &ledger.Command{ID: strings.Repeat("x", 255), Ops: ops(1)}, &ledger.Command{ID: strings.Repeat("x", 256), Ops: ops(1)}, ledger.Invalid},
		{"id's characters", &ledger.Command{ID: "a ~", Ops: ops(1)}, &ledger.Command{ID: "a\x7f", Ops: ops(1)}, ledger.Invalid},
		{"id's ends", &ledger.Command{ID: "!", Ops: ops(1)}, &ledger.Command{ID: "a ", Ops: ops(1)}, ledger.Invalid},
		{"nothing", &ledger.Command{Records: records(1, 0)}, &ledger.Command{Answer: text(1)}, ledger.Invalid},
		{"records", &ledger.Command{Records: records(64, 0)}, &ledger.Command{Records: records(65, 0)}, ledger.TooMany},
		{"record", &ledger.Command{Records: records(1, 256<<10)}, &ledger.Command{Records: records(1, 256<<10+1)}, ledger.TooMany},
		{"payees", &ledger.Command{Ops: []ledger.Op{payees(64)}}, &ledger.Command{Ops: []ledger.Op{payees(65)}}, ledger.TooMany},
		{"text of a transfer", &ledger.Command{Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.TopUp, From: cash, To: acc("A"), Amount: money.New(1), Text: text(ledger.MaxText)}}},
			&ledger.Command{Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.TopUp, From: cash, To: acc("A"), Amount: money.New(1), Text: text(ledger.MaxText + 1)}}}, ledger.TooMany},
		{"text of a hold", &ledger.Command{Ops: []ledger.Op{&ledger.PlaceHold{ID: "t", Account: acc("A"), Amount: money.New(1), Text: text(ledger.MaxText)}}},
			&ledger.Command{Ops: []ledger.Op{&ledger.PlaceHold{ID: "t2", Account: acc("A"), Amount: money.New(1), Text: text(ledger.MaxText + 1)}}}, ledger.TooMany},
		{"text of a release", &ledger.Command{Ops: []ledger.Op{&ledger.Release{Hold: "g", Text: text(ledger.MaxText)}}},
			&ledger.Command{Ops: []ledger.Op{&ledger.Release{Hold: "h", Text: text(ledger.MaxText + 1)}}}, ledger.TooMany},
		{"text of a capture", &ledger.Command{Ops: []ledger.Op{&ledger.Capture{Hold: "f", Text: text(ledger.MaxText)}}},
			&ledger.Command{Ops: []ledger.Op{&ledger.Capture{Hold: "h", Text: text(ledger.MaxText + 1)}}}, ledger.TooMany},
		{"text of a refund", &ledger.Command{Ops: []ledger.Op{&ledger.Refund{Of: "p", Amount: amt(1), Text: text(ledger.MaxText)}}},
			&ledger.Command{Ops: []ledger.Op{&ledger.Refund{Of: "p", Text: text(ledger.MaxText + 1)}}}, ledger.TooMany},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDesk(t, own("A"), topup("A", 1000), hold("h", "A", 64), hold("g", "A", 1), hold("f", "A", 1))
			d.as("p", charge("A", 10))
			if _, r := d.post(c.most); r != nil {
				t.Errorf("what is allowed is refused: %+v", r)
			}
			d.refused(c.refused, c.more)
		})
	}
	t.Run("open holds", func(t *testing.T) {
		d := newDesk(t, own("A"), drawing("Ad"), topup("A", 10), hold("h", "A", 1))
		for _, full := range []string{"A", "Ad"} { // the payer's, and the child's own
			d.EditAccount(acc(full)).OpenHolds = ledger.MaxOpenHolds - 1
			d.do(hold("to "+full, "Ad", 1))
			if r := d.no(ledger.TooMany, hold("x", "Ad", 1)); r.Account != acc(full) {
				t.Errorf("refused by %v", r.Account)
			}
			d.do(raise("h", 1)) // is none more
			d.EditAccount(acc(full)).OpenHolds = 2
		}
	})
}

// TestRemembered says which refusals are final under the command's id.
func TestRemembered(t *testing.T) {
	frozen, closed := ledger.StatusFrozen, ledger.StatusClosed
	for _, c := range []struct {
		op         ledger.Op
		want       ledger.Code
		remembered bool
	}{
		{charge("A", 1000), ledger.Insufficient, true},
		{charge("F", 1), ledger.Frozen, true},
		{charge("C", 1), ledger.Closed, true},
		{capture("done", 1), ledger.HoldClosed, true},
		{capture("gone", 1), ledger.HoldExpired, true},
		{status("A", closed), ledger.NotEmpty, true},
		{refund("paid", 11), ledger.OverRefund, true},
		{charge("A", 0), ledger.Invalid, false},
		{charge("X", 1), ledger.NotFound, false},
		{capture("none", 1), ledger.NotFound, false},
		{own("A"), ledger.Exists, false},
		{named("paid", charge("A", 1)), ledger.IDTaken, false},
		{&ledger.SetAccount{Account: acc("A"), Expect: 99, Limit: amt(1)}, ledger.Changed, false},
		{&ledger.Transfer{Kind: ledger.TopUp, From: cash, To: acc("A"), Amount: pow2(124, 0)}, ledger.Overflow, false},
		{&ledger.Capture{Hold: "none", To: make([]ledger.Payee, 65)}, ledger.TooMany, false},
	} {
		t.Run(c.want.String(), func(t *testing.T) {
			d := newDesk(t, own("A"), own("F"), own("C"), topup("A", 100), hold("done", "A", 1), capture("done", 1),
				&ledger.PlaceHold{ID: "gone", Account: acc("A"), Amount: money.New(1), Expires: ledger.Lifetime{For: time.Second}})
			d.as("paid", charge("A", 10))
			d.do(&ledger.SetAccount{Account: acc("F"), Status: &frozen}, &ledger.SetAccount{Account: acc("C"), Status: &closed})
			d.now = noon.Add(time.Second)
			d.lapse()
			for _, remember := range []bool{false, true} {
				for _, id := range []string{"", "once"} {
					e, r := d.post(&ledger.Command{ID: id, Remember: remember, Ops: []ledger.Op{c.op}})
					if r == nil || r.Code != c.want {
						t.Fatalf("refusal %+v, want %v", r, c.want)
					}
					if want := c.remembered && remember && id != ""; (e != nil) != want {
						t.Errorf("remember %v, id %q: event %+v", remember, id, e)
					}
				}
			}
			if taken(d, "once") != c.remembered {
				t.Error("its id is taken, or is not, against the rule")
			}
		})
	}
}
