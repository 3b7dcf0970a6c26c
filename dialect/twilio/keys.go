package twilio

import (
	"net/http"

	"saldo/auth"
	"saldo/ledger"
)

// listKeys serves GET /Accounts/{Sid}/Keys: the keys that are not deleted, in the
// order in which they were made.
func (q *request) listKeys() error {
	v, p, err := q.list()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Read)
	if err != nil {
		return err
	}
	l := listing{key: "keys", element: "Key", path: q.at("/Keys"), filters: v}
	at := p.from
	for scanned := 0; l.next == "" && scanned < mostScanned; {
		found, next, err := q.s.auth.List(q.Context(), b.Account.Tenant, b.Account.ID, at, p.size-len(l.records))
		if err != nil {
			return err
		}
		for i := range found {
			if isKey(&found[i]) && !found[i].Revoked {
				l.records = append(l.records, resource{"Key", keyFields(&found[i])})
			}
		}
		if at, scanned = next, scanned+len(found); next == "" {
			break
		}
		if len(l.records) == p.size || scanned >= mostScanned {
			l.next = next
		}
	}
	q.giveList(&l, &p)
	return nil
}

// at is the path of what is below the account in the path, without an extension.
func (q *request) at(path string) string { return version + "/Accounts/" + q.sid + path }

func keyFields(c *auth.Credential) []field {
	return []field{
		{name: "date_created", value: date(c.Created)},
		{name: "date_updated", value: date(c.Updated)},
		{name: "friendly_name", value: c.Name},
		{name: "sid", value: c.ID},
	}
}

// createKey serves POST /Accounts/{Sid}/Keys. The key may do what its maker may,
// but for what needs the scope admin: as the vendor's standard keys, it manages
// neither accounts nor keys. Its secret is in this answer and nowhere else.
func (q *request) createKey() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	b, err := q.account(auth.Admin)
	if err != nil {
		return err
	}
	name := v.Get("FriendlyName")
	if err := checkText("FriendlyName", name, 64); err != nil {
		return err
	}
	spec := auth.Spec{Dialect: auth.Twilio, APIKey: true, Name: name, Tenant: b.Account.Tenant, Root: b.Account.ID,
		Scopes: scopesOf(q.cred) &^ auth.Admin, Allow: q.cred.Allow, Expires: q.cred.Expires}
	if spec.Scopes == 0 {
		return &faults[accessDenied]
	}
	made, err := q.s.auth.Issue(q.Context(), q.cred.Number, "", spec)
	if err != nil {
		return err
	}
	q.give(http.StatusCreated, "Key", append(keyFields(&made.Credential), field{name: "secret", value: made.Secret})...)
	return nil
}

// key returns the key in the path, for who has a scope.
func (q *request) key(scope auth.Scope) (*auth.Credential, error) {
	b, err := q.account(scope)
	if err != nil {
		return nil, err
	}
	c, err := q.s.auth.ByID(q.Context(), q.name)
	if err == nil && (!isKey(&c) || c.Root != b.Account.ID || c.Revoked) {
		err = ledger.Errorf(ledger.NotFound, "the account has no such key")
	}
	return &c, err
}

// fetchKey serves GET /Accounts/{Sid}/Keys/{Sid}.
func (q *request) fetchKey() error {
	c, err := q.key(auth.Read)
	if err == nil {
		q.give(http.StatusOK, "Key", keyFields(c)...)
	}
	return err
}

// updateKey serves POST /Accounts/{Sid}/Keys/{Sid}.
func (q *request) updateKey() error {
	v, err := q.params()
	if err != nil {
		return err
	}
	c, err := q.key(auth.Admin)
	if err != nil {
		return err
	}
	if name := v.Get("FriendlyName"); name != "" && name != c.Name {
		if err := checkText("FriendlyName", name, 64); err != nil {
			return err
		}
		changed, _, err := q.s.auth.Rename(q.Context(), q.cred.Number, "", c.ID, name)
		if err != nil {
			return err
		}
		c = &changed
	}
	q.give(http.StatusOK, "Key", keyFields(c)...)
	return nil
}

// deleteKey serves DELETE /Accounts/{Sid}/Keys/{Sid}.
func (q *request) deleteKey() error {
	c, err := q.key(auth.Admin)
	if err != nil {
		return err
	}
	if _, _, err := q.s.auth.Revoke(q.Context(), q.cred.Number, "", c.ID); err != nil {
		return err
	}
	q.gone()
	return nil
}
