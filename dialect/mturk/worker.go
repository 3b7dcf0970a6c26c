package mturk

import (
	"context"
	"encoding/json"
	"fmt"

	"saldo/ledger"
)

// ValidWorker reports whether a worker could have this id: of up to 64 of A-Z
// and 0-9, the first an A, and not alone.
func ValidWorker(id string) bool {
	return len(id) >= 2 && len(id) <= 64 && id[0] == 'A' && alphanumeric(id)
}

// alphanumeric reports whether s is of A-Z and 0-9, as ids of the model are.
func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// Accept gives a worker an assignment of a HIT of a tenant, until a deadline. A
// worker works on a HIT once. The first time an account is opened for the worker
// in the HIT's book, which gets what the worker earns.
func (d *Desk) Accept(ctx context.Context, tenant ledger.TenantID, hitID, worker string) (*Assignment, error) {
	r, err := d.ofTenant(ctx, tenant, hitID, noHIT)
	if err != nil {
		return nil, err
	}
	var a *assignment
	_, err = r.post(ctx, func(c *change) error {
		h, err := r.hit(ctx, hitID)
		if err != nil {
			return err
		}
		if h.status() != Assignable || h.expires <= c.now {
			return hitState(h, Assignable.String())
		}
		t, err := r.hitType(ctx, h.typeID)
		if err != nil {
			return err
		}
		if err := r.worksNot(ctx, hitID, worker); err != nil {
			return err
		}
		a = &assignment{id: newID(d.l.NewID(), c.now, r.book, false), hit: hitID, worker: worker, status: Accepted,
			accepted: c.now, deadline: c.now.Add(t.AssignmentDuration)}
		c.named("accept", a.id, 0)
		if a.account, err = c.workerAccount(ctx, worker); err != nil {
			return err
		}
		was := *h
		h.pending++
		c.work(a, h)
		return c.save(ctx, &was, h, 0)
	})
	if err != nil {
		return nil, err
	}
	return a.head(), nil
}

// worksNot refuses a worker who has worked on a HIT, or does.
func (r *Requester) worksNot(ctx context.Context, hitID, worker string) error {
	q := ledger.Query{List: ledger.ListRecords, Book: r.book, Kind: kindAssignment, Index: indexWork, Value: hitID + "/" + worker, Limit: 1}
	for row, err := range r.d.l.Scan(ctx, q) {
		if err != nil {
			return err
		}
		return &Refused{Code: codeAssignmentExists, Text: fmt.Sprintf("Worker %s has accepted assignment %s of this HIT before.", worker, row.Record.Key)}
	}
	return nil
}

// workerAccount returns a worker's account in the book; if there is none, it adds
// its opening.
func (c *change) workerAccount(ctx context.Context, worker string) (ledger.AccountID, error) {
	id, err := c.r.workerAccount(ctx, worker)
	if err != nil || !id.IsZero() {
		return id, err
	}
	id = c.r.d.l.NewID()
	profile, err := json.Marshal(map[string]any{"name": "MTurk worker " + worker, "metadata": map[string]string{"mturk_worker": worker}})
	if err != nil {
		return id, err
	}
	c.Ops = append(c.Ops, &ledger.OpenAccount{ID: id, Unit: c.r.d.o.Currency, Mode: ledger.Own, Profile: &ledger.Text{Data: profile}})
	p := pack(32)
	p.account(id)
	c.write(ledger.RecordWrite{Kind: kindWorker, Key: worker, Data: p})
	return id, nil
}

// workerAccount returns a worker's account in the book, zero if there is none.
func (r *Requester) workerAccount(ctx context.Context, worker string) (ledger.AccountID, error) {
	return r.d.workerIn(ctx, r.book, worker)
}

func (d *Desk) workerIn(ctx context.Context, book ledger.BookID, worker string) (id ledger.AccountID, err error) {
	rec, err := d.l.Record(ctx, ledger.RecordKey{Book: book, Kind: kindWorker, Key: worker})
	if err != nil || rec == nil {
		return id, err
	}
	u := unpack(rec.Data)
	id = u.account()
	return id, u.err()
}

// Worker returns the account in a book of a tenant that gets what a worker
// earns there; zero: the worker has never worked there.
func (d *Desk) Worker(ctx context.Context, book ledger.BookID, worker string) (ledger.AccountID, error) {
	if !ValidWorker(worker) {
		return ledger.AccountID{}, nil
	}
	return d.workerIn(ctx, book, worker)
}

