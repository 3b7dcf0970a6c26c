package mturklegacy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect/dialecttest"
)

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkBalance(b *testing.B) {
	w := dialecttest.Open(b)
	h := New(w.Ledger, w.Auth, Options{})
	issued := w.Issue(auth.MTurkLegacy, w.Account("USD", "10000"), auth.Read)
	keyID, secret, now := issued.Credential.ID, issued.Secret, time.Now().UTC().Format(time.RFC3339)
	for name, text := range map[string]string{
		"get":  getRequest(keyID, secret, now, ""),
		"boto": botoRequest(keyID, secret, now),
		"soap": soapRequest(keyID, secret, now, "<Request/>"),
	} {
		b.Run(name, func(b *testing.B) {
			r := dialecttest.Request(b, text)
			_, body, _ := strings.Cut(text, "\n\n")
			reader := strings.NewReader(body)
			r.Body = rewound{reader}
			out := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				clear(out.header)
				if h.ServeHTTP(out, r); out.status != http.StatusOK {
					b.Fatal(out.status)
				}
			}
		})
	}
}

type rewound struct{ *strings.Reader }

func (rewound) Close() error { return nil }
