package mturk

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect/dialecttest"
)

// A sink is a ResponseWriter that keeps the status alone.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// body is a request's body that can be read again.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

func bench(b *testing.B, request func(issued auth.Issued) string, handler func(*dialecttest.World) http.Handler) {
	w := dialecttest.Open(b)
	issued := w.Issue(auth.MTurk, w.Account("USD", "100"), auth.Read)
	h, r := handler(w), dialecttest.Request(b, request(issued))
	sent, err := io.ReadAll(r.Body)
	must(b, err)
	reader := body{bytes.NewReader(sent)}
	r.Body = reader
	out := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(out.header)
		reader.Reset(sent)
		h.ServeHTTP(out, r)
		if out.status != 200 {
			b.Fatalf("answered %d", out.status)
		}
	}
}

func BenchmarkBalance(b *testing.B) {
	bench(b, func(k auth.Issued) string { return sign(b, balanceRequest, k.Credential.ID, k.Secret, time.Now()) },
		func(w *dialecttest.World) http.Handler { return New(w.Ledger, w.Auth, Options{}) })
}

func BenchmarkPlainBalance(b *testing.B) {
	bench(b, func(k auth.Issued) string { return basic(k.Credential.ID, k.Secret) },
		func(w *dialecttest.World) http.Handler { return NewRequester(w.Ledger, w.Auth, Options{}) })
}

func BenchmarkSigningKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		signingKey([]byte(exampleSecret), "20260901", "us-east-1")
	}
}
