package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/postgres"
)

// A leaner is the second node of a pair, with its store, and has read a record of
// the operator's book that the first has written.
type leaner struct {
	*pair
	s     *postgres.Store
	l     *ledger.Ledger
	wrote int
}

var leanedKey = ledger.RecordKey{Kind: "credential", Key: "1"}

func newLeaner(t *testing.T) *leaner {
	p := &leaner{pair: newPair(t)}
	p.write("right")
	p.l, p.s = nodeAndStore(t, p.url)
	if got := p.read(t.Context()); got != "right" {
		t.Fatalf("the record is %q", got)
	}
	p.has(p.l, "x", 10, 0)
	return p
}

// write changes the record through the other node.
func (p *leaner) write(data string) {
	p.Helper()
	p.wrote++
	c := &ledger.Command{ID: fmt.Sprint("w", p.wrote), Records: []ledger.RecordWrite{{Kind: leanedKey.Kind, Key: leanedKey.Key, Expect: ledger.AnyVersion, Data: []byte(data)}}}
	if err := p.a.EnsureSystem(context.Background()); err != nil {
		p.Fatal(err)
	}
	if _, err := p.a.Post(context.Background(), c); err != nil {
		p.Fatal(err)
	}
}

func (p *leaner) read(ctx context.Context) string {
	p.Helper()
	r, err := p.l.Record(ctx, leanedKey)
	if err != nil || r == nil {
		p.Fatal(r, err)
	}
	return string(r.Data)
}

var errGone = errors.New("the credential is gone")

// lean begins a request that leans on the record. Checked counts how often it was
// asked whether it may go on.
func (p *leaner) lean(checked *int) context.Context {
	return p.l.Lean(ledger.Begin(context.Background()), func(ctx context.Context) error {
		*checked++
		if p.read(ctx) != "right" {
			return errGone
		}
		return nil
	})
}

func (p *leaner) charge(ctx context.Context, id string) error {
	_, err := p.l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: id, Ops: []ledger.Op{charge("x", 1)}})
	return err
}

