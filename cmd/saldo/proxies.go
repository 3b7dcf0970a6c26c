package main

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddr returns what tells whom a request comes from: the other end of the
// connection or, when that is a trusted proxy, the last address of
// X-Forwarded-For that is none.
func clientAddr(trusted []netip.Prefix) func(*http.Request) netip.Addr {
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) netip.Addr {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		from := peer.Addr().Unmap().WithZone("")
		if len(trusted) == 0 || !isTrusted(from) {
			return from
		}
		hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
		for _, hop := range slices.Backward(hops) {
			a, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				return from
			}
			if from = a.Unmap().WithZone(""); !isTrusted(from) {
				return from
			}
		}
		return from
	}
}
