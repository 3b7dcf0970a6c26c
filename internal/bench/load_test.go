package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The load that is reported is the load that was made, and a wrong answer is
// found out.
func TestLoad(t *testing.T) {
	var served int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != `{"n":1}` || r.URL.Path != "/x" {
			http.Error(w, string(b), http.StatusBadRequest)
			return
		}
		served++
		if served == 500 {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, strings.Repeat("y", 100_000)) // more than one read
	}))
	defer s.Close()
	l := Load{Address: strings.TrimPrefix(s.URL, "http://"), Clients: 1, For: 20 * time.Millisecond,
		Request: func(dst []byte, _, _ int) []byte {
			return append(dst, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"n\":1}"...)
		},
		Check: func(_, _, status int, body []byte) error {
			if status != 200 || len(body) != 100_000 {
				return fmt.Errorf("%d with %d bytes", status, len(body))
			}
			return nil
		}}
	// An answer without Content-Length is refused, not guessed at.
	if _, err := l.Run(t.Context()); err == nil {
		t.Error("an answer in chunks was taken")
	}
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		w.Header().Set("Content-Length", "100000")
		if served > 200 {
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, strings.Repeat("y", 100_000))
	})
	served = 0
	l.For = time.Millisecond
	r, err := l.Run(t.Context())
	if err != nil || r.Requests == 0 || r.Requests != served || len(r.Latencies) != r.Requests {
		t.Errorf("%d requests were reported, %d were served: %v", r.Requests, served, err)
	}
	l.For = 10 * time.Second
	if _, err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a wrong answer: %v", err)
	}
}

// A baseline answers the sample, and appends what it says.
func TestBaseline(t *testing.T) {
	dir := t.TempDir()
	sample := filepath.Join(dir, "sample")
	if err := os.WriteFile(sample, []byte("HTTP/1.1 201 Created\r\nX-One: 1\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Baseline{Sample: sample, File: filepath.Join(dir, "appended"), Bytes: 77}
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, w) }()
	var address string
	if _, err := fmt.Fscanln(r, &address); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		head, body, err := once(ctx, address, []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"))
		if err != nil || string(body) != "hello" || !strings.Contains(string(head), "X-One: 1\r\n") || !strings.HasPrefix(string(head), "HTTP/1.1 201") {
			t.Fatalf("%q %q %v", head, body, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(b.File); err != nil || info.Size() != 3*77 {
		t.Errorf("%v %v", info, err)
	}
}
