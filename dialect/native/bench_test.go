package native

import (
	"fmt"
	"strings"
	"testing"
)

// nobody is an account of a body that no ledger has to know.
const nobody = "01a1ffff-71f2-7e26-8f7c-e1362c814557"

func BenchmarkDecodeCharge(b *testing.B) {
	body := []byte(`{"id":"order-20260101-000001","amount":"12.50","category":"sms","count":3}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := decoder{b: body}
		var it item
		d.item(&it, chargeMembers, nil)
		if d.end(); d.err != nil {
			b.Fatal(d.err)
		}
		if _, err := it.amount.in(usd, "amount"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	const n = 8192
	var body strings.Builder
	body.WriteString(`{"transfers":[`)
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"order-%08d","from":%q,"to":"@revenue","amount":"0.012500"}`, i, nobody)
	}
	body.WriteString("]}")
	text := []byte(body.String())
	q := new(request)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d := decoder{b: text}
		if _, _, err := q.decodeBatch(&d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/transfer")
}

func BenchmarkEncodeCharge(b *testing.B) {
	e, bal := sampleEvent()
	var w writer
	b.ReportAllocs()
	for b.Loop() {
		w.b = append(w.b[:0], envelope...)
		w.b = append(w.b, '{')
		w.transfer(e, 0, usd)
		w.key("balance")
		w.balance(bal, e.Time)
		w.b = append(w.b, '}', '}')
	}
}

func BenchmarkEncodeBalance(b *testing.B) {
	_, bal := sampleEvent()
	var w writer
	b.ReportAllocs()
	for b.Loop() {
		w.b = append(w.b[:0], envelope...)
		w.balance(bal, bal.AsOf)
		w.b = append(w.b, '}')
	}
}
