package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// The file of settings changes while the server runs: SIGHUP has it watch what
// the file says now, and a file that is wrong changes nothing.
func TestReload(t *testing.T) {
	var asked atomic.Int64
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"left": "4.00"}`)
	}))
	defer vendor.Close()
	hook := newHook(t)
	path := filepath.Join(t.TempDir(), "saldo.toml")
	source := func(name, more string) string {
		return fmt.Sprintf("[[watch.sources]]\nname = %q\nkind = \"generic\"\naddress = %q\nauth = \"none\"\namount = \".left\"\nunit = \"USD\"\n%s\n", name, vendor.URL, more)
	}
	head := fmt.Sprintf("[watch]\nallow = [\"127.0.0.1\"]\n[[watch.endpoints]]\nname = \"ops\"\nurl = %q\nsecret = %q\n", hook.URL, hook.secret)
	writeFile(t, path, head+source("a", "")+source("b", ""))
	r := startNode(t, testConfig(t, "--config", path))
	var said bytes.Buffer
	states := func() string {
		var all []string
		for _, l := range r.watch.Looks(0) {
			all = append(all, l.Source.Name+" "+l.State)
		}
		return strings.Join(all, ", ")
	}
	waitUntil(t, "both are read", func() bool { return states() == "a ok, b ok" })
	reload := func(text string) string {
		t.Helper()
		writeFile(t, path, text)
		said.Reset()
		r.reread(t.Context(), slog.New(slog.NewTextHandler(&said, nil)))
		return said.String()
	}
	if log := reload(head + source("a", "") + source("b", "")); !strings.Contains(log, "nothing new to watch") || asked.Load() != 2 {
		t.Errorf("a file that is as it was: %s, %d polls", log, asked.Load())
	}
	log := reload(head + source("a", "low = \"5\"") + source("c", ""))
	for _, want := range []string{`added="[source c]"`, `changed="[source a]"`, `removed="[source b]"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s: %s", want, log)
		}
	}
	waitUntil(t, "the new sources are read", func() bool { return states() == "a low, c ok" })
	waitUntil(t, "an alert", func() bool { return len(hook.seen()) == 1 })
	for _, wrong := range []string{"[watch", head + source("a", "low = \"5\"") + source("d", "interval = \"1ns\""), "listne = 1"} {
		if log := reload(wrong); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "stays as it was") || states() != "a low, c ok" {
			t.Errorf("%s\nis read again: %s, %s", wrong, log, states())
		}
	}
	if log := reload(source("a", "low = \"5\"")); !strings.Contains(log, `removed="[endpoint ops source c]"`) || states() != "a low" {
		t.Errorf("less in the file: %s, %s", log, states())
	}
	writeFile(t, path, head+source("e", ""))
	r.reload <- struct{}{} // as SIGHUP does
	waitUntil(t, "the file is read again", func() bool { return states() == "e ok" })
}
