package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// A Load is requests over connections that are kept alive, each one waiting for
// its answer. Requests are written by hand and answers are read as far as they
// have to be, so that the client takes little of the machine that both share.
type Load struct {
	Address string
	Also    []string // more addresses, among which the connections take turns
	Clients int
	For     time.Duration
	// Request appends the nth request of a client, whole: line, headers, body.
	// Nothing: there is no more to ask for.
	Request func(dst []byte, client, n int) []byte
	// Before is done before each run, and not measured; nil: nothing is.
	Before func(context.Context) error
	// Check looks at an answer; nil: its status has to be 2xx.
	Check func(client, n, status int, body []byte) error
}

// A Result is what a load came to.
type Result struct {
	Requests  int
	Elapsed   time.Duration
	Latencies []time.Duration // sorted
}

// PerSecond is requests a second.
func (r *Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Quantile is the latency that q of the requests stayed below.
func (r *Result) Quantile(q float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(int(q*float64(len(r.Latencies))), len(r.Latencies)-1)]
}

// Run makes the requests. Connecting is not measured.
func (l *Load) Run(ctx context.Context) (*Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clients := make([]*client, l.Clients)
	addresses := append([]string{l.Address}, l.Also...)
	for i := range clients {
		c, err := dial(ctx, addresses[i%len(addresses)])
		if err != nil {
			return nil, err
		}
		defer c.conn.Close()
		clients[i] = c
	}
	stop := context.AfterFunc(ctx, func() {
		for _, c := range clients {
			_ = c.conn.SetDeadline(time.Now())
		}
	})
	defer stop()
	began := time.Now()
	until := began.Add(l.For)
	errs := make([]error, l.Clients)
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			if errs[i] = c.run(l, i, until); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	r := &Result{Elapsed: time.Since(began)}
	for _, c := range clients {
		r.Requests += len(c.took)
		r.Latencies = append(r.Latencies, c.took...)
	}
	slices.Sort(r.Latencies)
	return r, errors.Join(errs...)
}

// A client is one connection.
type client struct {
	conn     net.Conn
	out, in  []byte
	took     []time.Duration
	buffered int // bytes of in that are filled
}

func dial(ctx context.Context, address string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: make([]byte, 64<<10), took: make([]time.Duration, 0, 1<<16)}, nil
}

func (c *client) run(l *Load, number int, until time.Time) error {
	now := time.Now()
	for n := 0; now.Before(until); n++ {
		if c.out = l.Request(c.out[:0], number, n); len(c.out) == 0 {
			return nil
		}
		if _, err := c.conn.Write(c.out); err != nil {
			return err
		}
		status, body, err := c.read()
		if err != nil {
			return err
		}
		if l.Check != nil {
			err = l.Check(number, n, status, body)
		} else if status/100 != 2 {
			err = fmt.Errorf("request %d of client %d was answered with %d: %.300s", n, number, status, body)
		}
		if err != nil {
			return err
		}
		after := time.Now()
		c.took = append(c.took, after.Sub(now))
		now = after
	}
	return nil
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length: ")
	errAnswer     = errors.New("bench: the answer is not HTTP/1.1 with a Content-Length")
)

// read reads one answer. What it returns is valid until the next.
func (c *client) read() (status int, body []byte, err error) {
	c.buffered = 0
	for {
		if c.buffered == len(c.in) {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
		n, err := c.conn.Read(c.in[c.buffered:])
		if err != nil {
			return 0, nil, err
		}
		c.buffered += n
		got := c.in[:c.buffered]
		end := bytes.Index(got, headEnd)
		if end < 0 {
			continue
		}
		if len(got) < 12 || string(got[:7]) != "HTTP/1." {
			return 0, nil, errAnswer
		}
		status = int(got[9]-'0')*100 + int(got[10]-'0')*10 + int(got[11]-'0')
		length, ok := lengthOf(got[:end+2])
		if !ok {
			return 0, nil, errAnswer
		}
		whole := end + len(headEnd) + length
		for len(c.in) < whole {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
		for c.buffered < whole {
			n, err := c.conn.Read(c.in[c.buffered:])
			if err != nil {
				return 0, nil, err
			}
			c.buffered += n
		}
		return status, c.in[end+len(headEnd) : whole], nil
	}
}

// lengthOf finds Content-Length in a head, whatever its case.
func lengthOf(head []byte) (n int, ok bool) {
	for i := 0; i+len(contentLength) < len(head); i++ {
		if head[i] != '\r' || !bytes.EqualFold(head[i:i+len(contentLength)], contentLength) {
			continue
		}
		for _, d := range head[i+len(contentLength):] {
			if d < '0' || d > '9' {
				return n, ok
			}
			n, ok = n*10+int(d-'0'), true
		}
	}
	return 0, false
}

// once makes one request and returns the answer as it came: head and body.
func once(ctx context.Context, address string, request []byte) (head, body []byte, err error) {
	c, err := dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	defer c.conn.Close()
	if _, err := c.conn.Write(request); err != nil {
		return nil, nil, err
	}
	status, body, err := c.read()
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("bench: the first request was answered with %d: %.300s", status, body)
	}
	return c.in[:c.buffered-len(body)], body, err
}
