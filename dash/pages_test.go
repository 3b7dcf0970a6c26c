package dash_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// everyPage returns every page there is, on a demo.
func everyPage(s *server) []string {
	ann, bjorn, dora := s.account("ann"), s.account("bjørn"), s.account("dora")
	return []string{"/", "/accounts", "/accounts?q=ann", "/accounts?q=nobody", "/accounts/" + ann, "/accounts/" + ann + "?kind=refund", "/accounts/" + bjorn + "/holds", "/accounts/" + dora + "/rules",
		"/accounts/" + ann + "/sub-accounts", "/accounts/" + ann + "/ask-as", "/accounts/" + s.account("Twilio main account") + "/access",
		"/accounts/" + s.account("ann's phone"), "/accounts/" + dora, "/accounts/00000000-0000-7000-8000-000000000001", "/vendors", "/vendors/ours", "/rules", "/webhooks", "/webhooks?state=dead", "/journal"}
}

// furnish gives a demo something to show on every page.
func furnish(s *server) {
	dora := s.account("dora")
	s.call("POST", "/v1/sources", object{"id": "ours", "name": "ours", "kind": "saldo", "address": s.url, "account": s.account("spare"), "secret": s.token, "interval": "1s", "low": "200.00"})
	s.call("POST", "/v1/sources", object{"id": "broken", "name": "broken", "kind": "twilio", "address": s.url, "account": "AC00000000000000000000000000000000", "secret": "00000000000000000000000000000000", "interval": "1s"})
	s.call("POST", "/v1/rules", object{"id": "low", "name": "dora-low", "account": dora, "when": "balance", "levels": []object{{"level": "warning", "at": "5"}}})
	s.call("POST", "/v1/webhooks", object{"id": "ops", "name": "ops", "url": s.url + "/nowhere"})
	s.call("POST", "/v1/accounts/"+dora+"/charges", object{"id": "dora-1", "amount": "15", "reason": "messages of a day, and a reason that is long enough to need more than one line of the statement"})
}

const local = "[watch]\nallow = [\"127.0.0.1\"]\n"

// ready waits until a page shows what it loads.
func (b *tab) ready() {
	b.t.Helper()
	b.until("the page is there", `document.querySelector("main h1") && !document.querySelector(".loading")`)
}

// TestPages holds every page, on screens from a telephone to a wall, in light
// and dark, to what axe-core knows of people who cannot see or hold a mouse.
func TestPages(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, local)
	furnish(s)
	b := open(t, s)
	b.excuse("404 (Not Found)") // the account that is not there
	b.visit("/")
	b.shows("A token of the native API")
	b.accessible("sign in")
	b.signIn(s.token)
	pages := everyPage(s)
	wait(t, "the source to be read", func() bool { return s.call("GET", "/v1/sources/ours", nil)["balance"] != nil })
	for _, page := range pages {
		b.turnTo(page)
		for _, screen := range []struct {
			width, height int64
			scheme        string
		}{{360, 740, "dark"}, {3840, 2160, "dark"}, {1280, 900, "light"}} {
			what := fmt.Sprintf("%s, %d wide, %s", page, screen.width, screen.scheme)
			b.size(screen.width, screen.height)
			b.scheme(screen.scheme)
			b.ready()
			b.fits(what)
			if screen.width < 2000 {
				b.accessible(what)
			}
		}
		b.check()
	}
}

// TestLong shows names, metadata and amounts that are long and have no place to
// break at, on a telephone; and metadata as it was written.
func TestLong(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), "")
	long := strings.Repeat("W", 64)
	id := s.call("POST", "/v1/accounts", object{"unit": "USD", "name": long + long, "metadata": object{
		long: long, "order": json.Number("12345678901234567890"), "open": true}})["id"].(string)
	s.call("POST", "/v1/accounts/"+id+"/topups", object{"id": long, "amount": "1" + strings.Repeat("0", 27), "reason": long + long,
		"metadata": object{"rate": json.Number("1.10")}})
	b := open(t, s)
	b.visit("/")
	b.signIn(s.token)
	for _, page := range []string{"/", "/accounts", "/journal", "/accounts/" + id} {
		b.turnTo(page)
		for _, width := range []int64{360, 1280} {
			b.size(width, 740)
			b.ready()
			b.fits(page)
			if b.is(`[...document.querySelectorAll(".amount")].some((e) => !e.closest(".scroll") && e.getBoundingClientRect().right > e.parentElement.closest("div, dl, p, section").getBoundingClientRect().right + 1)`) {
				t.Errorf("%s, %d wide: an amount is cut off", page, width)
			}
		}
	}
	b.until("the account's metadata stand there", `document.querySelector(".metadata").textContent.includes("order12345678901234567890")`)
	b.click(`//button[starts-with(@aria-label, "More about")]`)
	b.until("the entry's metadata stand there", `[...document.querySelectorAll(".more dd")].some((e) => e.textContent === "1.10")`)
}

