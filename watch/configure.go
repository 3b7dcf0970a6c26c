package watch

import (
	"context"
	"errors"
	"slices"
	"strings"

	"saldo/dialect"
	"saldo/ledger"
)

// A sourceRow is a source that the API made, as stored.
type sourceRow struct {
	V       int             `json:"v"`
	Tenant  ledger.TenantID `json:"tenant"`
	Spec    Spec            `json:"spec"`
	Secret  []byte          `json:"secret,omitempty"` // see sealer
	Created ledger.Time     `json:"created"`
}

func (w *Watch) storedSource(ctx context.Context, r *ledger.Record) (*Source, error) {
	row, err := decode[sourceRow](r)
	if err != nil {
		return nil, err
	}
	secret, old, err := w.seal.open(row.Secret, kindSource+" "+r.Key)
	if err != nil {
		return nil, err
	}
	s, err := w.newSource(row.Spec, row.Tenant, secret)
	if err != nil {
		return nil, err
	}
	s.version, s.Created = r.Version, stdTime(row.Created)
	if old { // the master key was changed: seal it under the new one
		if row.Secret, err = w.seal.seal(secret, kindSource+" "+r.Key); err != nil {
			return nil, err
		}
		write := ledger.RecordWrite{Kind: r.Kind, Key: r.Key, Expect: r.Version, Data: encode(row), Index: r.Index}
		if _, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{write}}); err != nil {
			w.o.Logger.Warn("a secret could not be sealed under the new master key; it is tried again", "source", r.Key, "error", err)
		}
	}
	return s, nil
}

func (w *Watch) newSource(spec Spec, tenant ledger.TenantID, secret string) (*Source, error) {
	s, err := spec.New(tenant)
	if err != nil {
		return nil, err
	}
	if w.o.Reader == nil {
		return nil, errors.New("watch: there is nothing to read sources with")
	}
	s.Reader, err = w.o.Reader(&spec, secret)
	return s, err
}

// CreateSource adds a source, or changes the one that has its name. Without a
// secret the one that it had is kept, unless it would go to another vendor or
// address than it was given for: so nobody who may change a source reads it.
func (w *Watch) CreateSource(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, spec Spec, secret string) (replayed bool, err error) {
	key := sourceKey(tenant, spec.Name)
	w.mu.Lock()
	inFile := slices.ContainsFunc(w.o.Sources, func(s *Source) bool { return s.Key() == key })
	w.mu.Unlock()
	if inFile {
		return false, ledger.Errorf(ledger.Exists, "the source %s is in the server's file of settings; change it there", spec.Name)
	}
	asked := []string{"source", string(encode(spec))}
	_, replayed, err = w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		was, err := w.record(ctx, kindSource, key)
		if err != nil {
			return nil, nil, err
		}
		if was == nil && w.sourcesOf(tenant) >= maxSources {
			return nil, nil, ledger.Errorf(ledger.TooMany, "a tenant may have %d sources", maxSources)
		}
		write := ledger.RecordWrite{Kind: kindSource, Key: key, Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(tenant)}}}
		row := sourceRow{V: rowVersion, Tenant: tenant, Spec: spec, Created: ledger.TimeOf(w.o.Now())}
		secret := secret
		if was != nil {
			old, err := decode[sourceRow](was)
			if err != nil {
				return nil, nil, err
			}
			write.Expect, row.Created = was.Version, old.Created
			if secret == "" {
				if secret, _, err = w.seal.open(old.Secret, kindSource+" "+key); err != nil {
					return nil, nil, err
				}
				if secret != "" && (spec.Kind != old.Spec.Kind || spec.Address != old.Spec.Address) {
					return nil, nil, ledger.Errorf(ledger.Invalid, "the secret was given for another address: give it again")
				}
			}
		}
		if _, err := w.newSource(spec, tenant, secret); err != nil {
			return nil, nil, ledger.Errorf(ledger.Invalid, "%v", err)
		}
		if secret != "" {
			if row.Secret, err = w.seal.seal(secret, kindSource+" "+key); err != nil {
				return nil, nil, err
			}
		}
		write.Data = encode(&row)
		return []ledger.RecordWrite{write, changed()}, nil, nil
	})
	if err == nil {
		err = w.load(ctx)
	}
	return replayed, err
}

// Bounds of what one tenant has by the API: every change reads it all again.
const (
	maxSources   = 2000
	maxEndpoints = 100
)

func (w *Watch) sourcesOf(tenant ledger.TenantID) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.sources {
		if p.Tenant == tenant {
			n++
		}
	}
	return n
}

// DeleteSource takes a source away, with its history.
func (w *Watch) DeleteSource(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name string) error {
	key := sourceKey(tenant, name)
	_, replayed, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"source.delete", name}}, func() ([]ledger.RecordWrite, []byte, error) {
		r, err := w.record(ctx, kindSource, key)
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no source %s that the API made; those of the file of settings are removed there", name)
		}
		return []ledger.RecordWrite{{Kind: kindSource, Key: key, Expect: r.Version, Delete: true}, changed()}, nil, nil
	})
	if err != nil {
		return err
	}
	if err := w.load(ctx); err != nil || replayed {
		return err
	}
	var writes []ledger.RecordWrite
	flush := func(most int) error {
		if len(writes) < most {
			return nil
		}
		_, err := w.o.Ledger.Post(ctx, &ledger.Command{Actor: actor, Records: writes})
		writes = nil
		return err
	}
	if s, err := w.readState(ctx, key); err == nil && s.version != 0 {
		if err := w.relist(ctx, tenant, s.Rules, false); err != nil {
			return err
		}
		writes = append(writes, ledger.RecordWrite{Kind: kindState, Key: key, Expect: ledger.AnyVersion, Delete: true})
	}
	if err := w.history(ctx, key, func(k string, _ chunk) error {
		writes = append(writes, ledger.RecordWrite{Kind: kindHistory, Key: k, Expect: ledger.AnyVersion, Delete: true})
		return flush(ledger.MaxRecords)
	}); err != nil {
		return err
	}
	return flush(1)
}

