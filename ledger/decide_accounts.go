package ledger

// open decides a new account.
func (d *decision) open(op *OpenAccount) *Refusal {
	a := Account{ID: op.ID, Parent: op.Parent, Tenant: d.c.Tenant, Book: d.c.Book, Mode: op.Mode,
		Depth: 1, Limit: op.Limit, Created: d.now}
	if op.Cap != nil {
		a.Cap, a.HasCap = *op.Cap, true
	}
	switch {
	case op.ID.IsZero() || op.ID.IsSystem() || op.ID[0]|op.ID[1]|op.ID[2]|op.ID[3] == 0:
		return refuse(Invalid, "an account's id is a UUID that does not begin with eight zeros")
	case d.found.find(op.ID) >= 0 || d.s.Account(op.ID) != nil:
		return refuseAt(Exists, op.ID, "account "+op.ID.String()+" exists already")
	case op.Mode != Own && op.Mode != Drawing:
		return refuse(Invalid, "an account either has its own money or draws on its parent's")
	case op.Limit.Sign() < 0:
		return refuse(Invalid, "a new account has no money that could have to stay; top it up, then set the limit")
	case op.Profile != nil && len(op.Profile.Data) > MaxText:
		return refuse(TooMany, "an account has at most 24 KiB of free text")
	}
	if !op.Parent.IsZero() {
		if r := d.openUnder(op, &a); r != nil {
			return r
		}
	}
	if r := d.openUnit(op, &a); r != nil {
		return r
	}
	if r := checkBounds(&a); r != nil {
		return r
	}
	if !op.Parent.IsZero() {
		p := d.touch(op.Parent)
		d.rows[p].Children++
	}
	d.add(&a)
	d.e.Opened = append(d.e.Opened, Opened{Account: a.ID, Parent: a.Parent, Unit: a.Unit, Mode: a.Mode,
		Profile: d.text(op.Profile)})
	return nil
}

// openUnder takes from the parent what a sub-account has from it.
func (d *decision) openUnder(op *OpenAccount, a *Account) *Refusal {
	parent := d.lookup(op.Parent)
	switch {
	case parent == nil:
		return refuseAt(NotFound, op.Parent, "account "+op.Parent.String()+" does not exist here")
	case parent.Mode == System:
		return refuseAt(Invalid, op.Parent, "a system account has no sub-accounts")
	case parent.Depth >= MaxDepth:
		return refuseAt(TooMany, op.Parent, "a tree of accounts is at most 8 deep")
	case d.status(parent) == StatusClosed:
		return refuseAt(Closed, op.Parent, "account "+op.Parent.String()+" is closed")
	}
	a.Depth, a.Unit = parent.Depth+1, parent.Unit
	return nil
}

// openUnit finds the unit of a new account.
func (d *decision) openUnit(op *OpenAccount, a *Account) *Refusal {
	if op.Unit == "" {
		if op.Parent.IsZero() {
			return refuse(Invalid, "an account needs a unit")
		}
		return nil
	}
	for i, u := range d.units {
		if u.Code != op.Unit {
			continue
		}
		if a.Mode == Drawing && !op.Parent.IsZero() && a.Unit != uint32(i) {
			return refuse(Invalid, "a drawing account has its payer's unit, "+d.unit(a.Unit))
		}
		a.Unit = uint32(i)
		return nil
	}
	return refuse(NotFound, "the unit "+quote(op.Unit)+" does not exist; create it first")
}

// checkBounds refuses settings that do not belong to an account's mode.
func checkBounds(a *Account) *Refusal {
	switch {
	case a.Mode == Drawing && a.Parent.IsZero():
		return refuse(Invalid, "a drawing account needs a parent whose money it draws on")
	case a.Mode == Drawing && !a.Limit.IsZero():
		return refuse(Invalid, "a drawing account has no credit limit; it may have a cap")
	case a.Mode != Drawing && a.HasCap:
		return refuse(Invalid, "only a drawing account has a cap")
	case a.HasCap && a.Cap.Sign() < 0:
		return refuse(Invalid, "a cap cannot be below zero")
	case !fits(a.Limit) || !fits(a.Cap):
		return tooLarge()
	}
	return nil
}

