package ledger

import "saldo/money"

// A payment is where money comes from: the payer's row, and the rows of the
// drawing sub-accounts on the way to it, the named one first. Rows are numbers,
// for adding one may move the others.
type payment struct {
	payer int
	via   AccountID // the named account, when it is a drawing one
	path  []int
}

// payment finds who pays for an account.
func (d *decision) payment(id AccountID) (p payment, r *Refusal) {
	i := d.touch(id)
	if i < 0 {
		return p, refuseAt(NotFound, id, "account "+id.String()+" does not exist here")
	}
	if d.rows[i].Mode == Drawing {
		p.via = id
	}
	for d.rows[i].Mode == Drawing {
		p.path = append(p.path, i)
		parent := d.rows[i].Parent
		if i = d.touch(parent); i < 0 {
			return p, refuseAt(Internal, parent, "a drawing account has no payer")
		}
	}
	p.payer = i
	return p, nil
}

// payee finds the row that an amount goes to.
func (d *decision) payee(id AccountID) (int, *Refusal) {
	i := d.touch(id)
	if i < 0 {
		return i, refuseAt(NotFound, id, "account "+id.String()+" does not exist here")
	}
	a := &d.rows[i]
	if a.Mode == Drawing {
		return i, refuseAt(Invalid, id, "account "+id.String()+" draws on another's money and has none of its own; name the account that has")
	}
	if a.Mode == Own && d.status(a) == StatusClosed {
		return i, refuseAt(Closed, id, "account "+id.String()+" is closed")
	}
	return i, nil
}

// mayspend refuses new spending from an account that is not open.
func (d *decision) mayspend(p *payment) *Refusal { return d.notBefore(d.named(p), StatusOpen) }

// named returns the row of the account that the command named.
func (d *decision) named(p *payment) *Account {
	if len(p.path) > 0 {
		return &d.rows[p.path[0]]
	}
	return &d.rows[p.payer]
}

// notBefore refuses when an account is less open than most.
func (d *decision) notBefore(a *Account, most Status) *Refusal {
	if a.Mode == System {
		return nil
	}
	switch st := d.status(a); {
	case st <= most:
		return nil
	case st == StatusClosed:
		return refuseAt(Closed, a.ID, "account "+a.ID.String()+", or one above it, is closed")
	default:
		return refuseAt(Frozen, a.ID, "account "+a.ID.String()+", or one above it, is frozen")
	}
}

// room returns what may still be taken: the least of the payer's spendable and
// what the caps leave, and who bounds it.
func (d *decision) room(p *payment) (left money.Amount, by Limit, id AccountID, unbounded bool) {
	a := &d.rows[p.payer]
	unbounded = a.Mode == System
	if !unbounded {
		left, by, id = a.Spendable(), Funds, a.ID
		if !a.Limit.IsZero() {
			by = CreditLimit
		}
	}
	for _, i := range p.path {
		if c := &d.rows[i]; c.HasCap && (unbounded || c.Room().Less(left)) {
			left, by, id, unbounded = c.Room(), Cap, c.ID, false
		}
	}
	return left, by, id, unbounded
}

// afford refuses an amount that is more than may be taken.
func (d *decision) afford(p *payment, amount money.Amount) *Refusal {
	left, by, id, unbounded := d.room(p)
	if unbounded || !left.Less(amount) {
		return nil
	}
	return insufficient(by, id, amount, left)
}

func insufficient(by Limit, id AccountID, required, left money.Amount) *Refusal {
	return &Refusal{Code: Insufficient, Account: id, By: by, Required: required, Spendable: left}
}

// pay takes an amount from the payer and counts it on the way.
func (d *decision) pay(p *payment, amount money.Amount) *Refusal {
	minus, ok := amount.Neg()
	if !ok {
		return tooLarge()
	}
	for _, i := range p.path {
		if r := d.post(i, minus); r != nil {
			return r
		}
	}
	return d.post(p.payer, minus)
}

// post adds an amount to what is posted in a row.
func (d *decision) post(i int, amount money.Amount) *Refusal {
	sum, ok := d.rows[i].Posted.Add(amount)
	if !ok || !fits(sum) {
		return tooLarge()
	}
	d.rows[i].Posted = sum
	return nil
}

// hold adds an amount to what is held by the payer and on the way.
func (d *decision) hold(p *payment, amount money.Amount, holds int) *Refusal {
	for _, i := range append(p.path[:len(p.path):len(p.path)], p.payer) {
		a := &d.rows[i]
		sum, ok := a.Held.Add(amount)
		if !ok || !fits(sum) {
			return tooLarge()
		}
		a.Held = sum
		a.OpenHolds = uint32(int(a.OpenHolds) + holds)
		if holds > 0 && a.OpenHolds > MaxOpenHolds {
			return refuseAt(TooMany, a.ID, "an account has at most 1,000,000 open holds")
		}
	}
	return nil
}

func tooLarge() *Refusal { return refuse(Overflow, "an amount or a sum does not fit") }

// positive refuses what is no amount to move.
func positive(a money.Amount) *Refusal {
	if a.Sign() <= 0 {
		return refuse(Invalid, "an amount has to be above zero")
	}
	if !fits(a) {
		return tooLarge()
	}
	return nil
}

