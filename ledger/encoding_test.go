package ledger_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"saldo/ledger"
	"saldo/money"
)

var update = flag.Bool("update", false, "write testdata/*.golden as it comes out now")

// goldenEvents is one event of every kind, as a journal may hold it: version 1
// of the encoding is these bytes for ever.
func goldenEvents() []struct {
	name  string
	event ledger.Event
} {
	a, ad, b := acc("A"), acc("Ad"), acc("B")
	ref := ledger.RefOf(1, "h")
	print := (&ledger.Command{Book: 1}).Print()
	event := func(e ledger.Event) ledger.Event {
		e.Seq, e.Time = max(e.Seq, 300), noon
		return e
	}
	posted := func(id ledger.AccountID, n int64) ledger.After {
		return ledger.After{Account: id, Posted: money.New(n)}
	}
	hold := func(act ledger.HoldAct, state ledger.HoldState, amount, remaining, captured int64) ledger.HoldChange {
		return ledger.HoldChange{Act: act, State: state, Ref: ref, Account: a, Amount: money.New(amount), Remaining: money.New(remaining),
			Captured: money.New(captured), Expires: noon.Add(time.Hour)}
	}
	placed := hold(ledger.HoldPlaced, ledger.HoldOpen, 60, 60, 0)
	placed.ID, placed.Via, placed.Text = "h", ad, 1
	never := hold(ledger.HoldExtended, ledger.HoldOpen, 60, 60, 0)
	never.Expires = 0
	return []struct {
		name  string
		event ledger.Event
	}{
		{"book", ledger.Event{Seq: 1, Time: noon, Tenant: 7, Units: []money.Unit{usd, sms}}},
		{"book-of-tenant-0", ledger.Event{Seq: 1, Time: noon}},
		{"open", event(ledger.Event{Actor: 5, ID: "o", Print: print,
			Touched: []ledger.After{{Account: a, Limit: money.New(500)}, {Account: ad, Limit: money.New(0), Capped: true}},
			Opened:  []ledger.Opened{{Account: a, Unit: 1, Mode: ledger.Own, Profile: 1}, {Account: ad, Parent: a, Unit: 1, Mode: ledger.Drawing}},
			Texts:   []ledger.Digest{{1, 2, 3}}})},
		{"set", event(ledger.Event{ID: "s", Print: print,
			Touched: []ledger.After{{Account: a, Posted: money.New(-3), Held: money.New(2), Limit: money.New(-4)}, {Account: ad}},
			Set: []ledger.Setting{{Account: a, HasStatus: true, Status: ledger.StatusFrozen, HasLimit: true, Forced: true, Profile: 1, Reason: 2},
				{Account: ad, HasCap: true}},
			Texts: []ledger.Digest{{1}, {2}}})},
		{"topup", event(ledger.Event{ID: "t", Print: print, Touched: []ledger.After{posted(cash, -1_000_000), posted(a, 1_000_000)},
			Transfers: []ledger.Posting{{Kind: ledger.TopUp, From: cash, To: a, Amount: money.New(1_000_000)}}})},
		{"charge", event(ledger.Event{ID: "c", Print: print, Actor: 1 << 40,
			Touched: []ledger.After{{Account: ad, Posted: money.New(-64), Limit: money.New(100), Capped: true}, posted(a, 36), posted(revenue, 64)},
			Transfers: []ledger.Posting{{Kind: ledger.Charge, From: a, To: revenue, Via: ad, Amount: money.New(64), Asked: money.New(70), ID: "own",
				Usage: ledger.Usage{Category: "sms", Count: money.New(2), Unit: "segments"}, Text: 1}},
			Texts: []ledger.Digest{{0xff}}})},
		{"forced", event(ledger.Event{ID: "f", Print: print, Touched: []ledger.After{posted(a, -1), posted(revenue, 1)},
			Transfers: []ledger.Posting{{Kind: ledger.Charge, From: a, To: revenue, Amount: money.New(1), Forced: true, Text: 1}}, Texts: []ledger.Digest{{}}})},
		{"adjustment", event(ledger.Event{ID: "a", Print: print, Touched: []ledger.After{posted(a, 0), posted(ledger.SystemID(1, 0, ledger.Fees), 1)},
			Transfers: []ledger.Posting{{Kind: ledger.Adjustment, From: a, To: ledger.SystemID(1, 0, ledger.Fees), Amount: money.New(1)}}})},
		{"move", event(ledger.Event{ID: "m", Print: print, Touched: []ledger.After{{Account: a, Posted: pow2(124, -1)}, posted(b, 1)},
			Transfers: []ledger.Posting{{Kind: ledger.Move, From: a, To: b, Amount: money.New(1)}}})},
		{"refund", event(ledger.Event{ID: "r", Print: print, Touched: []ledger.After{posted(revenue, 0), posted(a, 1), posted(ad, 0)},
			Transfers: []ledger.Posting{{Kind: ledger.Refunding, From: revenue, To: a, Via: ad, Amount: money.New(1), Of: &ledger.TransferAt{Book: 1, Seq: 299, N: 3}}}})},
		{"hold", event(ledger.Event{ID: "batch", Print: print, Touched: []ledger.After{{Account: ad, Held: money.New(60)}, {Account: a, Posted: money.New(60), Held: money.New(60)}},
			Holds: []ledger.HoldChange{placed}, Texts: []ledger.Digest{{9}}})},
		{"extend", event(ledger.Event{ID: "x", Print: print, Touched: []ledger.After{posted(a, 1)}, Holds: []ledger.HoldChange{never}})},
		{"raise", event(ledger.Event{ID: "x", Print: print, Touched: []ledger.After{posted(a, 1)},
			Holds: []ledger.HoldChange{hold(ledger.HoldRaised, ledger.HoldOpen, 61, 61, 0)}})},
		{"capture", event(ledger.Event{ID: "k", Print: print, Touched: []ledger.After{posted(a, 0), posted(revenue, 59), posted(b, 1)},
			Transfers: []ledger.Posting{{Kind: ledger.Capturing, From: a, To: revenue, Amount: money.New(59), Hold: ref},
				{Kind: ledger.Capturing, From: a, To: b, Amount: money.New(1), Hold: ref}},
			Holds: []ledger.HoldChange{hold(ledger.HoldPaid, ledger.HoldCaptured, 60, 0, 60)}})},
		{"release", event(ledger.Event{ID: "l", Print: print, Touched: []ledger.After{posted(a, 1)},
			Holds: []ledger.HoldChange{hold(ledger.HoldFreed, ledger.HoldReleased, 60, 0, 0)}})},
		{"expire", event(ledger.Event{Touched: []ledger.After{posted(a, 1)}, Holds: []ledger.HoldChange{hold(ledger.HoldLapsed, ledger.HoldGone, 60, 0, 1)}})},
		{"records", event(ledger.Event{ID: "w", Print: print, Records: []ledger.RecordChange{
			{Kind: "hit", Key: "3ABC", Version: 1, Data: []byte("{}"), Index: []ledger.IndexEntry{{Name: "owner", Value: "x"}, {Name: "state", Value: ""}},
				Counters: []ledger.Counter{{Name: "max", Value: math.MaxInt64}, {Name: "min", Value: math.MinInt64}}, Deadline: noon},
			{Kind: "hit", Key: "large", Version: 2, Text: 1},
			{Kind: "hit", Key: "counted", Version: 3, Keep: true},
			{Kind: "hit", Key: "gone"}}, Texts: []ledger.Digest{{4}, {5}}, Answer: 2})},
		{"erase", event(ledger.Event{ID: "e", Print: print, Touched: []ledger.After{posted(a, 5)}, Erased: []ledger.AccountID{a}})},
		{"refused", event(ledger.Event{ID: "n", Print: print, Refused: &ledger.Refusal{Code: ledger.Insufficient, Op: 200, Account: ad, By: ledger.Cap,
			Required: money.New(100), Spendable: money.New(-1)}})},
		{"refund-of-a-use", event(ledger.Event{ID: "r", Print: print, Touched: []ledger.After{posted(revenue, 0), posted(a, 1)},
			Transfers: []ledger.Posting{{Kind: ledger.Refunding, From: revenue, To: a, Amount: money.New(1), Of: &ledger.TransferAt{Book: 1, Seq: 299, N: 3},
				Back: ledger.Capturing, Usage: ledger.Usage{Category: "sms", Unit: "segments"}}}})},
		{"refused-in-words", event(ledger.Event{ID: "n", Print: print, Refused: &ledger.Refusal{Code: ledger.HoldClosed, Detail: "the hold was captured before"}})},
	}
}