// TestSource asks a source now, without noting what it answers.
func (w *Watch) TestSource(ctx context.Context, tenant ledger.TenantID, name string) (dialect.Reading, error) {
	w.mu.Lock()
	p := w.sources[sourceKey(tenant, name)]
	w.mu.Unlock()
	if p == nil {
		return dialect.Reading{}, ledger.Errorf(ledger.NotFound, "there is no source %.63s", name)
	}
	return w.read(ctx, p.Reader)
}

// checkPayer refuses a top-up of an account from one that cannot pay for it.
func (w *Watch) checkPayer(ctx context.Context, u *TopUp, a *ledger.Account) error {
	if u == nil || u.From == "" {
		return nil
	}
	id, _ := ledger.ParseAccountID(u.From)
	from, err := w.o.Ledger.Account(ctx, id)
	switch {
	case ledger.CodeOf(err) == ledger.NotFound || err == nil && from.Tenant != a.Tenant:
		return ledger.Errorf(ledger.NotFound, "top_up.from: there is no account %v", id)
	case err != nil:
		return err
	case id == a.ID || id.IsSystem() || from.Book != a.Book || from.Unit != a.Unit:
		return ledger.Errorf(ledger.Invalid, "top_up.from has to be another account of the same book and unit")
	}
	return nil
}

// CreateRule adds a rule. Its id is made of the command's, or new.
func (w *Watch) CreateRule(ctx context.Context, actor uint64, id string, r *Rule) (*Rule, bool, error) {
	if err := r.Check(); err != nil {
		return nil, false, ledger.Errorf(ledger.Invalid, "%v", err)
	}
	now, err := w.o.Ledger.Now()
	if err != nil {
		return nil, false, err
	}
	r.ID, r.Created = w.o.Ledger.NewID().String(), now
	if r.Source != "" {
		w.mu.Lock()
		found := w.sources[sourceKey(r.Tenant, r.Source)] != nil
		w.mu.Unlock()
		if !found {
			return nil, false, ledger.Errorf(ledger.NotFound, "there is no source %s", r.Source)
		}
	} else if a, err := w.o.Ledger.Account(ctx, r.Account); err != nil {
		return nil, false, err
	} else if a.Tenant != r.Tenant {
		return nil, false, ledger.Errorf(ledger.NotFound, "there is no such account")
	} else if a.Mode != ledger.Own {
		return nil, false, ledger.Errorf(ledger.Invalid, "a rule is about an account with a balance of its own")
	} else if err := w.checkPayer(ctx, r.TopUp, a); err != nil {
		return nil, false, err
	}
	row := r.row()
	shape := *row
	shape.Created = 0
	asked := []string{"rule", string(encode(&shape))}
	answer, replayed, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: r.Tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		of := 0
		for _, other := range w.Rules(r.Tenant) {
			if other.Name == r.Name {
				return nil, nil, ledger.Errorf(ledger.Exists, "a rule %s exists already", r.Name)
			}
			if other.Source == r.Source && other.Account == r.Account {
				of++
			}
		}
		if of >= 16 {
			return nil, nil, ledger.Errorf(ledger.TooMany, "there may be 16 rules about one source or account")
		}
		return []ledger.RecordWrite{{Kind: kindRule, Key: r.ID, Data: encode(row),
			Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(r.Tenant)}}}, changed()}, []byte(r.ID), nil
	})
	if err != nil {
		return nil, false, err
	}
	r.ID = string(answer)
	if err := w.load(ctx); err != nil {
		return nil, replayed, err
	}
	if r.Source != "" {
		w.pollNow(sourceKey(r.Tenant, r.Source))
	}
	return r, replayed, nil
}

// DeleteRule takes a rule away. What it fired stays as it is.
func (w *Watch) DeleteRule(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, rule string) error {
	_, _, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"rule.delete", rule}}, func() ([]ledger.RecordWrite, []byte, error) {
		r := w.FindRule(tenant, rule)
		if r == nil || r.ID == "" {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no rule %.63s that the API made", rule)
		}
		writes := []ledger.RecordWrite{{Kind: kindRule, Key: r.ID, Expect: ledger.AnyVersion, Delete: true}, changed()}
		stored, err := w.record(ctx, kindStanding, r.ID)
		if stored == nil || err != nil {
			return writes, nil, err
		}
		s, err := decode[Standing](stored)
		if err != nil {
			return nil, nil, err
		}
		unlist, err := w.list(ctx, tenant, r.ID, s, false)
		writes = append(writes, ledger.RecordWrite{Kind: kindStanding, Key: r.ID, Expect: ledger.AnyVersion, Delete: true})
		return append(writes, unlist...), nil, err
	})
	if err != nil {
		return err
	}
	return w.load(ctx)
}

// Rules returns the rules of a tenant that the API made, by name.
func (w *Watch) Rules(tenant ledger.TenantID) (rules []*Rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rules {
		if r.Tenant == tenant {
			rules = append(rules, r)
		}
	}
	slices.SortFunc(rules, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	return rules
}

// FindRule returns the rule of a tenant with an id or a name, or nil.
func (w *Watch) FindRule(tenant ledger.TenantID, word string) *Rule {
	for _, r := range w.Rules(tenant) {
		if r.ID == word || r.Name == word {
			return r
		}
	}
	return nil
}
