// Package pgtest starts PostgreSQL servers for tests: the machine's own, on a
// Unix socket in a folder that goes with the server, without a port; with a
// replica if need be, and with what fails between.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL that nobody else uses. It ends with its process's
// parent at the latest.
type Server struct {
	bin  string // where the programs are
	dir  string // socket, log and data
	args []string
	run  *exec.Cmd
	done chan struct{} // closed when run has ended
}

// Options of a server. The zero value is fast and forgets everything when the
// machine, not the process, crashes.
type Options struct {
	Sync     bool     // fsync: what a commit costs on this machine
	Settings []string // name=value
}

// Start makes a server and starts it.
func Start(o Options) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, args: []string{"-c", "listen_addresses=",
		"-c", "fsync=" + onOff(o.Sync), "-c", "full_page_writes=" + onOff(o.Sync), "-c", "max_connections=120",
		"-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB"}}
	for _, setting := range o.Settings {
		s.args = append(s.args, "-c", setting)
	}
	return s, s.begin("initdb", "--no-sync", "--pgdata", "data", "--username", "saldo", "--auth", "trust", "--encoding", "UTF8", "--no-locale")
}

// begin makes the server's folder and, by a program that is run there, the
// cluster in it, and starts it. Nothing is left where that fails.
func (s *Server) begin(program string, args ...string) (err error) {
	if s.dir, err = os.MkdirTemp("", "saldo-pg-"); err != nil { // short: a socket's path has at most 107 bytes
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if id := credential(); id != nil {
		if err := os.Chown(s.dir, int(id.Uid), int(id.Gid)); err != nil {
			return err
		}
	}
	if out, err := s.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return s.Start()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is a program of PostgreSQL's, run by somebody who is not root: it
// refuses to be.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential()}
	return c
}

// credential is who runs the server: nil if we are not root.
func credential() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

// Start starts the server again after Stop or Kill, and waits until it answers.
func (s *Server) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c := s.command("postgres", append([]string{"-D", s.data(), "-c", "unix_socket_directories=" + s.dir}, s.args...)...)
	c.Stdout, c.Stderr = log, log
	done, started := make(chan struct{}), make(chan error)
	go func() { // the server is told when the thread ends that started it: that has to live as long as we do
		runtime.LockOSThread()
		c.SysProcAttr.Pdeathsig = syscall.SIGQUIT
		err := c.Start()
		started <- err
		if err == nil {
			_ = c.Wait() // killed, mostly
		}
		close(done)
	}()
	if err := <-started; err != nil {
		return err
	}
	s.run, s.done = c, done
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("PostgreSQL does not start:\n%s", s.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.Log())
		}
	}
}

// URL is where a database of the server is.
func (s *Server) URL(database string) string {
	return "postgres:///" + database + "?user=saldo&host=" + url.QueryEscape(s.dir)
}

// Socket is the path of the server's socket, for what stands between.
func (s *Server) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// Log is what the server has said.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}

// Stop lets the server end at once, cutting every connection.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Kill ends it without letting it do anything more, as a power cut does: none of
// its processes sees another one's end.
func (s *Server) Kill() error {
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range s.processes() {
			_ = syscall.Kill(pid, signal) // it may have ended
		}
	}
	err := s.end(syscall.SIGKILL)
	for len(s.processes()) > 0 { // while one has the shared memory, a new server refuses to start
		time.Sleep(time.Millisecond)
	}
	_ = os.Remove(filepath.Join(s.data(), "postmaster.pid"))
	return err
}

// Freeze lets all of the server's processes stand still, or go on.
func (s *Server) Freeze(on bool) {
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, signal) // it may have ended
	}
}

// processes are those that work in the server's folder.
func (s *Server) processes() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is right
	for _, cwd := range all {
		if dir, err := os.Readlink(cwd); err == nil && dir == s.data() {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(cwd)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *Server) end(signal syscall.Signal) error {
	if s.run == nil {
		return nil
	}
	if err := s.run.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	s.run = nil
	return nil
}

// Close ends the server and removes everything.
func (s *Server) Close() error {
	if s.dir == "" {
		return nil // it never was
	}
	return errors.Join(s.end(syscall.SIGQUIT), os.RemoveAll(s.dir))
}

// Installed reports whether the machine has a PostgreSQL to start.
func Installed() bool { return look() != "" }

// find returns where PostgreSQL's programs are. Where there are none, and we are
// root, Debian's package is installed.
func find() (string, error) {
	if bin := look(); bin != "" {
		return bin, nil
	}
	if apt, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		c := exec.Command(apt, "install", "-y", "--no-install-recommends", "postgresql")
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing postgresql: %w\n%s", err, out)
		}
		if bin := look(); bin != "" {
			return bin, nil
		}
	}
	return "", errNone
}

var errNone = errors.New("there is no PostgreSQL on this machine (initdb, in the PATH or in /usr/lib/postgresql/*/bin)")

func look() string {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(initdb))
		}
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is right
	slices.Reverse(installed)
	for _, dir := range append(dirs, installed...) {
		_, err1 := os.Stat(filepath.Join(dir, "initdb"))
		_, err2 := os.Stat(filepath.Join(dir, "postgres"))
		_, err3 := os.Stat(filepath.Join(dir, "pg_basebackup"))
		if err1 == nil && err2 == nil && err3 == nil {
			return dir
		}
	}
	return ""
}
