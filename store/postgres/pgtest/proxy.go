package pgtest

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy stands between a program and a server, and fails as it is told.
type Proxy struct {
	dir    string
	target func() string // the server's socket, which may change; "": there is none
	listen net.Listener
	wait   sync.WaitGroup

	latency atomic.Int64 // added to each way
	silent  atomic.Bool  // nothing goes through, and nobody is told
	replies atomic.Int64 // how many replies are lost from now on, with their connections
	asks    atomic.Int64 // how many requests
	trips   atomic.Int64 // see Trips

	mu     sync.Mutex
	conns  map[net.Conn]bool
	breaks bool // the next reply that is lost is the last that came
	down   bool // nobody gets through
}

// NewProxy returns a proxy before a server. It ends with the test.
func NewProxy(t testing.TB, target func() string) *Proxy {
	t.Helper()
	p, err := StartProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// StartProxy starts a proxy before a server.
func StartProxy(target func() string) (*Proxy, error) {
	dir, err := os.MkdirTemp("", "saldo-px-")
	if err != nil {
		return nil, err
	}
	p := &Proxy{dir: dir, target: target, conns: map[net.Conn]bool{}}
	if p.listen, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.wait.Go(p.accept)
	return p, nil
}

// Close ends the proxy and cuts every connection.
func (p *Proxy) Close() error {
	err := p.listen.Close()
	p.Cut()
	p.wait.Wait()
	return errors.Join(err, os.RemoveAll(p.dir))
}

// URL is where a database is, through the proxy, or through others.
func (p *Proxy) URL(database string, others ...*Proxy) string {
	hosts := p.dir
	for _, o := range others {
		hosts += "," + o.dir
	}
	return "postgres:///" + database + "?user=saldo&host=" + url.QueryEscape(hosts)
}

// Latency adds d to each round trip.
func (p *Proxy) Latency(d time.Duration) { p.latency.Store(int64(d / 2)) }

// Trips is how many round trips there were: how often something was asked on a
// connection on which the last thing had been an answer.
func (p *Proxy) Trips() int64 { return p.trips.Load() }

// Silence lets nothing through, as a network does that has come apart, until it
// is lifted; connections stay open.
func (p *Proxy) Silence(on bool) { p.silent.Store(on) }

// LoseReplies loses the next n replies, and cuts their connections: what was
// asked for has been done.
func (p *Proxy) LoseReplies(n int) { p.replies.Store(int64(n)) }

// LoseRequests loses the next n requests, and cuts their connections.
func (p *Proxy) LoseRequests(n int) { p.asks.Store(int64(n)) }

// Break loses the next reply, as LoseReplies does, and everything from then on:
// connections are cut, and refused until Mend.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaks = true
	p.LoseReplies(1)
}

// Mend ends what Break began, or was to begin.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaks, p.down = false, false
}

// lost is called when a reply was lost.
func (p *Proxy) lost() {
	p.mu.Lock()
	p.down = p.down || p.breaks
	p.breaks = false
	cut := p.down
	p.mu.Unlock()
	if cut {
		p.Cut()
	}
}

// Cut cuts every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // it may have ended
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("unix", p.target())
	if err != nil {
		_ = client.Close() // as a server does that is not there
		return
	}
	p.mu.Lock()
	if p.down {
		p.end(client, server)
	}
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	var asked atomic.Bool
	both.Go(func() {
		p.copy(server, client, &p.asks, func() {
			if !asked.Swap(true) {
				p.trips.Add(1)
			}
		})
	})
	both.Go(func() { p.copy(client, server, &p.replies, func() { asked.Store(false) }) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy copies what comes until it ends, or is to be lost. What comes later does
// not wait for what came before to arrive: a line is long, not slow.
func (p *Proxy) copy(to, from net.Conn, lose *atomic.Int64, came func()) {
	type piece struct {
		b   []byte
		due time.Time
	}
	line := make(chan piece, 1024)
	var read sync.WaitGroup
	read.Go(func() {
		defer close(line)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			if left := lose.Load(); left > 0 && lose.CompareAndSwap(left, left-1) {
				if lose == &p.replies {
					p.lost()
				}
				return
			}
			came()
			line <- piece{b[:n], time.Now().Add(time.Duration(p.latency.Load()))}
		}
	})
	for c := range line {
		if d := time.Until(c.due); d > 0 {
			time.Sleep(d)
		}
		for p.silent.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := to.Write(c.b); err != nil {
			break
		}
	}
	p.end(to, from)
	for range line { // what nobody gets
	}
	read.Wait()
}

// end closes both ends of a line.
func (p *Proxy) end(ends ...net.Conn) {
	for _, c := range ends {
		_ = c.Close() // it may have ended
	}
}
