package gateway360

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// addBalance is subaccount/add-balance: from the account of the key to the
// sub-account, in one transfer.
func (s *server) addBalance(c *call) error {
	return s.move(c, "subaccount/add-balance", func(above, a *ledger.Account) (from, to ledger.AccountID) { return above.ID, a.ID })
}

// deductBalance is subaccount/deduct-balance: the way back.
func (s *server) deductBalance(c *call) error {
	return s.move(c, "subaccount/deduct-balance", func(above, a *ledger.Account) (from, to ledger.AccountID) { return a.ID, above.ID })
}

// move moves an amount between a sub-account and the account above it, and
// answers what the sub-account can spend then.
func (s *server) move(c *call, reason string, between func(above, a *ledger.Account) (from, to ledger.AccountID)) error {
	a, _, err := s.subaccount(c)
	if err != nil {
		return err
	}
	unit, err := s.ledger.UnitOf(c.Context(), a)
	if err != nil {
		return err
	}
	var asked param
	c.read(wanted{"amount", &asked})
	amount, err := asked.amount("amount", unit)
	if err != nil {
		return err
	}
	above, err := s.above(c, a, unit)
	if err != nil {
		return err
	}
	id, err := c.onceID(above.ID)
	if err != nil {
		return err
	}
	t := &ledger.Transfer{Kind: ledger.Move, Amount: amount, Text: noteOf(reason)}
	t.From, t.To = between(above, a)
	res, err := s.post(c, a, &ledger.Command{ID: id, Ops: []ledger.Op{t}})
	if err != nil {
		return err
	}
	b, err := s.ledger.After(c.Context(), a.Book, res.Event, a.ID)
	if err != nil {
		return err
	}
	c.Out = appendBalance(c.Out, b.Spendable, b.Unit)
	return nil
}

// above returns the account with which a sub-account shares a balance out: that
// of the key or, where a token opens more than one, the one above it. Both have
// to be in one unit, and to have a balance of their own.
func (s *server) above(c *call, a *ledger.Account, unit money.Unit) (*ledger.Account, error) {
	id := c.cred.Root
	if id.IsZero() {
		id = a.Parent
	}
	switch {
	case id.IsZero():
		return nil, refuse(idBad, "Parameter `user_name` names an account that is no subaccount.")
	case a.Mode == ledger.Drawing:
		return nil, refuse(idBad, "This subaccount draws on the balance of the account above it, and has none of its own.")
	}
	above, err := s.ledger.Account(c.Context(), id)
	if err != nil {
		return nil, err
	}
	if above.Mode == ledger.Drawing { // what went down could not come back
		return nil, refuse(idBad, "The account draws on the balance of the one above it, and has none of its own to share out.")
	}
	other, err := s.ledger.UnitOf(c.Context(), above)
	if err == nil && other != unit {
		err = refuse(idBad, "The account has its balance in "+other.Code+" and the subaccount in "+unit.Code+": nothing can be moved between them.")
	}
	return above, err
}

// onceID returns the id of the command of a request that has the header
// Idempotency-Key: of an account's requests with the same, one is carried out.
// It is "" without the header.
func (c *call) onceID(account ledger.AccountID) (string, error) {
	keys := c.Request.Header["Idempotency-Key"]
	switch {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255:
		return "", refuse(idBad, "The header Idempotency-Key must be 1 to 255 characters, and given once.")
	}
	sum := sha256.Sum256(append(account[:], keys[0]...))
	return "gateway360-" + hex.EncodeToString(sum[:20]), nil
}

// post has the ledger do what a request asks for, in an account's book.
func (s *server) post(c *call, a *ledger.Account, cmd *ledger.Command) (ledger.Result, error) {
	cmd.Tenant, cmd.Book, cmd.Actor = a.Tenant, a.Book, c.cred.Number
	res, err := s.ledger.Post(c.Context(), cmd)
	if ledger.CodeOf(err) == ledger.IDTaken {
		err = errOther
	}
	return res, err
}

var errOther = refuse(idBad, "This Idempotency-Key was used for another request.")

// noteOf is the free text of what a call does.
func noteOf(reason string) *ledger.Text {
	return &ledger.Text{Data: append(appendText([]byte(`{"reason":`), reason), '}')}
}

