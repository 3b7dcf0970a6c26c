package twilio

import (
	"context"
	"strconv"
	"strings"

	"saldo/auth"
	"saldo/ledger"
)

// errNoAccount says that there is no account with a SID.
var errNoAccount = ledger.Errorf(ledger.NotFound, "no account has this SID")

// account returns the account in the path, as it is now, if the request has a
// credential with a scope that opens it. Its SID is q.sid from then on: as it
// was brought along, or AC and the digits of its id in lower case.
func (q *request) account(scope auth.Scope) (ledger.Balance, error) {
	ctx := q.Context()
	cred, err := q.credential(ctx)
	if err != nil {
		return ledger.Balance{}, err
	}
	q.cred = cred
	b, missing := q.resolve(ctx, cred)
	if missing != nil && ledger.CodeOf(missing) != ledger.NotFound {
		return b, missing
	}
	if missing == nil && !q.opens(ctx, cred, b.Account) {
		// For a credential of another tenant there is no such account; within the
		// tenant it may be one that others are told about.
		if cred.Tenant == b.Account.Tenant {
			return b, &faults[wrongSecret]
		}
		missing = errNoAccount
	}
	if err := q.active(ctx, cred, b.Account); err != nil {
		return b, err
	}
	if err := cred.May(scope); err != nil {
		return b, err
	}
	if missing != nil {
		return b, missing
	}
	return b, q.fly(b.Account.ID)
}

// holder returns the account that a request is made as, whose path names none:
// the credential's own or, for a credential that opens more, the one that the
// user name spells. Its SID is q.sid from then on.
func (q *request) holder(scope auth.Scope) (ledger.Balance, error) {
	cred, err := q.credential(q.Context())
	if err != nil {
		return ledger.Balance{}, err
	}
	if q.sid, _, _ = q.BasicAuth(); !cred.Root.IsZero() {
		if q.sid, err = q.sidOf(cred.Root); err != nil {
			return ledger.Balance{}, err
		}
	}
	b, err := q.account(scope)
	if ledger.CodeOf(err) == ledger.NotFound {
		err = &faults[wrongUser]
	}
	return b, err
}

// sidOf returns the SID that an account was brought along with or, without one,
// its own.
func (q *request) sidOf(id ledger.AccountID) (string, error) { return q.s.sidOf(q.Context(), id) }

func (s *Server) sidOf(ctx context.Context, id ledger.AccountID) (string, error) {
	entries, err := s.auth.Externals(ctx, id)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if _, ok := parseSID(e.External); ok && e.Dialect == auth.Twilio {
			return e.External, nil
		}
	}
	return ownSID(id), nil
}

// credential returns the one that the request is made with.
func (q *request) credential(ctx context.Context) (*auth.Credential, error) {
	user, secret, ok := q.BasicAuth()
	switch {
	case q.Request.Header["Authorization"] == nil, ok && user == "" && secret == "":
		return nil, &faults[noCredentials]
	case !ok: // not Basic, or not readable
		return nil, &faults[wrongSecret]
	}
	c, err := q.s.auth.Check(ctx, auth.Twilio, user, secret, q.From())
	if err == nil {
		err = q.Take(c)
	}
	return c, err
}

// resolve returns the account that the SID in the path means.
func (q *request) resolve(ctx context.Context, cred *auth.Credential) (ledger.Balance, error) {
	id, ok := parseSID(q.sid)
	if !ok || id.IsSystem() {
		return ledger.Balance{}, errNoAccount
	}
	b, e, err := q.s.auth.Meant(ctx, auth.Twilio, q.sid, id, func(a *ledger.Account) bool { return q.opens(ctx, cred, a) })
	if e.External != "" {
		q.sid = e.External
	} else if digits := strings.ToLower(q.sid[2:]); err == nil && digits != q.sid[2:] {
		q.sid = "AC" + digits
	}
	return b, err
}

// opens reports whether a credential opens an account: an account's token its
// sub-accounts too, an API key its own account alone.
func (q *request) opens(ctx context.Context, cred *auth.Credential, a *ledger.Account) bool {
	if cred.Dialect == auth.Twilio && strings.HasPrefix(cred.ID, "SK") {
		return a.ID == cred.Root
	}
	return q.s.auth.Opens(ctx, cred, a)
}

// active refuses a caller whose own account is suspended or closed, as the
// vendor does: its credentials are not taken. A is the account in the path,
// if there is one.
func (q *request) active(ctx context.Context, cred *auth.Credential, a *ledger.Account) (err error) {
	if cred.Root.IsZero() {
		return nil // the tenant, or the operator
	}
	if a == nil || a.ID != cred.Root {
		if a, err = q.s.ledger.Account(ctx, cred.Root); err != nil {
			return err
		}
	}
	status, err := q.s.ledger.Status(ctx, a)
	if err == nil && status != ledger.StatusOpen {
		err = &faults[wrongSecret]
	}
	return err
}

// fly counts the request with those of an account that are being answered, says
// how many there are, and refuses it if there are too many.
func (q *request) fly(id ledger.AccountID) error {
	q.flying = id
	n := q.s.flights.enter(id)
	if n < len(counts) {
		q.Header()["Twilio-Concurrent-Requests"] = counts[n]
	} else {
		q.Header()["Twilio-Concurrent-Requests"] = []string{strconv.Itoa(n)}
	}
	if q.s.o.Concurrent > 0 && n > q.s.o.Concurrent {
		return &faults[tooMany]
	}
	return nil
}

// land ends what fly began.
func (q *request) land() {
	if !q.flying.IsZero() {
		q.s.flights.leave(q.flying)
		q.flying = ledger.AccountID{}
	}
}
