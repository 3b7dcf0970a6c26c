package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// Store is what every store has to pass. Place makes a place for one, and opens
// it: again and again, after it was closed.
func Store(t *testing.T, place func(t *testing.T) (open func() (s ledger.Store, closed func()))) {
	for _, c := range []struct {
		name string
		test func(*shop)
	}{
		{"missing", testMissing}, {"append", testAppends}, {"load", testLoads}, {"events", testEvents}, {"statement", testStatements},
		{"accounts", testAccounts}, {"holds", testHolds}, {"records", testRecords}, {"index", testRecordIndex}, {"deadlines", testDeadlines},
		{"search", testSearch}, {"erasure", testErasure}, {"usage", testUsage}, {"reopen", testReopens},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &shop{T: t, open: place(t), books: map[ledger.BookID]*ledger.Replay{}, now: ledger.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
			s.Store, s.closed = s.open()
			defer func() { s.closed() }()
			c.test(s)
		})
	}
}

// A shop writes to a store what commands make of its books.
type shop struct {
	*testing.T
	ledger.Store
	open    func() (ledger.Store, func())
	closed  func()
	now     ledger.Time
	books   map[ledger.BookID]*ledger.Replay
	history []entry // all events, in order
}

type entry struct {
	book  ledger.BookID
	event *ledger.Event
	bytes []byte
}

// batch decides commands of one book and returns the rows that they change.
func (s *shop) batch(cmds ...*ledger.Command) *ledger.Batch {
	s.Helper()
	id := cmds[0].Book
	r := s.books[id]
	if r == nil {
		r = ledger.NewReplay(id)
		s.books[id] = r
	}
	was := copyRows(r)
	be := ledger.BookEvents{From: r.Head().Seq}
	for _, c := range cmds {
		s.now++
		e, refused := ledger.Decide(r, s.now, c)
		if refused != nil {
			s.Fatalf("refused: %+v", refused)
		}
		b := e.AppendBinary(nil, id)
		if err := r.Add(e, b); err != nil {
			s.Fatal(err)
		}
		for n := range e.Transfers {
			r.SetPast(e.TransferID(n), e, n)
		}
		be.Events, be.Bytes = append(be.Events, e), append(be.Bytes, b)
		s.history = append(s.history, entry{id, e, b})
	}
	be.Head = *r.Head()
	out := &ledger.Batch{Books: []ledger.BookEvents{be}}
	now := copyRows(r)
	for id, a := range now.accounts {
		if old := was.accounts[id]; old == nil || *old != *a {
			out.Accounts = append(out.Accounts, a)
		}
	}
	for ref, h := range now.holds {
		if old := was.holds[ref]; old == nil || *old != *h {
			out.Holds = append(out.Holds, ledger.HoldRow{Now: h, Was: old})
		}
	}
	for k, rec := range now.records {
		if old := was.records[k]; old == nil || rec == nil || rec.Seq != old.Seq {
			out.Records = append(out.Records, ledger.RecordRow{Now: rec, Was: old})
		}
	}
	for of, n := range now.refunds {
		if n != was.refunds[of] {
			out.Refunds = append(out.Refunds, ledger.RefundRow{Of: of, Refunded: n})
		}
	}
	for ref, at := range now.ids {
		if _, old := was.ids[ref]; !old {
			out.IDs = append(out.IDs, ledger.IDRow{Ref: ref, At: at})
		}
	}
	return out
}

type rows struct {
	accounts map[ledger.AccountID]*ledger.Account
	holds    map[ledger.Ref]*ledger.Hold
	records  map[ledger.RecordKey]*ledger.Record
	refunds  map[ledger.TransferAt]money.Amount
	ids      map[ledger.Ref]ledger.TransferAt
}

// copyRows copies a book's rows, for a Replay changes its own.
func copyRows(r *ledger.Replay) rows {
	c := rows{map[ledger.AccountID]*ledger.Account{}, map[ledger.Ref]*ledger.Hold{}, maps.Clone(r.Records), maps.Clone(r.Refunds), maps.Clone(r.IDs)}
	for id, a := range r.Accounts {
		row := *a
		c.accounts[id] = &row
	}
	for ref, h := range r.Holds {
		row := *h
		c.holds[ref] = &row
	}
	return c
}

func (s *shop) must(b *ledger.Batch) {
	s.Helper()
	if err := s.Append(context.Background(), b); err != nil {
		s.Fatal(err)
	}
}

// do makes commands durable, in one batch.
func (s *shop) do(cmds ...*ledger.Command) { s.Helper(); s.must(s.batch(cmds...)) }

func (s *shop) load(k *ledger.Keys) *ledger.Snapshot {
	s.Helper()
	snap, err := s.Load(context.Background(), k)
	if err != nil {
		s.Fatal(err)
	}
	return snap
}

// scan lists all rows, copied.
func (s *shop) scan(q ledger.Query) (rows []ledger.Row) {
	s.Helper()
	for row, err := range s.Scan(context.Background(), q) {
		if err != nil {
			s.Fatalf("%+v: %v", q, err)
		}
		row.Bytes = bytes.Clone(row.Bytes)
		rows = append(rows, row)
	}
	return rows
}