// TestKeyboard signs in, finds an account and tops it up without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	b.visit("/")
	b.until("the token is asked for", `document.activeElement.name === "token"`)
	b.do(chromedp.KeyEvent(s.token + "\r"))
	b.shows("Owed to customers")
	b.do(chromedp.Focus(".side nav a[href='/accounts']", chromedp.ByQuery), chromedp.KeyEvent("\r"))
	b.until("search has the focus or can have it", `document.querySelector("input[type=search]")`)
	b.do(chromedp.Focus("input[type=search]", chromedp.ByQuery), chromedp.KeyEvent("spare\r"))
	b.until("it is found", `document.querySelectorAll("tbody tr").length === 1`)
	b.tabTo(`document.activeElement.textContent === "spare"`)
	b.do(chromedp.KeyEvent("\r"))
	b.showsFigure("Posted", "100.000000")
	b.tabTo(`document.activeElement.textContent.trim() === "Top up"`)
	b.do(chromedp.KeyEvent("\r"))
	b.until("the amount has the focus", `document.activeElement.name === "amount"`)
	b.do(chromedp.KeyEvent("7\tby keyboard"))
	b.until("it stands in the preview", `document.querySelector(".preview tbody tr td:last-child").textContent === "107.000000"`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until("the form is gone", `!document.querySelector("dialog")`)
	if !b.is(`document.activeElement.textContent.trim() === "Top up"`) {
		t.Error("closing the form does not give the focus back")
	}
	b.do(chromedp.KeyEvent("\r"))
	b.until("the amount has the focus", `document.activeElement.name === "amount"`)
	b.do(chromedp.KeyEvent("7\tby keyboard\r"))
	b.showsFigure("Posted", "107.000000")
	b.do(chromedp.Focus(".plot", chromedp.ByQuery))
	b.until("the chart reaches the end", `document.querySelector(".chart figcaption .amount").textContent === "107.000000"`)
	b.do(chromedp.KeyEvent(kb.Home))
	b.until("Home goes to the first point", `document.querySelector(".chart figcaption .amount").textContent !== "107.000000"`)
}

