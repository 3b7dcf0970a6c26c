package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"saldo/ledger"
	"saldo/money"
)

// A writer of batches that knows nothing of the ledger's rules: what a store
// keeps need not make sense to it.
type book struct {
	head     ledger.Head
	accounts map[ledger.AccountID]*ledger.Account
}

func newBook(id ledger.BookID, tenant ledger.TenantID) *book {
	return &book{head: ledger.Head{Book: id, Tenant: tenant}, accounts: map[ledger.AccountID]*ledger.Account{}}
}

// batch makes one batch of events, which get their seqs and times.
func (bk *book) batch(events ...*ledger.Event) *ledger.Batch {
	b := &ledger.Batch{}
	be := ledger.BookEvents{From: bk.head.Seq}
	touched := map[ledger.AccountID]bool{}
	for _, e := range events {
		bk.head.Seq++
		bk.head.Time += 1000
		e.Seq, e.Time = bk.head.Seq, bk.head.Time
		if e.Seq == 1 {
			e.Tenant = bk.head.Tenant
		}
		for _, o := range e.Opened {
			bk.accounts[o.Account] = &ledger.Account{
				ID: o.Account, Parent: o.Parent, Tenant: bk.head.Tenant, Book: bk.head.Book, Mode: o.Mode, Depth: 1,
				Created: e.Time, Version: e.Seq, Profile: ledger.TextAt{Seq: e.Seq * uint64(min(o.Profile, 1)), N: o.Profile},
			}
		}
		for _, s := range e.Set {
			if s.Profile != 0 {
				a := *bk.accounts[s.Account]
				a.Profile = ledger.TextAt{Seq: e.Seq, N: s.Profile}
				bk.accounts[s.Account] = &a
			}
		}
		for _, id := range e.Erased {
			a := *bk.accounts[id]
			a.Profile, a.Erased = ledger.TextAt{}, e.Seq
			bk.accounts[id] = &a
		}
		for _, after := range e.Touched {
			a := ledger.Account{ID: after.Account, Book: bk.head.Book, Tenant: bk.head.Tenant, Mode: ledger.System}
			if was := bk.accounts[after.Account]; was != nil {
				a = *was
			}
			a.Posted, a.Seq, a.Updated = after.Posted, e.Seq, e.Time
			bk.accounts[a.ID] = &a
			touched[a.ID] = true
		}
		for n := range e.Beside {
			e.Texts = append(e.Texts, ledger.Digest{byte(n)})
		}
		if e.ID != "" {
			b.IDs = append(b.IDs, ledger.IDRow{
				Ref: ledger.RefOf(bk.head.Tenant, e.ID), At: ledger.TransferAt{Book: bk.head.Book, Seq: e.Seq},
			})
		}
		be.Events = append(be.Events, e)
		be.Bytes = append(be.Bytes, e.AppendBinary(nil, bk.head.Book))
	}
	for id := range touched {
		b.Accounts = append(b.Accounts, bk.accounts[id])
	}
	binary.BigEndian.PutUint64(bk.head.Hash[:], bk.head.Seq*0x9e3779b97f4a7c15)
	be.Head = bk.head
	b.Books = []ledger.BookEvents{be}
	return b
}

func account(n byte) ledger.AccountID { return ledger.AccountID{0: 0xaa, 15: n} }

// charge is an event that moves n steps from an account to @revenue.
func (bk *book) charge(from ledger.AccountID, n int64) *ledger.Event {
	to := ledger.SystemID(bk.head.Book, 0, ledger.Revenue)
	return &ledger.Event{
		ID: fmt.Sprintf("charge-%d-%d", bk.head.Book, rand.Uint64()), Print: ledger.Print{1, 2, 3},
		Touched:   []ledger.After{{Account: from, Posted: money.New(1000 - n)}, {Account: to, Posted: money.New(n)}},
		Transfers: []ledger.Posting{{Kind: ledger.Charge, From: from, To: to, Amount: money.New(n)}},
	}
}