// set decides a change of settings.
func (d *decision) set(op *SetAccount) *Refusal {
	i := d.touch(op.Account)
	if i < 0 {
		return refuseAt(NotFound, op.Account, "account "+op.Account.String()+" does not exist here")
	}
	a := &d.rows[i]
	switch {
	case a.Mode == System:
		return refuseAt(Invalid, a.ID, "a system account has no settings")
	case op.Expect != 0 && op.Expect != a.Version:
		return refuseAt(Changed, a.ID, "the account was changed since you read it; read it again")
	case op.Force && op.Reason == nil:
		return refuse(Invalid, "a forced change needs a reason")
	case op.Cap != nil && op.NoCap:
		return refuse(Invalid, "a cap is either set or taken away")
	case op.Status == nil && op.Limit == nil && op.Cap == nil && !op.NoCap && op.Profile == nil:
		return refuse(Invalid, "nothing is to be changed")
	case op.Profile != nil && len(op.Profile.Data) > MaxText || op.Reason != nil && len(op.Reason.Data) > MaxText:
		return refuse(TooMany, "a change has at most 24 KiB of free text")
	}
	s := Setting{Account: a.ID, HasStatus: op.Status != nil, HasLimit: op.Limit != nil,
		HasCap: op.Cap != nil || op.NoCap, Forced: op.Force}
	if op.Cap != nil {
		a.Cap, a.HasCap = *op.Cap, true
	} else if op.NoCap {
		a.Cap, a.HasCap = Account{}.Cap, false
	}
	was := a.Limit
	if op.Limit != nil {
		a.Limit = *op.Limit
	}
	if r := checkBounds(a); r != nil {
		return r
	}
	if a.Limit.Less(was) && !op.Force && a.Spendable().Sign() < 0 {
		need, _ := a.Limit.Neg()
		return insufficient(CreditLimit, a.ID, need, a.Available())
	}
	if op.Status != nil {
		s.Status = *op.Status
		if r := d.setStatus(i, *op.Status); r != nil {
			return r
		}
	}
	s.Profile, s.Reason = d.text(op.Profile), d.text(op.Reason)
	d.e.Set = append(d.e.Set, s)
	return nil
}

// setStatus opens, freezes or closes an account.
func (d *decision) setStatus(i int, st Status) *Refusal {
	a := &d.rows[i]
	if st > StatusClosed {
		return refuse(Invalid, "a status is open, frozen or closed")
	}
	was := a.Status
	a.Status = st
	if (st == StatusClosed) == (was == StatusClosed) {
		return nil
	}
	closing := st == StatusClosed
	switch {
	case closing && a.Mode == Own && (!a.Posted.IsZero() || !a.Held.IsZero()):
		return refuseAt(NotEmpty, a.ID, "closing needs a zero balance")
	case closing && a.OpenHolds > 0:
		return refuseAt(NotEmpty, a.ID, "closing needs that no hold is open")
	case closing && a.Children > 0:
		return refuseAt(NotEmpty, a.ID, "closing needs that every sub-account is closed")
	}
	if a.Parent.IsZero() {
		return nil
	}
	p := d.touch(a.Parent)
	switch {
	case closing:
		d.rows[p].Children--
	case d.status(&d.rows[p]) == StatusClosed:
		return refuseAt(Closed, d.rows[p].ID, "the account above is closed")
	default:
		d.rows[p].Children++
	}
	return nil
}

func (d *decision) erase(op *Erase) *Refusal {
	i := d.touch(op.Account)
	if i < 0 {
		return refuseAt(NotFound, op.Account, "account "+op.Account.String()+" does not exist here")
	}
	if d.rows[i].Mode == System {
		return refuseAt(Invalid, op.Account, "a system account has nothing to erase")
	}
	d.e.Erased = append(d.e.Erased, op.Account)
	return nil
}
