package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect/native"
)

// What the accounts have whose lists Pages reads.
const (
	shortTransfers  = 10_000
	pagesCategories = 100
	pageRows        = 50
)

// Pages measures pages of the lists of an account with a long history, in turns:
// Twilio's usage records, the first page and the next; the native statement, its
// end and five thousand rows before it; Frontier's transactions of the last
// moment. Beside the same of an account that has 10,000 charges.
func Pages(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	short := w.account
	if err := w.open(ctx); err != nil { // another, which is w.account from here
		return nil, err
	}
	began := time.Now()
	var loads [2]Load
	for i, account := range []string{w.account, short} {
		n := o.transfers()
		if i == 1 {
			n = min(n, shortTransfers)
		}
		if err := w.spend(ctx, account, n-pageRows, bulkSize); err != nil {
			return nil, err
		}
		if loads[i], err = w.pages(ctx, account); err != nil {
			return nil, err
		}
	}
	w.o.say("pages: the charges took %v", time.Since(began).Round(time.Second))
	r = &Report{Scenario: "pages", Unit: "pages/s", Clients: o.Clients, Baseline: fmt.Sprintf("the same of an account with %d", shortTransfers),
		What: fmt.Sprintf("over HTTP, in turns pages of %d rows of Twilio's usage records, a statement, and Frontier's transactions, of one account with %d charges in %d categories",
			pageRows, o.transfers(), pagesCategories)}
	return r, w.beside(ctx, r, loads[0], w.host, loads[1])
}

// spend charges an account n times, so many a request, in categories in turn.
func (w *world) spend(ctx context.Context, account string, n, each int) error {
	run := rand.Uint64()
	for made := 0; made < n; made += each {
		batch := make([]native.TransferRequest, min(each, n-made))
		for i := range batch {
			batch[i] = native.TransferRequest{ID: fmt.Sprintf("s%x-%d", run, made+i), From: account, To: "@revenue", Amount: "0.0001",
				Usage: native.Usage{Category: fmt.Sprintf("bench-%02d", (made+i)%pagesCategories), Count: "1"}}
		}
		if _, err := w.client.Transfers(ctx, "", batch); err != nil {
			return err
		}
		if made%1_000_000 == 0 {
			w.o.say("pages: %d charges to go", n-made)
		}
	}
	return nil
}

// pages makes the last charges of an account, and is a load of pages of its lists.
func (w *world) pages(ctx context.Context, account string) (Load, error) {
	var requests [][]byte
	add := func(path string, k *key) {
		if k == nil {
			requests = append(requests, w.head(nil, http.MethodGet, path, 0))
			return
		}
		requests = append(requests, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s%s", path, w.host, basic(*k), headEnd))
	}
	credential := func(dialect string) (k key, err error) {
		return k, w.client.Do(ctx, http.MethodPost, "/v1/credentials", map[string]any{"dialect": dialect, "account": account, "scopes": []string{"read"}}, &k)
	}

	twilio, err := credential(auth.Twilio)
	if err != nil {
		return Load{}, err
	}
	first := "/2010-04-01/Accounts/" + twilio.ID + "/Usage/Records/Daily.json?PageSize=" + fmt.Sprint(pageRows)
	var page struct {
		Next string `json:"next_page_uri"`
	}
	if err := w.get(ctx, first, "Authorization", basic(twilio), &page); err != nil || page.Next == "" {
		return Load{}, errors.Join(errors.New("bench: usage records have one page"), err)
	}
	add(first, &twilio)
	add(page.Next, &twilio)

	statement := "/v1/accounts/" + account + "/statement?limit="
	add(statement+fmt.Sprint(pageRows), nil)
	cursor := ""
	for range 5 {
		var list struct{ Next string }
		if err := w.client.Do(ctx, http.MethodGet, statement+"1000"+cursor, nil, &list); err != nil {
			return Load{}, err
		}
		cursor = "&cursor=" + url.QueryEscape(list.Next)
	}
	var before struct{ Next string } // a cursor holds for pages of any size
	if err := w.client.Do(ctx, http.MethodGet, statement+fmt.Sprint(pageRows)+cursor, nil, &before); err != nil || before.Next == "" {
		return Load{}, errors.Join(errors.New("bench: the statement is short"), err)
	}
	add(statement+fmt.Sprint(pageRows)+cursor, nil)

	frontier, err := credential(auth.Frontier)
	if err != nil {
		return Load{}, err
	}
	var org struct{ ID string }
	if err := w.client.Do(ctx, http.MethodGet, "/v1/tenants/main", nil, &org); err != nil {
		return Load{}, err
	}
	since := time.Now().UTC().Format(time.RFC3339Nano)
	if err := w.spend(ctx, account, pageRows, pageRows); err != nil {
		return Load{}, err
	}
	path := "/v1beta1/organizations/" + org.ID + "/billing/" + account + "/transactions?start_range=" + url.QueryEscape(since)
	var list struct{ Transactions []json.RawMessage }
	if err := w.get(ctx, path, "Authorization", basic(frontier), &list); err != nil || len(list.Transactions) != pageRows {
		return Load{}, errors.Join(fmt.Errorf("bench: %d transactions, want %d", len(list.Transactions), pageRows), err)
	}
	add(path, &frontier)
	return Load{Request: func(dst []byte, _, n int) []byte { return append(dst, requests[n%len(requests)]...) }}, nil
}

// get reads JSON that a vendor's API answers.
func (w *world) get(ctx context.Context, path, header, value string, out any) error {
	r, err := w.ask(http.MethodGet, path, "", header, value)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("bench: %s is answered %s: %s", strings.SplitN(path, "?", 2)[0], resp.Status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, out)
	}
	return err
}
