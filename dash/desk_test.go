package dash_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"saldo/dialect/dialecttest"
)

// confirm presses the button of the form that is open, and waits until it is gone.
func (b *tab) confirm(text string) {
	b.t.Helper()
	b.press(text)
	b.until("the form is gone", `!document.querySelector("dialog")`)
}

// preview waits until a form says what a figure will be.
func (b *tab) preview(figure, want string) {
	b.t.Helper()
	b.until(figure+" will be "+want, fmt.Sprintf(`[...document.querySelectorAll(".preview tbody tr")].find((r) => r.cells[0].textContent === %s)?.cells[2].textContent === %s`, quoted(figure), quoted(want)))
}

// row is an expression: the row of a table that says something.
func row(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].find((r) => r.textContent.includes(%s))`, quoted(text))
}

// pressIn presses a button in the row that says something.
func (b *tab) pressIn(text, label string) {
	b.t.Helper()
	b.until("there is "+label+" beside "+text, fmt.Sprintf(`[...(%s?.querySelectorAll("button") ?? [])].some((x) => x.textContent.trim() === %s)`, row(text), quoted(label)))
	b.do(chromedp.Evaluate(fmt.Sprintf(`[...%s.querySelectorAll("button")].find((x) => x.textContent.trim() === %s).click()`, row(text), quoted(label)), nil))
}

// TestDesk opens an account and does with it, by every button that there is,
// what people do with accounts until they close them.
func TestDesk(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	b.signIn(s.token)
	b.follow("Accounts")
	b.press("New account")
	b.fill("name", "Ærø & Co <b>")
	b.fill("credit_limit", "5")
	b.accessible("the form of an account")
	b.confirm("Open the account")
	b.showsFigure("Spendable", "5.000000")
	id := s.account("Ærø & Co <b>")

	b.press("Top up")
	b.fill("amount", "100")
	b.fill("reason", "paid in cash")
	b.preview("Posted", "100.000000")
	b.preview("Spendable", "105.000000")
	b.confirm("Top up")
	b.showsFigure("Posted", "100.000000")

	// Every form says what it is about to do, has an id from when it opens, and
	// another one when it opens again.
	b.press("Adjust")
	first := b.text(".command-id")
	b.press("Adjust")
	b.shows("Write an amount")
	b.fill("amount", "-1.25")
	b.press("Adjust")
	b.shows("Say why: it stays in the statement")
	b.fill("reason", "counted twice")
	b.choose("Against", "@fees")
	b.preview("Posted", "98.750000")
	b.accessible("the form to adjust")
	b.confirm("Adjust")
	b.showsFigure("Posted", "98.750000")
	b.shows("counted twice")
	b.press("Adjust")
	if again := b.text(".command-id"); again == first || !strings.HasPrefix(again, "dash-adjust-") {
		t.Errorf("the next form has the id %q, and the one before had %q", again, first)
	}
	b.press("Cancel")
	if line := s.call("GET", "/v1/accounts/"+id+"/statement?kind=adjustment", nil)["items"].([]any)[0].(object); line["amount"] != "-1.250000" || line["counterparty"] != "@fees" || line["id"] != first {
		t.Errorf("the adjustment is %v, want -1.25 against @fees under the id of its form", line)
	}

	b.press("Set limit")
	b.fill("value", "-98")
	b.fill("reason", "a deposit")
	b.preview("Spendable", "0.750000")
	b.fill("value", "-99")
	b.shows("Spendable would be below zero: this will be refused.")
	b.excuse("402 (Payment Required)", "409 (Conflict)")
	b.press("Set the limit")
	b.until("it is refused", `document.querySelector("dialog .problem")`)
	b.fill("value", "20")
	b.preview("Spendable", "118.750000")
	b.accessible("the form of a limit")
	b.confirm("Set the limit")
	b.showsFigure("Credit limit", "20.000000")
	b.showsFigure("Spendable", "118.750000")

	b.press("Rename")
	b.fill("value", "Ærø")
	b.accessible("the form of a name")
	b.confirm("Rename")
	b.until("it is called so", `document.querySelector("h1").textContent.trim() === "Ærø"`)

	b.press("Freeze")
	b.fill("reason", "asked to")
	b.accessible("the form to freeze")
	b.confirm("Freeze")
	b.until("it is frozen", `document.querySelector("h1 .badge")?.textContent === "frozen"`)
	b.press("Reopen")
	b.fill("reason", "asked to")
	b.confirm("Reopen")
	b.until("charging is offered", `[...document.querySelectorAll(".actions button")].some((x) => x.textContent.trim() === "Charge")`)

	// A hold that is given back.
	b.press("Hold")
	b.fill("amount", "10")
	b.fill("reason", "a job")
	b.preview("Held", "10.000000")
	b.preview("Spendable", "108.750000")
	b.confirm("Hold")
	b.follow("Holds")
	b.pressIn("a job", "Release")
	b.fill("reason", "nobody came")
	b.preview("Held", "0.000000")
	b.confirm("Release")
	b.showsFigure("Held", "0.000000")

	// A part of a top-up goes back.
	b.follow("Statement")
	b.pressIn("paid in cash", "▾")
	b.press("Refund …")
	b.fill("amount", "0.75")
	b.fill("reason", "too much")
	b.preview("Posted", "98.000000")
	b.accessible("the form of a refund")
	b.confirm("Refund")
	b.showsFigure("Posted", "98.000000")

	// A sub-account that draws on it, up to a cap.
	b.follow("Sub-accounts")
	b.press("New sub-account")
	b.fill("name", "Marstal")
	b.choose("Money", "drawing")
	b.fill("cap", "30")
	b.confirm("Open the account")
	b.showsFigure("Spendable", "30.000000")
	b.press("Charge")
	b.fill("amount", "8")
	b.fill("reason", "stamps")
	b.fill("category", "post")
	b.preview("Spendable", "22.000000")
	b.confirm("Charge")
	b.showsFigure("Spent", "8.000000")
	b.press("Set cap")
	b.fill("value", "10")
	b.fill("reason", "too many stamps")
	b.confirm("Set the cap")
	b.showsFigure("Spendable", "2.000000")
	b.press("Close")
	b.fill("reason", "no stamps any more")
	b.accessible("the form to close")
	b.confirm("Close")
	b.until("it is closed", `document.querySelector("h1 .badge")?.textContent === "closed"`)
	if got := b.buttons(); got != "Rename" {
		t.Errorf("a closed account offers %q, want Rename", got)
	}
	b.follow("Ærø")
	b.showsFigure("Posted", "90.000000")

	// Closing needs an empty account, and says so.
	b.press("Close")
	b.fill("reason", "it is over")
	b.press("Close")
	b.until("it is refused in words", `document.querySelector("dialog .problem")?.textContent.length > 20`)
	b.press("Cancel")
	b.press("Charge")
	b.fill("amount", "999")
	b.fill("reason", "the rest")
	b.do(chromedp.Click(`dialog .check input`, chromedp.ByQuery)) // what there is, if it is less
	b.preview("Spendable", "0.000000")
	b.confirm("Charge")
	b.showsFigure("Posted", "-20.000000")
	b.press("Adjust")
	b.fill("amount", "20")
	b.fill("reason", "let go")
	b.confirm("Adjust")
	b.showsFigure("Posted", "0.000000")
	b.press("Close")
	b.fill("reason", "it is over")
	b.confirm("Close")
	b.until("nothing but its name can be changed", `document.querySelectorAll(".actions button").length === 1`)
	if got := s.call("GET", "/v1/accounts/"+id, nil)["status"]; got != "closed" {
		t.Errorf("the account is %v, want closed", got)
	}
}

// TestAccess issues a credential, uses it, gives it another secret, and ends it;
// and brings along what another system calls the account.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("spare")
	b.signIn(s.token)
	b.visit("/accounts/" + id + "/access")
	b.press("New credential")
	b.fill("name", "the shop")
	b.accessible("the form of a credential")
	b.press("Make it")
	b.shows("The secret, this once")
	secret := b.text("code.secret")
	balance := "/v1/accounts/" + id + "/balance"
	if _, status := s.exchange(secret, "GET", balance, "application/json", nil); status != http.StatusOK {
		t.Errorf("the new credential is answered %d", status)
	}
	if _, status := s.exchange(secret, "POST", "/v1/accounts/"+id+"/charges", "application/json", object{"amount": "1"}); status != http.StatusForbidden {
		t.Errorf("a credential to read charges: %d", status)
	}
	b.press("I have it")
	b.pressIn("the shop", "Rotate")
	b.press("Make a new secret")
	b.shows("The secret, this once")
	next := b.text("code.secret")
	b.press("I have it")
	for token, want := range map[string]int{secret: http.StatusUnauthorized, next: http.StatusOK} {
		if _, status := s.exchange(token, "GET", balance, "application/json", nil); status != want {
			t.Errorf("after the rotation a secret is answered %d, want %d", status, want)
		}
	}
	b.pressIn("the shop", "Revoke")
	b.accessible("the form to revoke")
	b.confirm("Revoke it")
	b.until("it is said to be revoked", row("the shop")+`.textContent.includes("revoked")`)
	if _, status := s.exchange(next, "GET", balance, "application/json", nil); status != http.StatusUnauthorized {
		t.Errorf("after it was revoked it is answered %d", status)
	}

	sid := "AC0123456789abcdef0123456789abcdef"
	b.press("New name")
	b.fill("external", sid)
	b.accessible("the form of another name")
	b.confirm("Give it")
	b.shows(sid)
	if found := s.call("GET", "/v1/search?q="+sid, nil)["items"].([]any); len(found) != 1 || found[0].(object)["id"] != id {
		t.Errorf("by its new name %v is found", found)
	}
	b.pressIn(sid, "Remove")
	b.confirm("Remove it")
	b.shows("It has none.")
	if found := s.call("GET", "/v1/search?q="+sid, nil)["items"].([]any); len(found) != 0 {
		t.Errorf("by a name that it had %v is found", found)
	}
}

// TestSession holds the session to what it promises: no script can read it, no
// other site can use it, and it ends with its token.
func TestSession(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("spare")
	token := s.key([]string{"read", "charge"}, "")
	b.signIn(token)
	cookies, err := network.GetCookies().Do(b.executor())
	must(t, err)
	if len(cookies) != 1 || !cookies[0].HTTPOnly || cookies[0].SameSite != network.CookieSameSiteStrict || strings.Contains(cookies[0].Value, token) {
		t.Errorf("the cookies are %v", cookies)
	}
	b.excuse("403 (Forbidden)", "401 (Unauthorized)", "Content Security Policy")
	b.until("a write that only has the cookie is refused", fmt.Sprintf(`(window.tried ??= fetch("/v1/accounts/%s/charges", {
		method: "POST", headers: { "Content-Type": "application/json" }, body: '{"id":"forged","amount":"1"}' }).then((r) => (window.status = r.status))) && window.status == 403`, id))
	if got := s.balance(id, "posted"); got != "100.000000" {
		t.Errorf("the account has %s: a forged request moved money", got)
	}
	b.until("a script in the page does not run", `(() => { const e = document.createElement("script"); e.textContent = "window.injected = true"; document.body.append(e); return !window.injected; })()`)

	for _, c := range s.call("GET", "/v1/credentials?limit=1000", nil)["items"].([]any) {
		if c := c.(object); c["name"] == "read and charge" {
			s.call("DELETE", "/v1/credentials/"+c["id"].(string), nil)
		}
	}
	b.visit("/accounts")
	b.shows("A token of the native API")
	b.shows("The session has ended")
	b.signIn(s.token)
	b.press("Sign out")
	b.shows("A token of the native API")
	b.hides("The session has ended")
}

// TestFinds finds accounts by everything that they are called.
func TestFinds(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	ann := s.account("ann")
	s.call("PATCH", "/v1/accounts/"+ann, object{"metadata": object{"email": "ann@example.org", "crm": "K-4711"}})
	s.call("POST", "/v1/accounts/"+ann+"/holds", object{"id": "hold-of-ann", "amount": "1"})
	s.call("POST", "/v1/accounts/"+ann+"/charges", object{"id": "order/17 x", "amount": "1"})
	s.call("POST", "/v1/accounts/"+ann+"/aliases", object{"id": "alias", "dialect": "frontier", "external": "3f2b8d0e-1111-4222-8333-444455556666"})
	b.signIn(s.token)
	b.follow("Accounts")
	for _, c := range []struct{ what, text, name string }{
		{"its id", ann, "ann"},
		{"its id in capitals", strings.ToUpper(ann), "ann"},
		{"its id without dashes", strings.ReplaceAll(ann, "-", ""), "ann"},
		{"a Twilio SID", "AC" + strings.ReplaceAll(ann, "-", ""), "ann"},
		{"the SID of a credential", s.demo["twilio"]["account_sid"], "Twilio main account"},
		{"an access key of MTurk", s.demo["mturk"]["access_key_id"], "MTurk requester"},
		{"a user_name of Gateway360", s.demo["gateway360"]["subaccount"], "Gateway360 sub-account"},
		{"a billing id of Frontier", s.demo["frontier"]["billing_id"], "Frontier billing account"},
		{"a billing id that was brought along", "3f2b8d0e-1111-4222-8333-444455556666", "ann"},
		{"a word of its name", "requester", "MTurk requester"},
		{"a name with another letter case", "BJØRN", "bjørn"},
		{"an e-mail address", "ann@example.org", "ann"},
		{"other metadata", "K-4711", "ann"},
		{"a hold", "hold-of-ann", "ann"},
		{"a transfer", "order/17 x", "ann"},
	} {
		b.fill("q", c.text+"\r")
		b.until(c.name+" is found first, by "+c.what, fmt.Sprintf(`new URLSearchParams(location.search).get("q") === %s && !document.querySelector("table.loading") && document.querySelector("tbody th a")?.textContent === %s`, quoted(c.text), quoted(c.name)))
	}
	s.call("POST", "/v1/accounts", object{"id": "new", "name": "Just opened", "unit": "USD"})
	b.fill("q", "opened\r")
	b.until("who is new is found at once", `document.querySelector("tbody th a")?.textContent === "Just opened"`)
}

// TestTenants looks at one tenant and then at another.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	s.call("POST", "/v1/tenants", object{"id": "acme", "name": "acme"})
	s.call("POST", "/v1/accounts?tenant=acme", object{"id": "x", "name": "only of acme", "unit": "EUR"})
	s.call("POST", "/v1/books?tenant=acme", object{"id": "second", "name": "second"})
	b := open(t, s)
	b.signIn(s.token)
	b.until("there are tenants to choose from", `document.querySelectorAll(".tenant option").length === 2`)
	b.choose("Tenant", "acme")
	b.until("it is acme's overview", `document.querySelector(".tenant select")?.value === "acme" && document.querySelectorAll(".book").length === 2`)
	b.follow("Accounts")
	b.shows("only of acme")
	b.hides("ann's phone")
	b.follow("only of acme")
	b.press("Top up")
	b.fill("amount", "3")
	b.fill("reason", "of acme")
	b.confirm("Top up")
	b.showsFigure("Posted", "3.000000")
	b.follow("Journal")
	b.until("there are books to choose from", `[...document.querySelectorAll("option")].some((o) => o.value === "second")`)
	b.choose("Book", "second")
	b.until("it has the entry that opened it", `document.querySelectorAll(".entries.full > li").length === 1`)
	b.choose("Tenant", "main")
	b.until("it is main's overview", `document.querySelector(".tenant select")?.value === "main" && document.querySelector("h1")?.textContent === "Overview"`)
	b.follow("Accounts")
	b.shows("ann")
	b.hides("only of acme")
}

// TestAskAs runs the lines that the page shows, with the demo's secrets in the
// variables that they name: in a shell, and those for SDKs with the SDKs.
func TestAskAs(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	b.signIn(s.token)
	d := s.demo
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "token.txt"), []byte(s.token), 0o600))
	for _, c := range []struct {
		account, dialect string
		sample           string
		secret           string // NAME=value
		want             string
	}{
		{"spare", "Saldo", "curl", "TOKEN=" + s.token, `"spendable":"100.000000"`},
		{"spare", "Saldo", "saldo", "PATH=" + filepath.Dir(binarySetup.path) + ":" + os.Getenv("PATH"), "100.000000"},
		{"spare", "Saldo", "Charge it, once", "TOKEN=" + s.token, `"posted":"99.650000"`},
		{"Twilio main account", "Twilio", "curl", "AUTH_TOKEN=" + d["twilio"]["auth_token"], `"balance":"0.05"`},
		{"Twilio main account", "Twilio", "Node, twilio", "AUTH_TOKEN=" + d["twilio"]["auth_token"], "0.05 USD"},
		{"Twilio main account", "Twilio", "Python, twilio", "AUTH_TOKEN=" + d["twilio"]["auth_token"], "0.05 USD"},
		{"MTurk requester", "MTurk", "curl", "SECRET_ACCESS_KEY=" + d["mturk"]["secret_access_key"], `"AvailableBalance":"10000.00"`},
		{"MTurk requester", "MTurk", "Python, boto3", "SECRET_ACCESS_KEY=" + d["mturk"]["secret_access_key"], "10000.00"},
		{"MTurk requester", "MTurk", "JavaScript, AWS SDK", "SECRET_ACCESS_KEY=" + d["mturk"]["secret_access_key"], "10000.00"},
		{"MTurk requester", "MTurk before 2017", "curl", "SECRET=" + d["mturk"]["secret_access_key"], `<Amount>10000.00</Amount>`},
		{"MTurk requester", "MTurk before 2017", "Python, boto 2", "SECRET=" + d["mturk"]["secret_access_key"], "$10,000.00"},
		{"Gateway360 account", "Gateway360", "curl", "API_KEY=" + d["gateway360"]["api_key"], `155.2493`},
		{"Gateway360 account", "Gateway360", "Python, requests", "API_KEY=" + d["gateway360"]["api_key"], "155.2493"},
		{"Gateway360 sub-account", "Gateway360", "curl", "API_KEY=" + d["gateway360"]["subaccount_api_key"], `1225`},
		{"Gateway360 sub-account", "Gateway360", "curl, with the key of an account above it", "API_KEY=" + d["gateway360"]["api_key"], `1225`},
		{"Frontier billing account", "Frontier", "curl", "CLIENT_SECRET=" + d["frontier"]["client_secret"], `"1000"`},
		{"Frontier billing account", "Frontier", "curl, Connect", "CLIENT_SECRET=" + d["frontier"]["client_secret"], `"1000"`},
		{"Frontier billing account", "Frontier", "Python, requests", "CLIENT_SECRET=" + d["frontier"]["client_secret"], "1000"},
	} {
		b.turnTo("/accounts/" + s.account(c.account) + "/ask-as")
		b.until("it is asked for "+c.account, fmt.Sprintf(`document.querySelector("h1")?.textContent.trim() === %s && document.querySelector(".sample")`, quoted(c.account)))
		b.press(c.dialect)
		b.until("there is "+c.sample, fmt.Sprintf(`[...document.querySelectorAll('[aria-label="Dialect"] button')].find((x) => x.textContent === %s)?.ariaPressed === "true" && document.querySelector('pre[aria-label=%s]')`, quoted(c.dialect), quoted(c.sample)))
		line := b.text(fmt.Sprintf(`pre[aria-label=%q]`, c.sample))
		t.Run(c.dialect+", "+c.sample, func(t *testing.T) {
			if out := said(t, dir, c.sample, line, c.secret); !strings.Contains(strings.ReplaceAll(out, `": "`, `":"`), c.want) {
				t.Errorf("%s answers\n%s\nwant %s", line, out, c.want)
			}
		})
	}
}

// said runs lines in what their title says that they are for, and returns what
// that said.
func said(t *testing.T, dir, title, lines, secret string) string {
	language, _, _ := strings.Cut(title, ",")
	switch language {
	case "Python":
		return dialecttest.Run(t, "sample.py", lines, secret)
	case "Node", "JavaScript":
		return dialecttest.Run(t, "sample.mjs", lines, secret)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", lines)
	shell.Dir, shell.Env = dir, append(os.Environ(), secret)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(out)
}