// list wants a list, all at once and in pages of one to three rows.
func (s *shop) list(what string, q ledger.Query, name func(ledger.Row) string, want ...string) {
	s.Helper()
	check := func(how string, rows []ledger.Row) {
		s.Helper()
		var got []string
		for _, r := range rows {
			got = append(got, name(r))
		}
		if !slices.Equal(got, want) {
			s.Errorf("%s, %s: %q, want %q", what, how, got, want)
		}
	}
	check("all", s.scan(q))
	for limit := 1; limit <= 3; limit++ {
		var pages []ledger.Row
		page := q
		page.Limit = limit
		for {
			rows := s.scan(page)
			pages = append(pages, rows...)
			if len(rows) > limit {
				s.Fatalf("%s: %d rows in a page of %d", what, len(rows), limit)
			}
			if len(rows) < limit || len(pages) > len(want) {
				break
			}
			last := rows[len(rows)-1]
			if page.From = last.Key; last.Event != nil {
				page.From, page.After = "", last.Event.Seq
			}
			if page.Reverse && page.After == 1 {
				break // before the first: 0 would be the end
			}
		}
		check(fmt.Sprint("in pages of ", limit), pages)
	}
}

func usdAccount(n byte) ledger.AccountID { return ledger.AccountID{0xac, 15: n} }

// command is a command of book 1 of tenant 1; book n has accounts n*16 and on.
func command(id string, ops ...ledger.Op) *ledger.Command {
	return &ledger.Command{Tenant: 1, Book: 1, ID: id, Ops: ops}
}

func inBook(n ledger.BookID, c *ledger.Command) *ledger.Command { c.Book = n; return c }

// opening opens a book with accounts 1 and 2 below 1 and money on both.
func opening(book ledger.BookID) *ledger.Command {
	a, b := usdAccount(byte(book*16+1)), usdAccount(byte(book*16+2))
	return inBook(book, command(fmt.Sprint("open", book), &ledger.OpenBook{}, &ledger.AddUnit{Unit: workloadUnits[0]},
		&ledger.OpenAccount{ID: a, Mode: ledger.Own, Unit: "USD", Limit: money.New(7)},
		&ledger.OpenAccount{ID: b, Mode: ledger.Own, Parent: a},
		&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(book, 0, ledger.Cash), To: a, Amount: money.New(1000)},
		&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(book, 0, ledger.Cash), To: b, Amount: money.New(1000)}))
}

func charging(id string, account byte, n int64) *ledger.Command {
	book := ledger.BookID(account / 16)
	return inBook(book, command(id, &ledger.Transfer{Kind: ledger.Charge, From: usdAccount(account), To: ledger.SystemID(book, 0, ledger.Revenue), Amount: money.New(n)}))
}

func write(key string, w ledger.RecordWrite) *ledger.Command {
	if w.Kind == "" {
		w.Kind = "k"
	}
	w.Key, w.Expect = key, ledger.AnyVersion
	return &ledger.Command{Tenant: 1, Book: 1, Records: []ledger.RecordWrite{w}}
}

func seqOf(r ledger.Row) string { return fmt.Sprint(r.Event.Seq) }
func keyOf(r ledger.Row) string { return r.Record.Key }
func accountOf(r ledger.Row) string {
	return fmt.Sprintf("%x", r.Account.ID[15])
}
func holdID(r ledger.Row) string { return r.Hold.ID }

