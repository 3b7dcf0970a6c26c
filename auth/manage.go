package auth

import (
	"context"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"saldo/ledger"
)

// MayIssue returns nil if the holder of c may issue a credential of a spec: with
// the scope admin, no more than what c itself opens and may do.
func (a *Auth) MayIssue(ctx context.Context, c *Credential, spec Spec) error {
	if err := c.May(Admin); err != nil {
		return err
	}
	if err := c.May(spec.Scopes); err != nil {
		return err
	}
	denied := ledger.Errorf(ledger.Denied, "a credential can only be issued for what the issuing one opens")
	switch {
	case c.Expires != 0 && (spec.Expires == 0 || spec.Expires > c.Expires):
		return ledger.Errorf(ledger.Denied, "a credential that expires can only issue what expires by then, at %v", c.Expires)
	case !within(spec.Allow, c.Allow):
		return ledger.Errorf(ledger.Denied, "a credential that is limited to addresses can only issue what is limited to them too")
	case c.Everything:
		return nil
	case spec.Everything || spec.Tenant != c.Tenant:
		return denied
	case c.Root.IsZero():
		return nil
	case spec.Root.IsZero():
		return denied
	}
	root, err := a.l.Account(ctx, spec.Root)
	if err != nil {
		return err
	}
	if !a.Opens(ctx, c, root) {
		return denied
	}
	return nil
}

// within reports whether all addresses of some ranges are in others; no ranges
// are all addresses.
func within(ranges, others []netip.Prefix) bool {
	if len(others) == 0 {
		return true
	}
	for _, p := range ranges {
		if !slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) }) {
			return false
		}
	}
	return len(ranges) > 0
}

// Within reports whether a credential is good at no time, and from no address, at
// which another is not.
func (c *Credential) Within(other *Credential) bool {
	return (other.Expires == 0 || c.Expires != 0 && c.Expires <= other.Expires) && within(c.Allow, other.Allow)
}

// Revoke ends a credential, at once and for good.
func (a *Auth) Revoke(ctx context.Context, actor uint64, id, keyID string) (Credential, bool, error) {
	made, err := a.change(ctx, actor, id, []string{"revoke", foldID(keyID)}, keyID, "", func(c *stored) ([]ledger.RecordWrite, error) {
		if c.Revoked {
			return nil, nil
		}
		gone, err := a.forget(ctx, c, c.secrets)
		c.Revoked, c.secrets = true, nil
		return append(gone, c.write()), err
	})
	return made.Credential, made.Replayed, err
}

// Rename gives a credential another name.
func (a *Auth) Rename(ctx context.Context, actor uint64, id, keyID, name string) (Credential, bool, error) {
	if !isName(name) {
		return Credential{}, false, errName
	}
	made, err := a.change(ctx, actor, id, []string{"rename", foldID(keyID), name}, keyID, "", func(c *stored) ([]ledger.RecordWrite, error) {
		if c.Revoked {
			return nil, ledger.Errorf(ledger.Closed, "the credential was revoked")
		}
		c.Name = name
		return []ledger.RecordWrite{c.write()}, nil
	})
	return made.Credential, made.Replayed, err
}

// Rotate gives a credential a new secret. The one before stays good for an
// overlap, so that its users can change over; any earlier one ends now.
func (a *Auth) Rotate(ctx context.Context, actor uint64, id, keyID string, overlap time.Duration) (Issued, error) {
	if overlap < 0 || overlap > 366*24*time.Hour {
		return Issued{}, ledger.Errorf(ledger.Invalid, "both secrets are good for up to a year, not %v", overlap)
	}
	_, c, err := a.byID(ctx, keyID)
	if err != nil {
		return Issued{}, err
	}
	secret, err := a.newSecret(c.Dialect)
	if err != nil {
		return Issued{}, err
	}
	return a.change(ctx, actor, id, []string{"rotate", foldID(keyID), overlap.String()}, keyID, secret, func(c *stored) ([]ledger.RecordWrite, error) {
		if c.Revoked {
			return nil, ledger.Errorf(ledger.Closed, "the credential was revoked; issue a new one")
		}
		return a.rotating(ctx, c, secret, overlap)
	})
}

