package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

var usd = money.Unit{Code: "USD", Scale: 6, Kind: money.Currency}

func acc(name string) (id ledger.AccountID) {
	copy(id[:], "\xac"+name)
	return id
}

func cash(book ledger.BookID) ledger.AccountID    { return ledger.SystemID(book, 0, ledger.Cash) }
func revenue(book ledger.BookID) ledger.AccountID { return ledger.SystemID(book, 0, ledger.Revenue) }

// A pair is two nodes on one database, of which the second knows nothing of what
// the first does but what it is asked to look at.
type pair struct {
	*testing.T
	url  string
	a, b *ledger.Ledger
}

func newPair(t *testing.T) *pair {
	p := &pair{T: t, url: pgtest.New(t)}
	p.a, p.b = node(t, p.url), node(t, p.url)
	p.do(p.a, &ledger.Command{Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, opening("x"), topup("x", 10)}})
	return p
}

func opening(name string) ledger.Op {
	return &ledger.OpenAccount{ID: acc(name), Mode: ledger.Own, Unit: "USD"}
}

func topup(name string, n int64) ledger.Op {
	return &ledger.Transfer{Kind: ledger.TopUp, From: cash(1), To: acc(name), Amount: money.New(n)}
}

func charge(name string, n int64) ledger.Op {
	return &ledger.Transfer{Kind: ledger.Charge, From: acc(name), To: revenue(1), Amount: money.New(n)}
}

func place(id, name string, n int64, life time.Duration) ledger.Op {
	return &ledger.PlaceHold{ID: id, Account: acc(name), Amount: money.New(n), Expires: ledger.Lifetime{For: life}}
}

func with(id string, ops ...ledger.Op) *ledger.Command { return &ledger.Command{ID: id, Ops: ops} }

func (p *pair) post(l *ledger.Ledger, c *ledger.Command) (ledger.Result, error) {
	c.Tenant = 1
	if c.Book == 0 {
		c.Book = 1
	}
	return l.Post(context.Background(), c)
}

func (p *pair) do(l *ledger.Ledger, c *ledger.Command) ledger.Result {
	p.Helper()
	res, err := p.post(l, c)
	if err != nil {
		p.Fatal(err)
	}
	return res
}

func (p *pair) refuses(l *ledger.Ledger, code ledger.Code, c *ledger.Command) *ledger.Error {
	p.Helper()
	_, err := p.post(l, c)
	if ledger.CodeOf(err) != code {
		p.Fatalf("%v, want %v", err, code)
	}
	return err.(*ledger.Error)
}

func (p *pair) has(l *ledger.Ledger, name string, posted, held int64) {
	p.Helper()
	b, err := l.Balance(context.Background(), acc(name))
	if err != nil || b.Posted != money.New(posted) || b.Held != money.New(held) {
		p.Fatalf("%s has %v and holds %v (%v); want %d, %d", name, b.Posted, b.Held, err, posted, held)
	}
}

// TestOldBalance decides at a node that has an old balance in memory.
func TestOldBalance(t *testing.T) {
	p := newPair(t)
	p.has(p.b, "x", 10, 0)
	p.do(p.a, with("", topup("x", 90)))
	p.do(p.b, with("", charge("x", 100))) // the refusal would not be written
	p.has(p.a, "x", 0, 0)
	p.do(p.a, with("", topup("x", 5)))
	p.do(p.a, with("", charge("x", 5)))
	if e := p.refuses(p.b, ledger.Insufficient, with("", charge("x", 1))); !e.Spendable.IsZero() {
		t.Errorf("refused with %v spendable, which was never so", e.Spendable)
	}
	p.do(p.a, with("", topup("x", 7)))
	p.has(p.b, "x", 7, 0)
	old, err := p.a.Balance(ledger.Stale(context.Background()), acc("x"))
	if err != nil || old.Posted != money.New(7) {
		t.Errorf("%v, %v", old.Posted, err)
	}
	p.do(p.b, with("", charge("x", 3)))
	if old, err = p.a.Balance(ledger.Stale(context.Background()), acc("x")); err != nil || old.Posted != money.New(7) {
		t.Errorf("who may see what is old sees %v, %v", old.Posted, err)
	}
	if now, err := p.a.Balance(context.Background(), acc("x")); err != nil || now.Posted != money.New(4) || old.AsOf >= now.Account.Updated {
		t.Errorf("%v, as of %v, was said to be as of %v: %v", now.Posted, now.Account.Updated, old.AsOf, err)
	}
	prove(t, p.url)
}

