package native_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"saldo/dialect/native"
	"saldo/ledger"
)

func TestAdministration(t *testing.T) {
	w := newWorld(t, native.Options{})
	a := w.must("POST", "/v1/tenants", `{"id":"t1","name":"acme"}`)
	if again := w.must("POST", "/v1/tenants", `{"id":"t1","name":"acme"}`); string(again.body) != string(a.body) || again.header.Get("Idempotent-Replayed") == "" {
		t.Errorf("the repeat of a tenant: %s, was %s", again.body, a.body)
	}
	w.refused(409, "ALREADY_EXISTS", "POST", "/v1/tenants", `{"name":"acme"}`)
	w.must("GET", "/v1/tenants/acme", "")
	if got := w.must("GET", "/v1/tenants?limit=1", "").Data; got["next"] == nil {
		t.Errorf("a page of tenants: %v", got)
	} else if got := w.must("GET", "/v1/tenants?limit=1&cursor="+got["next"].(string), "").Data; got["items"].([]any)[0].(map[string]any)["name"] != "acme" {
		t.Errorf("the second page of tenants: %v", got)
	}
	acme := []string{"Saldo-Tenant", "acme"}
	w.must("POST", "/v1/books", `{"name":"second"}`, acme...)
	w.must("POST", "/v1/units", `{"code":"SMS","scale":0,"kind":"credit"}`, acme...)
	w.refused(409, "ALREADY_EXISTS", "POST", "/v1/units", `{"code":"SMS","scale":2,"kind":"credit"}`, acme...)
	w.must("GET", "/v1/units/SMS", "", acme...)
	w.refused(404, "NOT_FOUND", "GET", "/v1/units/SMS", "")
	id := w.must("POST", "/v1/accounts", `{"unit":"SMS","book":"second"}`, acme...).Data["id"].(string)
	w.must("POST", "/v1/accounts/"+id+"/topups", `{"id":"x","amount":100}`, acme...)
	w.refused(400, "VALIDATION_ERROR", "POST", "/v1/accounts/"+id+"/topups", `{"id":"y","amount":"0.5"}`, acme...)
	w.refused(404, "NOT_FOUND", "GET", "/v1/accounts/"+id+"/balance", "")
	if got := w.must("GET", "/v1/books", "", acme...).Data["items"].([]any); len(got) != 2 {
		t.Errorf("books: %v", got)
	}
	w.must("GET", "/v1/books/second", "", acme...)
	w.must("GET", "/v1/units?tenant=acme", "")
	w.refused(404, "NOT_FOUND", "GET", "/v1/books", "", "Saldo-Tenant", "nobody")
	w.must("GET", "/v1/accounts/@cash:SMS/balance?book=second", "", acme...)

	alias := "/v1/accounts/" + id + "/aliases"
	w.must("POST", alias, `{"dialect":"gateway360","external":"user/1"}`, acme...)
	w.refused(400, "VALIDATION_ERROR", "POST", alias, `{"dialect":"gateway360"}`, acme...)
	if got := w.must("GET", alias, "", acme...).Data["items"].([]any); len(got) != 1 {
		t.Errorf("aliases: %v", got)
	}
	if got := w.must("GET", "/v1/search?q=user/1", "", acme...).Data["items"].([]any); len(got) != 1 {
		t.Errorf("found by alias: %v", got)
	}
	w.must("DELETE", alias+"/gateway360/user%2F1", "", acme...)
	w.refused(404, "NOT_FOUND", "DELETE", alias+"/gateway360/user%2F1", "", acme...)

	// A tenant has other names too: what Frontier's clients call an organization.
	w.must("POST", "/v1/tenants/acme/aliases", `{"dialect":"frontier","external":"acme-org"}`)
	w.refused(409, "ALREADY_EXISTS", "POST", "/v1/tenants/main/aliases", `{"dialect":"frontier","external":"acme-org"}`)
	if got := w.must("GET", "/v1/tenants/acme/aliases", "").Data["items"].([]any); len(got) != 1 || got[0].(map[string]any)["tenant"] != "acme" {
		t.Errorf("a tenant's aliases: %v", got)
	}
	w.refused(404, "NOT_FOUND", "DELETE", "/v1/tenants/main/aliases/frontier/acme-org", "")
	w.must("DELETE", "/v1/tenants/acme/aliases/frontier/acme-org", "")
	w.refused(404, "NOT_FOUND", "GET", "/v1/tenants/nobody/aliases", "")
}