// testMissing asks an empty store for everything.
func testMissing(s *shop) {
	k := &ledger.Keys{Heads: []ledger.BookID{1}, Accounts: []ledger.AccountID{usdAccount(1), usdAccount(2)}, Holds: []ledger.Ref{{1}},
		Records: []ledger.RecordKey{{Book: 1, Kind: "k", Key: "k"}}, IDs: []ledger.Ref{{1}}, Refunds: []ledger.TransferAt{{Book: 1, Seq: 1}},
		Events: []ledger.EventKey{{Book: 1, Seq: 1}}, Texts: []ledger.TextKey{{Book: 1, TextAt: ledger.TextAt{Seq: 1, N: 1}}}}
	snap := s.load(k)
	if len(snap.Heads) != 1 || snap.Heads[0] != nil || len(snap.Accounts) != 2 || snap.Accounts[0] != nil || len(snap.Holds) != 1 || snap.Holds[0] != nil ||
		len(snap.Records) != 1 || snap.Records[0] != nil || len(snap.IDs) != 1 || snap.IDs[0] != nil || len(snap.Refunds) != 1 || !snap.Refunds[0].IsZero() ||
		len(snap.Events) != 1 || snap.Events[0] != nil || len(snap.Texts) != 1 || snap.Texts[0] != nil {
		s.Errorf("an empty store has %+v", snap)
	}
	for list := ledger.ListEvents; list <= ledger.ListCategories; list++ {
		if rows := s.scan(ledger.Query{List: list, Book: 1, Tenant: 1, Account: usdAccount(1), Kind: "k", Word: "w", Until: s.now}); len(rows) > 0 {
			s.Errorf("list %d of an empty store: %+v", list, rows)
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Load(gone, k); err == nil {
		s.Error("it loads for a caller who is gone")
	}
}

// testAppends tries what does not follow, or takes an id that is taken.
func testAppends(s *shop) {
	ctx := context.Background()
	s.do(opening(1))
	s.do(opening(2))
	before, end := s.dump(), s.books[2].Head().Seq
	conflict := func(what string, b *ledger.Batch) {
		s.Helper()
		if err := s.Append(ctx, b); !errors.Is(err, ledger.ErrConflict) {
			s.Errorf("%s: %v, want a conflict", what, err)
		}
		if diff := before.differs(s.dump()); diff != "" {
			s.Errorf("%s changed something: %s", what, diff)
		}
	}
	next := s.batch(charging("c1", 0x11, 1), charging("c2", 0x11, 2))
	later := s.batch(charging("c3", 0x11, 3))
	conflict("a gap", later)
	old := *next
	old.Books = slices.Clone(next.Books)
	old.Books[0].From--
	old.Books[0].Head.Seq--
	for i, e := range old.Books[0].Events {
		shifted := *e
		shifted.Seq--
		old.Books[0].Events = slices.Clone(old.Books[0].Events)
		old.Books[0].Events[i] = &shifted
	}
	conflict("what was there before", &old)
	both := *later
	two := s.batch(charging("d1", 0x21, 1))
	both.Books = append(slices.Clone(two.Books), later.Books...)
	both.Accounts = append(slices.Clone(two.Accounts), later.Accounts...)
	conflict("one book that follows and one that does not", &both)
	taken := *next
	taken.IDs = append(slices.Clone(next.IDs), ledger.IDRow{Ref: ledger.RefOf(1, "open2"), At: ledger.TransferAt{Book: 1, Seq: 2}})
	conflict("an id that another book took", &taken)
	guarded := *next
	guarded.Guards = []ledger.Guard{{Book: 2, Seq: end - 1}}
	conflict("a guard that its book has passed", &guarded)
	guarded.Guards[0].Seq += 2
	conflict("a guard that its book has not reached", &guarded)
	guarded.Guards[0] = ledger.Guard{Book: 3, Seq: 1}
	conflict("a guard on a book that is not there", &guarded)
	guarded.Guards = []ledger.Guard{{Book: 2, Seq: end}, {Book: 1, Seq: next.Books[0].From + 1}}
	conflict("a guard that holds and one that does not", &guarded)
	next.Guards = []ledger.Guard{{Book: 2, Seq: end}}
	s.must(next)
	if err := s.Append(ctx, next); !errors.Is(err, ledger.ErrConflict) {
		s.Errorf("the same again: %v, want a conflict", err)
	}
	// Two books in one batch.
	both.Books = append(slices.Clone(later.Books), two.Books...)
	both.Accounts = append(slices.Clone(later.Accounts), two.Accounts...)
	both.IDs = append(slices.Clone(later.IDs), two.IDs...)
	before = s.dump()
	guarded = both
	guarded.Guards = []ledger.Guard{{Book: 2, Seq: end - 1}}
	conflict("two books, and a guard that its book has passed", &guarded)
	both.Guards = []ledger.Guard{{Book: 2, Seq: end}, {Book: 1, Seq: later.Books[0].From}}
	s.must(&both)
	s.compare()
}

// testLoads compares every row with what the journal makes of it.
func testLoads(s *shop) {
	s.everything()
	s.compare()
}

// everything fills the store with events of every kind.
func (s *shop) everything() {
	s.Helper()
	cap, frozen := money.New(50), ledger.StatusFrozen
	text := func(data string) *ledger.Text { return &ledger.Text{Salt: [16]byte{1}, Data: []byte(data)} }
	s.do(opening(1), charging("c", 0x11, 5))
	s.do(opening(2))
	s.do(command("tree",
		&ledger.AddUnit{Unit: workloadUnits[1]},
		&ledger.OpenAccount{ID: usdAccount(0x13), Mode: ledger.Drawing, Parent: usdAccount(0x12), Cap: &cap, Profile: text(`{"name":"Ada"}`)},
		&ledger.SetAccount{Account: usdAccount(0x12), Status: &frozen, Profile: text(`{"name":"Eve"}`), Reason: text("late")}),
		command("holds", &ledger.PlaceHold{Account: usdAccount(0x11), Amount: money.New(10), Text: text("h")},
			&ledger.PlaceHold{ID: "own", Account: usdAccount(0x11), Amount: money.New(20), Expires: ledger.Lifetime{Never: true}}))
	s.do(command("pays", &ledger.Capture{Hold: "own", To: []ledger.Payee{{To: usdAccount(0x12), Amount: money.New(3)}}},
		&ledger.Release{Hold: "holds"}, &ledger.Refund{Of: "c", Amount: amountPtr(2)}),
		&ledger.Command{Tenant: 1, Book: 1, Answer: text("answer"), Records: []ledger.RecordWrite{
			{Kind: "k", Key: "small", Data: []byte("x"), Index: []ledger.IndexEntry{{Name: "n", Value: "v"}}, Counters: []ledger.Counter{{Name: "c", Value: -1}}, Deadline: s.now.Add(time.Hour)},
			{Kind: "k", Key: "large", Data: bytes.Repeat([]byte("x"), 200<<10)}}})
	refusal := &ledger.Command{Tenant: 1, Book: 1, ID: "short", Remember: true, Ops: []ledger.Op{&ledger.Release{Hold: "holds"}}}
	r := s.books[1]
	e, _ := ledger.Decide(r, s.now, refusal)
	b := e.AppendBinary(nil, 1)
	if err := r.Add(e, b); err != nil {
		s.Fatal(err)
	}
	s.history = append(s.history, entry{1, e, b})
	s.must(&ledger.Batch{Books: []ledger.BookEvents{{From: e.Seq - 1, Head: *r.Head(), Events: []*ledger.Event{e}, Bytes: [][]byte{b}}},
		IDs: []ledger.IDRow{{Ref: ledger.RefOf(1, "short"), At: ledger.TransferAt{Book: 1, Seq: e.Seq}}}})
}

func amountPtr(n int64) *money.Amount { a := money.New(n); return &a }

// compare loads every row and compares it with the books.
func (s *shop) compare() {
	s.Helper()
	for id, r := range s.books {
		var k ledger.Keys
		var want ledger.Snapshot
		k.Heads, want.Heads = []ledger.BookID{id}, []*ledger.Head{r.Head()}
		for id, a := range r.Accounts {
			k.Accounts, want.Accounts = append(k.Accounts, id), append(want.Accounts, a)
		}
		for ref, h := range r.Holds {
			k.Holds, want.Holds = append(k.Holds, ref), append(want.Holds, h)
		}
		for key, rec := range r.Records {
			k.Records, want.Records = append(k.Records, key), append(want.Records, rec)
		}
		for ref, at := range r.IDs {
			k.IDs, want.IDs = append(k.IDs, ref), append(want.IDs, &at)
		}
		for at, n := range r.Refunds {
			k.Refunds, want.Refunds = append(k.Refunds, at), append(want.Refunds, n)
		}
		for _, e := range s.history {
			if e.book != id {
				continue
			}
			bare := *e.event
			bare.Beside = nil
			k.Events, want.Events = append(k.Events, ledger.EventKey{Book: id, Seq: e.event.Seq}), append(want.Events, &bare)
			for n := range e.event.Beside {
				k.Texts = append(k.Texts, ledger.TextKey{Book: id, TextAt: ledger.TextAt{Seq: e.event.Seq, N: uint32(n + 1)}})
				want.Texts = append(want.Texts, &e.event.Beside[n])
			}
		}
		got := s.load(&k)
		g, w := reflect.ValueOf(*got), reflect.ValueOf(want)
		for i := range g.NumField() {
			for n := range w.Field(i).Len() {
				if a, b := g.Field(i).Index(n).Interface(), w.Field(i).Index(n).Interface(); !reflect.DeepEqual(a, b) {
					s.Errorf("book %d, %s %d: %+v, want %+v", id, g.Type().Field(i).Name, n, a, b)
				}
			}
		}
	}
}

func testEvents(s *shop) {
	s.do(opening(1), charging("1", 0x11, 1), charging("2", 0x11, 1))
	s.do(opening(2))
	s.do(charging("3", 0x11, 1))
	third := s.books[1].Head().Time
	s.now += 10
	s.do(charging("4", 0x11, 1), charging("5", 0x11, 1))
	q := ledger.Query{List: ledger.ListEvents, Book: 1}
	s.list("events", q, seqOf, "1", "2", "3", "4", "5", "6")
	hash := ledger.NewReplay(1).Head().Hash
	for i, r := range s.scan(q) {
		hash = ledger.Chain(hash, r.Bytes)
		if !bytes.Equal(r.Bytes, r.Event.AppendBinary(nil, 1)) {
			s.Errorf("event %d has other bytes", i+1)
		}
	}
	if hash != s.books[1].Head().Hash {
		s.Error("the chain does not end at the head's hash")
	}
	q.After = 4
	s.list("after", q, seqOf, "5", "6")
	q.After = 6
	s.list("after the end", q, seqOf)
	q = ledger.Query{List: ledger.ListEvents, Book: 1, Until: third}
	s.list("until", q, seqOf, "1", "2", "3", "4")
	q.Until = third + 9
	s.list("until between two", q, seqOf, "1", "2", "3", "4")
	q.Until = 1
	s.list("until before", q, seqOf)
	q = ledger.Query{List: ledger.ListEvents, Book: 1, Reverse: true}
	s.list("backwards", q, seqOf, "6", "5", "4", "3", "2", "1")
	q.After = 3
	s.list("backwards from", q, seqOf, "2", "1")
	q.After, q.Until = 0, third
	s.list("backwards until", q, seqOf, "4", "3", "2", "1")
	s.list("another book", ledger.Query{List: ledger.ListEvents, Book: 3}, seqOf)
	heads := s.scan(ledger.Query{List: ledger.ListHeads})
	if len(heads) != 2 || !reflect.DeepEqual(heads[0].Head, s.books[1].Head()) || !reflect.DeepEqual(heads[1].Head, s.books[2].Head()) {
		s.Errorf("heads %+v", heads)
	}
}

func testStatements(s *shop) {
	s.do(opening(1))
	for i := range 40 {
		s.do(charging(fmt.Sprint("a", i), 0x11+byte(i%2), 1), charging(fmt.Sprint("b", i), 0x12, 1))
	}
	var want, after, until []string
	half := s.history[40].event
	for _, e := range s.history {
		if _, ok := e.event.BalanceAfter(usdAccount(0x11)); !ok {
			continue
		}
		seq := fmt.Sprint(e.event.Seq)
		want = append(want, seq)
		if e.event.Seq > 30 {
			after = append(after, seq)
		}
		if e.event.Time <= half.Time {
			until = append(until, seq)
		}
	}
	q := ledger.Query{List: ledger.ListStatement, Book: 1, Account: usdAccount(0x11)}
	s.list("statement", q, seqOf, want...)
	q.After = 30
	s.list("statement after", q, seqOf, after...)
	q.After, q.Until = 0, half.Time
	s.list("statement until", q, seqOf, until...)
	q.Until, q.Reverse = 0, true
	slices.Reverse(want)
	s.list("statement backwards", q, seqOf, want...)
	q.Until = half.Time
	slices.Reverse(until)
	s.list("statement backwards until", q, seqOf, until...)
	s.list("nobody's statement", ledger.Query{List: ledger.ListStatement, Book: 1, Account: usdAccount(0x99)}, seqOf)
	s.list("@cash", ledger.Query{List: ledger.ListStatement, Book: 1, Account: ledger.SystemID(1, 0, ledger.Cash)}, seqOf, "1")
}

func testAccounts(s *shop) {
	s.do(opening(1))
	s.do(opening(2))
	s.do(command("", &ledger.OpenAccount{ID: usdAccount(0x1a), Mode: ledger.Own, Parent: usdAccount(0x11)},
		&ledger.OpenAccount{ID: usdAccount(0x05), Mode: ledger.Own, Unit: "USD"}, &ledger.OpenAccount{ID: usdAccount(0x19), Mode: ledger.Drawing, Parent: usdAccount(0x1a)}))
	other := inBook(3, &ledger.Command{Tenant: 2, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: workloadUnits[0]},
		&ledger.OpenAccount{ID: usdAccount(0x31), Mode: ledger.Own, Unit: "USD"}}})
	s.do(other)
	q := ledger.Query{List: ledger.ListAccounts, Tenant: 1}
	s.list("of a tenant", q, accountOf, "5", "11", "12", "19", "1a", "21", "22")
	q.Roots = true
	s.list("roots", q, accountOf, "5", "11", "21")
	q = ledger.Query{List: ledger.ListAccounts, Tenant: 1, Parent: usdAccount(0x11)}
	s.list("children", q, accountOf, "12", "1a")
	q.Parent = usdAccount(0x19)
	s.list("no children", q, accountOf)
	s.list("of another tenant", ledger.Query{List: ledger.ListAccounts, Tenant: 2}, accountOf, "31")
	all := s.scan(ledger.Query{List: ledger.ListAccounts, All: true})
	want := 0
	for _, r := range s.books {
		want += len(r.Accounts)
	}
	if len(all) != want || !slices.IsSortedFunc(all, func(a, b ledger.Row) int { return bytes.Compare(a.Account.ID[:], b.Account.ID[:]) }) {
		s.Errorf("%d accounts in all, in order or not; want %d", len(all), want)
	}
}

