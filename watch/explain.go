package watch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	"saldo/dialect"
)

// A failure is why a source could not be read, as metrics and tables name it.
type failure string

const (
	failedKey         failure = "credential"  // wrong, or not for this
	failedForbidden   failure = "forbidden"   // address blocked, or a scope is missing
	failedNoBalance   failure = "no_balance"  // no such account, or none of its own
	failedClock       failure = "clock"       // ours and theirs differ too much
	failedTLS         failure = "tls"         //
	failedDNS         failure = "dns"         //
	failedConnection  failure = "connection"  // refused, reset
	failedTimeout     failure = "timeout"     //
	failedThrottled   failure = "throttled"   //
	failedUnavailable failure = "unavailable" // the vendor says so
	failedUnreadable  failure = "unreadable"  // not an answer of that API
	failedRefused     failure = "refused"     // something else
)

// Failures are the reasons why a source could not be read.
var Failures = []string{string(failedKey), string(failedForbidden), string(failedNoBalance), string(failedClock), string(failedTLS), string(failedDNS),
	string(failedConnection), string(failedTimeout), string(failedThrottled), string(failedUnavailable), string(failedUnreadable), string(failedRefused)}

// Explain returns why a source could not be read: the reason in a word, and a
// sentence that says what to do.
func Explain(err error) (reason, sentence string) {
	f, s := explain(err)
	return string(f), s
}

func explain(err error) (failure, string) {
	var e *dialect.Error
	if !errors.As(err, &e) {
		return broken(err)
	}
	if e.Err != nil {
		return broken(e.Err)
	}
	said := ""
	if e.Message != "" {
		said = ` The vendor said: "` + strings.TrimSuffix(e.Message, ".") + `."`
	}
	if skewed(e) {
		return failedClock, "This machine's clock and the vendor's differ too much for a signed request: set the clock right (timedatectl, chrony)." + said
	}
	switch e.Reason {
	case dialect.Unauthorized:
		if strings.Contains(strings.ToLower(e.Message), "ip is blocked") {
			return failedKey, "The key is wrong, or the vendor does not let this machine's address in: check the key, then the list of allowed addresses." + said
		}
		return failedKey, "The credential is wrong, revoked, or for another account or address: check account and secret." + said
	case dialect.Forbidden:
		return failedForbidden, "The credential is right but may not read the balance, or not from this machine's address: give it the right to, or allow the address." + said
	case dialect.NotFound:
		return failedNoBalance, "There is no such account, or it is a child account without a balance of its own (ask the account that owns it); or the address is wrong." + said
	case dialect.Throttled:
		return failedThrottled, "The vendor is asked too often: make the interval longer." + said
	case dialect.Unavailable:
		return failedUnavailable, "The vendor cannot answer now; it is asked again later." + said
	case dialect.Unreadable:
		return failedUnreadable, "What answers at this address does not speak this API: check kind and address." + said
	}
	return failedRefused, "The vendor refuses." + said
}

// skewed reports whether a signature was refused for its time.
func skewed(e *dialect.Error) bool {
	for _, word := range []string{"RequestExpired", "RequestTimeTooSkewed"} {
		if strings.Contains(e.Code, word) {
			return true
		}
	}
	return e.Reason == dialect.Unauthorized &&
		(strings.Contains(e.Message, "Signature expired") || strings.Contains(e.Message, "Signature not yet current"))
}

// broken explains what broke a connection.
func broken(err error) (failure, string) {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		dns       *net.DNSError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &name):
		return failedTLS, "The server's certificate is for another name than the address has: check the address. (" + err.Error() + ")"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return failedTLS, "The server's certificate has expired, or this machine's clock is wrong. (" + err.Error() + ")"
	case errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &alert):
		return failedTLS, "The server's certificate is not one that this machine trusts: name its authority with SSL_CERT_FILE. (" + err.Error() + ")"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return failedTLS, "The server does not speak TLS at this address: write http:// if that is meant, or another port."
	case errors.As(err, &dns):
		return failedDNS, "The name " + dns.Name + " is not known: check the address, and this machine's DNS."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return failedTimeout, "The server did not answer in time: check the address, the network and firewalls."
	case errors.Is(err, syscall.ECONNREFUSED):
		return failedConnection, "Nothing listens at the address: check host and port, and whether the server runs."
	case errors.Is(err, errAddress):
		return failedConnection, "The address is on a private network, which is not allowed for this. (" + err.Error() + ")"
	}
	var e *net.OpError
	if errors.As(err, &e) || strings.Contains(err.Error(), "EOF") {
		return failedConnection, "The connection broke: " + err.Error()
	}
	return failedRefused, "It failed: " + err.Error()
}
