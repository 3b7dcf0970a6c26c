package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/dialect/native"
)

// A Baseline is the least that could answer: a bare net/http handler that
// writes the head and the body of a sample and, with File, first appends Bytes
// to a file and waits until they are durable, together with whoever else waits;
// or, with Database, first asks a PostgreSQL.
type Baseline struct {
	Sample   string // file with a whole answer: head and body
	File     string
	Bytes    int
	Connect  bool   // answer by a Connect handler, with the message in the sample's body
	Database string // URL
	Ask      string // what: AskSelect, AskLocked, AskPooled, AskBatched
}

// Serve answers on a port of its own, whose address it writes to out, until ctx ends.
func (b *Baseline) Serve(ctx context.Context, out io.Writer) error {
	sample, err := os.ReadFile(b.Sample)
	if err != nil {
		return err
	}
	head, body, ok := bytes.Cut(sample, headEnd)
	if !ok {
		return fmt.Errorf("%s is not a whole answer", b.Sample)
	}
	type field struct {
		name   string
		values []string
	}
	var fields []field
	for _, line := range strings.Split(string(head), "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		if name = http.CanonicalHeaderKey(name); name != "Date" && name != "Content-Length" {
			fields = append(fields, field{name, []string{value}})
		}
	}
	status := 200
	if _, err := fmt.Sscanf(string(head), "HTTP/1.1 %d", &status); err != nil {
		return err
	}
	length := []string{fmt.Sprint(len(body))}
	var group *committer
	if b.File != "" {
		if group, err = openCommitter(b.File); err != nil {
			return err
		}
		defer group.close()
	}
	record := bytes.Repeat([]byte{0x5a}, b.Bytes)
	var ask asker
	if b.Database != "" {
		var close func()
		if ask, close, err = openAsker(ctx, b.Database, b.Ask); err != nil {
			return err
		}
		defer close()
	}
	pool := sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := pool.Get().(*[]byte)
		n, err := io.ReadFull(r.Body, *buf)
		if err == nil { // there may be more than anybody looks at
			_, err = io.Copy(io.Discard, r.Body)
		} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		switch {
		case err != nil:
		case group != nil:
			err = group.append(record)
		case ask != nil:
			err = ask(r.Context(), (*buf)[:n])
		}
		pool.Put(buf)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		for _, f := range fields {
			h[f.name] = f.values
		}
		h["Content-Length"] = length
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
	if b.Connect {
		if handler, err = connectHandler(body); err != nil {
			return err
		}
	}
	s := &http.Server{Handler: handler}
	native.Configure(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	fmt.Fprintln(out, l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

const connectPath = "/raystack.frontier.v1beta1.FrontierService/GetBillingBalance"

// connectHandler returns the least that connect-go can do: it reads the message
// and returns one that is always the same.
func connectHandler(reply []byte) (http.Handler, error) {
	out := new(frontierv1beta1.GetBillingBalanceResponse)
	if err := protojson.Unmarshal(reply, out); err != nil {
		return nil, err
	}
	return connect.NewUnaryHandler(connectPath,
		func(context.Context, *connect.Request[frontierv1beta1.GetBillingBalanceRequest]) (*connect.Response[frontierv1beta1.GetBillingBalanceResponse], error) {
			return connect.NewResponse(out), nil
		}), nil
}

// A committer appends to a file what many bring, with one write and one
// fdatasync for all who wait.
type committer struct {
	file *os.File
	more chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting []chan error
	bytes   []byte
	closed  bool
}

func openCommitter(name string) (*committer, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	c := &committer{file: f, more: make(chan struct{}, 1), done: make(chan struct{})}
	go c.run()
	return c, nil
}

var answers = sync.Pool{New: func() any { return make(chan error, 1) }}

func (c *committer) append(b []byte) error {
	answer := answers.Get().(chan error)
	c.mu.Lock()
	c.bytes = append(c.bytes, b...)
	c.waiting = append(c.waiting, answer)
	c.mu.Unlock()
	c.wake()
	err := <-answer
	answers.Put(answer)
	return err
}

func (c *committer) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *committer) run() {
	defer close(c.done)
	var bytes []byte
	var waiting []chan error
	for {
		<-c.more
		c.mu.Lock()
		bytes, c.bytes = c.bytes, bytes[:0]
		waiting, c.waiting = c.waiting, waiting[:0]
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		if len(waiting) == 0 {
			continue
		}
		_, err := c.file.Write(bytes)
		if err == nil {
			err = syscall.Fdatasync(int(c.file.Fd()))
		}
		for _, w := range waiting {
			w <- err
		}
	}
}

func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
	<-c.done
	c.file.Close()
}
