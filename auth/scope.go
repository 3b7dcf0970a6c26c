package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"saldo/ledger"
)

// A Scope is a set of things that a credential may do.
type Scope uint8

const (
	Read     Scope = 1 << iota // balances, statements, lists
	Charge                     // charges, holds and what becomes of them
	TopUp                      // money in, refunds, adjustments
	Admin                      // accounts, limits, units, credentials, rules
	Operator                   // tenants and nodes; implies all others
)

var scopeNames = [...]string{"read", "charge", "topup", "admin", "operator"}

// Has reports whether s has all of want.
func (s Scope) Has(want Scope) bool { return s&Operator != 0 || s&want == want }

// Names returns the names of the scopes in s.
func (s Scope) Names() []string {
	names := []string{}
	for i, name := range scopeNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (s Scope) String() string { return strings.Join(s.Names(), ",") }

// ParseScopes reads names as [Scope.Names] returns them.
func ParseScopes(names []string) (s Scope, err error) {
next:
	for _, name := range names {
		for i, known := range scopeNames {
			if name == known {
				s |= 1 << i
				continue next
			}
		}
		return 0, ledger.Errorf(ledger.Invalid, "there is no scope %.32q; the scopes are %s", name, strings.Join(scopeNames[:], ", "))
	}
	return s, nil
}

// ErrUnauthorized says that a request has no right credential. What it wraps
// into says why, for dialects that tell apart.
var (
	ErrUnauthorized = errors.New("unauthorized: send a credential that this server issued, unchanged")

	ErrUnknown = fmt.Errorf("%w; it knows none with this key", ErrUnauthorized)
	ErrSecret  = fmt.Errorf("%w; the secret of this key is another", ErrUnauthorized)
	ErrRevoked = fmt.Errorf("%w; this one was revoked, ask for a new one", ErrUnauthorized)
	ErrExpired = fmt.Errorf("%w; this one has expired, ask for a new one", ErrUnauthorized)
	ErrAddress = fmt.Errorf("%w; this one may not be used from the address of the request", ErrUnauthorized)
	ErrDialect = fmt.Errorf("%w; this one is for other APIs than this", ErrUnauthorized)
)

// ErrThrottled says that a request comes after too many others: without a right
// credential or, if Rate, with one that has used up its rate.
type ErrThrottled struct {
	RetryAfter time.Duration
	Rate       bool
}

func (e ErrThrottled) Error() string {
	if e.Rate {
		return fmt.Sprintf("too many requests with this credential; try again in %v", e.RetryAfter.Round(time.Second))
	}
	return fmt.Sprintf("too many failed credentials; try again with the right one, or in %v", e.RetryAfter.Round(time.Second))
}

// ErrForbidden says that a credential is right but lacks a scope.
type ErrForbidden struct{ Missing Scope }

func (e ErrForbidden) Error() string {
	return fmt.Sprintf("forbidden: the credential lacks the scope %s; use one that has it, or have one issued", e.Missing)
}
