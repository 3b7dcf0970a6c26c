package mturk

import (
	"context"

	"saldo/ledger"
)

// A Bonus is a payment to a worker for work that was submitted, beside its
// reward.
type Bonus struct {
	WorkerID     string
	Amount       Cents
	AssignmentID string
	Reason       string
	Granted      ledger.Time
}

// maxReason is the longest reason of a bonus, in bytes. The model has no bound.
const maxReason = 16 << 10

// SendBonus pays a worker a bonus at once, and its fee.
func (r *Requester) SendBonus(ctx context.Context, in Bonus, token string) error {
	switch {
	case in.Amount <= 0 || in.Amount > MostCents:
		return notValid("BonusAmount", in.Amount)
	case len(in.Reason) > maxReason:
		return notValid("Reason", clip(in.Reason))
	}
	_, err := r.post(ctx, func(c *change) error {
		if err := c.once(ctx, tokenBonus, token, alreadyProcessed); err != nil {
			return err
		}
		a, h, err := r.submission(ctx, in.AssignmentID)
		if err != nil {
			return err
		}
		if a.worker != in.WorkerID {
			return notValid("WorkerId", in.WorkerID)
		}
		id := newID(r.d.l.NewID(), c.now, r.book, false)
		c.named("bonus", id, 0)
		c.Ops = append(c.Ops, &ledger.Transfer{Kind: ledger.Charge, From: r.Account, To: a.account, Amount: in.Amount.steps(1, r.scale)})
		if fee := r.d.fees.ofBonus(in.Amount); fee > 0 {
			c.Ops = append(c.Ops, &ledger.Transfer{Kind: ledger.Charge, From: r.Account, To: c.feesTo(), Amount: fee.steps(1, r.scale)})
		}
		c.remember(tokenBonus, token, id)
		c.write(ledger.RecordWrite{Kind: kindBonus, Key: id, Fresh: true, Cold: true, Data: in.pack(c.now),
			Index: []ledger.IndexEntry{{Name: indexHIT, Value: h.id}, {Name: indexOf, Value: a.id}}})
		return nil
	})
	return err
}

func (b *Bonus) pack(now ledger.Time) []byte {
	p := pack(len(b.Reason) + 128)
	p.text(b.WorkerID)
	p.int(int64(b.Amount))
	p.text(b.AssignmentID)
	p.text(b.Reason)
	p.time(now)
	return p
}

func unpackBonus(data []byte) (*Bonus, error) {
	u := unpack(data)
	return &Bonus{u.text(), Cents(u.int()), u.text(), u.text(), u.time()}, u.err()
}