func TestGoldenEvents(t *testing.T) {
	var got bytes.Buffer
	for _, g := range goldenEvents() {
		b := g.event.AppendBinary(nil, 1)
		fmt.Fprintf(&got, "%s %x\n", g.name, b)
		read, err := ledger.DecodeEvent(b, 1)
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
		} else if diff := differ(&g.event, read); diff != "" {
			t.Errorf("%s reads otherwise than it was written:\n%s", g.name, diff)
		}
		// An event of another book is the same bytes.
		if read, err := ledger.DecodeEvent(b, 9); err != nil || !bytes.Equal(read.AppendBinary(nil, 9), b) {
			t.Errorf("%s in book 9: %v", g.name, err)
		}
	}
	golden(t, "events.golden", got.Bytes())
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(string(got), "\n") {
		if i >= len(lines) || line != lines[i] {
			t.Fatalf("%s, line %d: what is stored has changed, so older journals could not be read:\n%s", file, i+1, line)
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%s has more than comes out", file)
	}
}

// FuzzDecodeEvent: whatever decodes is the one encoding of what it decodes to.
func FuzzDecodeEvent(f *testing.F) {
	for _, g := range goldenEvents() {
		f.Add(g.event.AppendBinary(nil, 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ledger.DecodeEvent(b, 1)
		if err != nil {
			return
		}
		if again := e.AppendBinary(nil, 1); !bytes.Equal(again, b) {
			t.Fatalf("two encodings of one event:\n%x\n%x\n%+v", b, again, e)
		}
	})
}

// TestEventsRoundTrip writes and reads random events, cuts them short, and
// changes a byte.
func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		b := e.AppendBinary(nil, 1)
		read, err := ledger.DecodeEvent(b, 1)
		if err != nil {
			t.Fatalf("%v: %x", err, b)
		}
		if diff := differ(e, read); diff != "" {
			t.Fatalf("reads otherwise than it was written:\n%s", diff)
		}
		if _, err := ledger.DecodeEvent(append(b, 0), 1); err == nil {
			t.Fatal("a byte too many is read")
		}
		if _, err := ledger.DecodeEvent(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")], 1); err == nil {
			t.Fatal("an event that was cut short is read")
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if read, err := ledger.DecodeEvent(b, 1); err == nil && !bytes.Equal(read.AppendBinary(nil, 1), b) {
			t.Fatalf("two encodings of one event: %x", b)
		}
	})
}

