package dash_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// TestVendors adds a source by its form, with a wrong secret at first, reads in
// words what is wrong, mends it, and takes it away.
func TestVendors(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, local)
	spare := s.account("spare")
	b := open(t, s)
	b.signIn(s.token)
	b.follow("Vendors")
	b.shows("No source is watched yet.")
	b.press("New source")
	b.choose("Vendor", "Saldo")
	b.press("Watch it")
	b.shows("Write a name")
	b.fill("name", "the-other")
	b.fill("address", s.url)
	b.fill("account", spare)
	b.fill("secret", "saldoWrong")
	b.fill("labels", "team")
	b.press("Watch it")
	b.shows("Write them as team=growth, env=prod")
	b.fill("labels", "team=growth")
	b.accessible("the form of a source")
	b.confirm("Watch it")
	b.until("it is said to have failed", `document.querySelector("h1 .badge")?.textContent === "failed"`)
	b.until("and why, in a sentence", `document.querySelector("p.problem")?.textContent.length > 20`)
	b.showsFigure("Balance", "unknown")
	b.accessible("a source that failed")

	b.press("Change")
	b.fill("secret", s.token)
	b.fill("low", "150.00")
	b.confirm("Change it")
	b.press("Ask it now")
	b.shows("It answers: 100.000000 USD")
	b.showsFigure("Balance", "100.000000")
	b.until("it is low", `document.querySelector("h1 .badge")?.textContent === "low"`)
	b.showsFigure("Time left", "unknown")
	if got := s.call("GET", "/v1/sources/the-other", nil); got["low"] != "150.00" || got["labels"].(object)["team"] != "growth" || got["interval_seconds"] != 900.0 {
		t.Errorf("after it was changed the source is %v", got)
	}
	b.press("Change")
	b.fill("critical", "abc")
	b.excuse("400 (Bad Request)")
	b.press("Change it")
	b.until("what is wrong is said", `document.querySelector("dialog .problem")?.textContent.includes("abc")`)
	b.press("Cancel")

	b.follow("Overview")
	b.until("what vendors hold is there, by unit", `[...document.querySelectorAll(".card")].some((c) => c.textContent.includes("1 source") && c.querySelector(".amount").textContent === "100.000000")`)
	b.until("and that it is low", `document.querySelector(".alerts li")?.textContent.includes("the-other")`)
	b.follow("Vendors")
	b.until("it is in the table", row("the-other")+`?.textContent.includes("low")`)
	b.follow("the-other")
	b.press("Remove")
	b.confirm("Remove it")
	b.shows("No source is watched yet.")
	b.follow("Overview")
	b.shows("None is firing.")
}

// TestReadings looks at a source that was read for a while.
func TestReadings(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, local)
	furnish(s)
	wait(t, "two readings", func() bool {
		return len(s.call("GET", "/v1/sources/ours/readings", nil)["items"].([]any)) > 1
	})
	b := open(t, s)
	b.signIn(s.token)
	b.visit("/vendors/ours")
	b.until("the chart ends at the balance", `document.querySelector(".chart figcaption .amount")?.textContent === "100"`)
	b.shows("1 second")
	b.follow("Vendors")
	b.until("what fails says why", row("broken")+`?.cells[7].textContent.length > 20`)
	b.until("and has no balance", row("broken")+`.cells[2].textContent === "unknown"`)
}

