package native

import (
	"encoding/json"
	"strconv"
	"strings"

	"saldo/dialect"
	"saldo/ledger"
)

// changeAccount serves PATCH /v1/accounts/{id}.
func (s *server) changeAccount(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	d, err := q.read(maxBody, false)
	if err != nil {
		return reply{}, err
	}
	var b accountBody
	if d.accountBody(&b, patchMembers); d.err != nil {
		return reply{}, d.err
	}
	id, err := q.id(b.id, false)
	if err != nil {
		return reply{}, err
	}
	expect, err := q.ifMatch()
	if err != nil {
		return reply{}, err
	}
	op, err := q.change(a, &b)
	if err != nil {
		return reply{}, err
	}
	if err := q.mayChange(a, op); err != nil {
		return reply{}, err
	}
	const tries = 4
	for n := 1; ; n++ {
		if op.Expect = expect; b.note.name != nil || b.note.metadata != nil {
			if err := q.merge(op, &b, id); err != nil {
				return reply{}, err
			}
		}
		res, err := q.post(&ledger.Command{Book: a.Book, ID: id, Ops: []ledger.Op{op}})
		if err == nil {
			return q.changed(a, &res)
		}
		if asError(err).Code != CodePrecondition || expect != 0 || n == tries {
			return reply{}, err
		}
	}
}

// change makes the operation, without its profile.
func (q *request) change(a *ledger.Account, b *accountBody) (*ledger.SetAccount, error) {
	op := &ledger.SetAccount{Account: a.ID, Status: b.status, NoCap: b.noCap, Force: b.force}
	unit, err := q.unit(a)
	if err != nil {
		return nil, err
	}
	if !b.limit.isZero() {
		limit, err := b.limit.in(unit, "credit_limit")
		if err != nil {
			return nil, err
		}
		op.Limit = &limit
	}
	if !b.cap.isZero() {
		limit, err := b.cap.in(unit, "cap")
		if err != nil {
			return nil, err
		}
		op.Cap = &limit
	}
	if b.force && b.note.reason == nil {
		return nil, invalid("reason", "is missing: a forced change needs one")
	}
	op.Reason = note{reason: b.note.reason}.compose()
	return op, nil
}

// mayChange refuses a credential that may not change these settings.
func (q *request) mayChange(a *ledger.Account, op *ledger.SetAccount) error {
	switch {
	case op.Limit != nil && op.Limit.Sign() > 0:
		return q.mayLend(a)
	case op.Limit != nil || op.Cap != nil || op.NoCap || op.Status != nil || op.Force:
		return q.above(a)
	}
	return nil
}

// merge gives op the profile: what the body says, and the rest as it was.
func (q *request) merge(op *ledger.SetAccount, b *accountBody, id string) error {
	a, err := q.s.ledger.Account(q.ctx, op.Account)
	if err != nil {
		return err
	}
	profile, version := a.Profile, a.Version
	if id != "" { // the same again has to be the same command: it is merged with what the first was
		book, e, _, err := q.s.ledger.Find(q.ctx, q.tenant, id)
		if err == nil && book == a.Book {
			profile, version, err = q.profileBefore(a, e.Seq)
		}
		if err != nil && ledger.CodeOf(err) != ledger.NotFound {
			return err
		}
	}
	data, err := q.s.ledger.Text(q.ctx, a.Book, profile)
	if err != nil {
		return err
	}
	said := make(map[string]json.RawMessage)
	if b.note.name != nil {
		said["name"] = b.note.name
	}
	if b.note.metadata != nil {
		said["metadata"] = b.note.metadata
	}
	op.Profile = &ledger.Text{Data: dialect.SetMembers(data, said)}
	if op.Expect == 0 {
		op.Expect = version
	}
	return nil
}

// profileBefore returns where the profile of an account stood before an event,
// and the version that its settings had.
func (q *request) profileBefore(a *ledger.Account, seq uint64) (profile ledger.TextAt, version uint64, err error) {
	before := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, After: seq, Reverse: true}
	for row, err := range q.s.ledger.Scan(q.ctx, before) {
		if err != nil {
			return profile, version, err
		}
		var text uint32
		set := false
		for i := range row.Event.Opened {
			if o := &row.Event.Opened[i]; o.Account == a.ID {
				text, set = o.Profile, true
			}
		}
		opened := set
		for i := range row.Event.Set {
			if s := &row.Event.Set[i]; s.Account == a.ID {
				if set = true; s.Profile != 0 {
					text = s.Profile
				}
			}
		}
		if set && version == 0 {
			version = row.Event.Seq
		}
		if text != 0 {
			profile = ledger.TextAt{Seq: row.Event.Seq, N: text}
		}
		if opened || text != 0 && version != 0 {
			break
		}
	}
	return profile, version, nil
}