// tabTo presses Tab until something is so.
func (b *tab) tabTo(expression string) {
	b.t.Helper()
	for range 60 {
		if b.is(expression) {
			return
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.t.Fatalf("Tab does not come to where %s\n%s", expression, b.seen())
}

// TestFirstPaint weighs what comes over the wire before the overview is there.
func TestFirstPaint(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	b.signIn(s.token)
	b.shows("Owed to customers")
	b = open(t, s) // who has nothing yet
	b.visit("/")
	b.shows("A token of the native API")
	signIn := b.transferred()
	b.signIn(s.token)
	b.until("amounts are there", `document.querySelector(".card .amount")`)
	b.until("the latest is there", `document.querySelector(".entries li")`)
	total := b.transferred()
	t.Logf("%d bytes to the page that asks for a token, %d to the overview", signIn, total)
	if most := 150 << 10; total > most || signIn < 1000 {
		t.Errorf("%d bytes to the overview, want at most %d", total, most)
	}
}

// TestManyAccounts lists more accounts than a page shows.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	ann := s.account("ann")
	for n := range 130 {
		s.call("POST", "/v1/accounts", object{"id": fmt.Sprintf("many-%d", n), "name": fmt.Sprintf("many %d", n), "unit": "USD"})
		if n < 60 {
			s.call("POST", "/v1/accounts", object{"id": fmt.Sprintf("child-%d", n), "name": fmt.Sprintf("child %d", n), "parent": ann})
		}
	}
	b := open(t, s)
	b.signIn(s.token)
	b.visit("/accounts")
	seen := 0
	for page := 1; ; page++ {
		b.ready()
		b.until("rows are there", `document.querySelectorAll("tbody tr").length > 0 && !document.querySelector("table.loading")`)
		var names []string
		b.do(chromedp.Evaluate(`[...document.querySelectorAll("tbody th a")].map((a) => a.textContent)`, &names))
		if seen += len(names); len(names) > 50 || page > 10 {
			t.Fatalf("page %d has %d rows", page, len(names))
		}
		if !b.is(`document.querySelector("a[rel=next]")`) {
			break
		}
		b.follow("Next page")
		b.until("it is another page", fmt.Sprintf(`document.querySelector("tbody th a") && document.querySelector("tbody th a").textContent !== %s`, quoted(names[0])))
	}
	if want := len(s.call("GET", "/v1/accounts?roots=true&limit=1000", nil)["items"].([]any)); seen != want {
		t.Errorf("the pages have %d accounts, want %d", seen, want)
	}
	b.follow("First page")
	b.until("ann is there", `[...document.querySelectorAll("tbody th a")].some((a) => a.textContent === "ann")`)
	b.do(chromedp.Click(`[aria-label="Sub-accounts of ann"]`, chromedp.ByQuery))
	b.shows("child 0")
	b.press("More sub-accounts")
	b.shows("child 59")
	b.accessible("a tree that is open")
	b.visit("/accounts?q=" + url.QueryEscape("child 7"))
	b.until("it is found, and before those that only have its words", `document.querySelector("tbody th a")?.textContent === "child 7"`)
}

// TestDecimals compares what pages calculate for a preview with math/big.
func TestDecimals(t *testing.T) {
	t.Parallel()
	s := startDemo(t, false, "")
	b := open(t, s)
	b.visit("/")
	b.shows("A token of the native API")
	chance := rand.New(rand.NewPCG(1, 2))
	number := func(scale int) string {
		digits := fmt.Sprint(chance.Uint64()) + fmt.Sprint(chance.Uint64())
		digits = digits[:1+chance.IntN(len(digits)-1)]
		n, _ := new(big.Int).SetString(digits, 10)
		if chance.IntN(2) == 0 {
			n.Neg(n)
		}
		return decimal(n, scale)
	}
	for range 300 {
		scale := chance.IntN(19)
		x, y := number(scale), number(scale)
		var got struct {
			Sum, Difference string
			Compared        int
		}
		b.do(chromedp.Evaluate(fmt.Sprintf(`import(document.querySelector("script").src.replace("app.js", "decimal.js")).then((d) => ({ Sum: d.add(%[1]q, %[2]q), Difference: d.sub(%[1]q, %[2]q), Compared: d.compare(%[1]q, %[2]q) }))`, x, y),
			&got, awaited))
		bx, by := whole(x), whole(y)
		if want := decimal(new(big.Int).Add(bx, by), scale); got.Sum != want {
			t.Errorf("%s + %s = %s, want %s", x, y, got.Sum, want)
		}
		if want := decimal(new(big.Int).Sub(bx, by), scale); got.Difference != want {
			t.Errorf("%s - %s = %s, want %s", x, y, got.Difference, want)
		}
		if want := bx.Cmp(by); got.Compared != want {
			t.Errorf("%s is to %s as %d, want %d", x, y, got.Compared, want)
		}
	}
}

func decimal(n *big.Int, scale int) string {
	digits := new(big.Int).Abs(n).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	if scale == 0 {
		return digits
	}
	return digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func whole(text string) *big.Int {
	n, _ := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
	return n
}

var screens = flag.String("screens", "", "folder to write pictures of the pages into")

// TestScreens makes the pictures of the documentation.
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("asked for by -screens FOLDER")
	}
	s := startDemo(t, true, local)
	furnish(s)
	ann, twilio := s.account("ann"), s.account("Twilio main account")
	var messages string
	wait(t, "the demo's traffic", func() bool {
		messages = s.account("live: messages")
		return len(s.call("GET", "/v1/accounts/"+messages+"/statement", nil)["items"].([]any)) > 20
	})
	b := open(t, s)
	b.signIn(s.token)
	b.shows("Owed to customers")
	time.Sleep(45 * time.Second) // for rates and charts to have a shape
	for _, p := range []struct {
		name, path, scheme string
		width, height      int64
		first              func()
	}{
		{"overview", "", "light", 1280, 860, nil},
		{"account", "/accounts/" + messages, "light", 1280, 960, nil},
		{"account-dark", "/accounts/" + messages, "dark", 1280, 960, nil},
		{"top-up", "/accounts/" + ann, "light", 1280, 860, func() {
			b.press("Top up")
			b.fill("amount", "25.50")
			b.fill("reason", "invoice 4711")
		}},
		{"new-source", "/vendors", "dark", 1280, 960, func() {
			b.press("New source")
			b.fill("name", "sms-eu")
		}},
		{"ask-as", "/accounts/" + twilio + "/ask-as", "light", 1280, 1100, func() { b.press("Twilio") }},
		{"account-phone", "/accounts/" + messages, "light", 390, 844, nil},
	} {
		b.size(p.width, p.height)
		b.scheme(p.scheme)
		if p.path != "" {
			b.visit(p.path)
			b.ready()
		}
		if p.first != nil {
			p.first()
		}
		time.Sleep(1500 * time.Millisecond)
		must(t, os.MkdirAll(*screens, 0o755))
		b.picture(filepath.Join(*screens, p.name+".png"))
	}
}