func testHolds(s *shop) {
	place := func(id string, account byte) *ledger.Command {
		return command(id, &ledger.PlaceHold{Account: usdAccount(account), Amount: money.New(1)})
	}
	s.do(opening(1), command("", &ledger.OpenAccount{ID: usdAccount(0x13), Mode: ledger.Drawing, Parent: usdAccount(0x11)}))
	s.do(place("z", 0x11), place("other", 0x12), place("y", 0x11))
	s.do(place("drawn", 0x13))
	s.do(place("x", 0x11), command("", &ledger.Release{Hold: "y"}))
	s.do(place("w", 0x11), command("", &ledger.Capture{Hold: "w"}), command("", &ledger.Raise{Hold: "z", Amount: money.New(1)}))
	q := ledger.Query{List: ledger.ListHolds, Account: usdAccount(0x11)}
	s.list("holds", q, holdID, "z", "y", "x", "w")
	q.Open = true
	s.list("open holds", q, holdID, "z", "x")
	q.Account = usdAccount(0x13)
	s.list("of who drew", q, holdID, "drawn")
	q.Account = usdAccount(0x99)
	s.list("nobody's", q, holdID)
	if all := s.scan(ledger.Query{List: ledger.ListHolds, All: true}); len(all) != 6 {
		s.Errorf("%d holds in all", len(all))
	}
}