func TestCredentials(t *testing.T) {
	w := newWorld(t, native.Options{})
	mine, other := w.account("10"), w.account("10")
	child := w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q}`, mine)).Data["id"].(string)
	made := w.must("POST", "/v1/credentials", fmt.Sprintf(`{"id":"k1","name":"robot","account":%q,"scopes":["read","charge"],"allow":["127.0.0.0/8","::1"]}`, mine))
	token := made.Data["secret"].(string)
	as := []string{"Authorization", "Bearer " + token}

	w.must("GET", "/v1/accounts/"+mine+"/balance", "", as...)
	w.must("GET", "/v1/accounts/"+child+"/balance", "", as...)
	w.must("POST", "/v1/accounts/"+mine+"/charges", `{"id":"k-c1","amount":"1"}`, as...)
	w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"k-t1","from":%q,"to":%q,"amount":"1"}`, mine, other), as...)
	w.refused(404, "NOT_FOUND", "GET", "/v1/accounts/"+other+"/balance", "", as...)
	w.refused(404, "NOT_FOUND", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"k-t2","from":%q,"to":%q,"amount":"1"}`, other, mine), as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts/"+mine+"/topups", `{"id":"k-t3","amount":"1"}`, as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"k-t4","from":"@cash","to":%q,"amount":"1"}`, mine), as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts/"+mine+"/charges", `{"id":"k-c2","amount":"1","force":true,"reason":"x"}`, as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts/"+mine+"/adjustments", `{"id":"k-a1","amount":"1"}`, as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts", `{"unit":"USD"}`, as...)
	w.refused(403, "FORBIDDEN", "GET", "/v1/tenants", "", as...)
	w.refused(403, "FORBIDDEN", "GET", "/v1/credentials", "", as...)
	w.refused(403, "FORBIDDEN", "GET", "/v1/overview", "", as...)
	w.refused(404, "NOT_FOUND", "GET", "/v1/accounts/@cash:USD/balance", "", as...)
	w.must("GET", "/v1/transfers/k-t1", "", as...)
	w.refused(404, "NOT_FOUND", "GET", "/v1/transfers/top-"+other, "", as...)
	if got := w.must("GET", "/v1/accounts", "", as...).Data["items"].([]any); len(got) != 2 {
		t.Errorf("%d accounts are listed, want the two that are open", len(got))
	}
	if got := w.must("GET", "/v1/search?q="+other, "", as...).Data["items"].([]any); len(got) != 0 {
		t.Errorf("found: %v", got)
	}
	for _, e := range w.must("GET", "/v1/events?limit=1000", "", as...).Data["items"].([]any) {
		if text := fmt.Sprint(e); strings.Contains(text, "top-"+other) {
			t.Errorf("an event of another account is shown: %s", text)
		}
	}

	id := made.Data["id"].(string)
	if again := w.must("POST", "/v1/credentials", fmt.Sprintf(`{"id":"k1","name":"robot","account":%q,"scopes":["read","charge"],"allow":["127.0.0.0/8","::1"]}`, mine)); again.Data["secret"] != nil || again.Data["id"] != id {
		t.Errorf("the repeat of a credential: %s", again.body)
	}
	rotated := w.must("POST", "/v1/credentials/"+id+"/rotate", `{"overlap_seconds":60}`)
	w.must("GET", "/v1/accounts/"+mine+"/balance", "", as...)
	w.must("GET", "/v1/accounts/"+mine+"/balance", "", "Authorization", "Bearer "+rotated.Data["secret"].(string))
	if got := w.must("GET", "/v1/credentials/"+id, "").Data; got["secret"] != nil || got["last_used_at"] == nil {
		t.Errorf("a credential: %v", got)
	}
	if got := w.must("GET", "/v1/credentials?account="+mine, "").Data["items"].([]any); len(got) != 1 {
		t.Errorf("credentials of the account: %v", got)
	}
	if got := w.must("GET", "/v1/credentials?everything=true", "").Data["items"].([]any); len(got) != 1 {
		t.Errorf("operators: %v", got)
	}
	w.must("DELETE", "/v1/credentials/"+id, "")
	r := w.refused(401, "UNAUTHORIZED", "GET", "/v1/accounts/"+mine+"/balance", "", as...)
	if r.header.Get("WWW-Authenticate") == "" {
		t.Error("401 without WWW-Authenticate")
	}
	w.refused(401, "UNAUTHORIZED", "GET", "/v1/accounts/"+mine+"/balance", "", "Authorization", "")
	w.refused(401, "UNAUTHORIZED", "GET", "/v1/accounts/"+mine+"/balance", "", "Authorization", "Basic eDp5")

	// An administrator of one account cannot issue more than it has.
	admin := w.must("POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["admin"]}`, mine)).Data["secret"].(string)
	as = []string{"Authorization", "Bearer " + admin}
	w.refused(403, "FORBIDDEN", "POST", "/v1/credentials", `{"scopes":["admin"]}`, as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["topup"]}`, mine), as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/credentials", `{"everything":true,"scopes":["admin"]}`, as...)
	w.must("POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["admin"]}`, child), as...)
	imported := w.must("POST", "/v1/credentials", fmt.Sprintf(
		`{"dialect":"twilio","account":%q,"scopes":["read"],"key_id":"AC0123456789abcdef0123456789abcdef","secret":"0123456789abcdef0123456789abcdef"}`, other))
	if imported.Data["secret"] != nil || imported.Data["id"] != "AC0123456789abcdef0123456789abcdef" {
		t.Errorf("brought along: %s", imported.body)
	}
}

