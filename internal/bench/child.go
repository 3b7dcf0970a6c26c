package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"saldo/dialect/native"
)

// A child is a process of this same program.
type child struct {
	cmd     *exec.Cmd
	address string
	rest    chan struct{} // closed when all that it said was read
}

// startChild starts this program with arguments and takes the address that it
// listens on from a line of its output.
func startChild(ctx context.Context, env []string, fromStderr bool, address func(line string) string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, args...), rest: make(chan struct{})}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 20 * time.Second
	c.cmd.Env = append(os.Environ(), env...)
	var out io.ReadCloser
	if fromStderr {
		out, err = c.cmd.StderrPipe()
	} else {
		c.cmd.Stderr = os.Stderr
		out, err = c.cmd.StdoutPipe()
	}
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	var said strings.Builder
	for c.address == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("bench: %s did not start: %w\n%s", strings.Join(args, " "), errors.Join(err, c.cmd.Wait()), said.String())
		}
		said.WriteString(line)
		c.address = address(strings.TrimSpace(line))
	}
	go func() {
		defer close(c.rest)
		_, _ = io.Copy(io.Discard, lines)
	}()
	return c, nil
}

func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-c.rest
	return c.cmd.Wait()
}

// rss is how much memory the child has.
func (c *child) rss() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// cpu is how much of the processors the child has used, in steps of 10 ms.
func (c *child) cpu() time.Duration {
	if c == nil { // somebody else's server
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // after the program's name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// startSaldo starts a server on a directory.
func startSaldo(ctx context.Context, dir string) (*child, *native.Client, error) {
	c, err := startServer(ctx, []string{"SALDO_STORE="}, nil, "--data", dir, "--disk-reserve", "0")
	if err != nil {
		return nil, nil, err
	}
	token, err := os.ReadFile(filepath.Join(dir, "operator.token"))
	if err != nil {
		return nil, nil, errors.Join(err, c.stop())
	}
	return c, &native.Client{URL: "http://" + c.address, Token: strings.TrimSpace(string(token))}, nil
}

// startServer starts a server with variables and flags. What it says before it
// serves is told line by line.
func startServer(ctx context.Context, env []string, told func(line string), flags ...string) (*child, error) {
	return startChild(ctx, env, true, func(line string) string {
		var said struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
			return strings.TrimPrefix(said.URL, "http://")
		}
		if told != nil {
			told(line)
		}
		return ""
	}, append([]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--write-context=false", "--rate", "0"}, flags...)...)
}

// startBaseline starts a baseline of a sample.
func startBaseline(ctx context.Context, b Baseline) (*child, error) {
	return startChild(ctx, []string{"SALDO_STORE=" + b.Database}, false, func(line string) string { return line },
		"bench", "baseline", "--ask", b.Ask, "--sample", b.Sample, "--file", b.File, "--bytes", strconv.Itoa(b.Bytes), "--connect="+strconv.FormatBool(b.Connect))
}