// rotating puts a secret in front of those of c, lets the one before end after
// an overlap, and forgets those before.
func (a *Auth) rotating(ctx context.Context, c *stored, secret string, overlap time.Duration) ([]ledger.RecordWrite, error) {
	now := ledger.TimeOf(a.o.Now())
	old := slices.Clone(c.secrets)
	c.secrets = nil
	if len(old) > 0 && overlap > 0 && old[0].live(now) {
		c.secrets = old[:1]
		if until := now.Add(overlap); old[0].Until == 0 || until < old[0].Until {
			old[0].Until = until
		}
		old = old[1:]
	}
	writes, err := a.forget(ctx, c, old)
	if err != nil {
		return nil, err
	}
	found, err := a.keep(ctx, c, secret)
	return append(append(writes, found...), c.write()), err
}

// forget returns the writes by which secrets that come alone are found no more.
func (a *Auth) forget(ctx context.Context, c *stored, secrets []secret) (writes []ledger.RecordWrite, err error) {
	if !comesAlone(c.Dialect) {
		return nil, nil
	}
	for i := range secrets {
		key := ledger.RecordKey{Kind: kindDigest, Key: hex.EncodeToString(secrets[i].Digest)}
		r, err := a.l.Record(ctx, key)
		if err != nil {
			return nil, err
		}
		if r != nil {
			writes = append(writes, ledger.RecordWrite{Kind: key.Kind, Key: key.Key, Expect: r.Version, Delete: true})
		}
	}
	return writes, nil
}

// change amends the record of the credential with a key id.
func (a *Auth) change(ctx context.Context, actor uint64, id string, asked []string, keyID, secret string,
	how func(*stored) ([]ledger.RecordWrite, error)) (Issued, error) {
	slot, c, err := a.byID(ctx, keyID)
	if err != nil {
		return Issued{}, err
	}
	am := ledger.Amendment{Actor: actor, Tenant: c.Tenant, ID: id, Asked: asked}
	answer, replayed, err := a.l.Amend(ctx, am, func() ([]ledger.RecordWrite, []byte, error) {
		now, err := a.read(ctx, slot)
		if err != nil {
			return nil, nil, err
		}
		changed := *now // what others hold is not changed
		writes, err := how(&changed)
		return writes, []byte(slot.key.Key), err
	})
	if err != nil {
		return Issued{}, err
	}
	return a.issued(ctx, string(answer), secret, replayed)
}

// byID returns the credential with a public id.
func (a *Auth) byID(ctx context.Context, id string) (*slot, *stored, error) {
	var s *slot
	var c *stored
	var err error
	if id != "" && len(id) <= ledger.MaxID && printable(id) {
		if s, _, err = a.pointed(ctx, kindID, foldID(id)); err == nil && s != nil {
			c, err = a.read(ctx, s)
		}
	}
	if err == nil && c == nil {
		err = ledger.Errorf(ledger.NotFound, "there is no credential %s", mask(id))
	}
	return s, c, err
}

// ByID returns the credential with a public id: of those that had it, the last.
func (a *Auth) ByID(ctx context.Context, id string) (Credential, error) {
	s, c, err := a.byID(ctx, id)
	if err != nil {
		return Credential{}, err
	}
	shown := c.Credential
	shown.LastUsed = ledger.Time(s.used.Load())
	return shown, nil
}

// ByNumber returns the credential that an event names as its actor.
func (a *Auth) ByNumber(ctx context.Context, n uint64) (Credential, error) {
	s := a.slotOf(n)
	c, err := a.read(ctx, s)
	if err != nil {
		return Credential{}, err
	}
	if c == nil {
		return Credential{}, ledger.Errorf(ledger.NotFound, "there is no credential number %d", n)
	}
	shown := c.Credential
	shown.LastUsed = ledger.Time(s.used.Load())
	return shown, nil
}

