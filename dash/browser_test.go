package dash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is a page of a browser that nobody used before, and what went wrong in
// it: what it wrote to the console as an error, and whom it asked beside the
// server.
type tab struct {
	t     testing.TB
	s     *server
	ctx   context.Context
	saved string // where downloads go

	mu       sync.Mutex
	problems []string
	excused  []string // of problems: what they may contain
	bytes    map[network.RequestID]float64
}

// chromiumFlags start a browser that asks nobody but the server under test.
var chromiumFlags = []chromedp.ExecAllocatorOption{
	chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
	chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-GB"),
}

// open opens a browser on a server.
func open(t testing.TB, s *server) *tab {
	t.Helper()
	profile, err := os.MkdirTemp("", "saldo-chromium-")
	must(t, err)
	flags := append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(chromiumSetup.get(t, installChromium)), chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(time.Minute)}, chromiumFlags...)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	// chromedp says on its own which events it does not know.
	ctx, end := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	ctx, late := context.WithTimeout(ctx, 4*time.Minute)
	b := &tab{t: t, s: s, ctx: ctx, saved: t.TempDir(), bytes: map[network.RequestID]float64{}}
	t.Cleanup(func() {
		b.check()
		late()
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		end()
		stop()
		for range 20 { // what it began to write it writes
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	chromedp.ListenTarget(ctx, b.heard)
	b.do(network.Enable(), log.Enable(), runtime.Enable(),
		browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(b.saved).WithEventsEnabled(true))
	b.size(1280, 900)
	b.scheme("light")
	return b
}

func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			b.problems = append(b.problems, fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("log: %s %s", e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != b.s.listen && u.Scheme != "blob" && u.Scheme != "data" {
			b.problems = append(b.problems, "it asks elsewhere: "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.bytes[e.RequestID] = e.EncodedDataLength
	}
}

// excuse lets problems that contain a text be: the test makes them happen.
func (b *tab) excuse(texts ...string) { b.excused = append(b.excused, texts...) }

// check fails the test for every problem that is not excused.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
problems:
	for _, p := range b.problems {
		for _, text := range b.excused {
			if strings.Contains(p, text) {
				continue problems
			}
		}
		b.t.Error(p)
	}
	b.problems = nil
}

// do does things in the page. The test fails, with a picture of the page, where
// one cannot be done.
func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := b.try(actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.seen())
	}
}

// try is do that returns why something cannot be done.
func (b *tab) try(actions ...chromedp.Action) error {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 90*time.Second) // axe takes long where many share the processors
	defer cancel()
	if err := chromedp.Run(b.ctx); err != nil { // the browser lives as long as this context
		b.t.Fatal(err)
	}
	return chromedp.Run(ctx, actions...)
}

// executor is the context in which an action can be done that answers.
func (b *tab) executor() context.Context {
	return cdp.WithExecutor(b.ctx, chromedp.FromContext(b.ctx).Target)
}

// seen returns what the page says, for the message of a test that fails.
func (b *tab) seen() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	var text string
	if err := chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + document.body?.innerText`, &text)); err != nil {
		return err.Error()
	}
	return "the page says:\n" + text
}

// size sets the size of the window.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	b.do(emulation.SetDeviceMetricsOverride(width, height, 1, false))
}

// scheme sets dark or light, and that nothing takes time to become so.
func (b *tab) scheme(name string) {
	b.t.Helper()
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// visit goes to an address of the server.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.s.url + path))
}

// turnTo goes to an address within the page, as a link does.
func (b *tab) turnTo(path string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`(history.pushState(null, "", %s), dispatchEvent(new PopStateEvent("popstate")))`, quoted(path)), nil))
}

// signIn signs in with a token, from the page that asks for it.
func (b *tab) signIn(token string) {
	b.t.Helper()
	b.visit("/")
	b.fill("token", token)
	b.press("Sign in")
	b.until("somebody is signed in", `document.querySelector(".side nav")`)
}

// button is the XPath of the button with a text, in the dialog if there is one.
func button(text string) string {
	return fmt.Sprintf(`//button[(normalize-space()=%[1]q or starts-with(normalize-space(), %[2]q)) and (ancestor::dialog or not(//dialog[@open]))]`, text, text+" ")
}

