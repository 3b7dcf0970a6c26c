package dash_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestTopUp does what a billing person does all day: signs in, finds an account
// by what Twilio calls it, tops it up with a reason, and sees that it is there.
func TestTopUp(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("Twilio main account")

	b.visit("/")
	b.excuse("401 (Unauthorized)")
	b.fill("token", "saldoWrong")
	b.press("Sign in")
	b.shows("This token is not known here")
	b.accessible("sign in, refused")
	b.do(chromedp.SendKeys(`[name=token]`, s.token+kb.Enter, chromedp.ByQuery)) // the wrong one is selected
	b.shows("Owed to customers")
	if b.is(`document.cookie`) {
		t.Error("a script can read the session")
	}

	b.follow("Accounts")
	b.do(chromedp.SendKeys(`input[type=search]`, s.demo["twilio"]["account_sid"], chromedp.ByQuery))
	b.until("the account is found alone", `document.querySelectorAll("tbody tr").length === 1`)
	b.follow("Twilio main account")
	b.showsFigure("Posted", "0.050000")
	b.until("the statement has a line", `document.querySelectorAll("table.statement tbody").length === 1`)

	b.press("Top up")
	b.until("the amount is asked for", `document.activeElement.name === "amount"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.shows("Write an amount")
	b.fill("amount", "1,000.00")
	b.shows("Write it without separators")
	b.fill("amount", "12.34567890")
	b.shows("Write at most 6 decimals")
	b.fill("amount", "12.50")
	b.fill("reason", "invoice 4711, paid by transfer")
	if got := b.text(".preview tbody tr:first-child td:last-child"); got != "12.550000" {
		t.Errorf("the preview says %q, want 12.550000", got)
	}
	b.accessible("the form to top up")
	// A double click, as quick as a machine can.
	b.do(chromedp.Evaluate(`(() => { const form = document.querySelector("dialog form"); form.requestSubmit(); form.requestSubmit(); form.querySelector("[type=submit]").click(); })()`, nil))
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Posted", "12.550000")
	b.shows("invoice 4711, paid by transfer")
	if n := len(s.call("GET", "/v1/accounts/"+id+"/statement", nil)["items"].([]any)); n != 2 {
		t.Errorf("the statement has %d lines, want 2: a double click is one transfer", n)
	}
	if got, want := b.figure("Spendable"), s.balance(id, "spendable"); got != want {
		t.Errorf("spendable is shown as %q, and the API says %q", got, want)
	}
	b.until("the chart ends at the new balance", `document.querySelector(".chart figcaption .amount").textContent === "12.550000"`)

	// Somebody else charges: the page sees it.
	s.call("POST", "/v1/accounts/"+id+"/charges", object{"id": "elsewhere", "amount": "0.55", "reason": "charged elsewhere"})
	b.showsFigure("Posted", "12.000000")
	b.shows("charged elsewhere")

	// And back again.
	b.do(chromedp.Click(`[aria-label="More about elsewhere"]`, chromedp.ByQuery))
	b.press("Refund …")
	b.fill("reason", "charged by mistake")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Posted", "12.550000")
	if got := s.call("GET", "/v1/accounts/"+id+"/statement?kind=refund", nil)["items"].([]any)[0].(object); got["of"] != "elsewhere" {
		t.Errorf("the refund is of %v, want of elsewhere", got["of"])
	}

	// More than there is, is refused, in words, and charged less under another id.
	b.press("Charge")
	b.fill("amount", "99")
	b.fill("reason", "too much")
	b.shows("More than is spendable: this will be refused.")
	b.excuse("402 (Payment Required)")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.shows("Not done: less is spendable than required.")
	b.shows("99.000000 USD required, 12.550000 USD spendable")
	b.fill("amount", "2.55")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Posted", "10.000000")

	// Frozen, with a reason, and open again.
	b.press("Freeze")
	b.fill("reason", "asked to by the customer")
	b.press("Freeze")
	b.until("charging is not offered", `![...document.querySelectorAll(".actions button")].some((x) => x.textContent.trim() === "Charge")`)
	if got := s.call("GET", "/v1/accounts/"+id, nil)["status"]; got != "frozen" {
		t.Errorf("the account is %v, want frozen", got)
	}
	b.press("Reopen")
	b.fill("reason", "cleared")
	b.press("Reopen")
	b.until("charging is offered", `[...document.querySelectorAll(".actions button")].some((x) => x.textContent.trim() === "Charge")`)

	// A limit that somebody else changed in between is not overwritten.
	b.press("Set limit")
	b.fill("value", "25")
	b.fill("reason", "good customer")
	s.call("PATCH", "/v1/accounts/"+id, object{"credit_limit": "7"})
	b.excuse("412 (Precondition Failed)")
	b.press("Set the limit")
	b.shows("Somebody changed this account since you opened it.")
	b.press("Cancel")
	b.showsFigure("Credit limit", "7.000000")
	b.press("Sign out")
	b.shows("A token of the native API")
	if _, status := s.exchange(s.token, "GET", "/v1/session", "application/json", nil); status != http.StatusOK {
		t.Errorf("signing out ended the token: %d", status)
	}
}

// TestHoldExpires places a hold and watches it end by itself.
func TestHoldExpires(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("spare")
	b.signIn(s.token)
	b.visit("/accounts/" + id + "/holds")
	b.shows("No holds are open.")
	s.call("POST", "/v1/accounts/"+id+"/holds", object{"id": "short", "amount": "30", "ttl_seconds": 4, "reason": "a short job"})
	b.showsFigure("Held", "30.000000")
	b.shows("a short job")
	b.showsFigure("Available", "70.000000")
	b.showsFigure("Held", "0.000000") // in a few seconds
	b.shows("No holds are open.")
	b.choose("State", "expired")
	b.shows("a short job")

	b.press("Hold")
	b.fill("amount", "10")
	b.fill("reason", "a job")
	b.press("Hold")
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Held", "10.000000")
	b.choose("State", "open")
	b.shows("in 6 days")
	b.press("Capture")
	b.fill("amount", "4")
	b.fill("reason", "half of it")
	b.do(chromedp.Click(`dialog .check input`, chromedp.ByQuery)) // release what is left
	if got := b.text(".preview tbody tr:last-child td:last-child"); got != "96.000000" {
		t.Errorf("the preview says %q will be spendable, want 96.000000", got)
	}
	b.press("Capture")
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Posted", "96.000000")
	b.showsFigure("Held", "0.000000")
	if got := s.balance(id, "spendable"); got != "96.000000" {
		t.Errorf("spendable is %s, want 96", got)
	}
}

// TestCSV saves a statement with the filter on the screen and compares it with
// what the API writes.
func TestCSV(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("ann")
	for n := range 60 {
		s.call("POST", "/v1/accounts/"+id+"/charges", object{"id": fmt.Sprintf("c-%d", n), "amount": "0.01", "reason": fmt.Sprintf("=sum(%d), \"quoted\"", n)})
	}
	b.signIn(s.token)
	b.visit("/accounts/" + id)
	b.until("a page of lines is there", `document.querySelectorAll("table.statement tbody").length === 50`)
	b.follow("Next page")
	b.until("the rest is there", `document.querySelectorAll("table.statement tbody").length === 13`)
	b.do(chromedp.NavigateBack())
	b.until("the first page is back", `document.querySelectorAll("table.statement tbody").length === 50`)
	b.choose("Kind", "topup")
	b.until("one line is left", `document.querySelectorAll("table.statement tbody").length === 1`)
	b.choose("Kind", "charge")
	b.until("charges are there", `document.querySelectorAll("table.statement tbody").length === 50`)
	b.press("CSV")
	var got []byte
	wait(t, "the file", func() bool {
		files, _ := filepath.Glob(filepath.Join(b.saved, "statement-ann*.csv"))
		if len(files) == 0 {
			return false
		}
		got, _ = os.ReadFile(files[0])
		return len(got) > 0
	})
	want, status := s.exchange(s.token, "GET", "/v1/accounts/"+id+"/statement?kind=charge&order=asc", "text/csv", nil)
	if status != 200 || string(got) != string(want) {
		t.Errorf("the file is not what the API writes:\n%s\nwant\n%s", got, want)
	}
	rows, err := csv.NewReader(strings.NewReader(string(got))).ReadAll()
	must(t, err)
	if len(rows) != 1+62 {
		t.Errorf("the file has %d rows, want 63: the filter on the screen", len(rows))
	}
}

// TestServerLost kills the server while somebody works, and starts it again.
func TestServerLost(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	id := s.account("spare")
	b.signIn(s.token)
	b.visit("/accounts/" + id)
	b.showsFigure("Posted", "100.000000")
	b.until("the stream is open", `document.querySelector(".live.on")`)
	b.press("Top up")
	b.fill("amount", "5")
	b.fill("reason", "while the server is gone")

	b.excuse("net::ERR_", "500", "502", "503")
	s.kill()
	b.shows("The server does not answer. What is shown is from")
	b.accessible("while the server is gone")
	b.showsFigure("Posted", "100.000000")
	b.do(chromedp.Click(`dialog [type=submit]`, chromedp.ByQuery))
	b.shows("No answer came: it may have been done.")
	if !b.is(`document.querySelector("dialog fieldset").disabled`) {
		t.Error("the fields can be changed, though the command may have been done")
	}

	s.again()
	b.hides("The server does not answer.")
	b.press("Try again")
	b.until("the form is gone", `!document.querySelector("dialog")`)
	b.showsFigure("Posted", "105.000000")
	s.call("POST", "/v1/accounts/"+id+"/charges", object{"id": "after", "amount": "1"})
	b.showsFigure("Posted", "104.000000") // the stream is back
	if n := len(s.call("GET", "/v1/accounts/"+id+"/statement", nil)["items"].([]any)); n != 3 {
		t.Errorf("the statement has %d lines, want 3", n)
	}
}

// A receiver takes webhooks, or does not.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	say int
	ids []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{say: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids = append(r.ids, q.Header.Get("webhook-id"))
		w.WriteHeader(r.say)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

// TestAlert makes a rule, sees it fire and clear, and replays the webhook that
// its endpoint did not take.
func TestAlert(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "[watch]\nallow = [\"127.0.0.1\"]\n")
	hook := newReceiver(t)
	hook.say = http.StatusGone // it never will
	b := open(t, s)
	id := s.account("spare")
	b.signIn(s.token)

	b.follow("Webhooks")
	b.press("New endpoint")
	b.fill("name", "ops")
	b.fill("url", hook.URL)
	b.accessible("the form of an endpoint")
	b.press("Add it")
	b.shows("The secret, this once")
	b.accessible("the secret")
	b.press("I have it")
	b.shows(hook.URL)

	b.follow("Rules")
	b.press("New rule")
	b.fill("name", "spare-low")
	b.fill("account", id)
	b.fill("warning", "50")
	b.accessible("the form of a rule")
	b.press("Add the rule")
	b.shows("spare-low")
	b.shows("quiet")

	s.call("POST", "/v1/accounts/"+id+"/charges", object{"id": "much", "amount": "60"})
	b.shows("firing")
	b.accessible("rules, one firing")
	b.follow("Overview")
	b.until("the alert is on the overview", `document.querySelector(".alerts li")`)

	b.follow("Webhooks")
	b.press("Given up")
	b.shows("Replay")
	b.accessible("webhooks, one given up")
	hook.mu.Lock()
	hook.say = http.StatusOK
	before := len(hook.ids)
	hook.mu.Unlock()
	if b.is(`[...document.querySelectorAll("button")].some((x) => x.textContent === "Enable")`) {
		b.press("Enable")
		b.press("Enable it")
		b.until("the form is gone", `!document.querySelector("dialog")`)
	}
	b.press("Replay")
	b.press("Deliver it again")
	wait(t, "the webhook", func() bool { return len(hook.got()) > before })
	if all := hook.got(); all[before] != all[0] {
		t.Errorf("the replay came under the id %s, and the first try under %s", all[before], all[0])
	}
	b.hides("Deliver it again")

	s.call("POST", "/v1/accounts/"+id+"/topups", object{"id": "back", "amount": "60"})
	b.follow("Rules")
	b.shows("resolved")
	b.until("the rule is quiet", `[...document.querySelectorAll("tbody tr")].some((r) => r.textContent.includes("spare-low") && r.textContent.includes("quiet"))`)
	b.follow("Overview")
	b.shows("None is firing.")
}

// TestScopes signs in those who may less: they see no button that would be
// refused, and nothing they ask is.
func TestScopes(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, local)
	furnish(s)
	ann := s.account("ann")
	for _, c := range []struct {
		name    string
		scopes  []string
		account string
		buttons string
	}{
		{"reads", []string{"read"}, "", ""},
		{"charges", []string{"read", "charge"}, "", "Charge Hold"},
		{"tops up", []string{"read", "topup"}, "", "Top up Adjust"},
		{"a customer", []string{"read", "charge"}, ann, "Charge Hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, &server{t: t, url: s.url, listen: s.listen, token: s.key(c.scopes, c.account)})
			b.signIn(b.s.token)
			b.visit("/accounts/" + ann)
			b.shows("Balance over time")
			if got := b.buttons(); got != c.buttons {
				t.Errorf("the buttons are %q, want %q", got, c.buttons)
			}
			pages := []string{"/", "/accounts", "/accounts/" + ann + "/access", "/accounts/" + ann + "/holds", "/accounts/" + ann + "/rules", "/accounts/" + ann + "/ask-as", "/journal"}
			if c.account == "" {
				pages = append(pages, "/vendors", "/vendors/ours", "/rules", "/webhooks", "/webhooks?state=dead")
			} else if b.is(`[...document.querySelectorAll(".side nav a")].some((a) => a.textContent === "Overview")`) {
				t.Error("the overview is of the whole tenant, and offered to a customer")
			}
			for _, page := range pages {
				b.turnTo(page)
				b.ready()
				if b.is(`document.querySelector("main .problem:not(p)")`) { // a p is what a vendor said
					t.Errorf("%s was refused something\n%s", page, b.seen())
				}
				if admin := b.text(`main :is(.tools, .buttons) button:not([aria-pressed])`); admin != "nothing" && !(strings.HasSuffix(page, "/holds") && strings.Contains(c.buttons, "Charge")) {
					t.Errorf("%s offers %q to who may not", page, admin)
				}
			}
		})
	}
}

// buttons returns what can be done with an account.
func (b *tab) buttons() string {
	b.t.Helper()
	var text string
	b.do(chromedp.Evaluate(`[...document.querySelectorAll(".actions button")].map((x) => x.textContent.trim()).join(" ")`, &text))
	return text
}