// TestLeaning charges with what a node has seen of the operator's book: in one
// round trip, and only if it is so still.
func TestLeaning(t *testing.T) {
	p := newLeaner(t)
	checked := 0
	lean := func() context.Context { return p.lean(&checked) }
	p.do(p.l, with("c", charge("x", 1))) // which reads what a charge needs beside the account
	before := p.s.Count()
	for n := range 3 {
		ctx := lean()
		if a, err := p.l.Fixed(ctx, acc("x")); err != nil || a.Book != 1 || p.read(ctx) != "right" {
			t.Fatal(a, err)
		}
		if err := p.charge(ctx, fmt.Sprint("c", n)); err != nil {
			t.Fatal(err)
		}
		if err := p.l.Prove(ctx); err != nil {
			t.Fatal(err)
		}
		if b, err := p.l.Balance(ctx, acc("x")); err != nil || b.Posted.String() != fmt.Sprint(8-n) {
			t.Fatal(b, err)
		}
	}
	after := p.s.Count()
	if trips, appends := after.Trips-before.Trips, after.Appends-before.Appends; trips != 3 || appends != 3 || checked > 0 {
		t.Errorf("three charges took %d round trips for %d appends, and were checked %d times", trips, appends, checked)
	}

	// Others write something else there: it is found out, and goes on.
	ctx := lean()
	p.read(ctx)
	if _, _, err := p.a.CreateTenant(context.Background(), 0, "t", ledger.Tenant{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	if err := p.charge(ctx, "d1"); err != nil || checked != 1 {
		t.Errorf("%v, checked %d times", err, checked)
	}
	p.has(p.a, "x", 5, 0)

	// What is not there is not leaned on.
	other := ledger.RecordKey{Kind: "credential", Key: "2"}
	if r, err := p.l.Record(context.Background(), other); r != nil || err != nil {
		t.Fatal(r, err)
	}
	ctx = p.otherNode(&checked)
	if _, err := p.a.Post(context.Background(), &ledger.Command{Records: []ledger.RecordWrite{{Kind: other.Kind, Key: other.Key, Data: []byte("new")}}}); err != nil {
		t.Fatal(err)
	}
	if r, err := p.l.Record(ctx, other); err != nil || r == nil {
		t.Errorf("what was made through another node is not there: %v", err)
	}
}

// otherNode is lean on a node that has not leaned wrong, which makes it pause.
func (p *leaner) otherNode(checked *int) context.Context {
	p.l = node(p.T, p.url)
	p.read(context.Background())
	p.has(p.l, "x", 5, 0)
	return p.lean(checked)
}

// TestLeaningWrong takes from a request what it leans on, before it posts and
// before it ends without having posted.
func TestLeaningWrong(t *testing.T) {
	for name, end := range map[string]func(*leaner, context.Context) error{
		"a charge": func(p *leaner, ctx context.Context) error { return p.charge(ctx, "c") },
		"a charge when the node has followed": func(p *leaner, ctx context.Context) error {
			if got := p.read(context.Background()); got != "revoked" {
				p.Errorf("the node has %q", got)
			}
			return p.charge(ctx, "c")
		},
		"a refusal": func(p *leaner, ctx context.Context) error { return p.l.Prove(ctx) },
		"a repeat":  func(p *leaner, ctx context.Context) error { return p.charge(ctx, "first") },
		"a charge of what is not there": func(p *leaner, ctx context.Context) error {
			_, err := p.l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: "c", Ops: []ledger.Op{charge("y", 1)}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newLeaner(t)
			if err := p.charge(context.Background(), "first"); err != nil {
				t.Fatal(err)
			}
			checked := 0
			ctx := p.lean(&checked)
			if p.read(ctx) != "right" {
				t.Fatal("it is wrong before")
			}
			p.write("revoked")
			if err := end(p, ctx); !errors.Is(err, errGone) || checked != 1 {
				t.Errorf("%v, checked %d times; want %v", err, checked, errGone)
			}
			p.has(p.a, "x", 9, 0)
		})
	}
}

// TestLeaningInOrder changes what charges lean on while they are made: none that
// began when the change had been answered takes effect.
func TestLeaningInOrder(t *testing.T) {
	p := newLeaner(t)
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	p.do(p.a, with("more", topup("x", 1_000_000)))
	var revoked atomic.Bool
	good, bad := 0, 0
	for n := range rounds {
		changed := make(chan struct{})
		for i := 0; ; i++ {
			if i == 3 {
				go func() {
					defer close(changed)
					p.write("revoked")
					revoked.Store(true)
				}()
			}
			late, checked := revoked.Load(), 0
			ctx := p.lean(&checked)
			seen := p.read(ctx)
			var err error
			if seen == "right" {
				err = p.charge(ctx, fmt.Sprintf("c%d-%d", n, i))
			} else {
				err = errGone
			}
			switch {
			case err == nil:
				good++
			case errors.Is(err, errGone):
				bad++
			default:
				t.Fatal(err)
			}
			if late && err == nil {
				t.Fatal("a charge took effect that began after its credential was revoked")
			}
			if late {
				break
			}
		}
		<-changed
		p.write("right")
		revoked.Store(false)
	}
	t.Logf("%d charges took effect, %d were refused", good, bad)
	prove(t, p.url)
}

// TestFixedOfNewUnit reads an account that another node has opened in a unit that
// this one has not seen.
func TestFixedOfNewUnit(t *testing.T) {
	p := newPair(t)
	p.has(p.b, "x", 10, 0)
	p.do(p.a, &ledger.Command{Ops: []ledger.Op{&ledger.AddUnit{Unit: money.Unit{Code: "EUR", Scale: 6, Kind: money.Currency}},
		&ledger.OpenAccount{ID: acc("e"), Mode: ledger.Own, Unit: "EUR"}}})
	a, err := p.b.Fixed(t.Context(), acc("e"))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := p.b.UnitOf(t.Context(), a); err != nil || u.Code != "EUR" {
		t.Errorf("%v (%v)", u, err)
	}
}

// forgetful is a store whose appends take effect without that it can say so.
type forgetful struct {
	ledger.SharedStore
	then func() // nil: it can
}

func (s *forgetful) Append(ctx context.Context, b *ledger.Batch) error {
	err := s.SharedStore.Append(ctx, b)
	if err == nil && s.then != nil {
		s.then()
		err = ledger.ErrInDoubt
	}
	return err
}

// TestLeaningInDoubt loses the answer to a charge whose credential is revoked a
// moment later: its caller is told that the outcome is unknown, not that nothing
// was done.
func TestLeaningInDoubt(t *testing.T) {
	p := newLeaner(t)
	s := &forgetful{SharedStore: p.s}
	l, err := ledger.Open(t.Context(), s, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	p.l = l
	p.read(t.Context())
	p.has(p.l, "x", 10, 0)
	checked := 0
	ctx := p.lean(&checked)
	p.read(ctx)
	s.then = func() { p.write("revoked") }
	if err := p.charge(ctx, "c"); ledger.CodeOf(err) != ledger.Timeout {
		t.Errorf("%v, want that it is not known", err)
	}
	if err := p.l.Prove(ctx); err != nil {
		t.Errorf("then: %v", err)
	}
	s.then = nil
	p.has(p.a, "x", 9, 0)
}