// open is an event that opens an account with a profile.
func (bk *book) open(id, parent ledger.AccountID, profile string) *ledger.Event {
	e := &ledger.Event{
		ID: "open-" + id.String(), Print: ledger.Print{1},
		Touched: []ledger.After{{Account: id}},
		Opened:  []ledger.Opened{{Account: id, Parent: parent, Mode: ledger.Own}},
	}
	if profile != "" {
		e.Opened[0].Profile = 1
		e.Beside = []ledger.Text{{Salt: [16]byte{9}, Data: []byte(profile)}}
	}
	return e
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testOptions() Options {
	return Options{Logger: quiet(), CheckIDs: true, CacheBytes: 4 << 20, MemTableBytes: 1 << 20, MaxIDs: 16}
}

func openStore(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustAppend(t testing.TB, s *Store, b *ledger.Batch) {
	t.Helper()
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, s *Store, keys *ledger.Keys) *ledger.Snapshot {
	t.Helper()
	snap, err := s.Load(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// rows returns what a query lists, each row as f shows it.
func rows(t testing.TB, s *Store, q ledger.Query, f func(ledger.Row) string) []string {
	t.Helper()
	got := []string{}
	for row, err := range s.Scan(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f(row))
	}
	return got
}

func seqs(r ledger.Row) string    { return fmt.Sprint(r.Event.Seq) }
func numbers(r ledger.Row) string { return fmt.Sprint(r.Account.ID[15]) }
func keys(r ledger.Row) string    { return r.Record.Key }

func want(t testing.TB, got []string, want string) {
	t.Helper()
	if text := strings.Join(got, " "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestWhatIsAppendedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, testOptions())
	bk := newBook(5, 2)
	first := bk.batch(bk.open(account(1), ledger.AccountID{}, `{"name":"Ada"}`), bk.charge(account(1), 10))
	hold := &ledger.Hold{Ref: ledger.Ref{1}, ID: "h", Book: 5, Account: account(1), State: ledger.HoldOpen, Expires: 500, Seq: 2, Opened: 2}
	first.Holds = []ledger.HoldRow{{Now: hold}}
	record := &ledger.Record{
		RecordKey: ledger.RecordKey{Book: 5, Kind: "hit", Key: "A"}, Version: 1, Data: []byte("data"),
		Index: []ledger.IndexEntry{{Name: "status", Value: "open"}}, Deadline: 400,
	}
	large := &ledger.Record{RecordKey: ledger.RecordKey{Book: 5, Kind: "hit", Key: "B"}, Version: 1, At: ledger.TextAt{Seq: 1, N: 1}}
	first.Records = []ledger.RecordRow{{Now: record}, {Now: large}}
	of := ledger.TransferAt{Book: 5, Seq: 2}
	first.Refunds = []ledger.RefundRow{{Of: of, Refunded: money.New(3)}}
	mustAppend(t, s, first)

	check := func() {
		t.Helper()
		none := ledger.AccountID{7}
		snap := load(t, s, &ledger.Keys{
			Heads: []ledger.BookID{5, 6}, Accounts: []ledger.AccountID{account(1), none}, Holds: []ledger.Ref{{1}, {2}},
			Records: []ledger.RecordKey{record.RecordKey, large.RecordKey, {Book: 5, Kind: "hit", Key: "C"}},
			IDs:     []ledger.Ref{ledger.RefOf(2, first.Books[0].Events[1].ID), {3}},
			Refunds: []ledger.TransferAt{of, {Book: 5, Seq: 1}},
			Events:  []ledger.EventKey{{Book: 5, Seq: 2}, {Book: 5, Seq: 1}, {Book: 5, Seq: 3}, {Book: 6, Seq: 1}},
			Texts:   []ledger.TextKey{{Book: 5, TextAt: ledger.TextAt{Seq: 1, N: 1}}, {Book: 5, TextAt: ledger.TextAt{Seq: 1, N: 2}}},
		})
		filled := *large
		filled.Data = []byte(`{"name":"Ada"}`)
		text := &first.Books[0].Events[0].Beside[0]
		plain := func(e *ledger.Event) *ledger.Event { c := *e; c.Beside = nil; return &c }
		whole := &ledger.Snapshot{
			Heads: []*ledger.Head{&first.Books[0].Head, nil}, Accounts: []*ledger.Account{bk.accounts[account(1)], nil},
			Holds: []*ledger.Hold{hold, nil}, Records: []*ledger.Record{record, &filled, nil},
			IDs: []*ledger.TransferAt{&of, nil}, Refunds: []money.Amount{money.New(3), {}},
			Events: []*ledger.Event{plain(first.Books[0].Events[1]), plain(first.Books[0].Events[0]), nil, nil},
			Texts:  []*ledger.Text{text, nil},
		}
		if d := cmp.Diff(whole, snap, cmp.AllowUnexported(money.Amount{})); d != "" {
			t.Errorf("-appended +loaded\n%s", d)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, testOptions())
	check()
}

func TestConflicts(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	one := bk.charge(account(1), 1)
	mustAppend(t, s, bk.batch(one))
	stale := newBook(1, 1)
	if err := s.Append(t.Context(), stale.batch(stale.charge(account(1), 1))); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a batch from 0 on a book at 1: %v", err)
	}
	before := *bk
	again := bk.charge(account(1), 1)
	again.ID = one.ID
	if err := s.Append(t.Context(), bk.batch(again)); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("an id that is taken: %v", err)
	}
	*bk = before
	mustAppend(t, s, bk.batch(bk.charge(account(1), 2)))
	gap := bk.batch(bk.charge(account(1), 3))
	gap.Books[0].Events[0].Seq++
	if err := s.Append(t.Context(), gap); err == nil || errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a gap: %v", err)
	}
	if head := load(t, s, &ledger.Keys{Heads: []ledger.BookID{1}}).Heads[0]; head.Seq != 2 {
		t.Errorf("the head is at %d", head.Seq)
	}
}

func TestEventsAndStatements(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	// Book 2 shows that a list ends with its book.
	other := newBook(2, 1)
	mustAppend(t, s, other.batch(other.charge(account(9), 1)))
	for i := range 5 {
		var events []*ledger.Event
		for k := range 3 {
			events = append(events, bk.charge(account(byte(k%2+1)), int64(i)))
		}
		mustAppend(t, s, bk.batch(events...))
		if i%2 == 0 { // statements of several chunks
			if err := s.WaitIndexes(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(q ledger.Query) []string { q.Book = 1; return rows(t, s, q, seqs) }
	events := ledger.Query{List: ledger.ListEvents}
	want(t, list(events), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15")
	events.After, events.Limit = 7, 3
	want(t, list(events), "8 9 10")
	events.Reverse = true
	want(t, list(events), "6 5 4")
	events.Until, events.After = 9500, 0
	want(t, list(events), "9 8 7")

	of := ledger.Query{List: ledger.ListStatement, Account: account(2)}
	want(t, list(of), "2 5 8 11 14")
	of.After = 5
	want(t, list(of), "8 11 14")
	of.Until = 11_000
	want(t, list(of), "8 11")
	of.Until, of.After, of.Reverse = 0, 0, true
	want(t, list(of), "14 11 8 5 2")
	of.After = 11
	want(t, list(of), "8 5 2")
	of.Limit = 1
	want(t, list(of), "8")
	system := ledger.Query{List: ledger.ListStatement, Account: ledger.SystemID(1, 0, ledger.Revenue), After: 12}
	want(t, list(system), "13 14 15")
	want(t, list(ledger.Query{List: ledger.ListStatement, Account: account(77)}), "")
	want(t, rows(t, s, ledger.Query{List: ledger.ListHeads}, func(r ledger.Row) string {
		return fmt.Sprint(r.Head.Book, "@", r.Head.Seq)
	}), "1@15 2@1")
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Large events are blocks of their own, and many make many blocks.
func TestJournalBlocks(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	for range 3 {
		var events []*ledger.Event
		for i := range 500 {
			e := bk.charge(account(1), 1)
			if i%100 == 50 {
				for range 60 {
					e.Records = append(e.Records, ledger.RecordChange{Kind: "k", Key: "k", Version: 1, Data: make([]byte, 1000)})
				}
			}
			events = append(events, e)
		}
		mustAppend(t, s, bk.batch(events...))
	}
	n := uint64(0)
	for row, err := range s.Scan(t.Context(), ledger.Query{List: ledger.ListEvents, Book: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; row.Event.Seq != n {
			t.Fatalf("event %d where %d should be", row.Event.Seq, n)
		}
	}
	if n != 1500 {
		t.Errorf("%d events", n)
	}
	var keys []ledger.EventKey
	for range 200 {
		keys = append(keys, ledger.EventKey{Book: 1, Seq: rand.Uint64N(1600) + 1})
	}
	for i, e := range load(t, s, &ledger.Keys{Events: keys}).Events {
		if seq := keys[i].Seq; (e == nil) != (seq > 1500) || e != nil && e.Seq != seq {
			t.Errorf("event %d was loaded as %v", seq, e)
		}
	}
}

func TestAccountsAndSearch(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 3)
	mustAppend(t, s, bk.batch(
		bk.open(account(1), ledger.AccountID{}, `{"name":"Ada Lovelace","metadata":{"mail":"ada@example.org","n":7}}`),
		bk.open(account(2), account(1), `{"name":"Adam"}`),
		bk.open(account(3), account(1), ""),
		bk.open(account(4), ledger.AccountID{}, `not JSON`),
	))
	other := newBook(2, 4)
	mustAppend(t, s, other.batch(other.open(account(5), ledger.AccountID{}, `{"name":"Ada"}`)))
	list := func(q ledger.Query) []string { return rows(t, s, q, numbers) }
	want(t, list(ledger.Query{List: ledger.ListAccounts, Tenant: 3}), "1 2 3 4")
	want(t, list(ledger.Query{List: ledger.ListAccounts, Tenant: 3, Roots: true}), "1 4")
	want(t, list(ledger.Query{List: ledger.ListAccounts, Tenant: 3, Parent: account(1)}), "2 3")
	want(t, list(ledger.Query{List: ledger.ListAccounts, All: true}), "1 2 3 4 5")
	search := func(word string) []string {
		return list(ledger.Query{List: ledger.ListSearch, Tenant: 3, Word: word})
	}
	want(t, search("ada"), "1 2")
	want(t, search("ADA@ex"), "1")
	want(t, search("LOVE"), "1")
	want(t, search("example"), "1")
	want(t, search("json"), "")
	want(t, search(""), "1 2")

	// Pages go on from the last row's key.
	for _, q := range []ledger.Query{
		{List: ledger.ListAccounts, Tenant: 3}, {List: ledger.ListAccounts, All: true}, {List: ledger.ListSearch, Tenant: 3, Word: "ada"},
	} {
		whole, paged := list(q), []string{}
		q.Limit = 1
		for {
			page := rows(t, s, q, func(r ledger.Row) string { q.From = r.Key; return numbers(r) })
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
		}
		if !slices.Equal(whole, paged) {
			t.Errorf("%v in pages is %v, whole %v", q, paged, whole)
		}
	}

	// A new profile takes the old one's words away.
	renamed := &ledger.Event{
		Touched: []ledger.After{{Account: account(1)}}, Set: []ledger.Setting{{Account: account(1), Profile: 1}},
		Beside: []ledger.Text{{Data: []byte(`{"name":"Grace Lovelace"}`)}},
	}
	mustAppend(t, s, bk.batch(renamed))
	want(t, search("ada"), "2")
	want(t, search("grace"), "1")
	want(t, search("love"), "1")
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestHoldsAndDeadlines(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	place := func(n byte, expires ledger.Time) (*ledger.Event, ledger.HoldRow) {
		h := &ledger.Hold{
			Ref: ledger.Ref{n}, Book: 1, Account: account(1), State: ledger.HoldOpen, Expires: expires,
			Opened: bk.head.Seq + 1, Seq: bk.head.Seq + 1,
		}
		return &ledger.Event{
			Touched: []ledger.After{{Account: account(1)}},
			Holds:   []ledger.HoldChange{{Act: ledger.HoldPlaced, Ref: h.Ref, Account: h.Account, State: h.State, Expires: expires}},
		}, ledger.HoldRow{Now: h}
	}
	change := func(row ledger.HoldRow, act ledger.HoldAct, edit func(*ledger.Hold)) (*ledger.Event, ledger.HoldRow) {
		h := *row.Now
		edit(&h)
		h.Seq = bk.head.Seq + 1
		return &ledger.Event{
			Touched: []ledger.After{{Account: account(1)}},
			Holds:   []ledger.HoldChange{{Act: act, Ref: h.Ref, Account: h.Account, State: h.State, Expires: h.Expires}},
		}, ledger.HoldRow{Now: &h, Was: row.Now}
	}
	apply := func(e *ledger.Event, row ledger.HoldRow) ledger.HoldRow {
		t.Helper()
		b := bk.batch(e)
		b.Holds = []ledger.HoldRow{row}
		mustAppend(t, s, b)
		return row
	}
	first := apply(place(9, 300))
	second := apply(place(1, 200))
	apply(place(5, 0))
	due := func(until ledger.Time) []string {
		return rows(t, s, ledger.Query{List: ledger.ListDeadlines, Until: until}, func(r ledger.Row) string {
			return fmt.Sprintf("%d:%d%s", r.Due.At, r.Due.Hold[0], r.Due.Record.Key)
		})
	}
	holds := func(open bool) []string {
		return rows(t, s, ledger.Query{List: ledger.ListHolds, Account: account(1), Open: open}, func(r ledger.Row) string {
			return fmt.Sprint(r.Hold.Ref[0])
		})
	}
	want(t, due(1000), "200:1 300:9")
	want(t, due(200), "200:1")
	want(t, due(199), "")
	want(t, holds(true), "9 1 5")
	first = apply(change(first, ledger.HoldExtended, func(h *ledger.Hold) { h.Expires = 100 }))
	want(t, due(0), "100:9 200:1")
	apply(change(second, ledger.HoldFreed, func(h *ledger.Hold) { h.State = ledger.HoldReleased }))
	want(t, due(0), "100:9")
	want(t, holds(true), "9 5")
	want(t, holds(false), "9 1 5")

	key := ledger.RecordKey{Book: 1, Kind: "hit", Key: "k"}
	was := &ledger.Record{RecordKey: key, Version: 1, Deadline: 50}
	b := bk.batch(bk.charge(account(1), 1))
	b.Records = []ledger.RecordRow{{Now: was}}
	mustAppend(t, s, b)
	want(t, due(0), "50:0k 100:9")
	if got := rows(t, s, ledger.Query{List: ledger.ListDeadlines, Books: []ledger.BookID{2}}, func(ledger.Row) string { return "?" }); len(got) > 0 {
		t.Errorf("another book has deadlines: %v", got)
	}
	b = bk.batch(bk.charge(account(1), 1))
	b.Records = []ledger.RecordRow{{Was: was}}
	mustAppend(t, s, b)
	apply(change(first, ledger.HoldLapsed, func(h *ledger.Hold) { h.State = ledger.HoldGone }))
	want(t, due(0), "")
	if err := s.VerifyIndexes(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestRecords(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	rec := func(key string, version uint64, values ...string) *ledger.Record {
		r := &ledger.Record{RecordKey: ledger.RecordKey{Book: 1, Kind: "hit", Key: key}, Version: version}
		for _, v := range values {
			r.Index = append(r.Index, ledger.IndexEntry{Name: "tag", Value: v})
		}
		return r
	}
	put := func(rows ...ledger.RecordRow) error {
		b := bk.batch(bk.charge(account(1), 1))
		b.Records = rows
		return s.Append(t.Context(), b)
	}
	a, b, c := rec("a", 1, "x", "z"), rec("b", 1, "x\x00"), rec("c", 1, "x")
	neighbour := rec("a", 1, "x")
	neighbour.Kind = "hit2"
	if err := put(ledger.RecordRow{Now: a}, ledger.RecordRow{Now: b}, ledger.RecordRow{Now: c}, ledger.RecordRow{Now: neighbour}); err != nil {
		t.Fatal(err)
	}
	list := func(index, value string) []string {
		return rows(t, s, ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "hit", Index: index, Value: value}, keys)
	}
	want(t, list("", ""), "a b c")
	want(t, list("tag", "x"), "a c")
	want(t, list("tag", "x\x00"), "b")
	want(t, list("tag", ""), "a c b a")
	want(t, rows(t, s, ledger.Query{List: ledger.ListRecords, All: true}, keys), "a b c a")
	q := ledger.Query{List: ledger.ListRecords, Book: 1, Kind: "hit", Index: "tag", Limit: 1}
	for _, key := range []string{"a", "c", "b", "a"} {
		want(t, rows(t, s, q, func(r ledger.Row) string { q.From = r.Key; return r.Record.Key }), key)
	}

	now := rec("a", 2, "z", "y")
	if err := put(ledger.RecordRow{Was: a, Now: now}, ledger.RecordRow{Was: c}); err != nil {
		t.Fatal(err)
	}
	want(t, list("tag", "x"), "")
	want(t, list("tag", ""), "b a a")
	want(t, list("", ""), "a b")

	bad := rec("a", 1)
	bad.Kind = "h\x00"
	before := *bk
	if err := put(ledger.RecordRow{Now: bad}); err == nil {
		t.Error("a kind with a zero byte was taken")
	}
	*bk = before
	if err := put(); err != nil {
		t.Errorf("after a batch that was refused: %v", err)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ profile, words string }{
		{`{"name":"Ünï Cödé-Bär 42"}`, "42 bär cödé ünï"},
		{`{"name":"a.b@c.de,"}`, "a a.b@c.de b c de"},
		{`{"name":"x","metadata":{"a":"Y","b":{"c":"no"},"d":["no"]}}`, "x y"},
		{`{"name":"` + strings.Repeat("ä", 60) + `"}`, strings.Repeat("ä", 32)},
		{`{"name":7}`, ""},
		{``, ""},
		{`{"name":"a a A"}`, "a"},
	} {
		want(t, ledger.ProfileWords([]byte(c.profile)), c.words)
	}
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprint("w", i)
	}
	if n := len(ledger.ProfileWords([]byte(`{"name":"` + strings.Join(many, " ") + `"}`))); n != ledger.MaxWords {
		t.Errorf("%d words", n)
	}
}

func TestScanEndsWithItsContext(t *testing.T) {
	s := openStore(t, t.TempDir(), testOptions())
	bk := newBook(1, 1)
	mustAppend(t, s, bk.batch(bk.charge(account(1), 1), bk.charge(account(1), 1)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range s.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: 1}) {
		if n++; n == 2 && !errors.Is(err, context.Canceled) {
			t.Errorf("after the cancel: %v", err)
		}
		cancel()
	}
	if _, err := s.Load(ctx, &ledger.Keys{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v", err)
	}
}
