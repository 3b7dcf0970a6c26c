package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/ledger"
)

// TestCutOff stops a server that has handed a message on and was not told yet
// that it was taken: its caller is cut off, and the message is paid for all the
// same.
func TestCutOff(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok","result":[{"status":"ok","sms_id":"1"}]}`)
	}))
	defer sink.Close()
	c := testConfig(t, "--gateway360-prices", "ES:34:1.0000:EUR")
	c.Gateway360Sink, c.Gateway360SinkKey, c.Drain = sink.URL, "key", time.Millisecond
	var account string
	t.Run("stop", func(t *testing.T) {
		r := startNode(t, c)
		account = opened(t, r, "EUR", "5")
		id, _ := ledger.ParseAccountID(account)
		key, err := r.auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Gateway360, Tenant: 1, Root: id, Scopes: auth.Charge})
		mustBe(t, err)
		body := `{"api_key":"` + key.Secret + `","messages":[{"from":"shop","to":"34666666111","text":"hello"}]}`
		go func() {
			resp, err := http.Post(r.url()+"/api/3.0/sms/send", "application/json", strings.NewReader(body))
			if err == nil {
				resp.Body.Close()
				t.Errorf("it was not cut off, but answered %s", resp.Status)
			}
			close(answer)
		}()
		<-asked
	}) // and here the server stops
	n, err := openNode(t.Context(), c, slog.New(slog.DiscardHandler))
	mustBe(t, err)
	id, _ := ledger.ParseAccountID(account)
	b, err := n.ledger.Balance(context.Background(), id)
	if err != nil || b.Unit.Text(b.Posted) != "4.000000" || b.Held.Sign() != 0 {
		t.Errorf("the account has %s, on hold %s, %v", b.Unit.Text(b.Posted), b.Unit.Text(b.Held), err)
	}
	mustBe(t, n.close())
}