// TestRules makes a rule where its account is, tests it, and takes it away.
func TestRules(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, local)
	hook := newReceiver(t)
	s.call("POST", "/v1/webhooks", object{"id": "ops", "name": "ops", "url": hook.URL})
	s.call("POST", "/v1/webhooks", object{"id": "other", "name": "other", "url": hook.URL + "/other"})
	s.call("POST", "/v1/rules", object{"id": "dora", "name": "about-dora", "account": s.account("dora"), "when": "balance", "levels": []object{{"level": "warning", "at": "1"}}})
	spare := s.account("spare")
	b := open(t, s)
	b.signIn(s.token)
	b.visit("/accounts/" + spare + "/rules")
	b.shows("There are no rules about it.")
	b.press("New rule")
	b.fill("name", "Spare")
	b.fill("warning", "50%")
	b.excuse("400 (Bad Request)")
	b.press("Add the rule")
	b.until("a name that cannot be is refused in words", `document.querySelector("dialog .problem")?.textContent.includes("a-z")`)
	b.fill("name", "spare-half")
	b.fill("critical", "10")
	b.fill("clear", "10%")
	b.do(chromedp.Click(`dialog .checks .check input`, chromedp.ByQuery)) // only to ops
	b.accessible("the form of a rule about an account")
	b.confirm("Add the rule")
	b.until("it is listed, and no other", row("spare-half")+`?.textContent.includes("50%") && document.querySelectorAll(".scroll tbody").length === 1 && !document.body.textContent.includes("about-dora")`)
	if got := s.call("GET", "/v1/rules/spare-half", nil); got["account"] != spare || fmt.Sprint(got["to"]) != "[ops]" || got["clear"] != "10%" || len(got["levels"].([]any)) != 2 {
		t.Errorf("the rule is %v", got)
	}
	b.pressIn("spare-half", "Test")
	b.confirm("Send a sample")
	b.shows("ops: taken")
	if n := len(hook.got()); n != 1 {
		t.Errorf("the sample came %d times, want once: to ops only", n)
	}
	s.call("POST", "/v1/accounts/"+spare+"/charges", object{"id": "much", "amount": "60"})
	b.until("it fires", row("spare-half")+`?.textContent.includes("firing")`)
	b.pressIn("spare-half", "Remove")
	b.confirm("Remove it")
	b.shows("There are no rules about it.")
	b.follow("Overview")
	b.shows("None is firing.")

	// A rule that does something about it: from an account, and by a webhook.
	requester := s.account("MTurk requester")
	b.visit("/accounts/" + spare + "/rules")
	b.press("New rule")
	b.fill("name", "spare-fill")
	b.fill("warning", "30")
	b.tick("Top it up, too")
	b.fill("fill", "80")
	b.fill("from", requester)
	b.fill("cap", "500")
	b.accessible("the form of a rule that tops up")
	b.confirm("Add the rule")
	b.until("it says what it does", row("spare-fill")+`?.textContent.includes("tops up to 80, by another account, 500 at most in 30d")`)
	s.call("POST", "/v1/accounts/"+spare+"/charges", object{"id": "more", "amount": "20"})
	wait(t, "it is topped up", func() bool { return s.balance(spare, "spendable") == "80.000000" })
	if got := s.balance(requester, "spendable"); got != "9940.000000" {
		t.Errorf("who paid has %s", got)
	}
	b.press("New rule")
	b.fill("name", "spare-asks")
	b.fill("warning", "5")
	b.tick("Top it up, too")
	b.choose("Paid by", "whom other confirms")
	b.hides("Id of the account that pays")
	b.fill("fill", "80")
	b.fill("cap", "500")
	b.fill("period", "7d")
	b.confirm("Add the rule")
	if got := s.call("GET", "/v1/rules/spare-asks", nil)["top_up"]; fmt.Sprint(got) != "map[cap:500 period:7d to:80 webhook:other]" {
		t.Errorf("the rule that asks a webhook has %v", got)
	}

	b.follow("Webhooks")
	b.pressIn("ops", "Test")
	b.confirm("Send a sample")
	b.shows("It was taken")
	b.pressIn("ops", "New secret")
	b.press("Make a new secret")
	b.shows("The secret, this once")
	b.press("I have it")
	b.pressIn("/other", "Remove")
	b.confirm("Remove it")
	b.until("one is left", `document.querySelectorAll("main table")[0].querySelectorAll("tbody tr").length === 1`)
}

// TestJournal follows the journal as it grows.
func TestJournal(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	spare := s.account("spare")
	b := open(t, s)
	b.signIn(s.token)
	b.follow("Journal")
	b.until("there are entries", `document.querySelectorAll(".entries.full > li").length > 10`)
	b.until("the stream is open", `document.querySelector(".live.on")`)
	s.call("POST", "/v1/accounts/"+spare+"/charges", object{"id": "seen-live", "amount": "1.25", "reason": "seen as it happens"})
	b.until("the charge is first", `document.querySelector(".entries.full > li")?.textContent.includes("seen as it happens")`)
	b.press("Pause")
	s.call("POST", "/v1/accounts/"+spare+"/charges", object{"id": "not-yet", "amount": "1", "reason": "while it stands still"})
	s.exchange(s.token, "POST", "/v1/accounts/"+spare+"/charges", "application/json", object{"id": "too-much", "amount": "1000"})
	b.press("Go on")
	b.until("what happened meanwhile is there", `document.querySelectorAll(".entries.full > li")[1]?.textContent.includes("while it stands still")`)
	b.until("and what was refused", `document.querySelector(".entries.full > li.refused")?.textContent.includes("INSUFFICIENT_FUNDS")`)
	b.fill("only", "seen-live")
	b.until("one is left", `document.querySelectorAll(".entries.full > li").length === 1`)
	b.do(chromedp.Click(".entries.full .seq", chromedp.ByQuery))
	b.until("it is opened", `document.querySelector(".whole pre")`)
	var shown, said object
	must(t, json.Unmarshal([]byte(b.text(".whole pre")), &shown))
	head := s.call("GET", "/v1/books/main", nil)
	said = s.call("GET", fmt.Sprintf("/v1/events?book=main&after=%d&limit=1", int(head["seq"].(float64))-3), nil)["items"].([]any)[0].(object)
	if fmt.Sprint(shown) != fmt.Sprint(said) {
		t.Errorf("the entry is shown as %v, and the API says %v", shown, said)
	}
	b.accessible("the journal, an entry open")
}