// keys in the order of their bytes, whatever language they are in.
var sorted = []string{" ", "#", "10", "9", "A", "Z", "_", "a", "a ", "a!", "a-b", "aa", "ab", "b", "z", "~", "\u00e4", "\u00f6", "\u4e2d", "\U0001f600"}

func testRecords(s *shop) {
	s.do(opening(1))
	s.do(opening(2))
	shuffled := slices.Concat(sorted[7:], sorted[:7])
	slices.Reverse(shuffled)
	for _, key := range shuffled {
		s.do(write(key, ledger.RecordWrite{Data: []byte(key)}))
	}
	s.do(write("b", ledger.RecordWrite{Kind: "k2"}), write("a", ledger.RecordWrite{Kind: "j"}))
	s.do(inBook(2, write("in book 2", ledger.RecordWrite{})))
	s.do(write("b", ledger.RecordWrite{Delete: true}), write("a", ledger.RecordWrite{Data: bytes.Repeat([]byte("x"), 5000)}))
	q := ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "k"}
	s.list("records", q, keyOf, slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k == "b" })...)
	down := slices.DeleteFunc(slices.Clone(sorted), func(k string) bool { return k == "b" })
	slices.Reverse(down)
	q.Reverse = true
	s.list("records, from the last", q, keyOf, down...)
	q.Reverse = false
	s.list("of another kind", ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "k2"}, keyOf, "b")
	s.list("of another book", ledger.Query{List: ledger.ListRecords, Book: 2, Kind: "k"}, keyOf, "in book 2")
	for _, r := range s.scan(q) {
		if r.Record.Key == "a" && len(r.Record.Data) != 5000 {
			s.Errorf("large data: %d bytes", len(r.Record.Data))
		}
	}
	if all := s.scan(ledger.Query{List: ledger.ListRecords, All: true}); len(all) != len(sorted)-1+3 {
		s.Errorf("%d records in all", len(all))
	}
	s.compare()
}