// A profile is what an account's free text says. Others may keep more there.
type profile struct {
	Name     string         `json:"name"`
	Metadata map[string]any `json:"metadata"`
}

// subaccountInfo is subaccount/get-info.
func (s *server) subaccountInfo(c *call) error {
	a, name, err := s.subaccount(c)
	if err != nil {
		return err
	}
	b, err := s.ledger.Balance(c.Context(), a.ID)
	if err != nil {
		return err
	}
	text, err := s.ledger.Text(c.Context(), a.Book, a.Profile)
	if err != nil {
		return err
	}
	var p profile
	_ = json.Unmarshal(text, &p) // it may be erased, or never have been there
	email, _ := p.Metadata["email"].(string)
	c.Out = append(c.Out, `{"status":"ok","result":{"user_name":`...)
	c.Out = appendText(c.Out, name)
	c.Out = append(c.Out, `,"email":`...)
	c.Out = appendText(c.Out, email)
	c.Out = append(c.Out, ',')
	c.Out = appendFigures(c.Out, b.Spendable, b.Unit)
	c.Out = append(c.Out, `}}`...)
	return nil
}

// A person is what a request for a new sub-account says.
type person struct{ userName, email, name, surname, password, language string }

// person reads the members of subaccount/create. Each is mandatory.
func (c *call) person() (p person, err error) {
	var email, name, surname, password, language, shortener param
	c.read(wanted{"email", &email}, wanted{"name", &name}, wanted{"surname", &surname}, wanted{"password", &password},
		wanted{"language", &language}, wanted{"enable_shortener", &shortener})
	for _, m := range []struct {
		name string
		*param
		to   *string
		most int // bytes
	}{
		{"user_name", &c.userName, &p.userName, 200}, {"email", &email, &p.email, 254}, {"name", &name, &p.name, 100},
		{"surname", &surname, &p.surname, 100}, {"password", &password, &p.password, 200}, {"language", &language, &p.language, 16},
	} {
		if *m.to, err = m.required(m.name); err != nil {
			return p, err
		}
		if len(*m.to) > m.most || strings.ContainsFunc(*m.to, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
			return p, refuse(idBad, "Parameter `"+m.name+"` is too long, or has characters that cannot be printed.")
		}
	}
	if !strings.Contains(p.email, "@") {
		return p, refuse(idBad, "Parameter `email` must be an e-mail address.")
	}
	_, err = shortener.flag("enable_shortener") // there are no links here to shorten
	return p, err
}

// createSubaccount is subaccount/create: an account with a balance of its own, in
// the unit of the account of the key and below it; a name for it; and a key that
// reads and sends. The key is in this answer and nowhere else; nothing here asks
// for the password, and it is not kept.
func (s *server) createSubaccount(c *call) error {
	p, err := c.person()
	if err != nil {
		return err
	}
	if c.cred.Root.IsZero() {
		return refuse(idBad, "This API key opens more than one account: a subaccount is made with the key of the one that it belongs to.")
	}
	parent, err := s.ledger.Account(c.Context(), c.cred.Root)
	if err != nil {
		return err
	}
	spec := auth.Spec{Dialect: auth.Gateway360, Name: p.userName, Tenant: parent.Tenant, Root: parent.ID,
		Scopes: c.cred.Scopes & (auth.Read | auth.Charge), Allow: c.cred.Allow, Expires: c.cred.Expires}
	if spec.Scopes == 0 {
		return auth.ErrForbidden{Missing: auth.Read}
	}
	if err := s.auth.MayIssue(c.Context(), c.cred, spec); err != nil {
		return err
	}
	if _, err := s.auth.Resolve(c.Context(), auth.Gateway360, p.userName); ledger.CodeOf(err) != ledger.NotFound {
		if err == nil {
			err = errNameTaken
		}
		return err
	}
	about, err := json.Marshal(profile{p.name + " " + p.surname, map[string]any{"email": p.email, "language": p.language}})
	if err != nil {
		return err
	}
	now, err := s.ledger.Now()
	if err != nil {
		return err
	}
	op := &ledger.OpenAccount{ID: s.ledger.NewID(), Parent: parent.ID, Mode: ledger.Own, Profile: &ledger.Text{Data: about}}
	mark := ledger.RecordWrite{Kind: kindBegun, Key: op.ID.String(), Data: begun{V: 1, Actor: c.cred.Number}.encode(), Deadline: now.Add(making)}
	res, err := s.post(c, parent, &ledger.Command{Ops: []ledger.Op{op}, Records: []ledger.RecordWrite{mark}})
	if err != nil {
		return err
	}
	spec.Root = op.ID
	key, err := s.nameAndKey(c, spec)
	if err == nil {
		done := ledger.RecordWrite{Kind: kindBegun, Key: mark.Key, Expect: res.Event.Records[0].Version, Delete: true}
		_, err = s.post(c, parent, &ledger.Command{Records: []ledger.RecordWrite{done}})
	}
	if err != nil { // what is half done would stand in the way of another try
		undo, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), finishing)
		defer cancel()
		return errors.Join(err, s.remove(undo, c.cred.Number, op.ID, s.parent(undo)))
	}
	c.Out = append(c.Out, `{"status":"ok","result":{"user_name":`...)
	c.Out = appendText(c.Out, p.userName)
	c.Out = append(c.Out, `,"password":`...)
	c.Out = appendText(c.Out, p.password)
	c.Out = append(c.Out, `,"api_key":`...)
	c.Out = appendText(c.Out, key)
	c.Out = append(c.Out, `}}`...)
	return nil
}

