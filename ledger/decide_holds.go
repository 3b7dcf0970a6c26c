package ledger

import (
	"slices"
	"time"

	"saldo/money"
)

// place decides a new hold.
func (d *decision) place(op *PlaceHold) *Refusal {
	own, r := d.take(op.ID)
	if r == nil {
		r = positive(op.Amount)
	}
	if r != nil {
		return r
	}
	if own == "" && d.c.ID == "" {
		return refuse(Invalid, "a hold needs an id")
	}
	if op.Text != nil && len(op.Text.Data) > MaxText {
		return refuse(TooMany, "a hold has at most 24 KiB of free text")
	}
	expires, r := d.lifetime(op.Expires)
	if r != nil {
		return r
	}
	p, r := d.payment(op.Account)
	if r != nil {
		return r
	}
	if d.rows[p.payer].Mode == System {
		return refuseAt(Invalid, op.Account, "a system account holds nothing")
	}
	if r := d.mayspend(&p); r != nil {
		return r
	}
	if r := d.afford(&p, op.Amount); r != nil {
		return r
	}
	if r := d.hold(&p, op.Amount, 1); r != nil {
		return r
	}
	id := own
	if id == "" {
		id = d.c.ID
	}
	h := &Hold{Ref: RefOf(d.c.Tenant, id), ID: id, Tenant: d.c.Tenant, Book: d.c.Book,
		Account: d.rows[p.payer].ID, Via: p.via, Amount: op.Amount, Remaining: op.Amount,
		Expires: expires, State: HoldOpen}
	if d.findHold(h.Ref) != nil {
		return refuse(IDTaken, "the id "+quote(id)+" was used before")
	}
	d.keep(h)
	d.changed(HoldPlaced, h)
	ch := &d.e.Holds[len(d.e.Holds)-1]
	ch.ID, ch.Text = own, d.text(op.Text)
	return nil
}

// lifetime returns when a hold ends that is made or extended now.
func (d *decision) lifetime(l Lifetime) (Time, *Refusal) {
	switch {
	case l.Never:
		return 0, nil
	case l.At != 0:
		if l.At <= d.now || l.At > MaxTime {
			return 0, refuse(Invalid, "a hold has to expire in the future, up to the year 9999")
		}
		return l.At, nil
	case l.For == 0:
		return d.now.Add(DefaultHoldLife), nil
	case l.For < time.Microsecond: // a step of time
		return 0, refuse(Invalid, "a hold has to live for some time")
	}
	return min(d.now.Add(l.For), MaxTime), nil
}

func (d *decision) findHold(ref Ref) *Hold {
	if h := d.holds[ref]; h != nil {
		return h
	}
	return d.s.Hold(ref)
}

func (d *decision) keep(h *Hold) {
	if d.holds == nil {
		d.holds = make(map[Ref]*Hold)
	}
	d.holds[h.Ref] = h
}

// openHold returns a copy of a hold that may be changed, and who pays for it.
func (d *decision) openHold(id string) (*Hold, payment, *Refusal) {
	h := d.findHold(RefOf(d.c.Tenant, id))
	if h == nil || h.Tenant != d.c.Tenant || h.Book != d.c.Book {
		return nil, payment{}, refuse(NotFound, "there is no hold "+quote(id))
	}
	switch {
	case h.State == HoldGone || h.State == HoldOpen && !h.OpenAt(d.now):
		return nil, payment{}, refuse(HoldExpired, "the hold "+quote(id)+" expired at "+h.Expires.String())
	case h.State != HoldOpen:
		return nil, payment{}, refuse(HoldClosed, "the hold "+quote(id)+" was "+h.State.String()+" before")
	case !d.c.own && d.s.Record(moveKind, id) != nil: // else its amount could be on both sides
		return nil, payment{}, refuse(Denied, "the hold "+quote(id)+" is a move's between books, which ends it")
	}
	p, r := d.payment(h.Owner())
	if r != nil {
		return nil, p, r
	}
	if d.holds[h.Ref] == nil {
		c := *h
		h = &c
		d.keep(h)
	}
	return h, p, nil
}

// changed writes down what was done to a hold and how it stands.
func (d *decision) changed(act HoldAct, h *Hold) {
	d.e.Holds = append(d.e.Holds, HoldChange{Act: act, Ref: h.Ref, Account: h.Account, Via: h.Via,
		Amount: h.Amount, Remaining: h.Remaining, Captured: h.Captured, Expires: h.Expires, State: h.State})
}

