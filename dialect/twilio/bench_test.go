package twilio_test

import (
	"net/http"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
)

func BenchmarkBalance(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("USD", "12.34")
	for name, c := range map[string]auth.Issued{"token": token(w, account, false), "key": token(w, account, true)} {
		b.Run(name, func(b *testing.B) {
			h := serve(w, dialect.Options{})
			r := dialecttest.Request(b, request("GET", sid(account), ".json", c))
			d := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(d, r)
			}
			if d.header.Get("Content-Length") != "92" {
				b.Error(d.header)
			}
		})
	}
}