// kindBegun is the kind of the records of sub-accounts, whose ids are their keys,
// that are being made. An account is in its tenant's book, its name and its key
// in the operator's, so that one command cannot make them: should the server end
// in between, what there is of it is taken away when the record is due. Nobody
// was told its key.
const kindBegun = "gateway360.begun"

// making is how long making a sub-account may take.
const making = time.Minute

// A begun is the JSON of such a record.
type begun struct {
	V     int    `json:"v"`
	Actor uint64 `json:"actor"`          // credential that asked for the sub-account
	Ends  bool   `json:"ends,omitempty"` // it is being taken away: who made it comes too late
}

func (b begun) encode() []byte {
	data, err := json.Marshal(b)
	if err != nil {
		panic(err) // it is of a type that marshals
	}
	return data
}

// unmake takes away what is half done of a sub-account. One that is in use
// already stays.
func (s *server) unmake(ctx context.Context, r *ledger.Record) (*ledger.Command, error) {
	var b begun
	id, ok := ledger.ParseAccountID(r.Key)
	if err := json.Unmarshal(r.Data, &b); err != nil || b.V != 1 || !ok {
		return nil, fmt.Errorf("gateway360: the sub-account %s that was begun cannot be read (was it written by a newer version?)", r.Key)
	}
	a, err := s.ledger.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	w := ledger.RecordWrite{Kind: r.Kind, Key: r.Key, Expect: r.Version}
	if !b.Ends {
		b.Ends = true
		w.Data, w.Deadline = b.encode(), r.Deadline+1
	} else {
		err := s.remove(ctx, b.Actor, id, s.parent(ctx))
		var refused *refusal
		if code := ledger.CodeOf(err); code.Retryable() || code == ledger.Internal && !errors.As(err, &refused) {
			return nil, err
		} else if err != nil {
			s.o.Logger.Warn("a sub-account of which nobody was told the key stays: it is in use", "dialect", auth.Gateway360, "account", id, "error", err)
		}
		w.Delete = true
	}
	return &ledger.Command{Tenant: a.Tenant, Book: a.Book, Records: []ledger.RecordWrite{w}}, nil
}

// parent returns what finds the account above another.
func (s *server) parent(ctx context.Context) func(*ledger.Account) (*ledger.Account, error) {
	return func(a *ledger.Account) (*ledger.Account, error) { return s.ledger.Account(ctx, a.Parent) }
}

var errNameTaken = refuse(idBad, "Parameter `user_name` is the name of an account already.")

