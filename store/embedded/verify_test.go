package embedded

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
)

// TestVerifyMisses takes rows away, and puts some where none should be.
func TestVerifyMisses(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), testOptions())
	l, err := ledger.Open(ctx, s, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	usd := money.Unit{Code: "USD", Scale: 2, Kind: money.Currency}
	at := ledger.TimeOf(time.Now()).Add(time.Hour)
	_, err = l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: "h", Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd},
		&ledger.OpenAccount{ID: account(1), Unit: "USD", Mode: ledger.Own},
		&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: account(1), Amount: money.New(10)},
		&ledger.PlaceHold{Account: account(1), Amount: money.New(5), Expires: ledger.Lifetime{At: at}}},
		Records: []ledger.RecordWrite{{Kind: "hit", Key: "A", Deadline: at, Index: []ledger.IndexEntry{{Name: "state", Value: "open"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	record := ledger.RecordKey{Book: 1, Kind: "hit", Key: "A"}
	for name, key := range map[string][]byte{
		"a hold's deadline":   deadlineKey(nil, ledger.Deadline{At: at, Book: 1, Hold: ledger.RefOf(1, "h")}),
		"a record's deadline": deadlineKey(nil, ledger.Deadline{At: at, Book: 1, Record: record}),
		"an index's entry":    entryKey(nil, record, ledger.IndexEntry{Name: "state", Value: "open"}),
	} {
		value := []byte(nil)
		if err := s.db.Delete(key, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err == nil {
			t.Errorf("%s is missed by nobody", name)
		}
		if err := s.db.Set(key, value, nil); err != nil {
			t.Fatal(err)
		}
		more := append(append([]byte(nil), key...), 'x')
		if name == "a hold's deadline" {
			more = deadlineKey(nil, ledger.Deadline{At: at, Book: 1, Hold: ledger.Ref{1}})
		}
		if err := s.db.Set(more, value, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err == nil {
			t.Errorf("%s too many is seen by nobody", name)
		}
		if err := s.db.Delete(more, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
	used := usageKey{account: account(1), day: 3}
	if err := s.db.Set(used.append(nil), appendSum(nil, &ledger.UsageSum{Price: money.New(1)}), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err == nil {
		t.Error("what nobody used is seen by nobody")
	}
	if err := s.db.Delete(used.append(nil), nil); err != nil {
		t.Fatal(err)
	}
	forged := refundKey(nil, ledger.TransferAt{Book: 1, Seq: 1})
	if err := s.db.Set(forged, appendRefund(nil, money.New(10)), nil); err != nil {
		t.Fatal(err)
	}
	s.views.swap(s.db.NewSnapshot())
	if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err == nil {
		t.Error("a refund that nobody made is seen by nobody")
	}
}

// TestVerifyMissesDerived takes a row from each derived index, puts one in that is
// of nobody, and has one be another's.
func TestVerifyMissesDerived(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), testOptions())
	l, err := ledger.Open(ctx, s, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	usd := money.Unit{Code: "USD", Scale: 2, Kind: money.Currency}
	_, err = l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, ID: "h", Ops: []ledger.Op{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd},
		&ledger.OpenAccount{ID: account(1), Unit: "USD", Mode: ledger.Own, Profile: &ledger.Text{Data: []byte(`{"name":"Ada"}`)}},
		&ledger.OpenAccount{ID: account(2), Parent: account(1), Mode: ledger.Own},
		&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: account(1), Amount: money.New(10)},
		&ledger.PlaceHold{Account: account(1), Amount: money.New(5), Expires: ledger.Lifetime{Never: true}}}})
	if err := errors.Join(err, l.Close(), s.WaitIndexes(ctx)); err != nil {
		t.Fatal(err)
	}
	for _, d := range derivedIndexes() {
		for _, kind := range d.kinds {
			var key, value []byte // the last row, which is no system account's
			for it, err := range each(s.db, []byte{kind}, []byte{kind + 1}) {
				if err != nil {
					t.Fatal(err)
				}
				key, value = bytes.Clone(it.Key()), bytes.Clone(it.Value())
			}
			if key == nil {
				if d.name != "usage" { // where nothing was used
					t.Fatalf("%s has no rows of kind %q", d.name, kind)
				}
				continue
			}
			others := bytes.Clone(key)
			others[5] ^= 0x40
			for what, rows := range map[string]struct{ gone, more bool }{"lacks a row": {gone: true}, "has a row more": {more: true}, "has another's row": {true, true}} {
				b := s.db.NewBatch()
				if rows.gone {
					err = errors.Join(err, b.Delete(key, nil))
				}
				if rows.more {
					err = errors.Join(err, b.Set(others, value, nil))
				}
				if err = errors.Join(err, b.Commit(nil)); err != nil {
					t.Fatal(err)
				}
				if s.VerifyIndexes(ctx, nil) == nil {
					t.Errorf("the index %s, kind %q, %s, which nobody sees", d.name, kind, what)
				}
				if err = errors.Join(s.db.Set(key, value, nil), s.db.Delete(others, nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := s.VerifyIndexes(ctx, nil); err != nil {
		t.Error(err)
	}
}

// TestVerifyMissesText has a reason that is gone, of an account that nobody has
// erased: only the one above it was, which the same event touched.
func TestVerifyMissesText(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), testOptions())
	l, err := ledger.Open(ctx, s, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	usd := money.Unit{Code: "USD", Scale: 2, Kind: money.Currency}
	for _, ops := range [][]ledger.Op{
		{&ledger.OpenBook{}, &ledger.AddUnit{Unit: usd}, &ledger.OpenAccount{ID: account(1), Unit: "USD", Mode: ledger.Own, Profile: &ledger.Text{Data: []byte(`{"name":"Ada"}`)}},
			&ledger.OpenAccount{ID: account(2), Parent: account(1), Mode: ledger.Own},
			&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(1, 0, ledger.Cash), To: account(2), Amount: money.New(1), Text: &ledger.Text{Data: []byte(`{"reason":"birthday"}`)}}},
		{&ledger.Erase{Account: account(1)}},
	} {
		if _, err := l.Post(ctx, &ledger.Command{Tenant: 1, Book: 1, Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Close(), s.WaitErased(ctx)); err != nil {
		t.Fatal(err)
	}
	if report, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err != nil || report.Erased != 1 || report.Texts != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := s.db.Delete(textKey(nil, 1, ledger.TextAt{Seq: 1, N: 2}), nil); err != nil {
		t.Fatal(err)
	}
	s.views.swap(s.db.NewSnapshot())
	if _, err := ledger.Verify(ctx, s, ledger.VerifyOptions{}); err == nil {
		t.Error("a reason is missed by nobody")
	}
}
