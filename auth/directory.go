package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"saldo/ledger"
)

// An Entry of the directory: what another system calls an account, or a tenant.
type Entry struct {
	Dialect  string
	External string           // as it was brought along; compared as the dialect compares
	Account  ledger.AccountID // zero: the tenant itself
	Tenant   ledger.TenantID
}

// An entryRow is the JSON of a record of kind "directory".
type entryRow struct {
	V        int             `json:"v"`
	Dialect  string          `json:"dialect"`
	External string          `json:"external"`
	Account  string          `json:"account,omitempty"`
	Tenant   ledger.TenantID `json:"tenant"`
}

// directoryKey is the key of a directory entry's record: two ids that are the
// same to the dialect have the same. It is "" where there can be no entry.
func directoryKey(dialect, external string) string {
	key := dialect + "/" + fold(dialect, external)
	if external == "" || len(key) > ledger.MaxID || !slices.Contains(Dialects(), dialect) || strings.IndexByte(external, 0) >= 0 {
		return ""
	}
	return key
}

// Map makes an external id mean an account, or a tenant. An id means one thing
// in a dialect, whatever the tenant. The same again is fine, and keeps the first
// spelling. The bool says that an earlier command with this id did it.
func (a *Auth) Map(ctx context.Context, actor uint64, id string, e Entry) (bool, error) {
	if directoryKey(e.Dialect, e.External) == "" || !printableText(e.External) {
		return false, ledger.Errorf(ledger.Invalid, "an external id is 1 to 200 printable characters of a dialect: %s", strings.Join(Dialects(), ", "))
	}
	if e.Tenant == 0 {
		return false, ledger.Errorf(ledger.Invalid, "name the tenant that the external id belongs to")
	}
	asked := []string{"map", e.Dialect, e.External, e.Account.String()}
	_, replayed, err := a.l.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: e.Tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		if err := a.belongs(ctx, &Spec{Tenant: e.Tenant, Root: e.Account}); err != nil {
			return nil, nil, err
		}
		w, err := a.mapping(ctx, &e)
		return w, nil, err
	})
	return replayed, err
}

// mapping returns the write that puts an entry into the directory: none if it is
// there already.
func (a *Auth) mapping(ctx context.Context, e *Entry) ([]ledger.RecordWrite, error) {
	if err := a.others(ctx, e); err != nil {
		return nil, err
	}
	if _, r, err := a.entry(ctx, e.Dialect, e.External); err != nil || r != nil {
		return nil, err
	}
	row := entryRow{V: 1, Dialect: e.Dialect, External: e.External, Tenant: e.Tenant}
	if !e.Account.IsZero() {
		row.Account = e.Account.String()
	}
	index := []ledger.IndexEntry{{Name: indexTenant, Value: numberKey(uint64(e.Tenant))}, {Name: indexAccount, Value: e.holder()}}
	return []ledger.RecordWrite{{Kind: kindDirectory, Key: directoryKey(e.Dialect, e.External), Data: encodeRow(row), Index: index}}, nil
}

// others refuses an external id that means something else than e says: by an
// entry, or because it is another account's own.
func (a *Auth) others(ctx context.Context, e *Entry) error {
	old, r, err := a.entry(ctx, e.Dialect, e.External)
	if err != nil {
		return err
	}
	if r != nil && (old.Account != e.Account || old.Tenant != e.Tenant) {
		return ledger.Errorf(ledger.Exists, "the %s id %q means something else already; unmap it there first", e.Dialect, e.External)
	}
	own, ok := ownID(e.Dialect, e.External)
	if r != nil || !ok || own == e.Account { // who was first with an id keeps it
		return nil
	}
	switch _, err := a.l.Account(ctx, own); ledger.CodeOf(err) {
	case ledger.NotFound:
	case ledger.OK:
		return ledger.Errorf(ledger.Exists, "the %s id %q is another account's own", e.Dialect, e.External)
	default:
		return err
	}
	switch t, err := a.l.TenantByID(ctx, own); ledger.CodeOf(err) {
	case ledger.NotFound:
		return nil
	case ledger.OK:
		if t.Number == e.Tenant && e.Account.IsZero() {
			return nil
		}
		return ledger.Errorf(ledger.Exists, "the %s id %q is a tenant's own", e.Dialect, e.External)
	default:
		return err
	}
}

// ownID returns the account that an external id spells by itself.
func ownID(dialect, external string) (ledger.AccountID, bool) {
	switch dialect {
	case Twilio:
		if isSID(external) && external[:2] == "AC" {
			return ledger.ParseAccountID(external[2:])
		}
	case Native, Frontier:
		return uuidOf(external)
	}
	return ledger.AccountID{}, false
}

// Unmap takes a tenant's entry out of the directory.
func (a *Auth) Unmap(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, dialect, external string) (bool, error) {
	asked := []string{"unmap", dialect, external}
	_, replayed, err := a.l.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		e, r, err := a.entry(ctx, dialect, external)
		if err == nil && (r == nil || e.Tenant != tenant) {
			err = ledger.Errorf(ledger.NotFound, "the %.32s id %.200q means nothing here", dialect, external)
		}
		if err != nil {
			return nil, nil, err
		}
		return []ledger.RecordWrite{{Kind: r.Kind, Key: r.Key, Expect: r.Version, Delete: true}}, nil, nil
	})
	return replayed, err
}

