package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// States of an account, as the API calls those of the ledger.
var statusNames = [...]string{ledger.StatusOpen: "active", ledger.StatusFrozen: "suspended", ledger.StatusClosed: "closed"}

func parseStatus(text string) (ledger.Status, error) {
	for st, name := range statusNames {
		if name == text {
			return ledger.Status(st), nil
		}
	}
	return 0, invalidParameter("Status has to be active, suspended or closed")
}

// profile returns the free text of an account, and the name in it.
func (s *Server) profile(ctx context.Context, a *ledger.Account) (text []byte, name string, err error) {
	text, err = s.ledger.Text(ctx, a.Book, a.Profile)
	var p struct{ Name string }
	if err == nil && json.Unmarshal(text, &p) != nil {
		p.Name = "" // erased, or never there
	}
	return text, p.Name, err
}

// named returns the free text of an account with another name in it.
func named(text []byte, name string) *ledger.Text {
	quoted, err := json.Marshal(name)
	if err != nil {
		panic(err) // a string always can
	}
	return &ledger.Text{Data: dialect.SetMembers(text, map[string]json.RawMessage{"name": quoted})}
}

// mostScanned is how many sub-accounts a page looks at for those that it is asked
// for; then the next page goes on.
const mostScanned = 5000

// listAccounts serves GET /Accounts: the account that asks and its sub-accounts,
// in the order in which they were made.
func (q *request) listAccounts() error {
	v, p, err := q.list()
	if err != nil {
		return err
	}
	wanted := v.Get("Status")
	if wanted != "" {
		if _, err := parseStatus(wanted); err != nil {
			return err
		}
	}
	b, err := q.holder(auth.Read)
	if err != nil {
		return err
	}
	l := listing{key: "accounts", element: "Account", path: version + "/Accounts", filters: v}
	add := func(a *ledger.Account) error {
		it, err := q.accountItem(a)
		if err != nil || v.Has("FriendlyName") && it.name != v.Get("FriendlyName") || wanted != "" && it.status != wanted {
			return err
		}
		l.records = append(l.records, it.resource)
		return nil
	}
	self, at := string(b.Account.ID[:]), p.from
	if at == "" {
		if err := add(b.Account); err != nil {
			return err
		}
		at = self
	}
	if isKey(q.cred) { // which opens no sub-account
		q.giveList(&l, &p)
		return nil
	}
	query := ledger.Query{List: ledger.ListAccounts, Tenant: b.Account.Tenant, Parent: b.Account.ID, From: strings.TrimPrefix(at, self)}
	scanned := 0
	for row, err := range q.s.ledger.Scan(q.Context(), query) {
		if err != nil {
			return err
		}
		if len(l.records) == p.size || scanned == mostScanned {
			l.next = at
			break
		}
		if err := add(row.Account); err != nil {
			return err
		}
		scanned, at = scanned+1, row.Key
	}
	q.giveList(&l, &p)
	return nil
}

// list reads what every list is asked with.
func (q *request) list() (url.Values, page, error) {
	v, err := q.params()
	if err != nil {
		return nil, page{}, err
	}
	p, err := q.page(v)
	return v, p, err
}

// fetchAccount serves GET /Accounts/{Sid}.
func (q *request) fetchAccount() error {
	b, err := q.account(auth.Read)
	if err != nil {
		return err
	}
	return q.giveAccount(http.StatusOK, b.Account)
}

func (q *request) giveAccount(status int, a *ledger.Account) error {
	it, err := q.accountItem(a)
	if err == nil {
		q.give(status, it.element, it.fields...)
	}
	return err
}