// List lists credentials in order of number, revoked ones too: of an account
// or, without one, of a tenant; of tenant 0 those for everything. It goes on
// after from, which the page before returned; the end of the list returns "".
func (a *Auth) List(ctx context.Context, tenant ledger.TenantID, root ledger.AccountID, from string, limit int) ([]Credential, string, error) {
	limit = max(limit, 1)
	q := ledger.Query{List: ledger.ListRecords, Kind: kindCredential, Index: indexTenant, Value: numberKey(uint64(tenant)), From: from, Limit: limit + 1}
	if !root.IsZero() {
		q.Index, q.Value = indexRoot, root.String()
	}
	var page []Credential
	next := ""
	for row, err := range a.l.Scan(ctx, q) {
		if err != nil {
			return nil, "", err
		}
		if len(page) == limit {
			return page, next, nil
		}
		c, err := decodeCredential(row.Record)
		if err != nil {
			return nil, "", err
		}
		next = row.Key
		if !root.IsZero() && c.Tenant != tenant {
			continue
		}
		if s, ok := a.slots.get(c.Number); ok {
			c.LastUsed = ledger.Time(s.used.Load())
		}
		page = append(page, c.Credential)
	}
	return page, "", nil
}

// Rekey seals every secret under the current master key. When it is done the
// others can be taken away, once no node seals under them any more. Progress,
// which may be nil, is told how many credentials were looked at.
func (a *Auth) Rekey(ctx context.Context, progress func(done int)) error {
	done, from := 0, ""
	for {
		var numbers []uint64
		for row, err := range a.l.Scan(ctx, ledger.Query{List: ledger.ListRecords, Kind: kindCredential, From: from, Limit: 500}) {
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(row.Record.Key, 10, 64)
			if err != nil {
				return errRow(row.Record, err)
			}
			numbers, from = append(numbers, n), row.Key
		}
		if len(numbers) == 0 {
			break
		}
		for _, n := range numbers {
			if err := a.rekey(ctx, n); err != nil {
				return err
			}
		}
		if done += len(numbers); progress != nil {
			progress(done)
		}
	}
	return a.retire(ctx)
}

// rekey seals the secrets of one credential anew.
func (a *Auth) rekey(ctx context.Context, number uint64) error {
	_, _, err := a.l.Amend(ctx, ledger.Amendment{}, func() ([]ledger.RecordWrite, []byte, error) {
		c, err := a.read(ctx, a.slotOf(number))
		if err != nil {
			return nil, nil, err
		}
		changed, old := *c, false
		changed.secrets = slices.Clone(c.secrets)
		for i := range changed.secrets {
			s := &changed.secrets[i]
			if len(s.Sealed) == 0 {
				continue
			}
			text, err := a.seal.open(s.Sealed, c.owner())
			if err != nil {
				return nil, nil, err
			}
			if n, _ := sealedUnder(s.Sealed); n == a.keys.Current {
				continue
			}
			old = true
			if s.Sealed, err = a.seal.seal(text, c.owner()); err != nil {
				return nil, nil, err
			}
		}
		if !old {
			return nil, nil, nil
		}
		return []ledger.RecordWrite{changed.write()}, nil, nil
	})
	return err
}

// retire seals the digest key under the current master key, and lets the store
// forget the others, so that it opens without them.
func (a *Auth) retire(ctx context.Context) error {
	_, _, err := a.l.Amend(ctx, ledger.Amendment{}, func() ([]ledger.RecordWrite, []byte, error) {
		r, err := a.l.Record(ctx, ledger.RecordKey{Kind: kindAuth, Key: keyDigestKey})
		if err != nil {
			return nil, nil, err
		}
		key, err := a.seal.open(r.Data, []byte(keyDigestKey))
		if err != nil {
			return nil, nil, err
		}
		sealed, err := a.seal.seal(key, []byte(keyDigestKey))
		if err != nil {
			return nil, nil, err
		}
		writes := []ledger.RecordWrite{{Kind: r.Kind, Key: r.Key, Expect: r.Version, Data: sealed}}
		for row, err := range a.l.Scan(ctx, ledger.Query{List: ledger.ListRecords, Kind: kindMaster}) {
			if err != nil {
				return nil, nil, err
			}
			if old := row.Record; old.Key != numberKey(uint64(a.keys.Current)) {
				writes = append(writes, ledger.RecordWrite{Kind: old.Kind, Key: old.Key, Expect: old.Version, Delete: true})
			}
		}
		return writes, nil, nil
	})
	return err
}