func TestSession(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	made := w.must("POST", "/v1/session", "")
	cookie := (&http.Response{Header: made.header}).Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || strings.Contains(cookie.Value, w.token) {
		t.Errorf("the cookie is %v", cookie)
	}
	as := []string{"Authorization", "", "Cookie", cookie.Name + "=" + cookie.Value}
	if got := w.must("GET", "/v1/session", "", as...).Data; got["everything"] != true || got["expires_at"] == nil {
		t.Errorf("a session: %v", got)
	}
	charge := `{"id":"s1","amount":"1"}`
	w.refused(403, "CSRF_HEADER_REQUIRED", "POST", "/v1/accounts/"+id+"/charges", charge, as...)
	w.must("POST", "/v1/accounts/"+id+"/charges", charge, append(as, "Saldo-CSRF", "1")...)
	w.refused(401, "UNAUTHORIZED", "POST", "/v1/session", "", append(as, "Saldo-CSRF", "1")...)
	other := map[bool]string{true: "B", false: "A"}[cookie.Value[40] == 'A']
	forged := cookie.Value[:40] + other + cookie.Value[41:]
	w.refused(401, "UNAUTHORIZED", "GET", "/v1/session", "", "Authorization", "", "Cookie", cookie.Name+"="+forged)

	// Signing out ends the session of whoever has a copy of the cookie too, and no other.
	second := (&http.Response{Header: w.must("POST", "/v1/session", "").header}).Cookies()[0]
	for range 2 {
		if gone := (&http.Response{Header: w.must("DELETE", "/v1/session", "", as...).header}).Cookies()[0]; gone.MaxAge >= 0 {
			t.Errorf("a deleted cookie is %v", gone)
		}
		w.refused(401, "UNAUTHORIZED", "GET", "/v1/session", "", as...)
		w.refused(401, "UNAUTHORIZED", "POST", "/v1/accounts/"+id+"/charges", charge, append(as, "Saldo-CSRF", "1")...)
	}
	as[3] = second.Name + "=" + second.Value
	w.must("GET", "/v1/session", "", as...)
	kept := 0
	for row, err := range w.ledger.Scan(t.Context(), ledger.Query{List: ledger.ListDeadlines, Until: ledger.MaxTime}) {
		if kept++; err != nil || time.Until(row.Due.At.Std()) > 12*time.Hour {
			t.Errorf("kept is %v, %v", row.Due, err)
		}
	}
	if kept != 1 {
		t.Errorf("%d sessions that ended are kept", kept)
	}
	past := ledger.RecordWrite{Kind: "session.ended", Key: "past", Deadline: 1}
	if _, err := w.ledger.Post(t.Context(), &ledger.Command{Records: []ledger.RecordWrite{past}}); err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.ActDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := w.ledger.Record(t.Context(), ledger.RecordKey{Kind: past.Kind, Key: past.Key}); err != nil || r != nil {
		t.Errorf("what ended long ago is kept: %v, %v", r, err)
	}

	// Another node with the same master keys opens it, until its time is over.
	for ahead, opens := range map[time.Duration]bool{0: true, 11*time.Hour + 59*time.Minute: true, 12 * time.Hour: false} {
		node := httptest.NewServer(native.New(w.ledger, w.auth, native.Options{Keys: masterKeys, SecureCookies: true, Now: func() time.Time { return time.Now().Add(ahead) }}))
		defer node.Close()
		other := *w
		if other.url = node.URL; opens {
			other.must("GET", "/v1/session", "", as...)
			behind := (&http.Response{Header: other.must("POST", "/v1/session", "").header}).Cookies()[0]
			if cookie.Secure || !behind.Secure {
				t.Errorf("only what stands behind a proxy that speaks TLS makes cookies for TLS alone, not %v and %v", cookie, behind)
			}
		} else {
			other.refused(401, "UNAUTHORIZED", "GET", "/v1/session", "", as...)
		}
	}
}

