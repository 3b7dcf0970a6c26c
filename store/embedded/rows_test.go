package embedded

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"saldo/ledger"
	"saldo/money"
)

func amounts() *rapid.Generator[money.Amount] {
	return rapid.Custom(func(t *rapid.T) money.Amount {
		if rapid.Bool().Draw(t, "small") {
			return money.New(rapid.Int64().Draw(t, "n"))
		}
		return money.FromParts(rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
	})
}

// id draws 16 bytes, zero now and then.
func id[T ~[16]byte](t *rapid.T, what string) (v T) {
	if rapid.Bool().Draw(t, "has "+what) {
		copy(v[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, what))
	}
	return v
}

func textAt(t *rapid.T) ledger.TextAt {
	if rapid.Bool().Draw(t, "no text") {
		return ledger.TextAt{}
	}
	return ledger.TextAt{Seq: rapid.Uint64Min(1).Draw(t, "text seq"), N: rapid.Uint32Min(1).Draw(t, "text n")}
}

func someTime(t *rapid.T, what string) ledger.Time {
	return ledger.Time(rapid.Int64().Draw(t, what))
}

func someAccount(t *rapid.T) *ledger.Account {
	return &ledger.Account{
		ID: id[ledger.AccountID](t, "id"), Parent: id[ledger.AccountID](t, "parent"),
		Tenant: ledger.TenantID(rapid.Uint32().Draw(t, "tenant")), Book: ledger.BookID(rapid.Uint32().Draw(t, "book")),
		Unit: rapid.Uint32().Draw(t, "unit"), Mode: ledger.Mode(rapid.IntRange(1, 3).Draw(t, "mode")),
		Status: ledger.Status(rapid.IntRange(0, 2).Draw(t, "status")), Depth: rapid.Byte().Draw(t, "depth"),
		HasCap: rapid.Bool().Draw(t, "has cap"), Posted: amounts().Draw(t, "posted"), Held: amounts().Draw(t, "held"),
		Limit: amounts().Draw(t, "limit"), Cap: amounts().Draw(t, "cap"),
		Children: rapid.Uint32().Draw(t, "children"), OpenHolds: rapid.Uint32().Draw(t, "open"),
		Created: someTime(t, "created"), Updated: someTime(t, "updated"), Seq: rapid.Uint64().Draw(t, "seq"),
		Version: rapid.Uint64().Draw(t, "version"), Erased: rapid.Uint64().Draw(t, "erased"), Profile: textAt(t),
	}
}

func someHold(t *rapid.T) *ledger.Hold {
	return &ledger.Hold{
		Ref: id[ledger.Ref](t, "ref"), ID: rapid.StringN(0, 255, 255).Draw(t, "id"),
		Tenant: ledger.TenantID(rapid.Uint32().Draw(t, "tenant")), Book: ledger.BookID(rapid.Uint32().Draw(t, "book")),
		Account: id[ledger.AccountID](t, "account"), Via: id[ledger.AccountID](t, "via"),
		Amount: amounts().Draw(t, "amount"), Remaining: amounts().Draw(t, "remaining"), Captured: amounts().Draw(t, "captured"),
		Expires: someTime(t, "expires"), State: ledger.HoldState(rapid.IntRange(1, 4).Draw(t, "state")),
		Created: someTime(t, "created"), Updated: someTime(t, "updated"),
		Seq: rapid.Uint64().Draw(t, "seq"), Opened: rapid.Uint64().Draw(t, "opened"), Text: textAt(t),
	}
}

func someRecord(t *rapid.T) *ledger.Record {
	rec := &ledger.Record{
		RecordKey: ledger.RecordKey{Book: 7, Kind: "hit", Key: "k"}, At: textAt(t),
		Version: rapid.Uint64().Draw(t, "version"), Deadline: someTime(t, "deadline"), Seq: rapid.Uint64().Draw(t, "seq"),
		Created: someTime(t, "created"), Updated: someTime(t, "updated"),
	}
	if rec.At == (ledger.TextAt{}) {
		rec.Data = append([]byte(nil), rapid.SliceOf(rapid.Byte()).Draw(t, "data")...)
	}
	for range rapid.IntRange(0, 3).Draw(t, "indexes") {
		rec.Index = append(rec.Index, ledger.IndexEntry{Name: rapid.String().Draw(t, "name"), Value: rapid.String().Draw(t, "value")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "counters") {
		rec.Counters = append(rec.Counters, ledger.Counter{Name: rapid.String().Draw(t, "name"), Value: rapid.Int64().Draw(t, "value")})
	}
	return rec
}

func someHead(t *rapid.T) *ledger.Head {
	h := &ledger.Head{
		Book: 3, Tenant: ledger.TenantID(rapid.Uint32().Draw(t, "tenant")), Seq: rapid.Uint64().Draw(t, "seq"), Time: someTime(t, "time"),
	}
	copy(h.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	for range rapid.IntRange(0, 3).Draw(t, "units") {
		h.Units = append(h.Units, money.Unit{
			Code: rapid.String().Draw(t, "code"), Scale: rapid.Byte().Draw(t, "scale"), Kind: money.Kind(rapid.Byte().Draw(t, "kind")),
		})
	}
	return h
}

// agree checks that a row survives, and that its encoding cut short or with
// something behind it is refused.
func agree[T any](t *rapid.T, row T, b []byte, decode func([]byte) (T, error)) {
	t.Helper()
	got, err := decode(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	if d := cmp.Diff(row, got, cmp.AllowUnexported(money.Amount{})); d != "" {
		t.Fatalf("-wrote +read\n%s", d)
	}
	if _, err := decode(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); err == nil {
		t.Fatalf("%x: accepted cut short", b)
	}
	if _, err := decode(append(bytes.Clone(b), 0)); err == nil {
		t.Fatalf("%x: accepted with a byte more", b)
	}
}

func TestRowsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someAccount(t)
		agree(t, a, appendAccount(nil, a), accountDecoder(a.ID))
		h := someHold(t)
		agree(t, h, appendHold(nil, h), holdDecoder(h.Ref))
		r := someRecord(t)
		agree(t, r, appendRecord(nil, r), recordDecoder(r.RecordKey))
		head := someHead(t)
		agree(t, head, appendHead(nil, head), headDecoder(head.Book))
		at := &ledger.TransferAt{Book: 9, Seq: rapid.Uint64().Draw(t, "seq"), N: rapid.Uint32().Draw(t, "n")}
		agree(t, at, appendID(nil, *at), decodeID)
		m := amounts().Draw(t, "refund")
		agree(t, m, appendRefund(nil, m), decodeRefund)
		seq := rapid.Uint64().Draw(t, "mark")
		agree(t, seq, appendWatermark(nil, seq), decodeWatermark)
		words := ledger.ProfileWords([]byte(`{"name":"` + rapid.StringMatching(`[a-z @.]{0,99}`).Draw(t, "name") + `"}`))
		if len(words) > 0 {
			agree(t, words, appendWords(nil, words), decodeWords)
		}
	})
}

func TestTextSurvives(t *testing.T) {
	want := &ledger.Text{Salt: [16]byte{1, 2}, Data: []byte("x")}
	got, err := decodeText(appendText(nil, want))
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("read %v, %v", got, err)
	}
	if _, err := decodeText([]byte{rowVersion, 0}); err == nil {
		t.Error("half a salt was accepted")
	}
}

// Values of an index sort as they are, whatever bytes they hold, and come back
// from the key.
func TestEscapedValuesSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 'a', 0xff, 0x10ffff}))
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		x, y := appendEscaped(nil, a), appendEscaped(nil, b)
		if bytes.Compare(x, y) != bytes.Compare([]byte(a), []byte(b)) {
			t.Errorf("%q and %q sort otherwise as %x and %x", a, b, x, y)
		}
		rest, ok := cutEscaped(append(x, "key"...))
		if !ok || string(rest) != "key" {
			t.Errorf("%x: rest %q, %v", x, rest, ok)
		}
	})
}

func TestKeysComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := ledger.Deadline{At: someTime(t, "at"), Book: ledger.BookID(rapid.Uint32().Draw(t, "book")), Hold: id[ledger.Ref](t, "ref")}
		if d.Hold.IsZero() {
			d.Record = ledger.RecordKey{Book: d.Book, Kind: "hit", Key: rapid.String().Draw(t, "key")}
			k, err := parseRecordKey(recordKey(nil, d.Record))
			if err != nil || k != d.Record {
				t.Errorf("record key %v came back as %v, %v", d.Record, k, err)
			}
		}
		got, err := parseDeadlineKey(deadlineKey(nil, d))
		if err != nil || got != d {
			t.Errorf("deadline %v came back as %v, %v", d, got, err)
		}
		sooner := ledger.Deadline{At: someTime(t, "other"), Book: 1, Hold: ledger.Ref{1}}
		if (sooner.At < d.At) != (bytes.Compare(deadlineKey(nil, sooner), deadlineKey(nil, d)) < 0) && sooner.At != d.At {
			t.Errorf("%v and %v sort wrongly", sooner.At, d.At)
		}
	})
}

// FuzzDecoders: whatever bytes a row has, its decoder does not panic, and what
// it accepts is exactly what the encoder writes.
func FuzzDecoders(f *testing.F) {
	f.Add(appendAccount(nil, &ledger.Account{Parent: ledger.AccountID{1}, Mode: ledger.Own, Profile: ledger.TextAt{Seq: 1, N: 1}}))
	f.Add(appendHold(nil, &ledger.Hold{ID: "h", Via: ledger.AccountID{1}, State: ledger.HoldOpen, Text: ledger.TextAt{Seq: 1, N: 1}}))
	f.Add(appendRecord(nil, &ledger.Record{Data: []byte("x"), Index: []ledger.IndexEntry{{Name: "a", Value: "b"}}, Counters: []ledger.Counter{{Name: "c", Value: -1}}}))
	f.Add(appendHead(nil, &ledger.Head{Seq: 1, Units: []money.Unit{{Code: "USD", Scale: 6, Kind: money.Currency}}}))
	f.Add(appendID(nil, ledger.TransferAt{Book: 1, Seq: 300, N: 2}))
	f.Add(appendWords(nil, []string{"ada", "lovelace"}))
	f.Add([]byte{rowVersion, 1, 200, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, err error, again []byte) {
			if err == nil && !bytes.Equal(b, again) {
				t.Errorf("%s: %x was accepted, but is written %x", what, b, again)
			}
		}
		if a, err := decodeAccount(ledger.AccountID{1}, b); err == nil {
			same("account", err, appendAccount(nil, a))
		}
		if h, err := decodeHold(ledger.Ref{1}, b); err == nil {
			same("hold", err, appendHold(nil, h))
		}
		if r, err := decodeRecord(ledger.RecordKey{}, b); err == nil {
			same("record", err, appendRecord(nil, r))
		}
		if h, err := decodeHead(1, b); err == nil {
			same("head", err, appendHead(nil, h))
		}
		if at, err := decodeID(b); err == nil {
			same("id", err, appendID(nil, *at))
		}
		if m, err := decodeRefund(b); err == nil {
			same("refund", err, appendRefund(nil, m))
		}
		if x, err := decodeText(b); err == nil {
			same("text", err, appendText(nil, x))
		}
		if w, err := decodeWords(b); err == nil {
			same("words", err, appendWords(nil, w))
		}
		if seq, err := decodeWatermark(b); err == nil {
			same("watermark", err, appendWatermark(nil, seq))
		}
		if st, err := decodeIndexState(b); err == nil {
			same("index state", err, st.append(nil))
		}
		_, _ = decodeChunk(nil, 1, b)
		_, _ = parseDeadlineKey(b)
		_, _ = parseRecordKey(b)
		_ = ledger.ProfileWords(b)
	})
}
