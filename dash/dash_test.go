package dash_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"saldo/dash"
)

// api stands for what answers all that is not the dashboard's.
var api = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

func answer(h http.Handler, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

const browserAccepts = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestWhoAnswers(t *testing.T) {
	h := dash.New(api)
	for _, c := range []struct {
		method, path, accept string
		page                 bool
	}{
		{"GET", "/", browserAccepts, true},
		{"HEAD", "/", browserAccepts, true},
		{"GET", "/accounts", browserAccepts, true},
		{"GET", "/accounts/01a201c1-c8d9-7add-90e9-d0fb33d1658a/holds?state=all", browserAccepts, true},
		{"GET", "/vendors/a%2Fb", browserAccepts, true},
		{"GET", "/rules", browserAccepts, true},
		{"GET", "/webhooks", browserAccepts, true},
		{"GET", "/journal", browserAccepts, true},
		{"GET", "/", "*/*", false},
		{"GET", "/", "", false},
		{"GET", "/", "application/json", false},
		{"POST", "/", browserAccepts, false},
		{"POST", "/accounts", browserAccepts, false},
		{"GET", "/v1/accounts", browserAccepts, false},
		{"GET", "/openapi.json", browserAccepts, false},
		{"GET", "/accountsx", browserAccepts, false},
		{"GET", "/assets/", browserAccepts, false},
		{"GET", "/assets/0000000000000000/app.js", "*/*", false},
		{"GET", "/index.html", browserAccepts, false},
		{"GET", "/unknown", browserAccepts, false},
	} {
		resp := answer(h, c.method, c.path, "Accept", c.accept)
		if got := resp.StatusCode == http.StatusOK; got != c.page {
			t.Errorf("%s %s, Accept: %s: %d", c.method, c.path, c.accept, resp.StatusCode)
			continue
		}
		if !c.page {
			continue
		}
		for name, want := range map[string]string{"Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
		if vary := strings.Join(resp.Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept") {
			t.Errorf("%s: Vary is %q", c.path, vary)
		}
	}
}

var reference = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// TestAssets follows every reference of the page and every import of its
// modules, and asks for each as a browser does.
func TestAssets(t *testing.T) {
	h := dash.New(api)
	body, err := io.ReadAll(answer(h, "GET", "/", "Accept", browserAccepts).Body)
	must(t, err)
	if strings.Contains(string(body), "{assets}") || regexp.MustCompile(`<script[^>]*>[^<]|<style|style=|onload=`).Match(body) {
		t.Errorf("the page has something of its own that its policy forbids:\n%s", body)
	}
	imports := regexp.MustCompile(`(?:from\s*|import\()['"](\.[^'"]+)['"]`)
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		resp := answer(h, "GET", path, "Accept-Encoding", "gzip, br")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
			return
		}
		if got := resp.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
		var in io.Reader = resp.Body
		if resp.Header.Get("Content-Encoding") == "gzip" {
			in, err = gzip.NewReader(resp.Body)
			must(t, err)
		}
		text, err := io.ReadAll(in)
		must(t, err)
		whole, err := io.ReadAll(answer(h, "GET", path).Body)
		must(t, err)
		if string(text) != string(whole) {
			t.Errorf("%s is another when it is compressed", path)
		}
		etag := resp.Header.Get("ETag")
		if again := answer(h, "GET", path, "Accept-Encoding", "gzip", "If-None-Match", `"x", W/`+etag); again.StatusCode != http.StatusNotModified || again.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: asked again it answers %d", path, again.StatusCode)
		}
		if plain := answer(h, "GET", path, "Accept-Encoding", "gzip;q=0"); plain.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is compressed for who does not want it", path)
		} else if resp.Header.Get("Content-Encoding") != "" && plain.Header.Get("ETag") == etag {
			t.Errorf("%s has one entity tag for two", path)
		}
		if head := answer(h, "HEAD", path); head.ContentLength != int64(len(whole)) {
			t.Errorf("%s: HEAD says %d bytes, and it has %d", path, head.ContentLength, len(whole))
		}
		for _, m := range imports.FindAllStringSubmatch(string(whole), -1) {
			visit(filepath.Join(filepath.Dir(path), m[1]))
		}
	}
	for _, m := range reference.FindAllStringSubmatch(string(body), -1) {
		visit(m[1])
	}
	files := 0
	must(t, filepath.WalkDir("page", func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		if strings.Contains(name, "/lib/") || err != nil {
			return err
		}
		if outside := regexp.MustCompile(`https?://[a-z]`).FindString(strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")); outside != "" && !strings.Contains(string(text), "alertmanager+http://") {
			t.Errorf("%s names an outside address", name)
		}
		return nil
	}))
	if unused := files - len(seen) - 3; unused != 0 { // the page itself, the licenses, and uplot.css, which a module names
		t.Errorf("%d files, of which %d are used: %d too many", files, len(seen), unused)
	}
}
