package dash_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"saldo/ledger"
	"saldo/store/embedded"
)

var accounts = flag.Int("accounts", 100_000, "how many accounts BenchmarkManyAccounts has")

// BenchmarkManyAccounts measures what people wait for in a list of many
// accounts, from the key or the click to the rows that it asks for.
func BenchmarkManyAccounts(b *testing.B) {
	dir := b.TempDir()
	last := fillStore(b, dir, *accounts)
	s := startServer(b, dir, "")
	page := open(b, s)
	page.signIn(s.token)
	page.turnTo("/accounts")
	page.ready()
	rows := func(n int) string {
		return fmt.Sprintf(`!document.querySelector(".loading") && document.querySelectorAll("tbody tr").length === %d`, n)
	}
	page.until("the list is there", rows(50))
	for _, c := range []struct {
		name, address string
		rows          int
	}{
		{"list", "/accounts", 50},
		{"word-of-all", "/accounts?q=customer", 50},
		{"word-of-a-tenth", "/accounts?q=ann", 50},
		{"name", fmt.Sprintf("/accounts?q=customer+%07d", *accounts/2), 1},
		{"e-mail", fmt.Sprintf("/accounts?q=customer%d@example.com", *accounts/2), 1},
		{"id", "/accounts?q=" + last, 1},
		{"sid", "/accounts?q=AC" + strings.ReplaceAll(last, "-", ""), 1},
		{"nobody", "/accounts?q=nobodyatall", 0},
		{"overview", "/", 0},
		{"account", "/accounts/" + last, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				page.turnTo("/rules")
				page.until("another page is there", `document.querySelector("h1")?.textContent === "Rules" && !document.querySelector(".loading")`)
				b.StartTimer()
				page.waits(c.address, c.rows)
			}
		})
	}
	b.Run("next-page", func(b *testing.B) {
		page.turnTo("/accounts")
		page.until("the list is there", rows(50))
		for b.Loop() {
			page.waitsFor(`document.querySelector("a[rel=next]").click()`, `const first = document.querySelector("tbody th a").textContent`, `document.querySelector("tbody th a")?.textContent !== first && !document.querySelector("table.loading")`)
		}
	})
}

// waits turns to an address and waits until its rows, or its figures, are there.
func (b *tab) waits(address string, rows int) {
	b.t.Helper()
	there := fmt.Sprintf(`document.querySelectorAll("tbody tr").length === %d && document.querySelector("main h1")?.textContent === "Accounts"`, rows)
	switch {
	case rows == 0 && strings.Contains(address, "q="):
		there = `document.querySelector(".nothing")`
	case rows == 0:
		there = `document.querySelector(":is(.figures, .card) .amount")`
	}
	b.waitsFor(fmt.Sprintf(`history.pushState(null, "", %s), dispatchEvent(new PopStateEvent("popstate"))`, quoted(address)), "", there+` && !document.querySelector(".loading")`)
}

// waitsFor does something in the page, and waits frame by frame until something is so.
func (b *tab) waitsFor(do, before, so string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`(async () => { %s; %s; while (!(%s)) await new Promise(requestAnimationFrame); return true; })()`, before, do, so), new(bool), awaited))
}

// fillStore makes a store of accounts with names and metadata, and returns the id of
// the last one.
func fillStore(b *testing.B, dir string, n int) string {
	began := time.Now()
	ctx := context.Background()
	store, err := embedded.Open(dir, embedded.Options{})
	must(b, err)
	l, err := ledger.Open(ctx, store, ledger.Options{})
	must(b, err)
	must(b, l.EnsureSystem(ctx))
	tenant, _, err := l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: ledger.FirstBook})
	must(b, err)
	usd, err := l.Unit(ctx, tenant.Number, "USD")
	must(b, err)
	cash := ledger.SystemID(1, 0, ledger.Cash)
	names := []string{"Ann", "Björn", "Carla", "Dora", "Emil", "Fatima", "Goran", "Hanna", "Ivan", "Jun"}
	var last ledger.AccountID
	for made := 0; made < n; {
		c := &ledger.Command{Tenant: tenant.Number, Book: 1}
		if made == 0 {
			c.Ops = append(c.Ops, &ledger.AddUnit{Unit: usd})
		}
		for range min(100, n-made) {
			last = l.NewID()
			amount, err := usd.Parse(fmt.Sprintf("%d.%02d", 1+made%900, made%100))
			must(b, err)
			profile := fmt.Sprintf(`{"name":"%s Customer %07d","metadata":{"email":"customer%d@example.com","crm":"CRM-%d"}}`, names[made%len(names)], made, made, 5_000_000+made)
			c.Ops = append(c.Ops, &ledger.OpenAccount{ID: last, Unit: "USD", Mode: ledger.Own, Profile: &ledger.Text{Data: []byte(profile)}},
				&ledger.Transfer{Kind: ledger.TopUp, From: cash, To: last, Amount: amount})
			made++
		}
		_, err := l.Post(ctx, c)
		must(b, err)
	}
	must(b, store.WaitIndexes(ctx))
	must(b, l.Close())
	must(b, store.Close())
	b.Logf("%d accounts were made in %v", n, time.Since(began).Round(time.Second))
	return last.String()
}
