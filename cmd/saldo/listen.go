package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"saldo/dialect/native"
)

// A front is the listeners of a node.
type front struct {
	customers net.Listener
	admin     net.Listener            // nil: the same
	own       map[string]net.Listener // of dialects that have one for themselves
	cert      *certificate            // nil: no TLS
}

// listen opens the ports that a configuration names, so that who cannot have
// them learns it before anything else happens.
func listen(ctx context.Context, c *config) (_ *front, err error) {
	f := &front{own: map[string]net.Listener{}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if c.TLSCert != "" {
		if f.cert, err = newCertificate(c.TLSCert, c.TLSKey); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	if f.customers, err = lc.Listen(ctx, "tcp", c.Listen); err != nil {
		return nil, listenError("listen", c.Listen, err)
	}
	if c.AdminListen != "" {
		if f.admin, err = lc.Listen(ctx, "tcp", c.AdminListen); err != nil {
			return nil, listenError("admin-listen", c.AdminListen, err)
		}
	}
	for name, address := range c.DialectListen {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, listenError("dialect-listen "+name+"=", address, err)
		}
		f.own[name] = l
	}
	return f, nil
}

func listenError(setting, address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken by another process; choose another with --%s: %w", address, setting, err)
	}
	return fmt.Errorf("--%s: %w", setting, err)
}

func (f *front) close() {
	for _, l := range append(slices.Collect(maps.Values(f.own)), f.customers, f.admin) {
		if l != nil {
			l.Close()
		}
	}
}

// dialectURL is where a dialect is asked.
func (f *front) dialectURL(name string) string {
	if l := f.own[name]; l != nil {
		return f.urlOf(l)
	}
	return f.url()
}

// url is where the API is asked: a name of this machine, if it is everywhere.
func (f *front) url() string { return f.urlOf(f.customers) }

func (f *front) adminURL() string {
	if f.admin == nil {
		return f.url()
	}
	return f.urlOf(f.admin)
}

func (f *front) urlOf(l net.Listener) string {
	scheme := "http://"
	if f.cert != nil {
		scheme = "https://"
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port)
}

// cutOff is how long a request may go on after the connection it came by was cut
// off: as long as a dialect may take to write down what it cannot undo, such as
// messages that it has handed on.
const cutOff = 25 * time.Second

// serve answers until ctx ends, and then lets requests finish for a while. When it
// returns, none is answered any more.
func (f *front) serve(ctx context.Context, n *node, reload <-chan struct{}) error {
	servers := []*http.Server{f.server(n.answering(n.customers), n.log)}
	listeners := []net.Listener{f.customers}
	if f.admin != nil {
		servers = append(servers, f.server(n.answering(n.admin), n.log))
		listeners = append(listeners, f.admin)
	}
	for name, l := range f.own {
		servers = append(servers, f.server(n.answering(n.own[name]), n.log))
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(servers))
	for i, s := range servers {
		l := listeners[i]
		if f.cert != nil {
			l = tls.NewListener(l, s.TLSConfig)
		}
		go func() { failed <- s.Serve(l) }()
	}
	var err error
	ended := 0
loop:
	for {
		select {
		case <-ctx.Done():
			break loop
		case err = <-failed:
			ended++
			break loop
		case <-reload:
			f.reload(n.log)
			n.reread(ctx, n.log)
		}
	}
	n.stopping.Store(true)
	close(n.ending)
	n.log.Info("stopping", "drain", n.config.Drain.String())
	drain, cancel := context.WithTimeout(context.Background(), n.config.Drain)
	defer cancel()
	for _, s := range servers {
		if stop := s.Shutdown(drain); stop != nil {
			n.log.Warn("requests were cut off", "error", stop)
			s.Close()
		}
	}
	for range len(servers) - ended {
		<-failed
	}
	n.finish()
	return err
}

// answering has requests be finished before the books are closed.
func (n *node) answering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.RLock()
		defer n.requests.RUnlock()
		h.ServeHTTP(w, r)
	})
}

// finish waits until no request is being answered, and lets no other begin.
func (n *node) finish() {
	done := make(chan struct{})
	go func() {
		n.requests.Lock()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(cutOff):
		n.log.Error("a request goes on and on; the server stops without it")
	}
}

func (f *front) server(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	native.Configure(s)
	s.DisableGeneralOptionsHandler = true // "OPTIONS *" is answered by the API, as all else
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true) // gRPC needs it
	if f.cert != nil {
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: f.cert.get}
	}
	return s
}

func (f *front) reload(log *slog.Logger) {
	if f.cert == nil {
		return
	}
	if err := f.cert.read(); err != nil {
		log.Error("the certificate cannot be read again; the one before stays", "error", err)
		return
	}
	log.Info("the certificate was read again")
}

// A certificate is a pair of files, as they were when they were last read.
type certificate struct {
	cert, key string
	now       atomic.Pointer[tls.Certificate]
}

func newCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	return c, c.read()
}

func (c *certificate) read() error {
	pair, err := loadCertificate(c.cert, c.key)
	if err == nil {
		c.now.Store(pair)
	}
	return err
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil }

// loadCertificate reads a certificate that is good now.
func loadCertificate(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the TLS certificate: %w", err)
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the TLS certificate in %s expired at %s", cert, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, nil
}