// TestFullPage reads events that are large: a page ends when it is full, however
// many it may have, and the next one goes on.
func TestFullPage(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("100")
	note := strings.Repeat("x", 15<<10)
	for n := range 7 {
		var all []string
		for m := range 100 {
			all = append(all, fmt.Sprintf(`{"id":"t%d-%d","from":%q,"to":"@revenue","amount":"0.01","metadata":{"x":%q}}`, n, m, id, note))
		}
		w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"b%d","transfers":[%s]}`, n, strings.Join(all, ",")))
	}
	var pages, seen int
	for after := "0"; after != ""; pages++ {
		a := w.must("GET", "/v1/events?limit=1000&after="+after, "")
		if len(a.body) > 6<<20 {
			t.Errorf("a page has %d bytes", len(a.body))
		}
		for _, e := range a.Data["items"].([]any) {
			if seen++; e.(map[string]any)["seq"] != float64(seen) {
				t.Fatalf("event %d is %v", seen, e.(map[string]any)["seq"])
			}
		}
		after, _ = a.Data["next"].(string)
	}
	if pages != 3 || seen < 8 {
		t.Errorf("%d events in %d pages", seen, pages)
	}
}

func TestEvents(t *testing.T) {
	done := make(chan struct{})
	w := newWorld(t, native.Options{Done: done})
	id := w.account("10")
	w.must("POST", "/v1/accounts/"+id+"/holds", `{"id":"h","amount":"1"}`)
	w.do("POST", "/v1/accounts/"+id+"/charges", `{"id":"c","amount":"100"}`)
	w.must("PATCH", "/v1/accounts/"+id, `{"name":"Ada","status":"frozen","reason":"a test"}`)
	var seen []any
	for after := "0"; ; {
		d := w.must("GET", "/v1/events?limit=2&after="+after, "").Data
		seen = append(seen, d["items"].([]any)...)
		next, more := d["next"].(string)
		if !more {
			break
		}
		after = next
	}
	for i, e := range seen {
		if e.(map[string]any)["seq"] != float64(i+1) {
			t.Errorf("event %d is %v", i+1, e)
		}
	}
	if last := seen[len(seen)-2].(map[string]any); last["outcome"] != "refused" || last["code"] != "INSUFFICIENT_FUNDS" {
		t.Errorf("a refusal is %v", last)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/events?after=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if strings.HasPrefix(s.Text(), "id: ") {
				lines <- s.Text()
			}
		}
	}()
	for n := 3; n <= len(seen); n++ {
		if got := <-lines; got != fmt.Sprintf("id: %d", n) {
			t.Errorf("the stream says %q, want event %d", got, n)
		}
	}
	as := w.as(`{"scopes":["read"]}`)
	for n := range 33 { // a credential cannot take the streams of the others
		r, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(as[0], as[1])
		r.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if (resp.StatusCode == 503) != (n == 32) {
			t.Errorf("stream %d: %s", n+1, resp.Status)
		}
	}
	w.must("GET", "/v1/events", "", append(as, "Accept", "application/json")...)

	issued := w.must("POST", "/v1/credentials", `{"scopes":["read"]}`).Data
	r, err = http.NewRequestWithContext(ctx, "GET", w.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+issued["secret"].(string))
	r.Header.Set("Accept", "text/event-stream")
	revoked, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer revoked.Body.Close()
	w.must("DELETE", "/v1/credentials/"+issued["id"].(string), "")
	if _, err := io.ReadAll(revoked.Body); err != nil {
		t.Errorf("the stream of who is revoked goes on: %v", err)
	}
	w.must("PATCH", "/v1/accounts/"+id, `{"status":"open"}`)
	if got := <-lines; got != fmt.Sprintf("id: %d", len(seen)+1) {
		t.Errorf("the stream says %q of a new event", got)
	}
	close(done)
	if got, open := <-lines; open {
		t.Errorf("the stream says %q after the end", got)
	}
}
