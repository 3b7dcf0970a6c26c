package dialecttest

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"saldo/internal/needs"
)

//go:embed clients
var clients embed.FS

// A Client is a program in another language that makes calls with a vendor's
// own package, and says what that returned or raised.
type Client struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Scanner
}

// An Answer is what a call of a [Client] came to: the value that it returned,
// or the exception: its "type" (the name of its class), "message", and fields.
type Answer struct {
	Value json.RawMessage `json:"value"`
	Error map[string]any  `json:"error"`
}

// Node runs a module of testdata, which imports answer from './answer.mjs',
// with the packages of clients/package.json. They are installed when they are
// not there. A module in TypeScript (.ts) is bundled first, with the packages
// that it imports, which may be in TypeScript too. Env is settings for it, as
// NAME=VALUE.
func Node(t testing.TB, script string, env ...string) *Client {
	t.Helper()
	home := once(t, &node, installNode)
	dir, err := os.MkdirTemp(home, "run-") // below node_modules, where imports look for it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := copyScript(t, dir, script, "answer.mjs")
	if strings.HasSuffix(script, ".ts") {
		bundle := strings.TrimSuffix(copied, ".ts") + ".mjs"
		c := exec.Command(filepath.Join(home, "node_modules", ".bin", "esbuild"), copied, "--bundle", "--platform=node",
			"--format=esm", "--keep-names", "--log-level=error", "--outfile="+bundle)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("esbuild: %v\n%s", err, out)
		}
		copied = bundle
	}
	return start(t, exec.Command("node", copied), env)
}

// Python runs a script of testdata, which imports answer from answer, with
// Debian's own Python and the packages python3-boto3, python3-twilio,
// python3-grpcio and python3-requests.
func Python(t testing.TB, script string, env ...string) *Client {
	t.Helper()
	once(t, &python, installPackages)
	return runPython(t, script, env)
}

// Run runs a program as somebody writes it with a vendor's package, in Python or
// as a module of JavaScript by the ending of its name, .py or .mjs, and returns
// what it printed. Where it needs boto 2, which not every Debian has, the test
// is skipped without.
func Run(t testing.TB, name, program string, env ...string) string {
	t.Helper()
	dir, interpreter := t.TempDir(), debianPython
	switch {
	case strings.HasSuffix(name, ".mjs"):
		var err error
		dir, err = os.MkdirTemp(once(t, &node, installNode), "run-")
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		interpreter = "node"
	case strings.Contains(program, "from boto."):
		if err := installPython("boto", "python3-boto"); err != nil {
			t.Skip(err)
		}
	default:
		once(t, &python, installPackages)
	}
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(program), 0o600))
	c := exec.CommandContext(t.Context(), interpreter, path)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\nsays\n%s", err, program, out)
	}
	return string(out)
}

func installPackages() (string, error) {
	return "", installPython("boto3, twilio, grpc, requests", "python3-boto3", "python3-twilio", "python3-grpcio", "python3-requests")
}

// PythonWith is Python with the module of one further package that not every
// Debian has: where it cannot be installed the test is skipped, and says so.
func PythonWith(t testing.TB, module, pkg, script string, env ...string) *Client {
	t.Helper()
	if err := installPython(module, pkg); err != nil {
		t.Skip(err)
	}
	return runPython(t, script, env)
}

func runPython(t testing.TB, script string, env []string) *Client {
	t.Helper()
	return start(t, exec.Command(debianPython, "-B", copyScript(t, t.TempDir(), script, "answer.py")), env)
}

// debianPython is the Python that Debian's packages belong to; another may come
// first in PATH.
const debianPython = "/usr/bin/python3"

func copyScript(t testing.TB, dir, script, library string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", script))
	must(t, err)
	shared, err := clients.ReadFile("clients/" + library)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, library), shared, 0o600))
	path := filepath.Join(dir, script)
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

func start(t testing.TB, c *exec.Cmd, env []string) *Client {
	t.Helper()
	c.Env = append(os.Environ(), env...)
	var failed strings.Builder
	c.Stderr = &failed
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() { // the context of a test has ended by now
		in.Close()
		late := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
		defer late.Stop()
		if err := c.Wait(); err != nil || failed.Len() > 0 && t.Failed() {
			t.Errorf("%s: %v\n%s", filepath.Base(c.Path), err, failed.String())
		}
	})
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	return &Client{t, in, scanner}
}

// Call makes a call.
func (c *Client) Call(call string, args ...any) *Answer {
	c.t.Helper()
	if args == nil {
		args = []any{}
	}
	line, err := json.Marshal(map[string]any{"call": call, "args": args})
	must(c.t, err)
	_, err = fmt.Fprintf(c.in, "%s\n", line)
	must(c.t, err)
	if !c.out.Scan() {
		c.t.Fatalf("%s: the client ended: %v", call, c.out.Err())
	}
	a := new(Answer)
	if err := json.Unmarshal(c.out.Bytes(), a); err != nil {
		c.t.Fatalf("%s: %v in %q", call, err, c.out.Bytes())
	}
	return a
}

// Returns makes a call that returns a value, into out.
func (c *Client) Returns(out any, call string, args ...any) {
	c.t.Helper()
	a := c.Call(call, args...)
	if a.Error != nil {
		c.t.Fatalf("%s raised %v", call, a.Error)
	}
	must(c.t, json.Unmarshal(a.Value, out))
}

// Raises makes a call that raises an exception with the fields of want.
func (c *Client) Raises(want map[string]any, call string, args ...any) {
	c.t.Helper()
	a := c.Call(call, args...)
	if a.Error == nil {
		c.t.Errorf("%s returned %s, want it to raise %v", call, a.Value, want)
		return
	}
	for field, value := range want {
		if fmt.Sprint(a.Error[field]) != fmt.Sprint(value) {
			c.t.Errorf("%s raised %v, want %s %v", call, a.Error, field, value)
		}
	}
}

// A setup is done once in a process.
type setup struct {
	once sync.Once
	path string
	err  error
}

var node, python setup

// once sets up what a test needs beyond Go. Where that cannot be, the test is
// skipped, or fails under CI.
func once(t testing.TB, s *setup, install func() (string, error)) string {
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

// installNode returns a folder whose node_modules has the packages.
func installNode() (dir string, err error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", errors.New("the tests with vendors' JavaScript packages need Node.js 20 or later with npm: install it")
		}
	}
	wanted, err := clients.ReadFile("clients/package.json")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wanted)
	err = needs.Locked(func(home string) error {
		dir = filepath.Join(home, "node-"+hex.EncodeToString(sum[:6]))
		if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
			return nil
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "package.json"), wanted, 0o644); err != nil {
			return err
		}
		if err := needs.Run(dir, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--no-package-lock"); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "done"), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
	})
	return dir, err
}

// installPython installs the packages of modules that Debian's Python does not
// find.
func installPython(modules string, packages ...string) error {
	works := func() error { return exec.Command(debianPython, "-c", "import "+modules).Run() }
	if works() == nil {
		return nil
	}
	return needs.Locked(func(home string) error {
		if works() == nil {
			return nil
		}
		advice := "the tests with vendors' Python packages need Debian's " + strings.Join(packages, ", ") + ": install them"
		if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
			return errors.New(advice)
		}
		install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
		if err := needs.Run(home, "apt-get", install...); err != nil { // perhaps the lists are old
			if err := errors.Join(needs.Run(home, "apt-get", "update"), needs.Run(home, "apt-get", install...)); err != nil {
				return err
			}
		}
		if err := works(); err != nil {
			return fmt.Errorf("%s (%w)", advice, err)
		}
		return nil
	})
}