// press presses the button with a text.
func (b *tab) press(text string) {
	b.t.Helper()
	b.click(button(text))
}

// follow follows the link with a text.
func (b *tab) follow(text string) {
	b.t.Helper()
	b.click(fmt.Sprintf(`//a[normalize-space()=%[1]q or starts-with(normalize-space(), %[2]q)]`, text, text+" "))
}

// click clicks with the mouse on what an XPath finds, once it has come to rest
// and nothing lies over it; again, if it had moved away by then.
func (b *tab) click(xpath string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		var at []float64
		if time.Now().After(end) {
			b.t.Fatalf("there is nothing to click on at %s\n%s", xpath, b.seen())
		}
		b.do(chromedp.Evaluate(fmt.Sprintf(`(async () => {
			const all = document.evaluate(%s, document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
			const frame = () => new Promise((done) => setTimeout(done, 20));
			for (let n = 0; n < all.snapshotLength; n++) {
				const e = all.snapshotItem(n);
				if (!e.checkVisibility() || e.disabled) continue;
				e.scrollIntoView({ block: "nearest" });
				for (let was = "", tries = 0; tries < 50; tries++) {
					const r = e.getClientRects()[0];
					if (!r) break;
					const x = r.x + r.width / 2, y = r.y + r.height / 2, now = x + " " + y;
					if (now === was && e.contains(document.elementFromPoint(x, y))) {
						const label = (e) => e?.closest("a, button")?.textContent;
						window.missed = true;
						addEventListener("click", (event) => { window.missed = label(event.target) !== label(e); }, { capture: true, once: true });
						return [x, y];
					}
					was = now;
					await frame();
				}
			}
			return []; })()`, quoted(xpath)), &at, awaited))
		if len(at) == 0 {
			continue
		}
		b.do(chromedp.MouseClickXY(at[0], at[1]))
		if !b.is("window.missed") {
			return
		}
	}
}

// awaited waits for what a promise comes to.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// fill writes into the field with a name.
func (b *tab) fill(name, text string) {
	b.t.Helper()
	field := fmt.Sprintf(`[name=%q]`, name)
	b.do(chromedp.WaitVisible(field, chromedp.ByQuery), chromedp.Evaluate(fmt.Sprintf(`document.querySelector('[name="%s"]').select?.()`, name), nil),
		chromedp.SendKeys(field, text, chromedp.ByQuery))
}

// choose chooses an option of the select with a label.
func (b *tab) choose(label, option string) {
	b.t.Helper()
	var found bool
	b.do(chromedp.Evaluate(fmt.Sprintf(`(() => {
		const s = [...document.querySelectorAll("select")].findLast((s) => (s.labels[0]?.textContent || "").startsWith(%q));
		const o = s && [...s.options].find((o) => o.value === %[2]q || o.textContent === %[2]q);
		if (!o) return false;
		s.value = o.value; setTimeout(() => s.dispatchEvent(new Event("change", { bubbles: true }))); return true; })()`, label, option), &found))
	if !found {
		b.t.Fatalf("there is no %q to choose for %q\n%s", option, label, b.seen())
	}
}

// tick clicks the box that a label is beside.
func (b *tab) tick(label string) {
	b.t.Helper()
	b.click(fmt.Sprintf(`//label[normalize-space()=%s]`, quoted(label)))
}

// until waits until an expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		if b.is(expression) {
			return
		}
	}
	b.t.Fatalf("waited in vain until %s\n%s", what, b.seen())
}

// shows waits until the page says something, spaces counted as one.
func (b *tab) shows(text string) {
	b.t.Helper()
	b.until("it says "+text, fmt.Sprintf(`document.body?.innerText.replace(/\s+/g, " ").includes(%s)`, quoted(text)))
}

