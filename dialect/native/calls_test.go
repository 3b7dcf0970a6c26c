package native_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"saldo/dialect/native"
)

func TestMoney(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10.00")
	charges := "/v1/accounts/" + id + "/charges"

	t.Run("a repeat is answered as the first was", func(t *testing.T) {
		first := w.must("POST", charges, `{"id":"c1","amount":"2.5","reason":"a \"test\"","metadata":{"b":1,"a":"x"},"category":"sms","count":3}`)
		again := w.must("POST", charges, `{"metadata":{"a":"x","b":1},"id":"c1","amount":2.50,"reason":"a \"test\"","category":"sms","count":"3"}`)
		if string(first.body) != string(again.body) || first.status != again.status {
			t.Errorf("a repeat answers %d %s, the first time it was %d %s", again.status, again.body, first.status, first.body)
		}
		if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
			t.Error("only the repeat is marked as one")
		}
		w.refused(422, "IDEMPOTENCY_MISMATCH", "POST", charges, `{"id":"c1","amount":"2.6"}`)
		w.refused(422, "IDEMPOTENCY_MISMATCH", "POST", charges, `{"id":"c1","amount":"2.5","reason":"another"}`)
		if got := w.spendable(id); got != "7.500000" {
			t.Errorf("spendable %s", got)
		}
	})
	t.Run("a key in the header", func(t *testing.T) {
		w.must("POST", charges, `{"amount":"0.5"}`, "Idempotency-Key", "c-header")
		a := w.must("POST", charges, `{"id":"c-header","amount":"0.5"}`, "Idempotency-Key", `"c-header"`)
		if a.header.Get("Idempotent-Replayed") != "true" {
			t.Error("the header is the same thing as the id")
		}
		w.refused(400, "IDEMPOTENCY_KEY_DISAGREES", "POST", charges, `{"id":"x","amount":"0.5"}`, "Idempotency-Key", "y")
		w.refused(400, "ID_REQUIRED", "POST", charges, `{"amount":"0.5"}`)
	})
	t.Run("a refusal is remembered", func(t *testing.T) {
		first := w.refused(402, "INSUFFICIENT_FUNDS", "POST", charges, `{"id":"c2","amount":"20"}`)
		for name, want := range map[string]any{"required": "20.000000", "spendable": "7.000000", "unit": "USD", "account": id,
			"limit_source": "funds", "retryable": false} {
			if first.Error[name] != want {
				t.Errorf("%s is %v, want %v", name, first.Error[name], want)
			}
		}
		w.must("POST", "/v1/accounts/"+id+"/topups", `{"id":"t2","amount":"100"}`)
		again := w.refused(402, "INSUFFICIENT_FUNDS", "POST", charges, `{"id":"c2","amount":"20"}`)
		if string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("the repeat of a refusal: %s, was %s", again.body, first.body)
		}
	})
	t.Run("up to, forced, adjusted", func(t *testing.T) {
		id := w.account("3")
		at := "/v1/accounts/" + id
		if got := w.must("POST", at+"/charges", `{"id":"u1","amount":"5","up_to":true}`).Data; got["amount"] != "3.000000" || got["asked"] != "5.000000" {
			t.Errorf("up to 5 of 3 is %v", got)
		}
		w.refused(400, "VALIDATION_ERROR", "POST", at+"/charges", `{"id":"f1","amount":"5","force":true}`)
		if got := w.must("POST", at+"/charges", `{"id":"f1","amount":"5","force":true,"reason":"chargeback"}`).Data; got["forced"] != true ||
			got["balance"].(map[string]any)["spendable"] != "-5.000000" {
			t.Errorf("forced: %v", got)
		}
		w.must("POST", at+"/adjustments", `{"id":"a1","amount":"9","reason":"made good"}`)
		w.refused(402, "INSUFFICIENT_FUNDS", "POST", at+"/adjustments", `{"id":"a2","amount":"-9"}`)
		if got := w.must("POST", at+"/adjustments", `{"id":"a3","amount":-1,"against":"@fees"}`).Data; got["to"] != "@fees" {
			t.Errorf("an adjustment below zero: %v", got)
		}
		if got := w.spendable(id); got != "3.000000" {
			t.Errorf("spendable %s", got)
		}
	})
	t.Run("batches", func(t *testing.T) {
		a, b := w.account("10"), w.account("")
		body := fmt.Sprintf(`{"transfers":[{"id":"b1","from":%q,"to":"@revenue","amount":"1"},{"id":"b2","from":"@cash","to":%q,"amount":2.5},`+
			`{"id":"b3","from":%q,"to":%q,"amount":"4","metadata":{"n":1}}]}`, a, b, a, strings.ReplaceAll(b, "-", ""))
		first := w.must("POST", "/v1/transfers", body)
		again := w.must("POST", "/v1/transfers", body)
		if string(first.body) != string(again.body) {
			t.Errorf("the repeat of a batch: %s, was %s", again.body, first.body)
		}
		if w.spendable(a) != "5.000000" || w.spendable(b) != "6.500000" {
			t.Errorf("%s and %s after %s", w.spendable(a), w.spendable(b), first.body)
		}
		for id, kind := range map[string]string{"b1": "charge", "b2": "topup", "b3": "move"} {
			if got := w.must("GET", "/v1/transfers/"+id, "").Data["kind"]; got != kind {
				t.Errorf("%s is a %v, want %s", id, got, kind)
			}
		}
		whole := w.must("GET", "/v1/transfers/"+first.Data["id"].(string), "")
		if n := len(whole.Data["transfers"].([]any)); n != 3 {
			t.Errorf("the batch has %d transfers", n)
		}
		w.refused(402, "INSUFFICIENT_FUNDS", "POST", "/v1/transfers", fmt.Sprintf(
			`{"id":"bb","transfers":[{"from":%q,"to":%q,"amount":"1"},{"from":%q,"to":%q,"amount":"100"}]}`, a, b, a, b))
		if w.spendable(a) != "5.000000" {
			t.Error("a part of a refused batch was done")
		}
		for body, field := range map[string]string{
			`{"id":"bc","transfers":[{"from":"@cash","to":"ACCOUNT","amount":"1"},{"from":"@cash","to":"ACCOUNT","amount":"1.0000001"}]}`:   "transfers[1].amount",
			`{"id":"bc","transfers":[{"from":"@cash","to":"ACCOUNT","amount":"1"},{"from":"@cash","amount":"1"}]}`:                          "transfers[1].to",
			`{"id":"bc","transfers":[{"from":"@cash","to":"ACCOUNT","amount":"1","x":1}]}`:                                                  "transfers[0].x",
			`{"id":"bc","transfers":[{"from":"@cash","to":"ACCOUNT","amount":"1"},{"from":"@cash","to":"ACCOUNT","amount":"-1"}]}`:          "transfers[1].amount",
			`{"id":"bc","transfers":[{"from":"@cash","to":"ACCOUNT","amount":"1"},{"id":"bc","from":"@cash","to":"ACCOUNT","amount":"1"}]}`: "transfers[1].id",
			`{"id":"bc","transfers":[{"id":"bc","from":"@cash","to":"ACCOUNT","amount":"1"},{"from":"@cash","to":"ACCOUNT","amount":"1"}]}`: "transfers[0].id",
		} {
			r := w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers", strings.ReplaceAll(body, "ACCOUNT", a))
			if got := r.Error["details"].([]any)[0].(map[string]any)["field"]; got != field {
				t.Errorf("the field is %v, want %s: %s", got, field, r.body)
			}
		}
		w.refused(400, "ID_REQUIRED", "POST", "/v1/transfers", fmt.Sprintf(`{"transfers":[{"from":%q,"to":%q,"amount":"1"}]}`, a, b))
		lone := w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"lone","from":%q,"to":%q,"amount":"1"}`, a, "AC"+strings.ReplaceAll(b, "-", "")))
		if lone.Data["balance"].(map[string]any)["spendable"] != "4.000000" {
			t.Errorf("a lone transfer: %s", lone.body)
		}
		w.must("POST", "/v1/transfers", `{"id":"sys","from":"@revenue:USD","to":"@fees","amount":"0.25","reason":"moved"}`)
		w.must("GET", "/v1/accounts/@fees:USD/balance", "")
		w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers", `{"id":"sys2","from":"@revenue","to":"@fees","amount":"0.25"}`)
		w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"k1","kind":"topup","from":%q,"to":%q,"amount":"1"}`, a, b))
	})
	t.Run("between books", func(t *testing.T) {
		w.must("POST", "/v1/books", `{"name":"second"}`)
		a := w.account("10")
		b := w.must("POST", "/v1/accounts", `{"unit":"USD","book":"second"}`).Data["id"].(string)
		body := fmt.Sprintf(`{"id":"mb1","from":%q,"to":%q,"amount":"4","reason":"moved"}`, a, b)
		first := w.must("POST", "/v1/transfers", body)
		again := w.must("POST", "/v1/transfers", body)
		if string(first.body) != string(again.body) || first.Data["between_books"] != true || w.spendable(a) != "6.000000" || w.spendable(b) != "4.000000" {
			t.Errorf("a move between books: %s, then %s", first.body, again.body)
		}
		w.refused(402, "INSUFFICIENT_FUNDS", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"mb2","from":%q,"to":%q,"amount":"7"}`, a, b))
		w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers", fmt.Sprintf(`{"id":"mb3","from":%q,"to":%q,"amount":"1","up_to":true}`, a, b))
		w.refused(422, "IDEMPOTENCY_MISMATCH", "POST", "/v1/transfers", strings.Replace(body, "moved", "moved, for another reason", 1))
		for _, id := range []string{a, b} { // both halves have the move's id
			half := w.must("GET", "/v1/accounts/"+id+"/statement", "").Data["items"].([]any)[0].(map[string]any)
			if half["id"] != "mb1" {
				t.Errorf("the half is %v", half)
			}
		}
		if read := w.must("GET", "/v1/transfers/mb1", "").Data; read["from"] != a || read["to"] != b || read["amount"] != "4.000000" ||
			read["reason"] != "moved" || read["between_books"] != true || read["created_at"] != first.Data["created_at"] {
			t.Errorf("it is read as %v", read)
		}
		w.field("id", "/v1/transfers/mb1/refunds", `{"id":"mb4"}`)
		w.refused(404, "NOT_FOUND", "GET", "/v1/transfers/mb2", "")
		w.field("to", "/v1/accounts/"+a+"/charges", fmt.Sprintf(`{"id":"mb5","amount":"1","to":%q}`, b))
		w.field("transfers[0].to", "/v1/transfers", fmt.Sprintf(`{"id":"mb6","transfers":[{"from":%q,"to":%q,"amount":"1"}]}`, a, b))
		w.field("transfers[1].from", "/v1/transfers", fmt.Sprintf(`{"id":"mb6","transfers":[{"from":%q,"to":"@fees","amount":"1"},{"from":%q,"to":"@fees","amount":"1"}]}`, a, b))
		w.must("POST", "/v1/accounts/"+a+"/holds", `{"id":"mb7","amount":"1"}`)
		w.field("to[0].account", "/v1/holds/mb7/captures", fmt.Sprintf(`{"id":"mb8","to":[{"account":%q,"amount":"1"}]}`, b))
	})
	t.Run("nothing and less", func(t *testing.T) {
		id := w.account("10")
		w.must("POST", "/v1/accounts/"+id+"/holds", `{"id":"n1","amount":"1"}`)
		w.must("POST", "/v1/accounts/"+id+"/charges", `{"id":"n2","amount":"1"}`)
		for path, field := range map[string]string{"/v1/accounts/" + id + "/topups": "amount", "/v1/accounts/" + id + "/charges": "amount",
			"/v1/accounts/" + id + "/holds": "amount", "/v1/holds/n1/captures": "amount", "/v1/holds/n1/raise": "amount", "/v1/transfers/n2/refunds": "amount"} {
			for _, amount := range []string{"0", "-1"} {
				w.field(field, path, `{"id":"n3","amount":"`+amount+`"}`)
			}
		}
		w.field("amount", "/v1/accounts/"+id+"/adjustments", `{"id":"n3","amount":"0"}`)
		w.field("to[0].amount", "/v1/holds/n1/captures", `{"id":"n3","to":[{"account":"@fees","amount":"0"}]}`)
	})
	t.Run("refunds", func(t *testing.T) {
		id := w.account("10")
		w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"two","transfers":[{"from":%q,"to":"@fees","amount":"1"},{"from":%q,"to":"@fees","amount":"2"}]}`, id, id))
		if r := w.refused(400, "VALIDATION_ERROR", "POST", "/v1/transfers/two/refunds", `{"id":"r0"}`); !strings.Contains(string(r.body), "two#0") {
			t.Errorf("what the first transfer of a batch is called is not said: %s", r.body)
		}
		w.must("POST", "/v1/transfers/two%230/refunds", `{"id":"r0"}`)
		w.must("POST", "/v1/transfers/two%231/refunds", `{"id":"r0b"}`)
		w.must("POST", "/v1/accounts/"+id+"/charges", `{"id":"order/7 #1","amount":"6"}`)
		refunds := "/v1/transfers/order%2F7%20%231/refunds"
		part := w.must("POST", refunds, `{"id":"r1","amount":"2","reason":"half"}`)
		if part.Data["of"] != "order/7 #1" || part.Data["kind"] != "refund" || part.Data["balance"].(map[string]any)["spendable"] != "6.000000" {
			t.Errorf("a refund: %s", part.body)
		}
		if r := w.refused(409, "REFUND_EXCEEDS_TRANSFER", "POST", refunds, `{"id":"r2","amount":"5"}`); r.Error["spendable"] != "4.000000" {
			t.Errorf("what is left is not said: %s", r.body)
		}
		w.must("POST", refunds, `{"id":"r3"}`)
		if got := w.spendable(id); got != "10.000000" {
			t.Errorf("spendable %s", got)
		}
		if again := w.must("POST", refunds, `{"id":"r1","amount":"2","reason":"half"}`); string(again.body) != string(part.body) {
			t.Errorf("the repeat of a refund: %s, was %s", again.body, part.body)
		}
		w.must("GET", "/v1/transfers/r3", "")
		w.refused(404, "NOT_FOUND", "GET", "/v1/transfers/nothing", "")
		w.refused(404, "NOT_FOUND", "POST", "/v1/transfers/nothing/refunds", `{"id":"r4"}`)
	})
}

