package native_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"saldo/dialect/native"
)

// as issues a credential and returns the headers of a call with it.
func (w *world) as(body string) []string {
	w.t.Helper()
	return []string{"Authorization", "Bearer " + w.must("POST", "/v1/credentials", body).Data["secret"].(string)}
}

// TestOwnRoot: whoever opens a subtree cannot change what bounds them, and
// cannot make money by lending it, to themselves or to what is below.
func TestOwnRoot(t *testing.T) {
	w := newWorld(t, native.Options{})
	root, other := w.account("10"), w.account("")
	child := w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q}`, root)).Data["id"].(string)
	drawing := w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q,"mode":"drawing","cap":"1"}`, root)).Data["id"].(string)
	at, below, through := "/v1/accounts/"+root, "/v1/accounts/"+child, "/v1/accounts/"+drawing
	holder := w.as(fmt.Sprintf(`{"account":%q,"scopes":["read","charge","admin"]}`, root))
	reseller := w.as(fmt.Sprintf(`{"account":%q,"scopes":["read","charge","topup","admin"]}`, root))

	for _, as := range [][]string{holder, reseller} {
		for _, body := range []string{`{"credit_limit":"100"}`, `{"credit_limit":"-1"}`, `{"status":"frozen"}`, `{"cap":"1"}`, `{"cap":null}`,
			`{"credit_limit":"1","force":true,"reason":"x"}`, `{"name":"Ada","status":"open"}`} {
			w.refused(403, "FORBIDDEN", "PATCH", at, body, as...)
		}
		w.must("PATCH", at, `{"name":"Ada"}`, as...)
		w.refused(403, "FORBIDDEN", "POST", at+"/erase", "", as...)
		forced := `{"id":"f-1","amount":"1","force":true,"reason":"x"}`
		w.refused(403, "FORBIDDEN", "POST", at+"/charges", forced, as...)
		w.refused(403, "FORBIDDEN", "POST", through+"/charges", forced, as...) // which draws on the root
		w.refused(403, "FORBIDDEN", "POST", at+"/adjustments", `{"id":"f-1","amount":"-1","force":true,"reason":"x"}`, as...)
		w.refused(403, "FORBIDDEN", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"f-2","from":%q,"to":%q,"amount":"99","force":true,"reason":"x"}`, root, other), as...)
		w.refused(403, "FORBIDDEN", "POST", "/v1/transfers", fmt.Sprintf(`{"transfers":[{"id":"f-3","from":%q,"to":%q,"amount":"99","force":true,"reason":"x"}]}`, root, other), as...)
		w.must("PATCH", through, `{"cap":"2"}`, as...)
		w.must("PATCH", below, `{"status":"frozen"}`, as...)
		w.must("PATCH", below, `{"status":"open","credit_limit":"0"}`, as...)
	}
	w.must("POST", below+"/topups", `{"id":"m-0","amount":"5"}`)

	lent := fmt.Sprintf(`{"id":"f-4","from":%q,"to":%q,"amount":"99","force":true,"reason":"x"}`, child, root)
	credit := fmt.Sprintf(`{"parent":%q,"credit_limit":"100"}`, root)
	w.refused(403, "FORBIDDEN", "POST", "/v1/transfers", lent, holder...)
	w.refused(403, "FORBIDDEN", "PATCH", below, `{"credit_limit":"100"}`, holder...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts", credit, holder...)
	w.must("PATCH", below, `{"credit_limit":"100"}`, reseller...)
	w.must("POST", "/v1/accounts", credit, reseller...)
	w.must("POST", "/v1/transfers", lent, reseller...)

	// What was charged comes back by force only for those above who got it.
	w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"m-1","from":%q,"to":%q,"amount":"5"}`, child, root))
	w.refused(403, "FORBIDDEN", "POST", "/v1/transfers/m-1/refunds", `{"id":"m-2","force":true,"reason":"x"}`, reseller...)
	w.must("POST", "/v1/transfers/m-1/refunds", `{"id":"m-2","force":true,"reason":"x"}`)
}

