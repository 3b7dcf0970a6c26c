package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"saldo/ledger"
)

// FuzzDecoders: whatever bytes a column or a key of a list has, nothing panics,
// and what was read is written so that it is read again.
func FuzzDecoders(f *testing.F) {
	f.Add(binary.AppendUvarint(binary.AppendUvarint(nil, 300), 1))
	f.Add(appendBytes(appendBytes(nil, "an event"), "another"))
	f.Add(appendEntries(nil, []ledger.IndexEntry{{Name: "status", Value: "open"}}))
	f.Add(appendCounters(nil, []ledger.Counter{{Name: "left", Value: -3}}))
	hold := due{Deadline: ledger.Deadline{At: -1, Book: 7}, name: []byte("0123456789abcdef")}
	f.Add([]byte(hold.key()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if seqs, err := decodeChunk(b); err == nil {
			var again []byte
			last := uint64(0)
			for _, seq := range seqs {
				again, last = binary.AppendUvarint(again, seq-last), seq
			}
			if got, err := decodeChunk(again); err != nil || !slices.Equal(got, seqs) {
				t.Errorf("%x is the events %d, and then %d, %v", b, seqs, got, err)
			}
		}
		n := 0
		for r := (reader{b: b}); len(r.b) > 0; n++ {
			r.bytes()
		}
		if block, err := makeBlock(int64(n)+1, int32(n), b); err == nil {
			var again []byte
			for seq := block.first; seq <= block.last; seq++ {
				again = appendBytes(again, block.bytes(seq))
			}
			if got, err := makeBlock(int64(n)+1, int32(n), again); err != nil || !slices.EqualFunc(got.events, block.events, bytes.Equal) {
				t.Errorf("%x is the events %q, and then %q, %v", b, block.events, got.events, err)
			}
		}
		if index, err := readEntries(b); err == nil {
			if got, err := readEntries(appendEntries(nil, index)); err != nil || !slices.Equal(got, index) {
				t.Errorf("%x is the entries %v, and then %v, %v", b, index, got, err)
			}
		}
		if counters, err := readCounters(b); err == nil {
			if got, err := readCounters(appendCounters(nil, counters)); err != nil || !slices.Equal(got, counters) {
				t.Errorf("%x is the counters %v, and then %v, %v", b, counters, got, err)
			}
		}
		d, what := parseDue(string(b))
		if what == 1 {
			d.Hold = ledger.Ref{1}
		}
		if what == d.what() && d.key() != string(b) {
			t.Errorf("%x is due %+v, whose key is %x", b, d, d.key())
		}
		_ = id16(string(b))
	})
}