// Resolve returns what an external id means, or an error with code NotFound.
func (a *Auth) Resolve(ctx context.Context, dialect, external string) (Entry, error) {
	e, r, err := a.entry(ctx, dialect, external)
	if err == nil && r == nil {
		err = ledger.Errorf(ledger.NotFound, "the %.32s id %.200q means nothing here", dialect, external)
	}
	return e, err
}

// Meant returns the balance of the account that an external id means to a caller:
// that of the account that was brought along under the id, with its entry, if the
// caller opens it; else that of own, whose id it spells, if the caller opens that;
// else the first again or, without an entry, the second. So nobody takes an id from
// who brought it by opening an account of that id, and nobody is kept from an account
// of theirs by who brought its id along elsewhere.
func (a *Auth) Meant(ctx context.Context, dialect, external string, own ledger.AccountID, opens func(*ledger.Account) bool) (ledger.Balance, Entry, error) {
	e, r, err := a.entry(ctx, dialect, external)
	if err != nil {
		return ledger.Balance{}, Entry{}, err
	}
	if r == nil || e.Account.IsZero() { // nobody's, or a tenant's
		b, err := a.l.Balance(ctx, own)
		return b, Entry{}, err
	}
	brought, err := a.l.Balance(ctx, e.Account)
	if err == nil && opens(brought.Account) || err != nil && ledger.CodeOf(err) != ledger.NotFound {
		return brought, e, err
	}
	b, missing := a.l.Balance(ctx, own)
	if missing == nil && opens(b.Account) || missing != nil && ledger.CodeOf(missing) != ledger.NotFound {
		return b, Entry{}, missing
	}
	return brought, e, err
}

func (a *Auth) entry(ctx context.Context, dialect, external string) (Entry, *ledger.Record, error) {
	key := directoryKey(dialect, external)
	if key == "" {
		return Entry{}, nil, nil
	}
	r, err := a.l.Record(ctx, ledger.RecordKey{Kind: kindDirectory, Key: key})
	if err != nil || r == nil {
		return Entry{}, nil, err
	}
	e, err := decodeEntry(r)
	return e, r, err
}

// holder is what the index by account has for an entry.
func (e *Entry) holder() string {
	if e.Account.IsZero() {
		return "tenant " + numberKey(uint64(e.Tenant))
	}
	return e.Account.String()
}

// Externals returns what other systems call an account.
func (a *Auth) Externals(ctx context.Context, account ledger.AccountID) ([]Entry, error) {
	return a.entries(ctx, &Entry{Account: account})
}

// TenantExternals returns what other systems call a tenant itself.
func (a *Auth) TenantExternals(ctx context.Context, tenant ledger.TenantID) ([]Entry, error) {
	return a.entries(ctx, &Entry{Tenant: tenant})
}

// entries returns the entries with the account, or the tenant, of an entry.
func (a *Auth) entries(ctx context.Context, of *Entry) ([]Entry, error) {
	var entries []Entry
	q := ledger.Query{List: ledger.ListRecords, Kind: kindDirectory, Index: indexAccount, Value: of.holder()}
	for row, err := range a.l.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		e, err := decodeEntry(row.Record)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func decodeEntry(r *ledger.Record) (Entry, error) {
	row, err := decodeRow[entryRow](r)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Dialect: row.Dialect, External: row.External, Tenant: row.Tenant}
	if row.Account != "" {
		var ok bool
		if e.Account, ok = ledger.ParseAccountID(row.Account); !ok {
			return Entry{}, errRow(r, errors.New("its account is not a UUID"))
		}
	}
	if row.V != 1 {
		return Entry{}, errRow(r, fmt.Errorf("it is of version %d", row.V))
	}
	if row.Tenant == 0 || directoryKey(e.Dialect, e.External) != r.Key {
		return Entry{}, errRow(r, errors.New("it is not where it belongs"))
	}
	return e, nil
}

// fold returns the form in which two external ids are the same to a dialect:
// the hexadecimal digits of a Twilio SID and of a UUID have no case; all else does.
func fold(dialect, external string) string {
	switch dialect {
	case Twilio:
		if isSID(external) {
			return external[:2] + strings.ToLower(external[2:])
		}
	case Native, Frontier:
		if id, ok := uuidOf(external); ok {
			return id.String()
		}
	}
	return external
}

// foldID is fold for the key ids of credentials, which share one space: each
// form is that of one dialect.
func foldID(keyID string) string {
	if isSID(keyID) {
		return fold(Twilio, keyID)
	}
	return fold(Native, keyID)
}

// isSID reports whether s is two capitals and 32 hexadecimal digits.
func isSID(s string) bool {
	if len(s) != 34 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return false
	}
	_, ok := ledger.ParseAccountID(s[2:])
	return ok
}

// uuidOf reads a UUID with its hyphens.
func uuidOf(s string) (ledger.AccountID, bool) {
	if len(s) != 36 {
		return ledger.AccountID{}, false
	}
	return ledger.ParseAccountID(s)
}

func printableText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}
