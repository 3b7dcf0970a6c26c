package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier"
	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/dialect/twilio"
	"saldo/watch"
)

// vendors is every dialect that this binary speaks beside its own.
var vendors = []string{auth.Twilio, auth.MTurk, auth.MTurkLegacy, auth.Gateway360, auth.Frontier}

// A router sends each request to the dialect that it is written in. It answers
// nothing itself: what no vendor's API takes is answered by other.
type router struct {
	twilio     http.Handler // nil: not here
	gateway360 http.Handler
	frontier   http.Handler
	mturk      http.Handler // the JSON API of 2017
	requester  http.Handler // the form of the requester document, served with mturk
	legacy     http.Handler // the APIs before 2017
	other      http.Handler
	hosts      map[string]http.Handler // of dialects that have a host name for themselves
}

func (t *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := t.find(r)
	if h == nil {
		h = t.other
	}
	h.ServeHTTP(w, r)
}

// find returns what takes a request, or nil.
func (t *router) find(r *http.Request) http.Handler {
	path := r.URL.Path
	if len(t.hosts) > 0 {
		if h := t.hosts[hostname(r.Host)]; h != nil {
			return h
		}
	}
	switch {
	case strings.HasPrefix(path, "/v1/"):
		return nil
	case below(path, "/2010-04-01"):
		return t.twilio
	case below(path, "/api/3.0"):
		return t.gateway360
	case below(path, "/v1beta1"), path == "/ping",
		strings.HasPrefix(path, "/raystack.frontier.v1beta1."), strings.HasPrefix(path, "/grpc.health.v1."), strings.HasPrefix(path, "/grpc.reflection.v1"):
		return t.frontier
	case path == "/onca/xml", path == "/onca/soap":
		return t.legacy
	case path == "/":
		return t.root(r)
	}
	return nil
}

// root returns what takes a request for "/", where three of MTurk's forms meet.
func (t *router) root(r *http.Request) http.Handler {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	post := r.Method == http.MethodPost
	switch {
	case r.Header["X-Amz-Target"] != nil, post && strings.HasPrefix(kind, "application/x-amz-json-1."):
		return t.mturk
	case hasOperation(r.URL.RawQuery), mturklegacy.AsksWSDL(r), post && (kind == "text/xml" || kind == "application/x-www-form-urlencoded"):
		return t.legacy
	case post && kind == "application/json":
		return t.requester
	}
	return nil
}

// below reports whether a path is a folder or something in it.
func below(path, folder string) bool {
	return strings.HasPrefix(path, folder) && (len(path) == len(folder) || path[len(folder)] == '/')
}

// hasOperation reports whether a query has a parameter Operation, or Action, as the
// first releases of boto 2 call it.
func hasOperation(query string) bool {
	query = "&" + query
	return strings.Contains(query, "&Operation=") || strings.Contains(query, "&Action=")
}

// hostname is the name in a Host header, without the port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// speak makes the servers of the dialects that the configuration names. All
// share the port of the native API, which answers what none of them takes,
// but for those that have an address or a host name for themselves.
func (n *node) speak(native http.Handler, o dialect.Options) (shared http.Handler, own map[string]http.Handler) {
	t := &router{other: native, hosts: map[string]http.Handler{}}
	own = map[string]http.Handler{}
	for _, name := range vendors {
		if !slices.Contains(n.config.Dialects, name) {
			continue
		}
		alone := &router{}
		place := t
		if host := n.config.DialectHost[name]; host != "" {
			t.hosts[host], place = alone, alone
		} else if n.config.DialectListen[name] != "" {
			own[name], place = alone, alone
		}
		place.add(n, name, o)
		alone.other = alone.main()
	}
	return t, own
}

// add makes the servers of one dialect.
func (t *router) add(n *node, name string, o dialect.Options) {
	switch name {
	case auth.Twilio:
		most := n.config.TwilioSubAccounts
		if most == 0 {
			most = -1 // none
		}
		s := twilio.New(n.ledger, n.auth, twilio.Options{Options: o, Concurrent: n.config.TwilioConcurrent, SubAccounts: most,
			Every: n.config.TwilioTriggers, Callbacks: watch.Guarded(n.callable(), 15*time.Second)})
		t.twilio = s
		n.running.Go(func() { s.Run(n.work) })
	case auth.Gateway360:
		t.gateway360 = gateway360.New(n.ledger, n.auth, gateway360.Options{Options: o, Prices: n.config.Gateway360Prices, Sink: n.config.sink(o.Logger)})
	case auth.MTurk:
		m := mturk.Options{Options: o, Desk: n.desk, ShowHeld: n.config.MTurkShowHeld, PlainMessages: n.config.MTurkPlain}
		t.mturk, t.requester = mturk.New(n.ledger, n.auth, m), mturk.NewRequester(n.ledger, n.auth, m)
	case auth.MTurkLegacy:
		t.legacy = mturklegacy.New(n.ledger, n.auth, mturklegacy.Options{Options: o, Desk: n.desk, PlainMessages: n.config.MTurkPlain, Retired: n.config.LegacyRetired})
	case auth.Frontier:
		t.frontier = frontier.New(n.ledger, n.auth, frontier.Options{Options: o, RealUpdatedAt: n.config.FrontierUpdatedAt, Unit: n.config.FrontierUnit, Ready: n.ready})
	}
}

// callable returns the networks beside the Internet where URLs of customers are
// called: those that the operator allows and, as long as only this machine can
// reach the server, the machine itself.
func (n *node) callable() (allow []netip.Prefix) {
	if n.config.Watch != nil {
		allow = slices.Clone(n.config.Watch.allow)
	}
	if isLoopback(n.config.Listen) && !n.config.PlaintextBehindProxy {
		allow = append(allow, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return allow
}

// main returns what answers whatever comes to a place that one dialect has for
// itself.
func (t *router) main() http.Handler {
	for _, h := range []http.Handler{t.twilio, t.gateway360, t.mturk, t.legacy, t.frontier} {
		if h != nil {
			return h
		}
	}
	return nil
}
