package watch

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"saldo/auth"
	"saldo/dialect/twilio"
	"saldo/ledger"
)

var raceEnabled = false

// inProcess sends requests to a handler without a network, so that the time of
// a bubble can pass.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = io.NopCloser(bytes.NewReader(nil))
	}
	r.RemoteAddr = "192.0.2.1:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestDayOfPolling polls a thousand Twilio accounts every 15 minutes for two hours,
// or as many as SALDO_HOURS says, whose time is compressed: requests are signed, sent, answered by a real ledger
// and read, readings are stored, each balance falls all day and crosses its
// threshold once.
func TestDayOfPolling(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("it measures a minute of work, and not that of the race detector")
	}
	hours := 2
	if n, err := strconv.Atoi(os.Getenv("SALDO_HOURS")); err == nil {
		hours = n
	}
	defer func() { // a channel of the bubble that the ledger keeps for later is none for other tests
		runtime.GC()
		runtime.GC()
	}()
	synctest.Test(t, func(t *testing.T) {
		const sources = 1000
		p := newPlace(t)
		a, err := auth.Open(t.Context(), p.Ledger, testKeys, auth.Options{})
		must(t, err)
		client := &http.Client{Transport: inProcess{twilio.New(p.Ledger, a, twilio.Options{})}}
		var all []*Source
		var accounts []ledger.AccountID
		for n := range sources {
			account := p.account("0")
			p.topUp(account, "100")
			key, err := a.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Twilio, Tenant: 1, Root: account, Scopes: auth.Read})
			must(t, err)
			accounts = append(accounts, account)
			all = append(all, source(t, Spec{Name: fmt.Sprint("s", n), Kind: "twilio", Interval: "15m", Low: "60", Runway: "1h"},
				&twilio.Client{URL: "http://vendor", AccountSID: key.Credential.ID, Secret: key.Secret, HTTP: client}))
		}
		began, used := time.Now(), cpu(t)
		w, err := Open(t.Context(), Options{Ledger: p.Ledger, Keys: testKeys, Sources: all, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		var apart time.Duration // what the charges cost is not the watcher's
		for range hours {
			time.Sleep(time.Hour)
			before := cpu(t)
			var ops []ledger.Op
			for _, account := range accounts {
				ops = append(ops, &ledger.Transfer{Kind: ledger.Charge, From: account, To: p.system(ledger.Revenue), Amount: dollars(t, strconv.Itoa(96/hours))})
			}
			p.post(ops...)
			apart += cpu(t) - before
		}
		took := cpu(t) - used - apart
		polls, alerts := 0, 0
		for _, l := range w.Looks(0) {
			polls += l.Outcomes["ok"]
			if len(l.Outcomes) != 1 {
				t.Errorf("%s: %v", l.Source.Name, l.Outcomes)
			}
		}
		must(t, w.Alerts(t.Context(), 1, "", func(string, *Alert) bool { alerts++; return true }))
		must(t, w.Close())
		status, err := os.ReadFile("/proc/self/status")
		must(t, err)
		memory := ""
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmHWM:") {
				memory = strings.Join(strings.Fields(line)[1:], " ")
			}
		}
		var kilobytes int
		_, err = fmt.Sscan(memory, &kilobytes)
		must(t, err)
		t.Logf("%d polls in %v: %v of processor time, %d MB at most, %d alerts", polls, time.Since(began), took.Round(time.Second), kilobytes>>10, alerts)
		if polls < sources*hours*15/4 || alerts < sources {
			t.Errorf("%d polls, %d alerts", polls, alerts)
		}
		if took > 2*time.Minute*time.Duration(hours)/24+5*time.Second { // two minutes a day, and the start
			t.Errorf("it took %v of processor time", took)
		}
		if kilobytes>>10 > 200 {
			t.Errorf("it took %d MB", kilobytes>>10)
		}
	})
}