// capture decides a payment from a hold.
func (d *decision) capture(op *Capture) *Refusal {
	id, r := d.take(op.ID)
	if r != nil {
		return r
	}
	if len(op.To) > MaxPayees {
		return refuse(TooMany, "a capture pays at most 64 payees")
	}
	if op.Text != nil && len(op.Text.Data) > MaxText {
		return refuse(TooMany, "a capture has at most 24 KiB of free text")
	}
	if r := op.Usage.check(); r != nil {
		return r
	}
	if id != "" && len(op.To) > 1 {
		return refuse(Invalid, "a capture for several payees is known by the command's id")
	}
	h, p, r := d.openHold(op.Hold)
	if r != nil {
		return r
	}
	payees := op.To
	if len(payees) == 0 {
		payees = []Payee{{SystemID(d.c.Book, d.rows[p.payer].Unit, Revenue), h.Remaining}}
	}
	total, r := sumPayees(payees)
	if r != nil {
		return r
	}
	if h.Remaining.Less(total) {
		if r := d.raiseBy(h, &p, saturate(total.Sub(h.Remaining))); r != nil {
			return r
		}
	}
	if r := d.capturePay(op, id, h, &p, payees); r != nil {
		return r
	}
	h.Remaining = saturate(h.Remaining.Sub(total))
	h.Captured = saturate(h.Captured.Add(total))
	freed := total
	if op.Final || h.Remaining.IsZero() {
		freed = saturate(freed.Add(h.Remaining))
		h.Remaining, h.State = money.Amount{}, HoldCaptured
	}
	if r := d.unhold(&p, h, freed); r != nil {
		return r
	}
	d.changed(HoldPaid, h)
	return nil
}

func sumPayees(payees []Payee) (total money.Amount, r *Refusal) {
	for _, to := range payees {
		if r := positive(to.Amount); r != nil {
			return total, r
		}
		var ok bool
		if total, ok = total.Add(to.Amount); !ok || !fits(total) {
			return total, tooLarge()
		}
	}
	return total, nil
}

// capturePay posts what each payee gets.
func (d *decision) capturePay(op *Capture, id string, h *Hold, p *payment, payees []Payee) *Refusal {
	text := d.text(op.Text)
	usage := op.Usage
	d.e.Transfers = slices.Grow(d.e.Transfers, len(payees))
	for _, payee := range payees {
		to, r := d.payee(payee.To)
		if r == nil {
			r = d.match(p, to)
		}
		if r == nil {
			r = d.pay(p, payee.Amount)
		}
		if r == nil {
			r = d.post(to, payee.Amount)
		}
		if r != nil {
			return r
		}
		d.e.Transfers = append(d.e.Transfers, Posting{Kind: Capturing, From: h.Account, To: payee.To,
			Via: h.Via, Amount: payee.Amount, ID: id, Hold: h.Ref, Usage: usage, Text: text})
		usage = usage.given() // what was used is counted once
	}
	return nil
}

// unhold takes an amount off what is held, and the hold off the open ones when it is none any more.
func (d *decision) unhold(p *payment, h *Hold, amount money.Amount) *Refusal {
	minus, _ := amount.Neg()
	if h.State == HoldOpen {
		return d.hold(p, minus, 0)
	}
	return d.hold(p, minus, -1)
}

func (d *decision) release(op *Release) *Refusal {
	if op.Text != nil && len(op.Text.Data) > MaxText {
		return refuse(TooMany, "a release has at most 24 KiB of free text")
	}
	h, p, r := d.openHold(op.Hold)
	if r != nil {
		return r
	}
	if r := d.endHold(h, &p, HoldReleased); r != nil {
		return r
	}
	d.changed(HoldFreed, h)
	d.e.Holds[len(d.e.Holds)-1].Text = d.text(op.Text)
	return nil
}

// endHold gives back what a hold still has.
func (d *decision) endHold(h *Hold, p *payment, state HoldState) *Refusal {
	left := h.Remaining
	h.Remaining, h.State = money.Amount{}, state
	return d.unhold(p, h, left)
}

func (d *decision) extend(op *Extend) *Refusal {
	h, _, r := d.openHold(op.Hold)
	if r != nil {
		return r
	}
	if h.Expires, r = d.lifetime(op.Expires); r != nil {
		return r
	}
	d.changed(HoldExtended, h)
	return nil
}

func (d *decision) raise(op *Raise) *Refusal {
	if r := positive(op.Amount); r != nil {
		return r
	}
	h, p, r := d.openHold(op.Hold)
	if r != nil {
		return r
	}
	if r := d.raiseBy(h, &p, op.Amount); r != nil {
		return r
	}
	d.changed(HoldRaised, h)
	return nil
}

// raiseBy sets more aside, as a new hold would.
func (d *decision) raiseBy(h *Hold, p *payment, more money.Amount) *Refusal {
	if r := d.mayspend(p); r != nil {
		return r
	}
	if r := d.afford(p, more); r != nil {
		return r
	}
	if r := d.hold(p, more, 0); r != nil {
		return r
	}
	amount, ok1 := h.Amount.Add(more)
	remaining, ok2 := h.Remaining.Add(more)
	if !ok1 || !ok2 || !fits(amount) {
		return tooLarge()
	}
	h.Amount, h.Remaining = amount, remaining
	return nil
}

// expire ends the holds among those named that are due.
func (d *decision) expire(op *Expire) *Refusal {
	for _, ref := range op.Holds {
		h := d.findHold(ref)
		if h == nil || h.State != HoldOpen || h.OpenAt(d.now) || d.holds[ref] != nil {
			continue
		}
		p, r := d.payment(h.Owner())
		if r != nil {
			return r
		}
		c := *h
		d.keep(&c)
		if r := d.endHold(&c, &p, HoldGone); r != nil {
			return r
		}
		d.changed(HoldLapsed, &c)
	}
	if len(d.e.Holds) == 0 {
		return refuse(Invalid, "no hold is due")
	}
	return nil
}