// TestMissing finds at one node what was not there when it looked, and was made
// at the other.
func TestMissing(t *testing.T) {
	ctx := context.Background()
	p := newPair(t)
	for _, name := range []string{"y", "z"} {
		if _, err := p.b.Account(ctx, acc(name)); ledger.CodeOf(err) != ledger.NotFound {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"h", "order", "other"} {
		if _, err := p.b.Hold(ctx, 1, id); ledger.CodeOf(err) != ledger.NotFound {
			t.Fatal(err)
		}
		if _, _, _, err := p.b.Find(ctx, 1, id); ledger.CodeOf(err) != ledger.NotFound {
			t.Fatal(err)
		}
	}
	p.refuses(p.b, ledger.NotFound, with("", charge("y", 1)))
	p.refuses(p.b, ledger.NotFound, with("other", charge("y", 1)))
	p.refuses(p.b, ledger.NotFound, with("", charge("z", 1)))
	p.refuses(p.b, ledger.NotFound, with("", &ledger.Capture{Hold: "h"}))
	c := node(t, p.url) // knows another book only
	p.do(c, &ledger.Command{Book: 3, Ops: []ledger.Op{&ledger.OpenBook{}}})
	p.refuses(c, ledger.NotFound, &ledger.Command{Book: 3, Ops: []ledger.Op{&ledger.Release{Hold: "h"}}})
	p.refuses(p.b, ledger.NotFound, with("", &ledger.Refund{Of: "order"}))
	if r, err := p.b.Record(ctx, ledger.RecordKey{Book: 1, Kind: "k", Key: "r"}); r != nil || err != nil {
		t.Fatal(r, err)
	}

	p.do(p.a, with("", opening("y"), topup("y", 50)))
	p.do(p.a, &ledger.Command{Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, opening("z")}})
	p.do(p.a, with("h", place("", "y", 20, time.Hour)))
	p.do(p.a, with("order", charge("y", 5)))
	record := func(expect uint64) *ledger.Command {
		return &ledger.Command{Records: []ledger.RecordWrite{{Kind: "k", Key: "r", Expect: expect, Counters: []ledger.Counter{{Name: "c", Value: 1}}}}}
	}
	p.do(p.a, record(0))
	p.do(p.a, &ledger.Command{Book: 2, ID: "other", Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.TopUp, From: cash(2), To: acc("z"), Amount: money.New(1)}}})

	p.refuses(p.b, ledger.IDTaken, with("other", charge("y", 1))) // in another book
	p.refuses(p.b, ledger.Exists, with("", opening("z")))         // likewise
	p.do(c, with("", &ledger.Raise{Hold: "h", Amount: money.New(1)}))
	p.do(p.b, with("", &ledger.Capture{Hold: "h", To: []ledger.Payee{{To: revenue(1), Amount: money.New(15)}}, Final: true}))
	p.refuses(p.b, ledger.Exists, record(0))
	p.do(p.b, record(ledger.AnyVersion))
	p.do(p.b, with("back", &ledger.Refund{Of: "order", Amount: amountOf(3)}))
	p.refuses(p.a, ledger.OverRefund, with("", &ledger.Refund{Of: "order", Amount: amountOf(3)}))
	if res := p.do(p.b, with("order", charge("y", 5))); !res.Replayed {
		t.Error("a repeat at another node took effect again")
	}
	p.has(p.a, "y", 50-15-5+3, 0)
	if _, err := p.b.Account(ctx, acc("z")); err != nil {
		t.Error(err)
	}
	prove(t, p.url)
}

func amountOf(n int64) *money.Amount { a := money.New(n); return &a }

// TestDeadline lets a hold end that another node has placed, at nodes that knew
// the book before, and at one that did not.
func TestDeadline(t *testing.T) {
	ctx := context.Background()
	p := newPair(t)
	p.has(p.b, "x", 10, 0)
	late := node(t, p.url)
	placed := p.do(p.a, with("h", place("", "x", 10, time.Second)))
	p.has(p.b, "x", 10, 10)
	p.refuses(p.b, ledger.Insufficient, with("", charge("x", 1)))
	time.Sleep(time.Until(placed.Event.Time.Add(1050 * time.Millisecond).Std()))
	for _, l := range []*ledger.Ledger{late, p.b, p.a} {
		p.has(l, "x", 10, 0)
		for row, err := range l.Scan(ctx, ledger.Query{List: ledger.ListHolds, Account: acc("x"), Open: true}) {
			t.Errorf("the hold is listed as open: %+v, %v", row.Hold, err)
		}
	}
	p.do(p.a, with("", charge("x", 10)))
	prove(t, p.url)
}