func testRecordIndex(s *shop) {
	index := func(values ...string) (w ledger.RecordWrite) {
		for _, v := range values {
			name, value, _ := strings.Cut(v, "=")
			w.Index = append(w.Index, ledger.IndexEntry{Name: name, Value: value})
		}
		return w
	}
	s.do(opening(1))
	s.do(write("1", index("state=b", "owner=x")), write("2", index("state=a")), write("3", index("state=b")), write("4", index("owner=x")), write("5", index("state=")),
		write("6", index("state=b", "state=c", "state=a")))
	q := ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "k", Index: "state"}
	s.list("by index", q, keyOf, "5", "2", "6", "1", "3", "6", "6")
	q.Reverse = true
	s.list("by index, from the last", q, keyOf, "6", "6", "3", "1", "6", "2", "5")
	q.Value = "b"
	s.list("by value, from the last", q, keyOf, "6", "3", "1")
	q.Reverse = false
	s.list("by value", q, keyOf, "1", "3", "6")
	q.Value = "bb"
	s.list("by no value", q, keyOf)
	q.Index, q.Value = "owner", "x"
	s.list("by another index", q, keyOf, "1", "4")
	// Entries go with their records.
	s.do(write("1", index("state=a")), write("3", ledger.RecordWrite{Delete: true}), write("6", ledger.RecordWrite{Keep: true}))
	q.Index, q.Value = "state", "b"
	s.list("by value, later", q, keyOf, "6")
	q.Value = "a"
	s.list("by value, later", q, keyOf, "1", "2", "6")
	q.Index, q.Value = "owner", ""
	s.list("by another index, later", q, keyOf, "4")
	// Values sort as their bytes do.
	for i, v := range sorted {
		s.do(write(fmt.Sprint(100-i), ledger.RecordWrite{Kind: "text", Index: []ledger.IndexEntry{{Name: "t", Value: v}}}))
	}
	var got []string
	for _, r := range s.scan(ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "text", Index: "t"}) {
		got = append(got, r.Record.Index[0].Value)
	}
	if !slices.Equal(got, sorted) {
		s.Errorf("values in order %q, want %q", got, sorted)
	}
}

func testDeadlines(s *shop) {
	at := s.now.Add(time.Hour)
	place := func(id string, ends ledger.Time) *ledger.Command {
		return command(id, &ledger.PlaceHold{Account: usdAccount(0x11), Amount: money.New(1), Expires: ledger.Lifetime{At: ends}})
	}
	name := func(r ledger.Row) string {
		what := fmt.Sprint(r.Due.Record.Kind, r.Due.Record.Key)
		if !r.Due.Hold.IsZero() {
			what = s.books[r.Due.Book].Holds[r.Due.Hold].ID
		}
		return fmt.Sprintf("%d %s%d", int64(r.Due.At-at), what, r.Due.Book)
	}
	s.do(opening(1), place("c", at+3), place("a", at+1), place("gone", at+2), place("moved", at+2))
	s.do(opening(2))
	s.do(write("r", ledger.RecordWrite{Deadline: at + 2}), write("none", ledger.RecordWrite{}), write("past", ledger.RecordWrite{Deadline: 5}))
	s.do(inBook(2, write("r", ledger.RecordWrite{Deadline: at + 4})))
	s.do(command("", &ledger.PlaceHold{ID: "never", Account: usdAccount(0x11), Amount: money.New(1), Expires: ledger.Lifetime{Never: true}},
		&ledger.Release{Hold: "gone"}, &ledger.Extend{Hold: "moved", Expires: ledger.Lifetime{At: at + 9}}),
		write("past", ledger.RecordWrite{Delete: true}))
	s.do(write("r", ledger.RecordWrite{Keep: true}))
	q := ledger.Query{List: ledger.ListDeadlines, Until: at + 100}
	s.list("deadlines", q, name, "1 a1", "2 kr1", "3 c1", "4 kr2", "9 moved1")
	q.Until = at + 3
	s.list("deadlines until", q, name, "1 a1", "2 kr1", "3 c1")
	q.Until = at
	s.list("nothing due", q, name)
	q.Until, q.Books = at+100, []ledger.BookID{2}
	s.list("of a book", q, name, "4 kr2")
	s.list("open ones", ledger.Query{List: ledger.ListHolds, Account: usdAccount(0x11), Open: true}, holdID, "c", "a", "moved", "never")
}

func testSearch(s *shop) {
	profile := func(n byte, text string) ledger.Op {
		return &ledger.OpenAccount{ID: usdAccount(n), Mode: ledger.Own, Unit: "USD", Profile: &ledger.Text{Data: []byte(text)}}
	}
	s.do(opening(1), command("", profile(0x13, `{"name":"Ada Lovelace"}`), profile(0x14, `{"name":"Adam"}`), profile(0x15, `{"name":"Grace"}`)))
	q := ledger.Query{List: ledger.ListSearch, Tenant: 1, Word: "ada"}
	s.list("search", q, accountOf, "13", "14")
	q.Word = "LOVE"
	s.list("search in capitals", q, accountOf, "13")
	q.Word = "lace"
	s.list("not from the middle", q, accountOf)
	q.Word, q.Tenant = "ada", 2
	s.list("another tenant's", q, accountOf)
	s.do(command("", &ledger.SetAccount{Account: usdAccount(0x14), Profile: &ledger.Text{Data: []byte(`{"name":"Eve"}`)}}))
	s.list("after a change", ledger.Query{List: ledger.ListSearch, Tenant: 1, Word: "ada"}, accountOf, "13")
}