// TestDecodeTakesLittleMemory gives sections that claim more entries than there are.
func TestDecodeTakesLittleMemory(t *testing.T) {
	for bit := range 11 {
		for _, claim := range []uint64{1 << 10, 1 << 20, 1 << 40, 1<<64 - 1} {
			b := []byte{1, 5, 0, 0, 0, 0} // event 5, effective
			b = binary.AppendUvarint(b, 1<<bit)
			b = binary.AppendUvarint(b, claim)
			b = append(b, make([]byte, 2000)...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, err := ledger.DecodeEvent(b, 1)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 512<<10 {
				t.Errorf("section %d, %d entries claimed: %d bytes for an input of %d", bit, claim, took, len(b))
			}
			if err == nil && e != nil {
				t.Errorf("section %d, %d entries claimed: it decodes", bit, claim)
			}
		}
	}
}

func anyAmount() *rapid.Generator[money.Amount] {
	return rapid.Custom(func(t *rapid.T) money.Amount {
		a := money.FromParts(rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
		if rapid.Bool().Draw(t, "small") {
			a = money.New(rapid.Int64Range(-300, 300).Draw(t, "n"))
		}
		return a
	})
}

// anyEvent makes events of every shape. They need not make sense, only be such
// that the encoding has a place for all they say.
func anyEvent() *rapid.Generator[*ledger.Event] {
	return rapid.Custom(func(t *rapid.T) *ledger.Event {
		id := func(max int) string { return string(rapid.SliceOfN(rapid.Byte(), 1, max).Draw(t, "id")) }
		flag := func() bool { return rapid.Bool().Draw(t, "flag") }
		small := func() uint64 { return rapid.Uint64Range(0, 1000).Draw(t, "n") }
		amount := func() money.Amount { return anyAmount().Draw(t, "amount") }
		many := func(most int, do func()) {
			for range rapid.IntRange(0, most).Draw(t, "entries") {
				do()
			}
		}
		e := &ledger.Event{Seq: 1 + small(), Time: ledger.Time(rapid.Int64Range(0, 1<<62-1).Draw(t, "time")), Actor: small()}
		if flag() {
			e.ID = id(255)
			copy(e.Print[:], id(16))
		}
		if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
			e.Refused = &ledger.Refusal{Code: ledger.Code(rapid.IntRange(1, 255).Draw(t, "code")), Op: int(small()),
				By: ledger.Limit(rapid.IntRange(0, 3).Draw(t, "by")), Required: amount(), Spendable: amount()}
			if flag() {
				e.Refused.Account = acc(id(8))
				e.Refused.Detail = id(100)
			}
			return e
		}
		if e.Seq == 1 || rapid.IntRange(0, 9).Draw(t, "tenant") == 0 {
			e.Tenant = ledger.TenantID(small())
		}
		many(2, func() {
			e.Units = append(e.Units, money.Unit{Code: strings.ToUpper(hex.EncodeToString([]byte(id(3)))),
				Scale: uint8(rapid.IntRange(0, 18).Draw(t, "scale")), Kind: money.Kind(rapid.IntRange(1, 2).Draw(t, "kind"))})
		})
		for i := range rapid.IntRange(0, 40).Draw(t, "touched") {
			after := ledger.After{Account: acc(fmt.Sprint("a", i)), Posted: amount()}
			if rapid.IntRange(0, 3).Draw(t, "system") == 0 {
				after.Account = ledger.SystemID(1, uint32(i), ledger.Role(rapid.IntRange(1, 3).Draw(t, "role")))
			}
			if flag() {
				after.Held, after.Limit, after.Capped = amount(), amount(), flag()
			}
			e.Touched = append(e.Touched, after)
		}
		e.Texts = nil
		many(4, func() { e.Texts = append(e.Texts, ledger.Digest([]byte(strings.Repeat(id(1), 32)))) })
		text := func() uint32 {
			if len(e.Texts) == 0 || flag() {
				return 0
			}
			return uint32(rapid.IntRange(1, len(e.Texts)).Draw(t, "text"))
		}
		e.Answer = text()
		many(2, func() { e.Records = append(e.Records, anyRecord(t, text())) })
		if len(e.Touched) == 0 {
			return e
		}
		account := func() ledger.AccountID { return rapid.SampledFrom(e.Touched).Draw(t, "account").Account }
		many(2, func() {
			o := ledger.Opened{Account: account(), Unit: uint32(small()), Mode: ledger.Mode(rapid.IntRange(1, 2).Draw(t, "mode")), Profile: text()}
			if flag() {
				o.Parent = acc(id(5))
			}
			e.Opened = append(e.Opened, o)
		})
		many(2, func() {
			s := ledger.Setting{Account: account(), HasStatus: flag(), HasLimit: flag(), HasCap: flag(), Forced: flag(), Profile: text(), Reason: text()}
			if s.HasStatus {
				s.Status = ledger.Status(rapid.IntRange(0, 2).Draw(t, "status"))
			}
			e.Set = append(e.Set, s)
		})
		many(3, func() {
			p := ledger.Posting{Kind: ledger.TransferKind(rapid.IntRange(1, 6).Draw(t, "kind")), From: account(), To: account(),
				Amount: amount(), Forced: flag(), Text: text()}
			if flag() {
				p.Via, p.Asked, p.ID = account(), amount(), id(255)
			}
			if flag() {
				p.Of = &ledger.TransferAt{Book: 1, Seq: small(), N: uint32(small())}
				p.Hold = ledger.RefOf(1, id(3))
				p.Usage = ledger.Usage{Category: id(64), Count: amount(), Unit: id(32)}
			}
			if p.Kind == ledger.Refunding && flag() {
				p.Back = ledger.Capturing
			}
			e.Transfers = append(e.Transfers, p)
		})
		many(3, func() {
			h := ledger.HoldChange{Act: ledger.HoldAct(rapid.IntRange(1, 6).Draw(t, "act")), State: ledger.HoldState(rapid.IntRange(1, 4).Draw(t, "state")),
				Ref: ledger.RefOf(1, id(3)), Account: account(), Amount: amount(), Remaining: amount(), Captured: amount(),
				Expires: ledger.Time(small()), Text: text()}
			if flag() {
				h.Via, h.ID = account(), id(255)
			}
			e.Holds = append(e.Holds, h)
		})
		many(2, func() { e.Erased = append(e.Erased, account()) })
		return e
	})
}

func anyRecord(t *rapid.T, text uint32) ledger.RecordChange {
	name := rapid.StringN(1, 8, 32)
	r := ledger.RecordChange{Kind: name.Draw(t, "kind"), Key: name.Draw(t, "key"), Version: rapid.Uint64().Draw(t, "version"),
		Keep: rapid.Bool().Draw(t, "keep"), Text: text, Deadline: ledger.Time(rapid.Int64Range(0, 1<<62-1).Draw(t, "deadline"))}
	if data := rapid.SliceOfN(rapid.Byte(), 0, 1024).Draw(t, "data"); text == 0 && len(data) > 0 {
		r.Data = data
	}
	for range rapid.IntRange(0, 2).Draw(t, "index") {
		r.Index = append(r.Index, ledger.IndexEntry{Name: name.Draw(t, "name"), Value: rapid.StringN(0, 8, 32).Draw(t, "value")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "counters") {
		r.Counters = append(r.Counters, ledger.Counter{Name: name.Draw(t, "name"), Value: rapid.Int64().Draw(t, "value")})
	}
	return r
}