// transfer decides a transfer between two accounts.
func (d *decision) transfer(op *Transfer) *Refusal {
	id, r := d.take(op.ID)
	if r == nil {
		r = op.check()
	}
	if r != nil {
		return r
	}
	from, r := d.payment(op.From)
	if r != nil {
		return r
	}
	to, r := d.payee(op.To)
	if r != nil {
		return r
	}
	if r := d.match(&from, to); r != nil {
		return r
	}
	most := StatusOpen
	if op.Kind == Adjustment {
		most = StatusFrozen
	}
	if r := d.notBefore(d.named(&from), most); r != nil {
		return r
	}
	p := Posting{Kind: op.Kind, From: d.rows[from.payer].ID, To: op.To, Via: from.via,
		Amount: op.Amount, Forced: op.Force, ID: id, Usage: op.Usage}
	if op.UpTo {
		left, by, at, unbounded := d.room(&from)
		p.Asked = op.Amount
		if !unbounded && left.Less(op.Amount) {
			if left.Sign() <= 0 {
				return insufficient(by, at, op.Amount, left)
			}
			p.Amount = left
		}
	} else if !op.Force {
		if r := d.afford(&from, op.Amount); r != nil {
			return r
		}
	}
	if r := d.pay(&from, p.Amount); r != nil {
		return r
	}
	if r := d.post(to, p.Amount); r != nil {
		return r
	}
	p.Text = d.text(op.Text)
	d.e.Transfers = append(d.e.Transfers, p)
	return nil
}

// check refuses what makes no sense in any state.
func (op *Transfer) check() *Refusal {
	switch {
	case op.Kind != TopUp && op.Kind != Charge && op.Kind != Adjustment && op.Kind != Move:
		return refuse(Invalid, "a transfer is a topup, charge, adjustment or move")
	case op.Force && op.UpTo:
		return refuse(Invalid, "a forced transfer cannot be up to an amount")
	case op.Force && op.Text == nil:
		return refuse(Invalid, "a forced transfer needs a reason")
	case op.Text != nil && len(op.Text.Data) > MaxText:
		return refuse(TooMany, "a transfer has at most 24 KiB of free text")
	}
	if r := op.Usage.check(); r != nil {
		return r
	}
	return positive(op.Amount)
}

func (u *Usage) check() *Refusal {
	if len(u.Category) > 64 || len(u.Unit) > 32 {
		return refuse(Invalid, "a category has at most 64 bytes, a usage unit 32")
	}
	if u.Count.Sign() < 0 || !fits(u.Count) {
		return refuse(Invalid, "a count is not below zero")
	}
	return nil
}

// given is what a refund says of what it gives back: all but the count.
func (u Usage) given() Usage { return Usage{Category: u.Category, Unit: u.Unit} }

// match refuses a payment to itself or in another unit.
func (d *decision) match(from *payment, to int) *Refusal {
	a, b := &d.rows[from.payer], &d.rows[to]
	if from.payer == to {
		return refuseAt(Invalid, b.ID, "an account cannot pay itself")
	}
	if a.Unit != b.Unit {
		return refuseAt(Invalid, b.ID, "the accounts have different units: "+d.unit(a.Unit)+" and "+d.unit(b.Unit))
	}
	return nil
}

// refund decides a refund: the way back of an earlier transfer.
func (d *decision) refund(op *Refund) *Refusal {
	id, r := d.take(op.ID)
	if r != nil {
		return r
	}
	past := d.s.Past(op.Of)
	switch {
	case past == nil:
		return refuse(NotFound, "there is no transfer "+quote(op.Of))
	case op.Of[0] == stepMark && !d.c.own:
		return refuse(Invalid, "a move between books is not refunded, which would be in one of them alone; move the amount back")
	case past.Posting.Kind == Refunding:
		return refuse(Invalid, "a refund cannot be refunded; make an adjustment")
	case op.Force && op.Text == nil:
		return refuse(Invalid, "a forced refund needs a reason")
	case op.Text != nil && len(op.Text.Data) > MaxText:
		return refuse(TooMany, "a refund has at most 24 KiB of free text")
	}
	done, ok := d.pasts[past.At]
	if !ok {
		done = past.Refunded
	}
	left := saturate(past.Posting.Amount.Sub(done))
	amount := left
	if op.Amount != nil {
		amount = *op.Amount
		if r := positive(amount); r != nil {
			return r
		}
	}
	if left.Less(amount) || left.IsZero() {
		return &Refusal{Code: OverRefund, Required: amount, Spendable: left,
			Detail: "more than what is left of transfer " + quote(op.Of)}
	}
	from, r := d.payment(past.Posting.To)
	if r != nil {
		return r
	}
	if !op.Force {
		if r := d.afford(&from, amount); r != nil {
			return r
		}
	}
	if r := d.pay(&from, amount); r != nil {
		return r
	}
	if r := d.giveBack(&past.Posting, amount); r != nil {
		return r
	}
	if d.pasts == nil {
		d.pasts = make(map[TransferAt]money.Amount)
	}
	d.pasts[past.At] = saturate(done.Add(amount))
	at := past.At
	d.e.Transfers = append(d.e.Transfers, Posting{Kind: Refunding, From: past.Posting.To,
		To: past.Posting.From, Via: past.Posting.Via, Amount: amount, Forced: op.Force,
		ID: id, Of: &at, Back: past.Posting.Kind, Usage: past.Posting.Usage.given(), Text: d.text(op.Text)})
	return nil
}

// giveBack posts a refund to who paid, and counts it back on the way.
func (d *decision) giveBack(paid *Posting, amount money.Amount) *Refusal {
	to, r := d.payee(paid.From)
	if r != nil {
		return r
	}
	if !paid.Via.IsZero() {
		back, r := d.payment(paid.Via)
		if r != nil {
			return r
		}
		for _, i := range back.path {
			if r := d.post(i, amount); r != nil {
				return r
			}
		}
	}
	return d.post(to, amount)
}
