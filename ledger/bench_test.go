package ledger_test

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"testing"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
)

// randomID returns an id as callers make them: 32 hex digits that nobody can guess.
func randomID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}

// benchBook opens a ledger with a book of n accounts that have plenty of money.
func benchBook(b *testing.B, n int) (*ledger.Ledger, *embedded.Store, []ledger.AccountID) {
	ctx := context.Background()
	store, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	l, err := ledger.Open(ctx, store, ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close(); store.Close() })
	ids := make([]ledger.AccountID, n)
	ops := []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}}
	flush := func() {
		if _, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, Ops: ops}); err != nil {
			b.Fatal(err)
		}
		ops = nil
	}
	for i := range ids {
		ids[i] = ledger.AccountID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		ops = append(ops, &ledger.OpenAccount{ID: ids[i], Unit: "USD", Mode: ledger.Own},
			&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: ids[i], Amount: money.New(1 << 50)})
		if len(ops) > 8000 {
			flush()
		}
	}
	if len(ops) > 0 {
		flush()
	}
	return l, store, ids
}

func BenchmarkCharge(b *testing.B) {
	for _, bm := range []struct {
		name              string
		accounts, callers int
	}{
		{"hot/callers=1", 1, 1},
		{"hot/callers=64", 1, 64},
		{"hot/callers=1000", 1, 1000},
		{"cold/callers=1000", 100_000, 1000},
	} {
		b.Run(bm.name, func(b *testing.B) {
			l, store, ids := benchBook(b, bm.accounts)
			revenue := ledger.SystemID(1, 0, ledger.Revenue)
			b.ResetTimer()
			b.ReportAllocs()
			var wg sync.WaitGroup
			for c := range bm.callers {
				n := b.N/bm.callers + 1
				wg.Go(func() {
					for i := range n {
						_, err := l.Post(context.Background(), &ledger.Command{Tenant: 1, Book: 1, ID: randomID(), Remember: true,
							Ops: []ledger.Op{&ledger.Transfer{Kind: ledger.Charge, From: ids[(c*7919+i)%len(ids)], To: revenue, Amount: money.New(1)}}})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if err := store.WaitIndexes(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "charges/s")
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	for _, own := range []bool{true, false} {
		name := "ids=numbered"
		if own {
			name = "ids=own"
		}
		b.Run(name, func(b *testing.B) {
			l, store, ids := benchBook(b, 1000)
			revenue := ledger.SystemID(1, 0, ledger.Revenue)
			b.ResetTimer()
			b.ReportAllocs()
			for done := 0; done < b.N; done += 1000 {
				ts := make([]ledger.Transfer, 1000)
				ops := make([]ledger.Op, 1000)
				for i := range ts {
					ts[i] = ledger.Transfer{Kind: ledger.Charge, From: ids[i], To: revenue, Amount: money.New(1)}
					if own {
						ts[i].ID = randomID()
					}
					ops[i] = &ts[i]
				}
				if _, err := l.Post(context.Background(), &ledger.Command{Tenant: 1, Book: 1, ID: randomID(), Ops: ops}); err != nil {
					b.Fatal(err)
				}
			}
			if err := store.WaitIndexes(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
		})
	}
}