// createAccount serves POST /Accounts: a sub-account that draws on the balance of
// the account that asks, and a token for it that may do what the caller's may.
func (q *request) createAccount() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	b, err := q.holder(auth.Admin)
	if err != nil {
		return err
	}
	parent := b.Account
	now, err := q.s.ledger.Now()
	if err != nil {
		return err
	}
	name := v.Get("FriendlyName")
	if name == "" {
		name = "SubAccount Created at " + now.Std().Format("2006-01-02 03:04 pm")
	}
	if err := checkText("FriendlyName", name, 64); err != nil {
		return err
	}
	if !parent.Parent.IsZero() || isKey(q.cred) { // a sub-account has none, as with the vendor
		return &faults[accessDenied]
	}
	if int(parent.Children) >= q.s.o.SubAccounts {
		return &faults[manySubAccounts]
	}
	op := &ledger.OpenAccount{ID: q.s.ledger.NewID(), Parent: parent.ID, Mode: ledger.Drawing, Profile: named(nil, name)}
	if text := v.Get("Cap"); text != "" {
		if op.Cap, err = parseCap(text, b.Unit); err != nil {
			return err
		}
	}
	wanted := wantedToken{V: 1, Actor: q.cred.Number, Scopes: scopesOf(q.cred).Names(), Allow: q.cred.Allow, Expires: q.cred.Expires}
	mark := ledger.RecordWrite{Kind: kindToken, Key: op.ID.String(), Data: encode(wanted), Deadline: now.Add(claim)}
	if _, err := q.post(parent, &ledger.Command{Ops: []ledger.Op{op}, Records: []ledger.RecordWrite{mark}}); err != nil {
		return err
	}
	made, err := q.s.ledger.Account(q.Context(), op.ID)
	if err == nil {
		err = q.s.equip(q.Context(), made, &wanted)
	}
	if err != nil {
		return err
	}
	return q.giveAccount(http.StatusCreated, made)
}

// A wantedToken is the JSON of a record of kind twilio.token: a sub-account, whose
// id is the key, is to get its auth token. Accounts are in their tenant's book and
// credentials in the operator's, so that one command cannot make both; should the
// server end between the two, the token is made when the record is due.
type wantedToken struct {
	V       int            `json:"v"`
	Actor   uint64         `json:"actor"` // credential that asked for the sub-account
	Scopes  []string       `json:"scopes"`
	Allow   []netip.Prefix `json:"allow,omitempty"`
	Expires ledger.Time    `json:"expires,omitempty"`
}

// equip makes a sub-account's token, once, and strikes it off what is wanted.
func (s *Server) equip(ctx context.Context, a *ledger.Account, wanted *wantedToken) error {
	scopes, err := auth.ParseScopes(wanted.Scopes)
	if err != nil {
		return err
	}
	_, err = s.auth.Issue(ctx, wanted.Actor, "twilio.token/"+a.ID.String(), auth.Spec{Dialect: auth.Twilio, Name: "sub-account",
		Tenant: a.Tenant, Root: a.ID, Scopes: scopes, Allow: wanted.Allow, Expires: wanted.Expires})
	if err != nil {
		return err
	}
	_, err = s.post(ctx, a, ledger.RecordWrite{Kind: kindToken, Key: a.ID.String(), Expect: ledger.AnyVersion, Delete: true})
	return raced(err)
}

// equipLate is equip of a sub-account whose maker did not come to it. A token
// that cannot be any more, as one that has expired meanwhile, is let go.
func (s *Server) equipLate(ctx context.Context, r *ledger.Record) (*ledger.Command, error) {
	var wanted wantedToken
	id, ok := ledger.ParseAccountID(r.Key)
	if err := json.Unmarshal(r.Data, &wanted); err != nil || wanted.V != 1 || !ok {
		return nil, fmt.Errorf("twilio: the token that %s wants cannot be read (was it written by a newer version?)", r.Key)
	}
	a, err := s.ledger.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	switch err = s.equip(ctx, a, &wanted); ledger.CodeOf(err) {
	case ledger.Invalid, ledger.Exists, ledger.NotFound:
		s.Logger.Warn("a sub-account stays without a token", "dialect", auth.Twilio, "account", id, "error", err)
		return &ledger.Command{Tenant: a.Tenant, Book: a.Book, Records: []ledger.RecordWrite{{Kind: r.Kind, Key: r.Key, Expect: r.Version, Delete: true}}}, nil
	}
	return nil, err
}

