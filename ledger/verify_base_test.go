package ledger_test

import (
	"context"
	"iter"
	"testing"

	"saldo/ledger"
	"saldo/store/embedded"
)

// A hiding store does not list some of its rows.
type hiding struct {
	ledger.Store
	hide func(ledger.Query, ledger.Row) bool
}

func (h hiding) Scan(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		for row, err := range h.Store.Scan(ctx, q) {
			if (err != nil || !h.hide(q, row)) && !yield(row, err) {
				return
			}
		}
	}
}

// TestVerifyAgainstABase loses rows that were there when the base was made, and
// rows that were made since.
func TestVerifyAgainstABase(t *testing.T) {
	ctx := t.Context()
	o := newOffice(t, own("A"), own("B"), topup("A", 10))
	record := func(key string, w ledger.RecordWrite) {
		t.Helper()
		w.Kind, w.Key = "hit", key
		if _, err := o.post(&ledger.Command{Records: []ledger.RecordWrite{w}}); err != nil {
			t.Fatal(err)
		}
	}
	record("old", ledger.RecordWrite{})
	record("gone", ledger.RecordWrite{})
	if err := o.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	heads, err := o.store.Backup(ctx, "base", nil)
	if err != nil {
		t.Fatal(err)
	}
	base, err := embedded.Open("base", embedded.Options{FS: o.fs, DiskReserve: -1, CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	o.do(own("C"), hold("h", "A", 1))
	record("gone", ledger.RecordWrite{Expect: ledger.AnyVersion, Delete: true})
	record("new", ledger.RecordWrite{})

	if _, err := ledger.Verify(ctx, o.store, ledger.VerifyOptions{Base: base, Expect: heads}); err != nil {
		t.Fatal(err)
	}
	for name, hide := range map[string]func(ledger.Query, ledger.Row) bool{
		"an old account": func(_ ledger.Query, r ledger.Row) bool { return r.Account != nil && r.Account.ID == acc("B") },
		"a new account":  func(_ ledger.Query, r ledger.Row) bool { return r.Account != nil && r.Account.ID == acc("C") },
		"a new hold":     func(_ ledger.Query, r ledger.Row) bool { return r.Hold != nil },
		"an old record":  func(_ ledger.Query, r ledger.Row) bool { return r.Record != nil && r.Record.Key == "old" },
		"a new record":   func(_ ledger.Query, r ledger.Row) bool { return r.Record != nil && r.Record.Key == "new" },
		"a book":         func(q ledger.Query, r ledger.Row) bool { return q.List == ledger.ListHeads && r.Head.Book == 0 },
	} {
		if _, err := ledger.Verify(ctx, hiding{o.store, hide}, ledger.VerifyOptions{Base: base}); err == nil {
			t.Errorf("%s is missed by nobody", name)
		}
	}
	for i := range heads {
		heads[i].Hash[0] ^= 1
		if _, err := ledger.Verify(ctx, o.store, ledger.VerifyOptions{Base: base, Expect: heads}); err == nil {
			t.Error("another hash at the end of the base is not seen")
		}
		heads[i].Hash[0] ^= 1
	}
}
