package dash_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"saldo/internal/needs"
)

// A setup is done once in a process. Where it cannot be, the test is skipped,
// or fails under CI.
type setup struct {
	once sync.Once
	path string
	err  error
}

func (s *setup) get(t testing.TB, install func() (string, error)) string {
	t.Helper()
	s.once.Do(func() { s.path, s.err = install() })
	if s.err != nil && os.Getenv("CI") == "true" {
		t.Fatal(s.err)
	}
	if s.err != nil {
		t.Skip(s.err)
	}
	return s.path
}

var chromiumSetup, axeSetup, binarySetup setup

// TestMain removes the program that the tests built.
func TestMain(m *testing.M) {
	code := m.Run()
	if binarySetup.path != "" {
		os.RemoveAll(filepath.Dir(binarySetup.path))
	}
	os.Exit(code)
}

// installChromium returns Debian's Chromium, which it installs if it may.
func installChromium() (string, error) {
	find := func() string {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	if path := find(); path != "" {
		return path, nil
	}
	err := needs.Locked(func(home string) error {
		if find() != "" {
			return nil
		}
		if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
			return errors.New("the tests of the dashboard need Debian's chromium: install it")
		}
		install := []string{"install", "-y", "--no-install-recommends", "chromium"}
		if err := needs.Run(home, "apt-get", install...); err != nil { // perhaps the lists are old
			return errors.Join(needs.Run(home, "apt-get", "update"), needs.Run(home, "apt-get", install...))
		}
		return nil
	})
	if path := find(); path != "" {
		return path, nil
	}
	return "", errors.Join(err, errors.New("no chromium was found"))
}

// axeVersion is of axe-core, which finds what keeps people from using a page.
const axeVersion = "4.14.1"

// installAxe returns axe-core as one script.
func installAxe() (path string, err error) {
	err = needs.Locked(func(home string) error {
		dir := filepath.Join(home, "axe-core-"+axeVersion)
		path = filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return needs.Run(dir, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "axe-core@"+axeVersion)
	})
	return path, err
}

// buildSaldo returns the program that serves the pages.
func buildSaldo() (string, error) {
	dir, err := os.MkdirTemp("", "saldo-dash-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "saldo")
	if out, err := exec.Command("go", "build", "-o", path, "saldo/cmd/saldo").CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// A server is a demo on a directory of its own, as a process, which can be
// killed and started again.
type server struct {
	t      testing.TB
	dir    string
	listen string
	url    string
	token  string // of the operator
	config string
	demo   map[string]map[string]string // what the demo told
	ended  chan error
	proc   *exec.Cmd
}

// newServer returns a server that is not started. More is what its file of
// settings has.
func newServer(t testing.TB, dir, more string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, listen: freePort(t), config: filepath.Join(t.TempDir(), "saldo.toml")}
	s.url = "http://" + s.listen
	must(t, os.WriteFile(s.config, []byte(more), 0o600))
	return s
}

// startServer starts a server on books that a test has made.
func startServer(t testing.TB, dir, more string) *server {
	t.Helper()
	s := newServer(t, dir, more)
	s.again()
	t.Cleanup(s.kill)
	token, err := os.ReadFile(filepath.Join(dir, "operator.token"))
	must(t, err)
	s.token = strings.TrimSpace(string(token))
	return s
}

// startDemo starts a demo, whose accounts move if live.
func startDemo(t testing.TB, live bool, more string) *server {
	t.Helper()
	s := newServer(t, t.TempDir(), more)
	args := []string{"demo", "-o", "json"}
	if live {
		args = args[:1]
	}
	out := s.start(args...)
	t.Cleanup(s.kill)
	line := bufio.NewScanner(out)
	if !line.Scan() {
		t.Fatal("the demo said nothing")
	}
	if !live {
		var told map[string]json.RawMessage
		must(t, json.Unmarshal(line.Bytes(), &told))
		s.demo = map[string]map[string]string{}
		for name, raw := range told {
			m := map[string]string{}
			if json.Unmarshal(raw, &m) == nil {
				s.demo[name] = m
			}
		}
	}
	go io.Copy(io.Discard, out)
	token, err := os.ReadFile(filepath.Join(s.dir, "operator.token"))
	must(t, err)
	s.token = strings.TrimSpace(string(token))
	return s
}

// freePort returns an address that nobody listens on now.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (s *server) start(args ...string) io.Reader {
	s.t.Helper()
	binary := binarySetup.get(s.t, buildSaldo)
	c := exec.Command(binary, append(args, "--data", s.dir, "--listen", s.listen, "--config", s.config)...)
	c.Env = append(os.Environ(), "XDG_CONFIG_HOME="+s.dir, "HOME="+s.dir)
	var failed bytes.Buffer
	c.Stderr = &failed
	out, err := c.StdoutPipe()
	must(s.t, err)
	must(s.t, c.Start())
	s.proc, s.ended = c, make(chan error, 1)
	ended := s.ended
	go func() {
		err := c.Wait()
		if failed.Len() > 0 && s.t.Failed() {
			fmt.Fprintf(os.Stderr, "saldo %s: %s\n", args[0], failed.String())
		}
		ended <- err
	}()
	return out
}

// kill ends the server at once.
func (s *server) kill() {
	if s.proc == nil {
		return
	}
	s.proc.Process.Kill()
	<-s.ended
	s.proc = nil
}

// again starts the server on the same directory and address.
func (s *server) again() {
	s.t.Helper()
	go io.Copy(io.Discard, s.start("serve"))
	wait(s.t, "the server to be back", func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// object is JSON.
type object = map[string]any

// call asks the API as the operator.
func (s *server) call(method, path string, body object) object {
	s.t.Helper()
	return s.callAs(s.token, method, path, body)
}

func (s *server) callAs(token, method, path string, body object) object {
	s.t.Helper()
	data, status := s.exchange(token, method, path, "application/json", body)
	var answer struct {
		Success bool
		Data    object
		Error   object
	}
	must(s.t, json.Unmarshal(data, &answer))
	if !answer.Success {
		s.t.Fatalf("%s %s: %d %v", method, path, status, answer.Error)
	}
	return answer.Data
}

func (s *server) exchange(token, method, path, accept string, body object) ([]byte, int) {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(s.t, err)
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, in)
	must(s.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", accept)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return data, resp.StatusCode
}

// account returns the id of an account by its name.
func (s *server) account(name string) string {
	s.t.Helper()
	for _, a := range s.call("GET", "/v1/search?q="+url.QueryEscape(name), nil)["items"].([]any) {
		if a := a.(object); a["name"] == name {
			return a["id"].(string)
		}
	}
	s.t.Fatalf("there is no account %q", name)
	return ""
}

// balance returns a figure of an account.
func (s *server) balance(id, figure string) string {
	s.t.Helper()
	return s.call("GET", "/v1/accounts/"+id+"/balance", nil)[figure].(string)
}

// key makes a token.
func (s *server) key(scopes []string, account string) string {
	s.t.Helper()
	body := object{"scopes": scopes, "name": strings.Join(scopes, " and ")}
	if account != "" {
		body["account"] = account
	}
	return s.call("POST", "/v1/credentials", body)["secret"].(string)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wait waits until something is so.
func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
