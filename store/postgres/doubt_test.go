package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strconv"
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
	o.Connections, o.Logger = cmp.Or(o.Connections, 4), slog.New(slog.DiscardHandler)
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
		proxy.Mend()
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

// oneLine has every round trip go by the same connection: what is lost next is
// what is meant then, once its statements are prepared.
var oneLine = postgres.Options{Connections: 1}

// TestLostReply loses the reply to a commit, and replies to questions after it: it
// is found out that it has taken effect before anyone is answered, and it has done
// so once.
func TestLostReply(t *testing.T) {
	d := newDoubtful(t, oneLine)
	for n := range 5 {
		d.lose(func() { d.proxy.LoseReplies(1 + n%3) })
	}
	d.settled(5, 5)
}

// TestLostRequest loses a commit on its way: it is made again.
func TestLostRequest(t *testing.T) {
	d := newDoubtful(t, oneLine)
	for range 5 {
		d.lose(func() { d.proxy.LoseRequests(1) })
	}
	d.settled(5, 0)
}

// lose has a charge lost, and wants it to be made once. What the node asks by
// itself now and then may be lost in its place: it is tried again then.
func (d *doubtful) lose(loses func()) {
	d.Helper()
	b, err := d.other.Balance(context.Background(), acc("x"))
	if err != nil {
		d.Fatal(err)
	}
	left, _ := b.Posted.Int64()
	for was := d.store.Count().Doubts; d.store.Count().Doubts == was; {
		d.pair.do(d.node, with("", charge("x", 1))) // its statements are prepared now
		loses()
		if res := d.pair.do(d.node, with("", charge("x", 1))); res.Replayed {
			d.Error("it is said to be a repeat")
		}
		left -= 2
		d.pair.has(d.node, "x", left, 0)
		d.pair.has(d.other, "x", left, 0)
	}
}

// settled wants so many appends to have been in doubt, and so many of those to
// have taken effect with the first try.
func (d *doubtful) settled(doubts, were uint64) {
	d.Helper()
	if c := d.store.Count(); c.Doubts != doubts || c.Settled != were {
		d.Errorf("%d appends were in doubt, of which %d had taken effect; want %d and %d", c.Doubts, c.Settled, doubts, were)
	}
}

// TestUnanswered cuts a node off between its commit and the reply to it: whoever
// asked is not answered before the node has found out, though everybody else sees
// that it has taken effect.
func TestUnanswered(t *testing.T) {
	d := newDoubtful(t, oneLine)
	d.pair.do(d.node, with("earlier", charge("x", 1)))
	d.proxy.Break()
	done := make(chan error, 1)
	go func() {
		_, err := d.pair.post(d.node, with("once", charge("x", 1)))
		done <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for there := false; !there; {
		b, err := d.other.Balance(ctx, acc("x"))
		if err != nil {
			t.Fatal(err)
		}
		there = b.Posted == money.New(97)
	}
	select {
	case err := <-done:
		t.Errorf("it was answered before it could be known: %v", err)
	default:
	}
	d.proxy.Mend()
	if err := <-done; err != nil {
		t.Error(err)
	}
	d.settled(1, 1)
	if res := d.pair.do(d.other, with("once", charge("x", 1))); !res.Replayed {
		t.Error("a repeat at another node took effect again")
	}
	d.pair.has(d.node, "x", 97, 0)
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
		both.Books = append(both.Books, nextOf(h))
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

// nextOf is an event that comes next in a book and changes nothing.
func nextOf(h *ledger.Head) ledger.BookEvents {
	e := &ledger.Event{Seq: h.Seq + 1, Time: h.Time, Refused: &ledger.Refusal{Code: ledger.Frozen}}
	be := ledger.BookEvents{From: h.Seq, Head: *h, Events: []*ledger.Event{e}, Bytes: [][]byte{e.AppendBinary(nil, h.Book)}}
	be.Head.Seq, be.Head.Hash = e.Seq, ledger.Chain(h.Hash, be.Bytes[0])
	return be
}

// TestGivenUp has whoever asked give up while a commit waits in the database: what
// becomes of it is found out all the same.
func TestGivenUp(t *testing.T) {
	d := newDoubtful(t, postgres.Options{})
	snap, err := d.store.Load(t.Context(), &ledger.Keys{Heads: []ledger.BookID{1}})
	if err != nil {
		t.Fatal(err)
	}
	another, closed := open(t, d.url)
	defer closed()
	lock, err := another.Lock(t.Context(), []ledger.BookEnd{{Book: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- d.store.Append(ctx, &ledger.Batch{Books: []ledger.BookEvents{nextOf(snap.Heads[0])}})
	}()
	for waits := 0; waits == 0 && len(done) == 0; {
		waits = count(t, d.url, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)
	}
	cancel()
	for d.store.Count().Doubts == 0 && len(done) == 0 {
		runtime.Gosched()
	}
	lock.Release()
	if err := <-done; err != nil {
		t.Errorf("%v, and it is there", err)
	}
	if doubts := d.store.Count().Doubts; doubts != 1 {
		t.Errorf("%d appends were in doubt, want 1", doubts)
	}
	if n := count(t, d.url, `SELECT count(*) FROM saldo.journal WHERE book = 1 AND seq = `+strconv.FormatUint(snap.Heads[0].Seq+1, 10)); n != 1 {
		t.Errorf("it is there %d times", n)
	}
}

// TestLockThatFails loses locks in the ways there are: none of them keeps its
// connection, of which there is one.
func TestLockThatFails(t *testing.T) {
	d := newDoubtful(t, oneLine)
	known := []ledger.BookEnd{{Book: 1}}
	d.proxy.LoseReplies(1)
	lock, err := d.store.Lock(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Append(t.Context(), &ledger.Batch{Books: make([]ledger.BookEvents, 1)}); err == nil {
		t.Error("a batch without events is taken")
	}
	if lock, err = d.store.Lock(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	lock.Release()
	d.pair.do(d.node, with("", charge("x", 1)))
}