// testErasure erases an account of events that say something of others, too: its
// sub-accounts, and who was paid in the same batch.
func testErasure(s *shop) {
	const parent, other, child, drawn = 0x11, 0x12, 0x13, 0x14
	var gone, left []ledger.TextKey
	n := uint32(0)
	text := func(list *[]ledger.TextKey, data string) *ledger.Text {
		n++
		*list = append(*list, ledger.TextKey{Book: 1, TextAt: ledger.TextAt{Seq: 2, N: n}})
		return &ledger.Text{Salt: [16]byte{1}, Data: []byte(data)}
	}
	pay := func(from, to byte, said *ledger.Text) ledger.Op {
		t := &ledger.Transfer{Kind: ledger.Move, From: usdAccount(from), To: usdAccount(to), Amount: money.New(1), Text: said}
		if to == 0 {
			t.Kind, t.To = ledger.Charge, ledger.SystemID(1, 0, ledger.Revenue)
		}
		return t
	}
	s.do(opening(1))
	all := command("all",
		&ledger.OpenAccount{ID: usdAccount(child), Mode: ledger.Own, Parent: usdAccount(parent), Profile: text(&left, `{"name":"Carl"}`)},
		&ledger.OpenAccount{ID: usdAccount(drawn), Mode: ledger.Drawing, Parent: usdAccount(parent), Profile: text(&left, `{"name":"Dora"}`)},
		&ledger.SetAccount{Account: usdAccount(parent), Profile: text(&gone, `{"name":"Pia"}`), Reason: text(&gone, "Pia's")},
		&ledger.SetAccount{Account: usdAccount(other), Profile: text(&left, `{"name":"Otto"}`), Reason: text(&left, "Otto's")},
		pay(parent, other, text(&gone, "of Pia")), pay(other, parent, text(&gone, "for Pia")), pay(drawn, 0, text(&gone, "paid by Pia")),
		pay(other, child, text(&left, "of Otto for Carl")),
		&ledger.PlaceHold{ID: "h", Account: usdAccount(drawn), Amount: money.New(1), Text: text(&gone, "held of Pia's")},
		&ledger.PlaceHold{ID: "i", Account: usdAccount(other), Amount: money.New(1), Text: text(&left, "held of Otto's")})
	large := strings.Repeat("large", 1<<10)
	all.Records = []ledger.RecordWrite{{Kind: "k", Key: "is", Data: text(&left, large).Data}, {Kind: "k", Key: "was", Data: text(&gone, large).Data}}
	s.do(all)
	s.do(write("was", ledger.RecordWrite{Data: []byte("small")}))
	after := &ledger.Text{Salt: [16]byte{1}, Data: []byte(`{"name":"Nina"}`)} // whoever has the account then
	left = append(left, ledger.TextKey{Book: 1, TextAt: ledger.TextAt{Seq: 5, N: 1}})
	s.do(command("", &ledger.Erase{Account: usdAccount(parent)}), command("", &ledger.SetAccount{Account: usdAccount(parent), Profile: after}))
	if err := s.Store.(interface{ WaitErased(context.Context) error }).WaitErased(context.Background()); err != nil {
		s.Fatal(err)
	}
	for i, t := range s.load(&ledger.Keys{Texts: gone}).Texts {
		if t != nil {
			s.Errorf("text %d is there: %s", gone[i].N, t.Data)
		}
	}
	for i, t := range s.load(&ledger.Keys{Texts: left}).Texts {
		if t == nil {
			s.Errorf("text %d of event %d, which is of others or came later, is gone", left[i].N, left[i].Seq)
		}
	}
	for word, found := range map[string][]string{"pia": nil, "nina": {"11"}, "carl": {"13"}, "dora": {"14"}, "otto": {"12"}} {
		s.list("search of "+word, ledger.Query{List: ledger.ListSearch, Tenant: 1, Word: word}, accountOf, found...)
	}
}