// nameAndKey gives a new account its user_name, which the spec has, and its key.
func (s *server) nameAndKey(c *call, spec auth.Spec) (string, error) {
	_, err := s.auth.Map(c.Context(), c.cred.Number, "",
		auth.Entry{Dialect: auth.Gateway360, External: spec.Name, Account: spec.Root, Tenant: spec.Tenant})
	if ledger.CodeOf(err) == ledger.Exists { // another was faster
		err = errNameTaken
	}
	if err != nil {
		return "", err
	}
	issued, err := s.auth.Issue(c.Context(), c.cred.Number, "", spec)
	return issued.Secret, err
}

// deleteSubaccount is subaccount/delete: what the sub-account has goes to the
// account of the key, in the command that closes it; its keys end, and its name
// is free again.
func (s *server) deleteSubaccount(c *call) error {
	a, _, err := s.subaccount(c)
	if err != nil {
		return err
	}
	err = s.remove(c.Context(), c.cred.Number, a.ID, func(a *ledger.Account) (*ledger.Account, error) {
		unit, err := s.ledger.UnitOf(c.Context(), a)
		if err != nil {
			return nil, err
		}
		return s.above(c, a, unit)
	})
	if err != nil {
		return err
	}
	c.Out = append(c.Out, `{"status":"ok","result":{}}`...)
	return nil
}

// remove closes an account, ends its keys and frees its names. A balance goes to
// the account that heir returns. What was done before is not done again: a
// request that broke off is finished by its repeat.
func (s *server) remove(ctx context.Context, actor uint64, id ledger.AccountID, heir func(*ledger.Account) (*ledger.Account, error)) error {
	const tries = 8
	for n := 1; ; n++ {
		a, err := s.ledger.Account(ctx, id)
		if err != nil {
			return err
		}
		if a.Status == ledger.StatusClosed {
			return s.forget(ctx, actor, a)
		}
		ops, err := closing(a, heir)
		if err != nil {
			return err
		}
		_, err = s.ledger.Post(ctx, &ledger.Command{Tenant: a.Tenant, Book: a.Book, Actor: actor, Ops: ops})
		switch code := ledger.CodeOf(err); {
		case code == ledger.OK:
		case n < tries && (code == ledger.NotEmpty || code == ledger.Insufficient): // the balance moved meanwhile
		default:
			return err
		}
	}
}

// closing returns what closes an account: the transfer of what it has, and the
// change of its status.
func closing(a *ledger.Account, heir func(*ledger.Account) (*ledger.Account, error)) (ops []ledger.Op, err error) {
	switch {
	case a.OpenHolds > 0:
		return nil, refuse(idBad, "The subaccount has amounts on hold: it can be deleted when they are paid or released.")
	case a.Children > 0:
		return nil, refuse(idBad, "The subaccount has subaccounts: delete them first.")
	case a.Mode == ledger.Own && a.Posted.Sign() < 0:
		return nil, refuse(idBad, "The subaccount owes: it can be deleted when that is paid.")
	case a.Mode == ledger.Own && !a.Posted.IsZero():
		to, err := heir(a)
		if err != nil {
			return nil, err
		}
		ops = append(ops, &ledger.Transfer{Kind: ledger.Move, From: a.ID, To: to.ID, Amount: a.Posted, Text: noteOf("subaccount/delete")})
	}
	closed := ledger.StatusClosed
	return append(ops, &ledger.SetAccount{Account: a.ID, Status: &closed}), nil
}

// forget ends the keys of an account that is closed, and frees its user_names.
func (s *server) forget(ctx context.Context, actor uint64, a *ledger.Account) error {
	for from := ""; ; {
		keys, next, err := s.auth.List(ctx, a.Tenant, a.ID, from, 100)
		if err != nil {
			return err
		}
		for i := range keys {
			if k := &keys[i]; k.Dialect == auth.Gateway360 && !k.Revoked {
				if _, _, err := s.auth.Revoke(ctx, actor, "", k.ID); err != nil {
					return err
				}
			}
		}
		if from = next; next == "" {
			break
		}
	}
	names, err := s.auth.Externals(ctx, a.ID)
	if err != nil {
		return err
	}
	for _, e := range names {
		if e.Dialect != auth.Gateway360 {
			continue
		}
		if _, err := s.auth.Unmap(ctx, actor, "", a.Tenant, e.Dialect, e.External); err != nil && ledger.CodeOf(err) != ledger.NotFound {
			return err
		}
	}
	return nil
}
