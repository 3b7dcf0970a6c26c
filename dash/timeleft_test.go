package dash_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
	"saldo/store/embedded"
	"saldo/watch"
)

// A drain is a balance at a vendor that falls by so many cents an hour, and has
// so many at a time.
type drain struct {
	at           time.Time
	cents, every int64
}

func (d drain) text() string {
	left := d.cents - int64(time.Since(d.at).Minutes())*d.every/60
	return fmt.Sprintf("%d.%02d", left/100, left%100)
}

// Read says what there is now, to a server that is part of the test.
func (d drain) Read(context.Context) (dialect.Reading, error) {
	r := dialect.Reading{Unit: "USD", Time: time.Now()}
	return r, r.ReadAmount(d.text())
}

// watched makes a store whose sources were read for three days, which go by in a
// moment.
func watched(t *testing.T, dir string, drains map[string]drain) {
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now.Add(-3 * 24 * time.Hour)))
		ctx := t.Context()
		store, err := embedded.Open(dir, embedded.Options{})
		must(t, err)
		l, err := ledger.Open(ctx, store, ledger.Options{})
		must(t, err)
		_, _, err = l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: ledger.FirstBook})
		must(t, err)
		keys, err := auth.LoadMasterKeys(dir, "", "")
		must(t, err)
		o := watch.Options{Ledger: l, Keys: keys}
		for name, d := range drains {
			s, err := watch.Spec{Name: name, Kind: "generic", Interval: "15m"}.New(1)
			must(t, err)
			s.Reader, s.FromFile = d, true
			o.Sources = append(o.Sources, s)
		}
		w, err := watch.Open(ctx, o)
		must(t, err)
		time.Sleep(time.Until(now))
		must(t, w.Close())
		must(t, l.Close())
		must(t, store.Close())
	})
}

// TestTimeLeft has sources that were read for long enough: the overview says
// which of them runs out first, and when.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	drains := map[string]drain{"slow": {now, 100_00, 10}, "fast": {now, 48_00, 100}, "still": {now, 1_00, 0}}
	watched(t, dir, drains)
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"left": %q}`, drains[strings.TrimPrefix(r.URL.Path, "/")].text())
	}))
	t.Cleanup(vendor.Close)
	config := local
	for name := range drains {
		config += fmt.Sprintf("[[watch.sources]]\nname = %[1]q\nkind = \"generic\"\naddress = \"%[2]s/%[1]s\"\namount = \".left\"\nunit = \"USD\"\ninterval = \"15m\"\n", name, vendor.URL)
	}
	s := startServer(t, dir, config)
	b := open(t, s)
	b.signIn(s.token)
	const card = `[...document.querySelectorAll("#held + .cards .card")].find((c) => c.textContent.includes("Runs out first"))`
	b.until("it says what runs out first", card+`?.querySelector(".big a")?.textContent === "fast"`)
	b.until("and when: in two days", `/about (2 d|4[678] h)/.test(`+card+`.textContent)`)
	b.accessible("the overview, with what runs out first")
	b.follow("fast")
	b.until("its page has the same", `/about (2 d|4[678] h)/.test(document.querySelector(".figures")?.textContent)`)
	b.visit("/vendors/still")
	b.showsFigure("Time left", "unknown")
}