// testUsage has accounts three deep use things on several days, in one batch and
// in many, and compares what is listed with sums made here.
func testUsage(s *shop) {
	const parent, child, drawn, alien = 0x11, 0x12, 0x13, 0x14 // drawn is below child, and child and alien below parent
	revenue := ledger.SystemID(1, 0, ledger.Revenue)
	s.do(opening(1))
	s.do(command("tree", &ledger.AddUnit{Unit: workloadUnits[1]},
		&ledger.OpenAccount{ID: usdAccount(drawn), Mode: ledger.Drawing, Parent: usdAccount(child)},
		&ledger.OpenAccount{ID: usdAccount(alien), Mode: ledger.Own, Parent: usdAccount(parent), Unit: workloadUnits[1].Code, Limit: money.New(100)}))
	charge := func(account byte, n int64, category string, count int64, unit string) *ledger.Transfer {
		t := &ledger.Transfer{Kind: ledger.Charge, From: usdAccount(account), To: revenue, Amount: money.New(n),
			Usage: ledger.Usage{Category: category, Count: money.New(count), Unit: unit}}
		if account == alien {
			t.To = ledger.SystemID(1, 1, ledger.Revenue)
		}
		return t
	}
	named := func(id string, t *ledger.Transfer) *ledger.Transfer { t.ID = id; return t }
	day := s.now.Day()
	s.do(command("a", charge(parent, 1, "sms", 5, "messages"), charge(parent, 2, "sms", 0, ""), charge(parent, 4, "", 9, ""), charge(child, 8, "calls", 3, "minutes")),
		command("b", charge(drawn, 16, "sms", 2, "messages"), charge(drawn, 32, "odd\x00name", 1, "")))
	s.do(command("c", charge(alien, 64, "sms", 1, "")))
	s.now = (day + 2).Start() - 1 // the next is the first moment of that day
	s.do(command("d", charge(parent, 3, "sms", 1, "segments"), charge(drawn, 5, "sms", 4, "messages"),
		&ledger.PlaceHold{ID: "h", Account: usdAccount(drawn), Amount: money.New(50)}))
	s.do(command("e", &ledger.Capture{Hold: "h", Usage: ledger.Usage{Category: "calls", Count: money.New(7), Unit: "minutes"},
		To: []ledger.Payee{{To: revenue, Amount: money.New(10)}, {To: usdAccount(parent), Amount: money.New(20)}}}))
	s.do(command("f", &ledger.Capture{Hold: "h", Usage: ledger.Usage{Category: "calls"}, Final: true,
		To: []ledger.Payee{{To: revenue, Amount: money.New(1)}, {To: usdAccount(parent), Amount: money.New(2)}}}))
	s.now = (day + 5).Start()
	s.do(command("g", &ledger.Refund{Of: "b", Amount: amountPtr(6)}), command("i", named("t", &ledger.Transfer{Kind: ledger.TopUp,
		From: ledger.SystemID(1, 0, ledger.Cash), To: usdAccount(parent), Amount: money.New(1000), Usage: ledger.Usage{Category: "sms", Count: money.New(1)}})))
	s.do(command("j", &ledger.Refund{Of: "t", Amount: amountPtr(9)}, &ledger.Refund{Of: "e#1", Amount: amountPtr(20)}))

	d := func(r ledger.Row) string {
		u := r.Usage
		return fmt.Sprintf("%d:%v/%v%s%v", u.Day-day, u.Price, u.Count, u.Unit, u.Mixed)
	}
	usage := func(account byte, below bool, category string, want ...string) {
		s.Helper()
		q := ledger.Query{List: ledger.ListUsage, Account: usdAccount(account), Below: below, Value: category, FromDay: ledger.FirstDay, ToDay: ledger.LastDay}
		s.list(fmt.Sprintf("usage of %x, below %v, %q", account, below, category), q, d, want...)
	}
	usage(parent, false, "", "0:7/15messagesfalse", "2:3/1segmentsfalse")
	usage(parent, false, "sms", "0:3/6messagesfalse", "2:3/1segmentsfalse")
	usage(parent, true, "sms", "0:16/2messagesfalse", "2:5/4messagesfalse", "5:-6/0messagesfalse")
	usage(parent, true, "calls", "0:8/3minutesfalse", "2:33/8minutesfalse", "5:-20/0minutesfalse")
	usage(parent, true, "", "0:56/6true", "2:38/12true", "5:-26/0true")
	usage(child, false, "", "0:8/3minutesfalse")
	usage(child, true, "odd\x00name", "0:32/1false")
	usage(drawn, false, "calls", "2:33/8minutesfalse", "5:-20/0minutesfalse")
	usage(drawn, true, "")
	usage(parent, false, "fax")
	usage(alien, false, "sms") // in its parent's unit it used nothing
	q := ledger.Query{List: ledger.ListUsage, Account: usdAccount(alien), Unit: 1, Value: "sms", FromDay: day, ToDay: day}
	s.list("in its unit", q, d, "0:64/1false")
	q.Account, q.Below = usdAccount(parent), true
	s.list("of below, in its unit", q, d, "0:64/1false")
	q = ledger.Query{List: ledger.ListUsage, Account: usdAccount(parent), Below: true, Value: "sms", FromDay: day + 1, ToDay: day + 2}
	s.list("between days", q, d, "2:5/4messagesfalse")
	q.FromDay, q.ToDay = day+3, day+4
	s.list("between days of none", q, d)
	q.FromDay, q.ToDay = day+2, day+1
	s.list("backwards", q, d)
	category := func(r ledger.Row) string { return r.Usage.Category }
	q = ledger.Query{List: ledger.ListCategories, Account: usdAccount(parent)}
	s.list("categories", q, category, "sms")
	q.Below = true
	s.list("categories below", q, category, "calls", "odd\x00name", "sms")
	q.Account = usdAccount(0x99)
	s.list("nobody's categories", q, category)
}

// testReopens closes the store and wants it to be the same after.
func testReopens(s *shop) {
	s.everything()
	before := s.dump()
	s.closed()
	s.Store, s.closed = s.open()
	if diff := before.differs(s.dump()); diff != "" {
		s.Errorf("after it was closed and opened: %s", diff)
	}
	s.compare()
	s.do(charging("after", 0x11, 1))
	s.compare()
}

// A dump is all that a store lists.
type dump map[string][]string

func (s *shop) dump() dump {
	s.Helper()
	d := dump{}
	add := func(what string, q ledger.Query) {
		for _, r := range s.scan(q) {
			d[what] = append(d[what], describeRow(r))
		}
	}
	add("heads", ledger.Query{List: ledger.ListHeads})
	add("accounts", ledger.Query{List: ledger.ListAccounts, All: true})
	add("holds", ledger.Query{List: ledger.ListHolds, All: true})
	add("records", ledger.Query{List: ledger.ListRecords, All: true})
	add("deadlines", ledger.Query{List: ledger.ListDeadlines, Until: ledger.MaxTime})
	for _, below := range []bool{false, true} {
		for n := range byte(4) {
			q := ledger.Query{List: ledger.ListUsage, Account: usdAccount(0x10 + n), Below: below, FromDay: ledger.FirstDay, ToDay: ledger.LastDay}
			add(fmt.Sprint("usage of ", q.Account, below), q)
		}
	}
	add("of tenant 1", ledger.Query{List: ledger.ListAccounts, Tenant: 1})
	for book := range s.books {
		add(fmt.Sprint("events of book ", book), ledger.Query{List: ledger.ListEvents, Book: book})
		for n := range byte(4) {
			id := usdAccount(byte(book)*16 + n)
			add(fmt.Sprint("statement of ", id), ledger.Query{List: ledger.ListStatement, Book: book, Account: id})
			add(fmt.Sprint("holds of ", id), ledger.Query{List: ledger.ListHolds, Account: id})
			add(fmt.Sprint("open holds of ", id), ledger.Query{List: ledger.ListHolds, Account: id, Open: true})
		}
	}
	return d
}

func describeRow(r ledger.Row) string {
	var b strings.Builder
	for _, v := range []any{r.Account, r.Hold, r.Record, r.Head, r.Due, r.Usage, r.Bytes} {
		describe(&b, reflect.ValueOf(v))
	}
	return b.String()
}

func (d dump) differs(e dump) string {
	for what := range maps.All(e) {
		if !slices.Equal(d[what], e[what]) {
			return fmt.Sprintf("%s: %q, before %q", what, e[what], d[what])
		}
	}
	if len(d) != len(e) {
		return "lists are gone"
	}
	return ""
}