func TestHolds(t *testing.T) {
	w := newWorld(t, native.Options{})
	id, payee := w.account("10"), w.account("")
	holds := "/v1/accounts/" + id + "/holds"
	h := w.must("POST", holds, `{"id":"h1","amount":"4","ttl_seconds":3600,"reason":"a job","metadata":{"job":7}}`)
	if h.Data["state"] != "open" || h.Data["balance"].(map[string]any)["spendable"] != "6.000000" || h.Data["reason"] != "a job" {
		t.Errorf("a hold: %s", h.body)
	}
	again := w.must("POST", holds, `{"id":"h1","amount":"4.0","ttl_seconds":3600,"reason":"a job","metadata":{"job":7}}`)
	if string(again.body) != string(h.body) {
		t.Errorf("the repeat of a hold: %s, was %s", again.body, h.body)
	}
	at := "/v1/holds/h1"
	c := w.must("POST", at+"/captures", fmt.Sprintf(`{"id":"p1","to":[{"account":%q,"amount":"1"},{"account":"@fees","amount":"0.5"}],"amount":"1.5","count":1}`, payee))
	if hold := c.Data["hold"].(map[string]any); hold["remaining"] != "2.500000" || hold["captured"] != "1.500000" || len(c.Data["transfers"].([]any)) != 2 {
		t.Errorf("a capture: %s", c.body)
	}
	w.refused(400, "VALIDATION_ERROR", "POST", at+"/captures", fmt.Sprintf(`{"id":"p2","to":[{"account":%q,"amount":"1"}],"amount":"1.5"}`, payee))
	w.refused(402, "INSUFFICIENT_FUNDS", "POST", at+"/raise", `{"id":"ra1","amount":"100"}`)
	if got := w.must("POST", at+"/raise", `{"id":"ra2","amount":"1"}`); got.Data["remaining"] != "3.500000" {
		t.Errorf("a raise: %s", got.body)
	}
	if got := w.must("POST", at+"/extend", `{"expires_at":"never"}`); got.Data["expires_at"] != nil {
		t.Errorf("never is %s", got.body)
	}
	w.must("POST", at+"/extend", `{"expires_at":"2099-01-01T00:00:00+01:00"}`)
	w.refused(400, "VALIDATION_ERROR", "POST", at+"/extend", `{}`)
	w.refused(400, "VALIDATION_ERROR", "POST", at+"/extend", `{"expires_at":"2020-01-01T00:00:00Z"}`)
	w.refused(400, "VALIDATION_ERROR", "POST", at+"/extend", `{"expires_at":"never","ttl_seconds":1}`)
	if got := w.must("POST", at+"/captures", `{"id":"p3","amount":"1","final":true}`); got.Data["hold"].(map[string]any)["state"] != "captured" {
		t.Errorf("the final capture: %s", got.body)
	}
	w.refused(409, "HOLD_CLOSED", "POST", at+"/captures", `{"id":"p4","amount":"1"}`)
	if again := w.must("POST", at+"/captures", fmt.Sprintf(`{"id":"p1","to":[{"account":%q,"amount":"1"},{"account":"@fees","amount":"0.5"}],"amount":"1.5","count":1}`, payee)); string(again.body) != string(c.body) {
		t.Errorf("the repeat of a capture: %s, was %s", again.body, c.body)
	}

	w.must("POST", holds, `{"id":"h2","amount":"1"}`)
	w.must("POST", holds, `{"id":"h3","amount":"1"}`)
	if got := w.must("POST", "/v1/holds/h2/release", ""); got.Data["state"] != "released" {
		t.Errorf("a release: %s", got.body)
	}
	w.refused(409, "HOLD_CLOSED", "POST", "/v1/holds/h2/release", `{"reason":"twice"}`)
	w.must("POST", holds, `{"id":"h4","amount":"1","ttl_seconds":1}`)
	for state, want := range map[string]int{"": 2, "?state=open": 2, "?state=captured": 1, "?state=released": 1, "?state=all": 4} {
		if got := len(w.must("GET", holds+state, "").Data["items"].([]any)); got != want {
			t.Errorf("%d holds %s, want %d", got, state, want)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	if got := w.must("GET", "/v1/holds/h4", ""); got.Data["state"] != "expired" {
		t.Errorf("after its end: %s", got.body)
	}
	w.refused(409, "HOLD_EXPIRED", "POST", "/v1/holds/h4/captures", `{"id":"p5"}`)
	w.refused(404, "NOT_FOUND", "GET", "/v1/holds/none", "")
	if got := w.spendable(id); got != "6.500000" {
		t.Errorf("spendable %s", got)
	}
}

func TestAccounts(t *testing.T) {
	w := newWorld(t, native.Options{})
	made := w.must("POST", "/v1/accounts", `{"id":"open-1","unit":"USD","name":"Ada Lovelace","metadata":{"email":"ada@example.com","n":12},"credit_limit":"5"}`)
	id := made.Data["id"].(string)
	if again := w.must("POST", "/v1/accounts", `{"id":"open-1","unit":"USD","name":"Ada Lovelace","metadata":{"email":"ada@example.com","n":12},"credit_limit":"5.0"}`); string(again.body) != string(made.body) {
		t.Errorf("the repeat of an account: %s, was %s", again.body, made.body)
	}
	at := "/v1/accounts/" + id
	a := w.must("GET", at, "")
	tag := a.header.Get("ETag")
	if a.Data["name"] != "Ada Lovelace" || a.Data["metadata"].(map[string]any)["n"] != 12.0 || tag == "" {
		t.Errorf("an account: %s", a.body)
	}
	b := w.must("PATCH", at, `{"id":"patch-1","status":"frozen","credit_limit":"7"}`, "If-Match", tag)
	if b.Data["status"] != "frozen" || b.Data["name"] != "Ada Lovelace" || b.Data["balance"].(map[string]any)["spendable"] != "7.000000" {
		t.Errorf("a change: %s", b.body)
	}
	w.refused(412, "PRECONDITION_FAILED", "PATCH", at, `{"status":"open"}`, "If-Match", tag)
	w.refused(412, "PRECONDITION_FAILED", "PATCH", at, `{"status":"open"}`, "If-Match", "W/"+tag)
	w.refused(409, "ACCOUNT_FROZEN", "POST", at+"/charges", `{"id":"fr1","amount":"1"}`)
	w.must("PATCH", at, `{"status":"open","metadata":{"email":"ada@example.org"}}`)
	if got := w.must("GET", at, "").Data; got["name"] != "Ada Lovelace" || got["metadata"].(map[string]any)["email"] != "ada@example.org" || got["status"] != "open" {
		t.Errorf("after a change of metadata: %v", got)
	}
	if again := w.must("PATCH", at, `{"id":"patch-1","status":"frozen","credit_limit":"7"}`, "If-Match", tag); string(again.body) != string(b.body) {
		t.Errorf("the repeat of a change: %s, was %s", again.body, b.body)
	}
	w.must("POST", at+"/charges", `{"id":"cr1","amount":"6"}`)
	w.refused(402, "INSUFFICIENT_FUNDS", "PATCH", at, `{"credit_limit":"2"}`)
	w.refused(400, "VALIDATION_ERROR", "PATCH", at, `{"credit_limit":"2","force":true}`)
	w.must("PATCH", at, `{"credit_limit":"2","force":true,"reason":"bounced"}`)
	w.refused(409, "ACCOUNT_NOT_EMPTY", "PATCH", at, `{"status":"closed"}`)

	child := w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q,"mode":"drawing","cap":"3","name":"Ada's team"}`, id))
	cid := child.Data["id"].(string)
	w.must("POST", at+"/topups", `{"id":"tu","amount":"20"}`)
	drawn := w.must("POST", "/v1/accounts/"+cid+"/charges", `{"id":"d1","amount":"2"}`)
	if drawn.Data["via"] != cid || drawn.Data["from"] != id || drawn.Data["balance"].(map[string]any)["spendable"] != "1.000000" {
		t.Errorf("a drawing charge: %s", drawn.body)
	}
	if r := w.refused(402, "INSUFFICIENT_FUNDS", "POST", "/v1/accounts/"+cid+"/charges", `{"id":"d2","amount":"2"}`); r.Error["limit_source"] != "cap" {
		t.Errorf("a cap: %s", r.body)
	}
	if got := w.must("PATCH", "/v1/accounts/"+cid, `{"cap":null}`); got.Data["cap"] != nil {
		t.Errorf("without a cap: %s", got.body)
	}
	lines := w.must("GET", "/v1/accounts/"+cid+"/statement", "").Data["items"].([]any)
	if len(lines) != 1 || lines[0].(map[string]any)["amount"] != "-2.000000" {
		t.Errorf("a drawing statement: %v", lines)
	}

	for query, want := range map[string]int{"ada": 2, "lovel": 1, "ada lovelace": 1, "ada@example.org": 1, "nobody": 0, id: 1,
		"AC" + strings.ReplaceAll(id, "-", ""): 1, "d1": 2, w.must("POST", "/v1/credentials", fmt.Sprintf(`{"account":%q,"scopes":["read"]}`, cid)).Data["id"].(string): 1} {
		if got := len(w.must("GET", "/v1/search?q="+strings.ReplaceAll(query, " ", "+"), "").Data["items"].([]any)); got != want {
			t.Errorf("%d accounts for %q, want %d", got, query, want)
		}
	}
	for query, want := range map[string]int{"": 2, "?parent=" + id: 1, "?roots=true": 1, "?status=frozen": 0} {
		if got := len(w.must("GET", "/v1/accounts"+query, "").Data["items"].([]any)); got != want {
			t.Errorf("%d accounts %s, want %d", got, query, want)
		}
	}
	if got := w.must("GET", "/v1/balances?id="+id+"&id="+cid, "").Data["items"].([]any); len(got) != 2 {
		t.Errorf("balances: %v", got)
	}
	w.refused(404, "NOT_FOUND", "GET", "/v1/balances?id="+id+"&id=01a1ffff-71f2-7e26-8f7c-e1362c814557", "")

	e := w.must("POST", at+"/erase", "")
	if e.Data["erased_at"] == nil {
		t.Errorf("an erasure: %s", e.body)
	}
	if got := w.must("GET", at, "").Data; got["name"] != nil || got["metadata"] != nil {
		t.Errorf("after an erasure: %v", got)
	}
	over := w.must("GET", "/v1/overview", "").Data["items"].([]any)[0].(map[string]any)
	if over["customers"] != "12.000000" || over["paid_in"] != "20.000000" || over["revenue"] != "8.000000" {
		t.Errorf("an overview: %v", over)
	}
}

// TestMerging: a change of the name keeps the metadata and the other way round,
// and is the same call again later, whatever came after it.
func TestMerging(t *testing.T) {
	w := newWorld(t, native.Options{})
	at := "/v1/accounts/" + w.must("POST", "/v1/accounts", `{"unit":"USD","name":"Ada","metadata":{"n":1}}`).Data["id"].(string)
	first := w.must("PATCH", at, `{"id":"m-1","metadata":{"n":2}}`)
	w.must("PATCH", at, `{"id":"m-2","name":"Bea","status":"frozen"}`)
	w.must("PATCH", at, `{"id":"m-3","status":"open"}`)
	if again := w.must("PATCH", at, `{"id":"m-1","metadata":{"n":2}}`); string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") == "" {
		t.Errorf("the repeat of a change: %s, was %s", again.body, first.body)
	}
	w.refused(422, "IDEMPOTENCY_MISMATCH", "PATCH", at, `{"id":"m-1","metadata":{"n":3}}`)
	w.refused(422, "IDEMPOTENCY_MISMATCH", "PATCH", at, `{"id":"m-2","name":"Cleo","status":"frozen"}`)
	w.must("PATCH", at, `{"id":"m-2","name":"Bea","status":"frozen"}`)
	if got := w.must("GET", at, "").Data; got["name"] != "Bea" || got["metadata"].(map[string]any)["n"] != 2.0 || got["status"] != "open" {
		t.Errorf("after all of them: %v", got)
	}
}

// TestRepeatsBelow: what a drawing account has depends on those above it, but
// the repeat of a call is answered as the first time.
func TestRepeatsBelow(t *testing.T) {
	w := newWorld(t, native.Options{})
	top := w.account("10")
	middle := w.must("POST", "/v1/accounts", fmt.Sprintf(`{"parent":%q,"mode":"drawing","cap":"8"}`, top)).Data["id"].(string)
	open := fmt.Sprintf(`{"id":"rb-1","parent":%q,"mode":"drawing"}`, middle)
	first := []*answer{w.must("POST", "/v1/accounts", open)}
	id := first[0].Data["id"].(string)
	calls := [][3]string{{"POST", "/v1/accounts", open},
		{"PATCH", "/v1/accounts/" + id, `{"id":"rb-2","cap":"9"}`},
		{"POST", "/v1/accounts/" + id + "/holds", `{"id":"rb-3","amount":"1","expires_at":"never"}`},
		{"POST", "/v1/holds/rb-3/extend", `{"id":"rb-4","expires_at":"2099-01-01T00:00:00Z"}`},
		{"POST", "/v1/holds/rb-3/raise", `{"id":"rb-5","amount":"1"}`},
		{"POST", "/v1/holds/rb-3/captures", `{"id":"rb-6","amount":"1"}`},
		{"POST", "/v1/holds/rb-3/release", `{"id":"rb-7"}`},
		{"POST", "/v1/accounts/" + id + "/charges", `{"id":"rb-8","amount":"1"}`},
		{"POST", "/v1/transfers/rb-8/refunds", `{"id":"rb-9"}`},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"id":"rb-10","from":%q,"to":"@fees","amount":"0.5"}`, id)},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"transfers":[{"id":"rb-11","from":%q,"to":"@fees","amount":"0.5"}]}`, id)},
		{"POST", "/v1/accounts/" + id + "/erase", `{"id":"rb-12"}`}}
	for _, c := range calls[1:] {
		first = append(first, w.must(c[0], c[1], c[2]))
	}
	if got := first[0].Data["balance"].(map[string]any)["spendable"]; got != "8.000000" {
		t.Errorf("at first it could spend %v", got)
	}
	w.must("POST", "/v1/accounts/"+top+"/charges", `{"id":"rb-20","amount":"5"}`)
	w.must("PATCH", "/v1/accounts/"+top, `{"credit_limit":"1"}`)
	w.must("PATCH", "/v1/accounts/"+middle, `{"cap":"3"}`)
	for n, c := range calls {
		if again := w.must(c[0], c[1], c[2]); string(again.body) != string(first[n].body) || again.header.Get("Idempotent-Replayed") == "" {
			t.Errorf("%s %s: the repeat is\n%s, the first was\n%s", c[0], c[1], again.body, first[n].body)
		}
	}
}

// TestRefusalsRepeat: a refusal that is remembered is said in the same words
// again, although by then the call would succeed.
func TestRefusalsRepeat(t *testing.T) {
	w := newWorld(t, native.Options{})
	id, other, idle := w.account("10"), w.account(""), w.account("")
	w.must("POST", "/v1/books", `{"name":"second"}`)
	far := w.must("POST", "/v1/accounts", `{"unit":"USD","book":"second"}`).Data["id"].(string)
	at := "/v1/accounts/" + id
	w.must("POST", at+"/charges", `{"id":"rf-0","amount":"4"}`)
	w.must("POST", at+"/holds", `{"id":"rf-h","amount":"1"}`)
	w.must("PATCH", "/v1/accounts/"+far, `{"status":"closed"}`)
	w.must("PATCH", "/v1/accounts/"+idle, `{"status":"frozen"}`)
	calls := []struct{ method, path, body, code string }{
		{"POST", at + "/charges", `{"id":"rf-1","amount":"50"}`, "INSUFFICIENT_FUNDS"},
		{"POST", at + "/holds", `{"id":"rf-2","amount":"50"}`, "INSUFFICIENT_FUNDS"},
		{"POST", at + "/adjustments", `{"id":"rf-3","amount":"-50"}`, "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/holds/rf-h/raise", `{"id":"rf-4","amount":"50"}`, "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/holds/rf-h/captures", `{"id":"rf-5","amount":"50"}`, "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/transfers/rf-0/refunds", `{"id":"rf-6","amount":"5"}`, "REFUND_EXCEEDS_TRANSFER"},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"id":"rf-7","from":%q,"to":%q,"amount":"50"}`, id, other), "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"id":"rf-8","transfers":[{"from":%q,"to":%q,"amount":"1"},{"from":%q,"to":%q,"amount":"50"}]}`, id, other, id, other), "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"transfers":[{"id":"rf-9","from":%q,"to":%q,"amount":"1"},{"id":"rf-10","from":%q,"to":%q,"amount":"50"}]}`, id, other, id, other), "INSUFFICIENT_FUNDS"},
		{"POST", "/v1/transfers", fmt.Sprintf(`{"id":"rf-11","from":%q,"to":%q,"amount":"1"}`, id, far), "ACCOUNT_CLOSED"},
		{"POST", "/v1/accounts/" + idle + "/charges", `{"id":"rf-12","amount":"1"}`, "ACCOUNT_FROZEN"},
		{"PATCH", at, `{"id":"rf-13","status":"closed"}`, "ACCOUNT_NOT_EMPTY"},
		{"PATCH", at, `{"id":"rf-14","credit_limit":"-9"}`, "INSUFFICIENT_FUNDS"},
	}
	var first []*answer
	for _, c := range calls {
		a := w.do(c.method, c.path, c.body)
		if a.Error["code"] != c.code {
			t.Errorf("%s %s %s: %d %s, want %s", c.method, c.path, c.body, a.status, a.body, c.code)
		}
		first = append(first, a)
	}
	w.must("POST", at+"/topups", `{"id":"rf-20","amount":"1000"}`)
	w.must("PATCH", "/v1/accounts/"+far, `{"status":"open"}`)
	w.must("PATCH", "/v1/accounts/"+idle, `{"status":"open"}`)
	for n, c := range calls {
		again := w.do(c.method, c.path, c.body)
		if string(again.body) != string(first[n].body) || again.status != first[n].status || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s %s: the repeat is\n%d %s, the first was\n%d %s", c.method, c.path, again.status, again.body, first[n].status, first[n].body)
		}
	}
}

// TestSearchInPages: whatever a text finds, by itself and by its words, each
// account is on one page.
func TestSearchInPages(t *testing.T) {
	w := newWorld(t, native.Options{})
	held := w.must("POST", "/v1/accounts", `{"unit":"USD","name":"job one"}`).Data["id"].(string)
	w.must("POST", "/v1/accounts/"+held+"/topups", `{"id":"sp-1","amount":"5"}`)
	w.must("POST", "/v1/accounts/"+held+"/holds", `{"id":"job","amount":"1"}`)
	for range 3 {
		w.must("POST", "/v1/accounts", `{"unit":"USD","name":"job two"}`)
	}
	for limit := 1; limit < 6; limit++ {
		seen := map[string]int{}
		for next := ""; ; {
			d := w.must("GET", fmt.Sprintf("/v1/search?q=job&limit=%d%s", limit, next), "").Data
			for _, item := range d["items"].([]any) {
				seen[item.(map[string]any)["id"].(string)]++
			}
			if d["next"] == nil {
				break
			}
			next = "&cursor=" + d["next"].(string)
		}
		if len(seen) != 4 || seen[held] != 1 {
			t.Errorf("in pages of %d: %v", limit, seen)
		}
	}
}

// TestPageOfFewLines: events that are no lines of a statement, as those of holds,
// count for the length of a page; every line is on one page all the same.
func TestPageOfFewLines(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	for i := range 9 {
		w.must("POST", "/v1/accounts/"+id+"/holds", fmt.Sprintf(`{"id":"h%d","amount":"1"}`, i))
		if i%4 == 2 {
			w.must("POST", "/v1/accounts/"+id+"/charges", fmt.Sprintf(`{"id":"c%d","amount":"0.1"}`, i))
		}
	}
	defer native.SetExamined(3)()
	for order, want := range map[string]string{"asc": "10.000000 9.900000 9.800000", "desc": "9.800000 9.900000 10.000000"} {
		var lines []string
		pages, next := 0, ""
		for {
			d := w.must("GET", "/v1/accounts/"+id+"/statement?order="+order+"&limit=2&cursor="+next, "").Data
			for _, item := range d["items"].([]any) {
				lines = append(lines, item.(map[string]any)["posted"].(string))
			}
			pages++
			if next, _ = d["next"].(string); next == "" || pages > 20 {
				break
			}
		}
		if got := strings.Join(lines, " "); got != want || pages < 4 || pages > 6 {
			t.Errorf("%s: %d pages of %s, not %s", order, pages, got, want)
		}
	}
}

func TestStatement(t *testing.T) {
	w := newWorld(t, native.Options{})
	id := w.account("10")
	at := "/v1/accounts/" + id
	start := w.must("GET", at, "").Data["created_at"].(string)
	w.must("POST", at+"/charges", `{"id":"s1","amount":"1","reason":"=HYPERLINK(\"x\")","category":"sms","count":2}`)
	middle := w.must("POST", "/v1/transfers", fmt.Sprintf(`{"id":"s2","transfers":[{"from":%q,"to":"@revenue","amount":"1"},{"from":%q,"to":"@fees","amount":"0.5"},{"from":"@cash","to":%q,"amount":"3"}]}`, id, id, id)).Data["created_at"].(string)
	w.must("POST", at+"/holds", `{"id":"s3","amount":"2"}`)
	w.must("POST", "/v1/holds/s3/captures", `{"id":"s4"}`)
	w.must("POST", "/v1/transfers/s1/refunds", `{"id":"s5"}`)

	type line = map[string]any
	list := func(query string) (lines []line, next string) {
		t.Helper()
		d := w.must("GET", at+"/statement"+query, "").Data
		for _, item := range d["items"].([]any) {
			lines = append(lines, item.(line))
		}
		next, _ = d["next"].(string)
		return lines, next
	}
	all, _ := list("?order=asc")
	posted := []string{"10.000000", "9.000000", "8.000000", "7.500000", "10.500000", "8.500000", "9.500000"}
	if len(all) != len(posted) {
		t.Fatalf("%d lines: %v", len(all), all)
	}
	for i, want := range posted {
		if all[i]["posted"] != want {
			t.Errorf("line %d: posted %v, want %s", i, all[i]["posted"], want)
		}
	}
	if all[6]["of"] != "s1" || all[6]["amount"] != "1.000000" {
		t.Errorf("a refund: %v", all[6])
	}
	for _, order := range []string{"asc", "desc"} {
		for limit := 1; limit < 8; limit++ {
			var paged []line
			query := fmt.Sprintf("?order=%s&limit=%d", order, limit)
			for next := ""; ; {
				lines, more := list(query + next)
				paged = append(paged, lines...)
				if more == "" {
					break
				}
				next = "&cursor=" + more
			}
			if len(paged) != len(all) {
				t.Fatalf("%s: %d lines in pages", query, len(paged))
			}
			for i := range paged {
				want := all[i]
				if order == "desc" {
					want = all[len(all)-1-i]
				}
				if paged[i]["id"] != want["id"] || paged[i]["posted"] != want["posted"] {
					t.Errorf("%s: line %d is %v, want %v", query, i, paged[i], want)
				}
			}
		}
	}
	for query, want := range map[string]int{"?kind=charge": 3, "?kind=refund": 1, "?from=" + start: 7, "?to=" + start: 0,
		"?from=" + middle: 5, "?to=" + middle: 2, "?order=asc&from=" + middle: 5, "?order=asc&to=" + middle: 2} {
		if lines, _ := list(query); len(lines) != want {
			t.Errorf("%d lines %s, want %d", len(lines), query, want)
		}
	}
	_, next := list("?limit=2&kind=charge")
	w.refused(400, "CURSOR_MISMATCH", "GET", at+"/statement?limit=2&kind=topup&cursor="+next, "")
	w.refused(400, "VALIDATION_ERROR", "GET", at+"/statement?cursor=x", "")
	w.refused(400, "VALIDATION_ERROR", "GET", at+"/statement?kinds=topup", "")

	csv := w.must("GET", at+"/statement?order=asc&kind=charge", "", "Accept", "text/csv")
	rows := strings.Split(strings.TrimSpace(string(csv.body)), "\n")
	if len(rows) != 4 || !strings.Contains(rows[1], `-1.000000,9.000000,USD,@revenue,,sms,2,,"'=HYPERLINK(""x"")"`) {
		t.Errorf("CSV: %s", csv.body)
	}

	series := w.must("GET", at+"/series?points=3&from="+start, "").Data["items"].([]any)
	if last := series[len(series)-1].(line); last["posted"] != "9.500000" {
		t.Errorf("a series: %v", series)
	}
	if got := w.must("GET", at+"/balance?at="+middle, "").Data; got["posted"] != "10.500000" {
		t.Errorf("a past balance: %v", got)
	}
	w.refused(404, "NOT_FOUND", "GET", at+"/balance?at=2001-01-01T00:00:00Z", "")
	w.refused(400, "VALIDATION_ERROR", "GET", at+"/balance?at=2999-01-01T00:00:00Z", "")
}