// scopesOf are the scopes that a credential of this API can get from another.
func scopesOf(c *auth.Credential) (s auth.Scope) {
	for _, one := range []auth.Scope{auth.Read, auth.Charge, auth.Admin} {
		if c.Scopes.Has(one) {
			s |= one
		}
	}
	return s
}

// isKey reports whether a credential is an API key, which opens one account alone.
func isKey(c *auth.Credential) bool {
	return c.Dialect == auth.Twilio && strings.HasPrefix(c.ID, "SK")
}

// parseCap reads the parameter Cap, which the vendor does not have: the most that
// a sub-account may spend of its parent's money, in all.
func parseCap(text string, unit money.Unit) (*money.Amount, error) {
	most, err := unit.Parse(text)
	if err != nil || most.Sign() < 0 {
		return nil, invalidParameter("Cap has to be an amount in " + unit.Code)
	}
	return &most, nil
}

// post has the ledger do what a request asks for, in an account's book.
func (q *request) post(a *ledger.Account, c *ledger.Command) (ledger.Result, error) {
	c.Tenant, c.Book, c.Actor = a.Tenant, a.Book, q.cred.Number
	return q.s.ledger.Post(q.Context(), c)
}

// updateAccount serves POST /Accounts/{Sid}.
func (q *request) updateAccount() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Admin)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		op, err := q.setting(b.Account, b.Unit, v)
		if err != nil {
			return err
		}
		if op != nil {
			_, err = q.post(b.Account, &ledger.Command{Ops: []ledger.Op{op}})
		}
		a, missing := q.s.ledger.Account(q.Context(), b.Account.ID)
		if missing != nil {
			return missing
		}
		if ledger.CodeOf(err) == ledger.Changed && try < 8 { // somebody else has set something
			b.Account = a
			continue
		}
		switch ledger.CodeOf(err) {
		case ledger.OK:
			return q.giveAccount(http.StatusOK, a)
		case ledger.NotEmpty:
			return invalidParameter("An account that has a balance, open holds or subaccounts that are not closed cannot be closed")
		}
		return err
	}
}

// setting returns what an update changes of an account, or nil.
func (q *request) setting(a *ledger.Account, unit money.Unit, v url.Values) (*ledger.SetAccount, error) {
	op, changes := &ledger.SetAccount{Account: a.ID, Expect: a.Version}, false
	if name := v.Get("FriendlyName"); name != "" {
		if err := checkText("FriendlyName", name, 64); err != nil {
			return nil, err
		}
		text, _, err := q.s.profile(q.Context(), a)
		if err != nil {
			return nil, err
		}
		op.Profile, changes = named(text, name), true
	}
	if text := v.Get("Status"); text != "" {
		st, err := parseStatus(text)
		if err == nil {
			err = q.mayBecome(a, st)
		}
		if err != nil {
			return nil, err
		}
		op.Status, changes = &st, true
	}
	if v.Has("Cap") {
		switch {
		case a.Mode != ledger.Drawing:
			return nil, invalidParameter("Cap is for subaccounts that draw on their parent's balance")
		case a.ID == q.cred.Root: // what bounds its holder is for those above to change
			return nil, &faults[accessDenied]
		}
		if text := v.Get("Cap"); text == "" {
			op.NoCap = true
		} else {
			limit, err := parseCap(text, unit)
			if err != nil {
				return nil, err
			}
			op.Cap = limit
		}
		changes = true
	}
	if !changes {
		return nil, nil
	}
	return op, nil
}

// mayBecome says why an account cannot get a status.
func (q *request) mayBecome(a *ledger.Account, st ledger.Status) error {
	if a.Status == ledger.StatusClosed {
		return &faults[alreadyClosed]
	}
	if a.Parent.IsZero() {
		return nil
	}
	parent, err := q.s.ledger.Account(q.Context(), a.Parent)
	if err != nil {
		return err
	}
	above, err := q.s.ledger.Status(q.Context(), parent)
	if err == nil && above != ledger.StatusOpen {
		err = &faults[parentSuspended]
	}
	return err
}