// hides waits until the page does not say something any more.
func (b *tab) hides(text string) {
	b.t.Helper()
	b.until("it does not say "+text, fmt.Sprintf(`document.body && !document.body.innerText.replace(/\s+/g, " ").includes(%s)`, quoted(text)))
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// is reports whether an expression is true now; in the page that comes, if this
// one is just being left.
func (b *tab) is(expression string) (so bool) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(40 * time.Millisecond) {
		err := b.try(chromedp.Evaluate("Boolean("+expression+")", &so))
		if err == nil {
			return so
		}
		left := strings.Contains(err.Error(), "navigated or closed") || strings.Contains(err.Error(), "context was destroyed")
		if !left || time.Now().After(end) {
			b.t.Fatalf("%v\n%s", err, b.seen())
		}
	}
}

// text returns what an element says: an amount as it is copied.
func (b *tab) text(selector string) string {
	b.t.Helper()
	var text string
	b.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%s)?.textContent ?? "nothing"`, quoted(selector)), &text))
	return strings.TrimSpace(text)
}

// figure returns one of an account's figures.
func (b *tab) figure(title string) string {
	b.t.Helper()
	var text string
	b.do(chromedp.Evaluate(fmt.Sprintf(`(() => {
		const figure = [...document.querySelectorAll(".figures > div")].find((d) => d.querySelector("dt").textContent === %s)?.querySelector(".amount, .unknown");
		return figure ? [...figure.childNodes].filter((n) => n.className !== "unit").map((n) => n.textContent).join("").trim() : "nothing"; })()`, quoted(title)), &text))
	return text
}

// showsFigure waits until an account's figure is this text.
func (b *tab) showsFigure(title, want string) {
	b.t.Helper()
	got := ""
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = b.figure(title); got == want {
			return
		}
	}
	b.t.Fatalf("%s is %q, want %q\n%s", title, got, want, b.seen())
}

// accessible fails the test for what axe-core finds, and for a form that does
// not fit its dialog.
func (b *tab) accessible(what string) {
	b.t.Helper()
	if !b.is("window.axe") {
		script, err := os.ReadFile(axeSetup.get(b.t, installAxe))
		must(b.t, err)
		b.do(chromedp.Evaluate(string(script)+"; undefined", nil))
	}
	if b.is(`[...document.querySelectorAll("dialog[open]")].some((d) => d.scrollWidth > d.clientWidth)`) {
		b.t.Errorf("%s is wider than its dialog", what)
	}
	var found []struct{ ID, Impact, Help, Nodes string }
	b.do(chromedp.Evaluate(`axe.run({ resultTypes: ["violations"], preload: false }).then((r) => r.violations.map((v) => ({ ID: v.id, Impact: v.impact, Help: v.help,
		Nodes: v.nodes.map((n) => n.target + " " + n.failureSummary).join("\n") })))`, &found, awaited))
	for _, v := range found {
		b.t.Errorf("%s: axe finds %s (%s): %s\n%s", what, v.ID, v.Impact, v.Help, v.Nodes)
	}
}

// fits waits until the page is no wider than the window.
func (b *tab) fits(what string) {
	b.t.Helper()
	var wide string
	for range 50 {
		b.do(chromedp.Evaluate(`(() => { const w = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= w) return "";
			return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll, pre, nav")).map((e) => e.tagName + "." + e.className).slice(0, 5).join(" ") || "something"; })()`, &wide))
		if wide == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Errorf("%s is wider than the window: %s", what, wide)
}

// picture writes what is seen to a file.
func (b *tab) picture(path string) {
	b.t.Helper()
	var data []byte
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		data, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).Do(ctx)
		return err
	}))
	must(b.t, os.WriteFile(path, data, 0o644))
}

// transferred returns how many bytes came over the wire.
func (b *tab) transferred() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bytes := range b.bytes {
		n += int(bytes)
	}
	return n
}
