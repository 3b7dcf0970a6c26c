package twilio_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
	"saldo/money"
)

func BenchmarkBalance(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("USD", "12.34")
	for name, c := range map[string]auth.Issued{"token": token(w, account, false), "key": token(w, account, true)} {
		b.Run(name, func(b *testing.B) {
			h := serve(w, dialect.Options{Limits: dialecttest.Wide})
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

// BenchmarkUsagePage reads a page of a list of usage records, the first and one
// far behind it, of an account with 2,000 categories and 20,000 charges.
func BenchmarkUsagePage(b *testing.B) {
	w := dialecttest.Open(b)
	account := w.Account("USD", "1000000")
	for range 10 {
		c := &ledger.Command{Tenant: w.Tenant.Number, Book: 1, ID: w.ID("many")}
		for i := range 2000 {
			c.Ops = append(c.Ops, &ledger.Transfer{Kind: ledger.Charge, From: account, To: ledger.SystemID(1, 0, ledger.Revenue), Amount: money.New(1),
				Usage: ledger.Usage{Category: fmt.Sprintf("c-%04d", i)}})
		}
		if _, err := w.Ledger.Post(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	h := serve(w, dialect.Options{})
	c := token(w, account, false)
	path := "/2010-04-01/Accounts/" + sid(account) + "/Usage/Records.json?PageSize=50"
	for n := range 40 {
		text := "GET " + path + "\n" + basic(c.Credential.ID, c.Secret)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, dialecttest.Request(b, text))
		var page struct {
			Next string `json:"next_page_uri"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil || page.Next == "" {
			b.Fatal(n, err, answer.Body)
		}
		if path = page.Next; n != 0 && n != 38 {
			continue
		}
		b.Run(fmt.Sprint("page ", n+1), func(b *testing.B) {
			r := dialecttest.Request(b, text)
			for b.Loop() {
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}