// An accountItem is an account as answers have it.
type accountItem struct {
	resource
	name, status string
}

func (q *request) accountItem(a *ledger.Account) (it accountItem, err error) {
	ctx := q.Context()
	sid, err := q.sidOf(a.ID)
	if err != nil {
		return it, err
	}
	owner := sid
	if !a.Parent.IsZero() {
		if owner, err = q.sidOf(a.Parent); err != nil {
			return it, err
		}
	}
	_, name, err := q.s.profile(ctx, a)
	if err != nil {
		return it, err
	}
	st, err := q.s.ledger.Status(ctx, a)
	if err != nil {
		return it, err
	}
	token, err := q.token(a, sid)
	if err != nil {
		return it, err
	}
	updated, err := q.settingsAt(a)
	if err != nil {
		return it, err
	}
	limit := ""
	if a.HasCap {
		unit, err := q.s.ledger.UnitOf(ctx, a)
		if err != nil {
			return it, err
		}
		limit = a.Cap.TextMin(int(unit.Scale), min(leastDecimals, int(unit.Scale)))
	}
	at := version + "/Accounts/" + sid
	it.name, it.status = name, statusNames[st]
	it.resource = resource{"Account", []field{
		optional("auth_token", token),
		optional("cap", limit), // the vendor has none
		{name: "date_created", value: date(a.Created)},
		{name: "date_updated", value: date(updated)},
		{name: "friendly_name", value: it.name},
		{name: "owner_account_sid", value: owner},
		{name: "sid", value: sid},
		{name: "status", value: it.status},
		{name: "subresource_uris", is: object, in: []field{
			{name: "balance", value: at + "/Balance" + q.extension},
			{name: "keys", value: at + "/Keys" + q.extension},
			{name: "usage", value: at + "/Usage/Records" + q.extension},
			{name: "usage_triggers", value: at + "/Usage/Triggers" + q.extension},
		}},
		{name: "type", value: "Full"},
		{name: "uri", value: at + q.extension},
	}}
	return it, nil
}

// settingsAt is when an account's settings last changed.
func (q *request) settingsAt(a *ledger.Account) (ledger.Time, error) {
	e, err := q.s.ledger.Event(q.Context(), a.Book, a.Version)
	if err != nil {
		return 0, err
	}
	return e.Time, nil
}

// token returns the auth token of an account if who asks may see it: not an API
// key, and nobody who may do less than the token, for less long or from fewer
// addresses.
// Who asks with the token sees that which was used: one that is being
// rotated away does not tell its successor.
func (q *request) token(a *ledger.Account, sid string) (string, error) {
	c, err := q.s.tokenOf(q.Context(), a, sid)
	if err != nil || c == nil || isKey(q.cred) || !q.cred.Scopes.Has(c.Scopes) || !c.Within(q.cred) {
		return "", err
	}
	if c.Number == q.cred.Number {
		_, used, _ := q.BasicAuth()
		return used, nil
	}
	secrets, err := q.s.auth.Reveal(q.Context(), c.ID)
	if err != nil || len(secrets) == 0 {
		return "", err
	}
	return string(secrets[0]), nil
}

// tokenOf returns the credential that is an account's auth token, or nil.
func (s *Server) tokenOf(ctx context.Context, a *ledger.Account, sid string) (*auth.Credential, error) {
	for _, id := range []string{sid, ownSID(a.ID)} {
		c, err := s.auth.ByID(ctx, id)
		if err == nil && c.Dialect == auth.Twilio && c.Root == a.ID && !c.Revoked {
			return &c, nil
		}
		if err != nil && ledger.CodeOf(err) != ledger.NotFound {
			return nil, err
		}
	}
	return nil, nil
}

// date returns a time as resources have it, of RFC 2822.
func date(t ledger.Time) string { return t.Std().Format("Mon, 02 Jan 2006 15:04:05 +0000") }
