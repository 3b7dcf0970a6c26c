package dialecttest

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.http as the server answers now")

// A Masking replaces what differs from run to run before an exchange is compared.
type Masking struct {
	Pattern *regexp.Regexp
	With    string // as in regexp.ReplaceAll
}

// Mask returns a masking of a pattern.
func Mask(pattern, with string) Masking { return Masking{regexp.MustCompile(pattern), with} }

// Sample sends a request, in the form that testdata has it (a request line,
// headers, an empty line, a body; lines end with \n or \r\n), to a handler, and
// holds the whole exchange to testdata/NAME.http. With go test -update the file
// is written. Words is pairs: a word that stands in the file in place of what
// was really sent or answered, such as a secret.
func Sample(t *testing.T, h http.Handler, name, request string, masks []Masking, words ...string) *http.Response {
	t.Helper()
	file := strings.NewReplacer(swapped(words)...)
	r := Request(t, strings.NewReplacer(words...).Replace(request))
	sent, err := io.ReadAll(r.Body)
	must(t, err)
	r.Body = io.NopCloser(bytes.NewReader(sent))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	answered, err := io.ReadAll(resp.Body)
	must(t, err)

	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	writeHeaders(&text, r.Header)
	fmt.Fprintf(&text, "\n%s\n\nHTTP/1.1 %d %s\n", sent, resp.StatusCode, http.StatusText(resp.StatusCode))
	writeHeaders(&text, resp.Header)
	fmt.Fprintf(&text, "\n%s\n", answered)
	got := file.Replace(text.String())
	for _, m := range masks {
		got = m.Pattern.ReplaceAllString(got, m.With)
	}
	Golden(t, name+".http", []byte(got))
	resp.Body = io.NopCloser(bytes.NewReader(answered))
	return resp
}

func swapped(words []string) []string {
	back := slices.Clone(words)
	for i := 0; i < len(back); i += 2 {
		back[i], back[i+1] = back[i+1], back[i]
	}
	return back
}

func writeHeaders(w io.Writer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(w, "%s: %s\n", name, value)
		}
	}
}

// Request reads a request as Sample does. Its Content-Length is that of the body.
func Request(t testing.TB, text string) *http.Request {
	t.Helper()
	head, body, found := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n")
	if !found {
		head = strings.TrimSuffix(head, "\n")
	}
	if !strings.Contains(head, " HTTP/1.") {
		line, rest, _ := strings.Cut(head, "\n")
		head = line + " HTTP/1.1\n" + rest
	}
	head = strings.TrimSuffix(strings.ReplaceAll(head, "\n", "\r\n"), "\r\n")
	if !strings.Contains(strings.ToLower(head), "\r\nhost:") {
		head += "\r\nHost: localhost"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
	if err != nil {
		t.Fatalf("a request cannot be read: %v\n%s", err, text)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.RemoteAddr = "192.0.2.1:1234"
	return r.WithContext(t.Context())
}

// Golden compares bytes with a file of testdata, or writes it with -update.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o777))
		must(t, os.WriteFile(path, got, 0o666))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}