// ifMatch reads the version that the caller has seen; 0: any.
func (q *request) ifMatch() (uint64, error) {
	text := q.Header.Get("If-Match")
	if text == "" || text == "*" {
		return 0, nil
	}
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		if inner, ok = strings.CutSuffix(inner, `"`); ok {
			if n, err := strconv.ParseUint(inner, 10, 64); err == nil && n > 0 {
				return n, nil
			}
		}
	}
	return 0, refuse(CodePrecondition, "If-Match has to be one ETag, as it was read")
}

// changed writes the account as the change left it.
func (q *request) changed(a *ledger.Account, res *ledger.Result) (reply, error) {
	e := res.Event
	b, err := q.after(a.Book, e, a.ID)
	if err != nil {
		return reply{}, err
	}
	st, err := q.settingsAt(a, e)
	if err != nil {
		return reply{}, err
	}
	return reply{replayed: res.Replayed, etag: etag(e.Seq)}, q.fullAccount(&b, st)
}

// settingsAt returns the settings of an account as an event left them. What the
// event did not set is found where it was set last before.
func (q *request) settingsAt(a *ledger.Account, e *ledger.Event) (settings, error) {
	st := settings{version: e.Seq, updated: e.Time}
	hasStatus, hasProfile := false, false
	look := func(e *ledger.Event) bool {
		for i := len(e.Set) - 1; i >= 0; i-- {
			s := &e.Set[i]
			if s.Account != a.ID {
				continue
			}
			if s.HasStatus && !hasStatus {
				st.status, hasStatus = s.Status, true
			}
			if s.Profile != 0 && !hasProfile {
				st.profile, hasProfile = ledger.TextAt{Seq: e.Seq, N: s.Profile}, true
			}
		}
		for i := range e.Opened {
			if o := &e.Opened[i]; o.Account == a.ID {
				if !hasProfile && o.Profile != 0 {
					st.profile = ledger.TextAt{Seq: e.Seq, N: o.Profile}
				}
				return true
			}
		}
		return hasStatus && hasProfile
	}
	now, err := q.s.ledger.Account(q.ctx, a.ID)
	if err != nil || look(e) {
		return st, err
	}
	if now.Version == e.Seq { // nothing was set since
		st.status, st.profile = now.Status, now.Profile
		return st, nil
	}
	before := ledger.Query{List: ledger.ListStatement, Book: a.Book, Account: a.ID, After: e.Seq, Reverse: true}
	for row, err := range q.s.ledger.Scan(q.ctx, before) {
		if err != nil {
			return st, err
		}
		if look(row.Event) {
			break
		}
	}
	return st, nil
}

// eraseAccount serves POST /v1/accounts/{id}/erase.
func (s *server) eraseAccount(q *request) (reply, error) {
	a, err := q.pathAccount()
	if err != nil {
		return reply{}, err
	}
	if err := q.above(a); err != nil { // the reasons of those above are among the texts
		return reply{}, err
	}
	d, err := q.read(maxBody, true)
	if err != nil {
		return reply{}, err
	}
	var b accountBody
	if d.accountBody(&b, eraseMembers); d.err != nil {
		return reply{}, d.err
	}
	id, err := q.id(b.id, false)
	if err != nil {
		return reply{}, err
	}
	res, err := q.post(&ledger.Command{Book: a.Book, ID: id, Ops: []ledger.Op{&ledger.Erase{Account: a.ID}}})
	if err != nil {
		return reply{}, err
	}
	q.b = append(q.b, '{')
	q.writer.account("id", a.ID)
	q.time("created_at", a.Created)
	q.time("erased_at", res.Event.Time)
	q.uint("seq", res.Event.Seq)
	err = q.balanceAfter(a.Book, res.Event, a.ID)
	q.close()
	return reply{replayed: res.Replayed}, err
}