// TestOverview sees what is owed change, and how much is moving.
func TestOverview(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	spare := s.account("spare")
	b := open(t, s)
	b.signIn(s.token)
	owed := func(unit string) string {
		for _, i := range s.call("GET", "/v1/overview", nil)["items"].([]any) {
			if i := i.(object); i["unit"] == unit {
				return i["customers"].(string)
			}
		}
		return ""
	}
	shows := func(unit string) string {
		return fmt.Sprintf(`[...document.querySelectorAll(".card")].find((c) => c.querySelector("h3").textContent.trim() === %s)?.querySelector(".big .amount").textContent === %s`, quoted(unit), quoted(owed(unit)))
	}
	for _, unit := range []string{"USD", "EUR", "CREDITS"} {
		b.until("what is owed is what the API says, of "+unit, shows(unit))
	}
	// One entry of a hundred transfers.
	var batch []object
	for n := range 100 {
		batch = append(batch, object{"id": fmt.Sprintf("many-%d", n), "from": "@cash", "to": spare, "amount": "0.01"})
	}
	b.until("nothing moves", `document.querySelector(".book strong")?.textContent === "0.0"`)
	s.call("POST", "/v1/transfers", object{"id": "many", "transfers": batch})
	b.until("what is owed moves by itself", shows("USD"))
	b.until("transfers are counted, not entries", `parseFloat(document.querySelector(".book strong").textContent) > 5 * parseFloat(document.querySelector(".book .dim").textContent) && parseFloat(document.querySelector(".book .dim").textContent) > 0`)
	b.shows("answers")
}

// TestChart holds points of the chart against the balance at their times, in
// ranges that are chosen in each way there is.
func TestChart(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	spare := s.account("spare")
	for n := range 20 {
		s.call("POST", "/v1/accounts/"+spare+"/charges", object{"id": fmt.Sprintf("c-%d", n), "amount": fmt.Sprintf("0.%02d", n+1)})
	}
	b := open(t, s)
	b.signIn(s.token)
	b.visit("/accounts/" + spare)
	b.until("the chart is there", `document.querySelector(".chart figcaption .amount")`)
	compare := func(what string) {
		t.Helper()
		b.do(chromedp.Focus(".plot", chromedp.ByQuery))
		for _, key := range []string{"Home", "PageDown", "ArrowRight", "ArrowRight", "End", "PageUp", "ArrowLeft"} {
			b.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(".plot").dispatchEvent(new KeyboardEvent("keydown", { key: %q, bubbles: true }))`, key), nil))
			var point struct{ At, Posted, Available string }
			b.do(chromedp.Evaluate(`new Promise((done) => setTimeout(done, 30)).then(() => { const c = document.querySelector(".chart figcaption"), a = c.querySelectorAll(".amount");
				return { At: c.querySelector("time").dateTime, Posted: a[0].textContent, Available: a[1].textContent }; })`, &point, awaited))
			want := s.call("GET", "/v1/accounts/"+spare+"/balance?at="+url.QueryEscape(point.At), nil)
			if point.Posted != want["posted"] || point.Available != want["available"] {
				t.Errorf("%s: at %s the chart says %s and %s, and the API %v and %v", what, point.At, point.Posted, point.Available, want["posted"], want["available"])
			}
		}
	}
	compare("all")
	for _, choice := range []string{"1h", "7d", "1y", "all"} {
		b.press(choice)
		b.until("the range is "+choice, fmt.Sprintf(`[...document.querySelectorAll(".choice button")].find((x) => x.textContent === %q).ariaPressed === "true"`, choice))
		compare(choice)
	}
	// A drag over the middle of it.
	var box struct{ X, Y, Width, Height float64 }
	b.do(chromedp.Evaluate(`document.querySelector(".u-over").getBoundingClientRect().toJSON()`, &box))
	y := box.Y + box.Height/2
	b.do(chromedp.MouseEvent(input.MouseMoved, box.X+box.Width*0.3, y), chromedp.MouseEvent(input.MousePressed, box.X+box.Width*0.3, y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.MouseMoved, box.X+box.Width*0.45, y, chromedp.ButtonLeft), chromedp.MouseEvent(input.MouseMoved, box.X+box.Width*0.6, y, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.MouseReleased, box.X+box.Width*0.6, y, chromedp.ButtonLeft))
	b.until("the address has the range", `new URLSearchParams(location.search).get("chart-from") && new URLSearchParams(location.search).get("chart-to")`)
	b.until("the chart begins there", `(() => { const p = new URLSearchParams(location.search); return document.querySelector(".plot").ariaLabel.includes(p.get("chart-from").slice(0, 19)); })()`)
	compare("a part")
}