// TestDeadlineOfTheGone lets holds end that were placed by nodes that are no more.
func TestDeadlineOfTheGone(t *testing.T) {
	ctx := context.Background()
	p := newPair(t)
	life := time.Second // in which a node is closed and another one asked, on a busy machine too
	gone := func(id string) {
		t.Helper()
		s, closed := open(t, p.url)
		l, err := ledger.Open(ctx, s, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p.do(l, with(id, place("", "x", 10, life)))
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		closed()
	}
	if err := p.a.Close(); err != nil { // who would end them
		t.Fatal(err)
	}
	p.has(p.b, "x", 10, 0)
	gone("h1")
	p.has(p.b, "x", 10, 10) // it has followed
	time.Sleep(life)
	p.do(p.b, with("", charge("x", 1), topup("x", 1)))
	gone("h2")
	time.Sleep(life)
	for row, err := range p.b.Scan(ctx, ledger.Query{List: ledger.ListAccounts, Tenant: 1}) { // it has not
		if err != nil || !row.Account.Held.IsZero() {
			t.Errorf("a list shows what has ended: %+v, %v", row.Account, err)
		}
	}
	gone("h3")
	time.Sleep(life)
	p.has(node(t, p.url), "x", 10, 0) // one that has never seen the book
	prove(t, p.url)
}

// TestOldSettings decides at a node that knows an account as it was.
func TestOldSettings(t *testing.T) {
	p := newPair(t)
	p.has(p.b, "x", 10, 0)
	frozen, open := ledger.StatusFrozen, ledger.StatusOpen
	p.do(p.a, with("", &ledger.SetAccount{Account: acc("x"), Status: &frozen}))
	p.refuses(p.b, ledger.Frozen, with("", charge("x", 1)))
	p.do(p.b, with("", &ledger.SetAccount{Account: acc("x"), Status: &open}))
	p.do(p.a, with("", charge("x", 1)))
	p.do(p.a, with("", place("h", "x", 9, time.Hour)))
	p.do(p.b, with("", &ledger.Release{Hold: "h"}))
	p.do(p.b, with("", &ledger.OpenAccount{ID: acc("y"), Mode: ledger.Own, Parent: acc("x")}))
	p.do(p.a, with("", charge("x", 9)))
	closed := ledger.StatusClosed
	p.refuses(p.a, ledger.NotEmpty, with("", &ledger.SetAccount{Account: acc("x"), Status: &closed})) // its child
	prove(t, p.url)
}

// TestFarBehind lets others write more than a node reads to follow them.
func TestFarBehind(t *testing.T) {
	defer postgres.SetFar(20)()
	p := newPair(t)
	p.do(p.a, with("", opening("y"), topup("y", 1000), place("h", "x", 1, time.Hour)))
	p.has(p.b, "x", 10, 1)
	p.has(p.b, "y", 1000, 0)
	for range 30 {
		p.do(p.a, with("", charge("y", 1)))
	}
	p.do(p.a, with("", &ledger.Release{Hold: "h"}, charge("x", 10)))
	p.has(p.b, "y", 970, 0)
	p.has(p.b, "x", 0, 0)
	for range 30 {
		p.do(p.a, with("", charge("y", 1)))
	}
	p.do(p.b, with("", charge("y", 940)))
	p.refuses(p.b, ledger.HoldClosed, with("", &ledger.Capture{Hold: "h"}))
	p.has(p.a, "y", 0, 0)
	prove(t, p.url)
}

// TestLost has a node see a database that has lost what it had.
func TestLost(t *testing.T) {
	p := newPair(t)
	p.has(p.b, "x", 10, 0)
	p.do(p.b, with("", charge("x", 1)))
	exec(t, p.url, `DELETE FROM saldo.journal WHERE book = 1 AND seq = 2; UPDATE saldo.heads SET seq = 1 WHERE book = 1`)
	if _, err := p.b.Balance(context.Background(), acc("x")); ledger.CodeOf(err) != ledger.Unavailable {
		t.Errorf("a read: %v, want unavailable", err)
	}
	p.refuses(p.b, ledger.Unavailable, with("", charge("x", 1)))
}

// TestManyBooks has two nodes make and use books at the same time.
func TestManyBooks(t *testing.T) {
	p := newPair(t)
	errs := make(chan error)
	for n, l := range []*ledger.Ledger{p.a, p.b} {
		go func() {
			for book := range ledger.BookID(10) {
				id := acc(fmt.Sprint("b", book, n))
				_, err := p.post(l, &ledger.Command{Book: book + 2, ID: fmt.Sprint("open", book, n), Ops: []ledger.Op{&ledger.OpenBook{}}})
				if ledger.CodeOf(err) == ledger.Exists {
					err = nil
				}
				for i := 0; err == nil && i < 10; i++ {
					c := &ledger.Command{Book: book + 2, Ops: []ledger.Op{&ledger.AddUnit{Unit: usd}}}
					if i == 0 {
						c.Ops = append(c.Ops, &ledger.OpenAccount{ID: id, Mode: ledger.Own, Unit: "USD"})
					}
					c.Ops = append(c.Ops, &ledger.Transfer{Kind: ledger.TopUp, From: cash(book + 2), To: id, Amount: money.New(1)})
					_, err = p.post(l, c)
				}
				if err != nil {
					errs <- fmt.Errorf("node %d, book %d: %w", n, book, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if r := prove(t, p.url); len(r.Heads) != 11 {
		t.Errorf("%d books", len(r.Heads))
	}
}