// Submit hands work in. Worker, if it is not "", has to be who accepted it. Work
// that is late, even by little, was given back.
func (d *Desk) Submit(ctx context.Context, tenant ledger.TenantID, id, worker, answer string) (*Assignment, error) {
	if len(answer) > maxAnswer {
		return nil, notValid("Answer", clip(answer))
	}
	a, err := d.onWork(ctx, tenant, "submit", id, worker, func(c *change, a *assignment, h *hit) error {
		t, err := c.r.hitType(ctx, h.typeID)
		if err != nil {
			return err
		}
		was := *h
		a.status, a.submitted, a.auto = Submitted, c.now, c.now.Add(t.AutoApprovalDelay)
		if h.disabled {
			a.auto = c.now
		}
		if a.answer = answer != ""; a.answer {
			p := pack(len(answer) + 8)
			p.text(answer)
			c.write(ledger.RecordWrite{Kind: kindAnswer, Key: id, Cold: true, Data: p})
		}
		h.pending--
		h.submitted++
		c.work(a, h)
		return c.save(ctx, &was, h, 0)
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.settle(ctx); err != nil { // it may be approved at once
		d.o.Logger.Warn("what is due could not be done; it is tried again", "error", err)
	}
	a.Answer = answer
	return a, nil
}

// Return gives an assignment back, so that another worker may have it.
func (d *Desk) Return(ctx context.Context, tenant ledger.TenantID, id, worker string) (*Assignment, error) {
	return d.onWork(ctx, tenant, "return", id, worker, func(c *change, a *assignment, h *hit) error {
		return c.giveBack(ctx, a, h)
	})
}

// giveBack adds the end of an assignment that was not submitted.
func (c *change) giveBack(ctx context.Context, a *assignment, h *hit) error {
	was := *h
	h.pending--
	c.write(ledger.RecordWrite{Kind: kindAssignment, Key: a.id, Expect: a.version, Delete: true})
	c.settleDisabled(h)
	return c.save(ctx, &was, h, 0)
}

// onWork posts what a worker does with an assignment that was accepted, and
// returns it without what was answered.
func (d *Desk) onWork(ctx context.Context, tenant ledger.TenantID, verb, id, worker string, edit func(c *change, a *assignment, h *hit) error) (*Assignment, error) {
	book, ok := bookOf(id)
	if !ok {
		return nil, noAssignment(id)
	}
	if _, err := d.settle(ctx); err != nil {
		return nil, err
	}
	rec, err := d.l.Record(ctx, ledger.RecordKey{Book: book, Kind: kindAssignment, Key: id})
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, noAssignment(id)
	}
	seen, err := unpackAssignment(id, rec.Version, rec.Data)
	if err != nil {
		return nil, err
	}
	r, err := d.ofTenant(ctx, tenant, seen.hit, func(string) *Refused { return noAssignment(id) })
	if err != nil {
		return nil, err
	}
	var done *assignment
	_, err = r.post(ctx, func(c *change) error {
		a, err := r.assignment(ctx, id)
		if err != nil {
			return err
		}
		if a == nil || worker != "" && a.worker != worker {
			return noAssignment(id)
		}
		if a.status != Accepted {
			return assignmentState(a, Accepted.String())
		}
		if a.deadline <= c.now {
			return errOverdue()
		}
		h, err := r.hit(ctx, a.hit)
		if err != nil {
			return err
		}
		c.named(verb, id, a.version)
		done = a
		return edit(c, a, h)
	})
	if err != nil {
		return nil, err
	}
	return done.head(), nil
}

// ofTenant returns the requester of a HIT of a tenant, or refuses.
func (d *Desk) ofTenant(ctx context.Context, tenant ledger.TenantID, hitID string, missing func(string) *Refused) (*Requester, error) {
	book, ok := bookOf(hitID)
	if !ok {
		return nil, missing(hitID)
	}
	r, err := d.requesterOf(ctx, book, hitID)
	if ledger.CodeOf(err) == ledger.NotFound || err == nil && r.tenant != tenant {
		return nil, missing(hitID)
	}
	return r, err
}

// An Earning is what a worker has earned in a book, and not been paid out.
type Earning struct {
	Book string
	ledger.Balance
}

// Earned returns what a worker has earned in the books of a tenant.
func (d *Desk) Earned(ctx context.Context, tenant ledger.TenantID, worker string) (earned []Earning, err error) {
	if _, err := d.settle(ctx); err != nil {
		return nil, err
	}
	books, err := d.l.Books(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, b := range books {
		id, err := d.Worker(ctx, b.Number, worker)
		if err != nil {
			return nil, err
		}
		if id.IsZero() {
			continue
		}
		balance, err := d.l.Balance(ctx, id)
		if err != nil {
			return nil, err
		}
		earned = append(earned, Earning{b.Name, balance})
	}
	return earned, nil
}