// TestFrozenStaysFrozen: an adjustment may take from a frozen account, so it is
// not for whoever may only charge.
func TestFrozenStaysFrozen(t *testing.T) {
	w := newWorld(t, native.Options{})
	id, other := w.account("10"), w.account("")
	as := w.as(fmt.Sprintf(`{"account":%q,"scopes":["read","charge"]}`, id))
	w.must("PATCH", "/v1/accounts/"+id, `{"status":"frozen"}`)
	w.refused(409, "ACCOUNT_FROZEN", "POST", "/v1/accounts/"+id+"/charges", `{"id":"z1","amount":"1"}`, as...)
	w.refused(403, "FORBIDDEN", "POST", "/v1/accounts/"+id+"/adjustments", `{"id":"z2","amount":"-1"}`, as...)
	for _, to := range []string{other, "@revenue"} {
		w.refused(403, "FORBIDDEN", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"z3","from":%q,"to":%q,"amount":"1","kind":"adjustment"}`, id, to), as...)
	}
	w.must("POST", "/v1/accounts/"+id+"/adjustments", `{"id":"z4","amount":"-1"}`)
}

// TestOthersAreNotThere: of what a credential does not open it learns nothing,
// not even that there is such a thing.
func TestOthersAreNotThere(t *testing.T) {
	w := newWorld(t, native.Options{})
	w.must("POST", "/v1/tenants", `{"name":"acme"}`)
	mine, other := w.account("10"), w.account("10")
	as := w.as(fmt.Sprintf(`{"account":%q,"scopes":["read","charge","topup","admin"]}`, mine))
	theirs := w.must("POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["read"]}`, other)).Data["id"].(string)
	w.must("POST", "/v1/accounts/"+other+"/holds", `{"id":"his-hold","amount":"1"}`)
	w.must("POST", "/v1/accounts/"+other+"/charges", `{"id":"his-charge","amount":"1"}`)
	w.do("POST", "/v1/accounts/"+other+"/charges", `{"id":"his-refused","amount":"1000"}`)
	w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"both","transfers":[{"id":"both-1","from":%q,"to":"@revenue","amount":"1"},{"id":"both-2","from":%q,"to":"@revenue","amount":"2"}]}`, other, mine))

	const nobody = "01a1ffff-71f2-7e26-8f7c-e1362c814557"
	for _, c := range []struct{ method, path, body, there, not string }{
		{"GET", "/v1/accounts/X", "", other, nobody},
		{"GET", "/v1/accounts/X/balance", "", other, nobody},
		{"GET", "/v1/accounts/X/statement", "", other, nobody},
		{"GET", "/v1/accounts/X/series", "", other, nobody},
		{"GET", "/v1/accounts/X/holds", "", other, nobody},
		{"GET", "/v1/accounts/X/aliases", "", other, nobody},
		{"GET", "/v1/accounts?parent=X", "", other, nobody},
		{"GET", "/v1/balances?id=X", "", other, nobody},
		{"GET", "/v1/credentials?account=X", "", other, nobody},
		{"POST", "/v1/accounts", `{"parent":"X"}`, other, nobody},
		{"POST", "/v1/accounts/X/charges", `{"id":"n-1","amount":"1"}`, other, nobody},
		{"POST", "/v1/accounts/X/topups", `{"id":"n-1","amount":"1"}`, other, nobody},
		{"POST", "/v1/accounts/X/adjustments", `{"id":"n-1","amount":"1"}`, other, nobody},
		{"POST", "/v1/accounts/X/holds", `{"id":"n-1","amount":"1"}`, other, nobody},
		{"POST", "/v1/accounts/X/erase", ``, other, nobody},
		{"POST", "/v1/accounts/X/aliases", `{"dialect":"frontier","external":"x"}`, other, nobody},
		{"PATCH", "/v1/accounts/X", `{"name":"x"}`, other, nobody},
		{"POST", "/v1/transfers", `{"id":"n-2","from":"X","to":"@revenue","amount":"1"}`, other, nobody},
		{"GET", "/v1/holds/X", "", "his-hold", "no-hold"},
		{"POST", "/v1/holds/X/release", "", "his-hold", "no-hold"},
		{"POST", "/v1/holds/X/captures", `{"id":"n-3"}`, "his-hold", "no-hold"},
		{"POST", "/v1/holds/X/extend", `{"ttl_seconds":1}`, "his-hold", "no-hold"},
		{"POST", "/v1/holds/X/raise", `{"id":"n-3","amount":"1"}`, "his-hold", "no-hold"},
		{"GET", "/v1/transfers/X", "", "his-charge", "no-charge"},
		{"GET", "/v1/transfers/X", "", "his-refused", "no-refused"},
		{"GET", "/v1/transfers/X", "", "his-hold", "no-hold"},
		{"GET", "/v1/transfers/X", "", "both-1", "neither"},
		{"POST", "/v1/transfers/X/refunds", `{"id":"n-4"}`, "his-charge", "no-charge"},
		{"GET", "/v1/tenants/X", "", "acme", "nobody"},
		{"GET", "/v1/credentials/X", "", theirs, nobody},
		{"DELETE", "/v1/credentials/X", "", theirs, nobody},
	} {
		ask := func(x string) (int, string) {
			a := w.do(c.method, strings.ReplaceAll(c.path, "X", x), strings.ReplaceAll(c.body, "X", x), as...)
			return a.status, strings.ReplaceAll(string(a.body), x, "X")
		}
		there, what := ask(c.there)
		not, nothing := ask(c.not)
		if there != 404 || not != 404 || what != nothing {
			t.Errorf("%s %s: %d %s where there is one, %d %s where there is none", c.method, c.path, there, what, not, nothing)
		}
	}
	for _, name := range []string{"acme", "nobody"} {
		w.refused(403, "FORBIDDEN", "GET", "/v1/units", "", append(as, "Saldo-Tenant", name)...)
		w.refused(403, "FORBIDDEN", "GET", "/v1/units?tenant="+name, "", as...)
		w.refused(403, "FORBIDDEN", "POST", "/v1/credentials", fmt.Sprintf(`{"tenant":%q,"scopes":["read"]}`, name), as...)
	}
	if text := string(w.must("GET", "/v1/transfers/both", "", as...).body); strings.Contains(text, other) || !strings.Contains(text, "both-2") {
		t.Errorf("of a batch it sees %s", text)
	}
	if text := string(w.must("GET", "/v1/events?limit=1000", "", as...).body); strings.Contains(text, other) || strings.Contains(text, "his-") || !strings.Contains(text, "both-2") {
		t.Errorf("of the events it sees %s", text)
	}
	for _, q := range []string{other, "his-hold", "his-charge", "both-1"} {
		if got := w.must("GET", "/v1/search?q="+q, "", as...).Data["items"].([]any); len(got) != 0 {
			t.Errorf("%s: it finds %v", q, got)
		}
	}
}

// TestIssuing: no credential makes one that outlives it, or that is good from
// where it is not.
func TestIssuing(t *testing.T) {
	w := newWorld(t, native.Options{})
	ends := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	later := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	as := w.as(fmt.Sprintf(`{"tenant":"main","scopes":["read","admin"],"allow":["127.0.0.0/8","::1"],"expires_at":%q}`, ends))
	issue := func(more string) string { return `{"scopes":["read"]` + more + `}` }
	for _, more := range []string{"", fmt.Sprintf(`,"expires_at":%q`, ends), `,"allow":["127.0.0.1"]`,
		fmt.Sprintf(`,"allow":["127.0.0.1"],"expires_at":%q`, later), fmt.Sprintf(`,"allow":["0.0.0.0/0"],"expires_at":%q`, ends),
		fmt.Sprintf(`,"allow":["127.0.0.1","10.0.0.0/8"],"expires_at":%q`, ends)} {
		w.refused(403, "FORBIDDEN", "POST", "/v1/credentials", issue(more), as...)
	}
	w.must("POST", "/v1/credentials", issue(fmt.Sprintf(`,"allow":["127.0.0.1","127.1.0.0/16"],"expires_at":%q`, ends)), as...)
	lasting := w.must("POST", "/v1/credentials", `{"scopes":["read"]}`).Data["id"].(string)
	w.refused(403, "FORBIDDEN", "POST", "/v1/credentials/"+lasting+"/rotate", "", as...)
	w.must("DELETE", "/v1/credentials/"+lasting, "", as...)
	w.refused(400, "VALIDATION_ERROR", "POST", "/v1/credentials", `{"everything":true,"tenant":"main","scopes":["read"]}`)
}

// TestCaptureNamesItsHold: wherever a capture is read.
func TestCaptureNamesItsHold(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	w.must("POST", "/v1/accounts/"+id+"/holds", `{"id":"job/7","amount":"2"}`)
	w.must("POST", "/v1/holds/job%2F7/captures", `{"id":"job-7-paid","amount":"1"}`)
	line := w.must("GET", "/v1/accounts/"+id+"/statement?limit=1", "").Data["items"].([]any)[0].(map[string]any)
	if line["kind"] != "capture" || line["hold"] != "job/7" {
		t.Errorf("a line: %v", line)
	}
	if got := w.must("GET", "/v1/transfers/job-7-paid", "").Data; got["hold"] != "job/7" {
		t.Errorf("a transfer: %v", got)
	}
	if csv := w.must("GET", "/v1/accounts/"+id+"/statement?limit=1", "", "Accept", "text/csv"); !strings.Contains(string(csv.body), ",job/7,\n") {
		t.Errorf("CSV: %s", csv.body)
	}
	if events := w.must("GET", "/v1/events?limit=1000", ""); !strings.Contains(string(events.body), `"hold":"job/7"`) {
		t.Errorf("events: %s", events.body)
	}
	w.must("POST", "/v1/accounts/"+id+"/charges", `{"id":"back","amount":"500","force":true,"reason":"chargeback"}`)
	if csv := w.must("GET", "/v1/accounts/"+id+"/statement?limit=1", "", "Accept", "text/csv"); !strings.HasSuffix(string(csv.body), ",,,true\n") {
		t.Errorf("CSV: %s", csv.body)
	}
}
