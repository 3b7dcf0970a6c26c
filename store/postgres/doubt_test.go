package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/postgres"
	"saldo/store/postgres/pgtest"
)

// A doubtful is a node whose round trips can be lost.
type doubtful struct {
	*testing.T
	proxy *pgtest.Proxy
	store *postgres.Store
	node  *ledger.Ledger
	other *ledger.Ledger
	url   string
	pair  *pair
}

func newDoubtful(t *testing.T, o postgres.Options) *doubtful {
	server := pgtest.Need(t, pgtest.Options{})
	proxy := pgtest.NewProxy(t, server.Socket)
	o.Connections, o.Logger = 4, slog.New(slog.DiscardHandler)
	store, err := postgres.Open(context.Background(), proxy.URL("postgres"), o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(context.Background(), store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &doubtful{T: t, proxy: proxy, store: store, node: l, url: server.URL("postgres"), pair: &pair{T: t}}
	t.Cleanup(func() {
		proxy.Silence(false)
		if err := errors.Join(l.Close(), store.Close()); err != nil {
			t.Error(err)
		}
		prove(t, d.url)
	})
	d.pair.do(l, &ledger.Command{Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, opening("x"), topup("x", 100)}})
	d.pair.do(l, with("", charge("x", 1))) // its statements are prepared now
	d.other = node(t, d.url)
	return d
}

// TestLostReply loses the reply to a commit: it is found out that it has taken
// effect before anyone is answered, and it has done so once.
func TestLostReply(t *testing.T) {
	d := newDoubtful(t, postgres.Options{})
	for n := range 5 {
		d.proxy.LoseReplies(1 + n%3)
		if res := d.pair.do(d.node, with("", charge("x", 1))); res.Replayed {
			t.Error("it is said to be a repeat")
		}
		d.pair.has(d.node, "x", 98-int64(n), 0)
		d.pair.has(d.other, "x", 98-int64(n), 0)
	}
	if n := d.store.Count().Doubts; n != 5 {
		t.Errorf("%d appends were in doubt", n)
	}
}

// TestLostRequest loses a commit on its way: it is made again.
func TestLostRequest(t *testing.T) {
	d := newDoubtful(t, postgres.Options{})
	for n := range 5 {
		d.proxy.LoseRequests(1)
		d.pair.do(d.node, with("", charge("x", 1)))
		d.pair.has(d.other, "x", 98-int64(n), 0)
	}
}

// TestLostToOthers loses a commit on its way, or its reply, while another node
// writes: whose events those are that are there now is told right.
func TestLostToOthers(t *testing.T) {
	d := newDoubtful(t, postgres.Options{})
	left := int64(99)
	for range 10 {
		for _, lose := range []func(int){d.proxy.LoseReplies, d.proxy.LoseRequests} {
			lose(1)
			done := make(chan error, 1)
			go func() {
				_, err := d.pair.post(d.other, with("", charge("x", 2)))
				done <- err
			}()
			d.pair.do(d.node, with("", charge("x", 1)))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			left -= 3
			d.pair.has(d.node, "x", left, 0)
			d.pair.has(d.other, "x", left, 0)
		}
	}
}

// TestSilence cuts the network without telling anyone. What cannot be found out
// in time is told to be unknown; nobody is told anything else than what is, once
// the network is there again.
func TestSilence(t *testing.T) {
	d := newDoubtful(t, postgres.Options{Patience: 300 * time.Millisecond, Resolve: time.Second})
	d.proxy.Silence(true)
	for _, id := range []string{"first", "second"} {
		if _, err := d.pair.post(d.node, with(id, charge("x", 1))); ledger.CodeOf(err) != ledger.Timeout && ledger.CodeOf(err) != ledger.Unavailable {
			t.Errorf("%v, want what says that it is not known", err)
		}
	}
	if _, err := d.node.Balance(context.Background(), acc("x")); !ledger.CodeOf(err).Retryable() {
		t.Errorf("a read: %v", err)
	}
	d.pair.do(d.other, with("", charge("x", 10))) // the others go on
	d.proxy.Silence(false)
	d.proxy.Cut()
	for _, id := range []string{"first", "second"} {
		d.pair.do(d.node, with(id, charge("x", 1)))
	}
	d.pair.has(d.node, "x", 87, 0)
}

// TestLockOfTheLost takes the connection from a node that has locked a book: the
// others wait no longer than a round trip may take.
func TestLockOfTheLost(t *testing.T) {
	d := newDoubtful(t, postgres.Options{Patience: 500 * time.Millisecond})
	end := ledger.BookEnd{Book: 1}
	lock, err := d.store.Lock(context.Background(), []ledger.BookEnd{end})
	if err != nil {
		t.Fatal(err)
	}
	d.proxy.Silence(true)
	began := time.Now()
	d.pair.do(d.other, with("", charge("x", 1)))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another node waited %v", took)
	}
	d.proxy.Silence(false)
	lock.Release()
	b, err := d.node.Balance(context.Background(), acc("x"))
	if err != nil || b.Posted != money.New(98) {
		t.Errorf("%v, %v", b.Posted, err)
	}
}

// TestTheSameOfAnother has another node write the very bytes that a lost commit
// had for one of its books: the commit has not taken effect all the same.
func TestTheSameOfAnother(t *testing.T) {
	ctx := context.Background()
	d := newDoubtful(t, postgres.Options{})
	d.pair.do(d.node, &ledger.Command{Book: 2, Ops: []ledger.Op{&ledger.OpenBook{}}})
	snap, err := d.store.Load(ctx, &ledger.Keys{Heads: []ledger.BookID{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	var both ledger.Batch
	for _, h := range snap.Heads {
		e := &ledger.Event{Seq: h.Seq + 1, Time: h.Time, Refused: &ledger.Refusal{Code: ledger.Frozen}}
		be := ledger.BookEvents{From: h.Seq, Head: *h, Events: []*ledger.Event{e}, Bytes: [][]byte{e.AppendBinary(nil, h.Book)}}
		be.Head.Seq, be.Head.Hash = e.Seq, ledger.Chain(h.Hash, be.Bytes[0])
		both.Books = append(both.Books, be)
	}
	another, closed := open(t, d.url)
	defer closed()
	if err := another.Append(ctx, &ledger.Batch{Books: both.Books[:1]}); err != nil {
		t.Fatal(err)
	}
	d.proxy.LoseRequests(1)
	if err := d.store.Append(ctx, &both); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	d.proxy.LoseReplies(1)
	if err := d.store.Append(ctx, &ledger.Batch{Books: both.Books[1:]}); err != nil {
		t.Error(err)
	}
}
