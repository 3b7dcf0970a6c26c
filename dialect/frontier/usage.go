package frontier

import (
	"strings"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
	"saldo/money"
)

type (
	usageRequest  = frontierv1beta1.CreateBillingUsageRequest
	usageReply    = frontierv1beta1.CreateBillingUsageResponse
	revertRequest = frontierv1beta1.RevertBillingUsageRequest
	revertReply   = frontierv1beta1.RevertBillingUsageResponse
)

// usageType is the type of a usage that takes credits, also of one that says none.
const usageType = "credit"

func checkUsage(in *usageRequest) error {
	if err := mayUUID(in, in.BillingId, "billing_id"); err != nil {
		return err
	}
	for n, u := range in.Usages {
		if err := needUUID(in, u.GetId(), "usages", n, "id"); err != nil {
			return err
		}
		if err := needAmount(in, u.GetAmount(), "usages", n, "amount"); err != nil {
			return err
		}
	}
	return nil
}

// createBillingUsage charges an account for a batch of usages, all or none. A
// usage's id is that of its transfer, so none is taken twice.
func createBillingUsage(q *request, in *usageRequest) (*usageReply, error) {
	if in.ProjectId != "" && in.OrgId == "" && in.BillingId == "" {
		return nil, unknownProject
	}
	a, err := q.account(auth.Charge, in.OrgId, in.BillingId)
	if err != nil {
		return nil, err
	}
	unit, err := q.s.ledger.UnitOf(q.ctx, a)
	if err != nil {
		return nil, err
	}
	c := &ledger.Command{Tenant: a.Tenant, Book: a.Book, Actor: q.credential.Number, Ops: make([]ledger.Op, len(in.Usages))}
	all := make([]ledger.Transfer, len(in.Usages))
	for n, u := range in.Usages {
		if t := u.GetType(); t != "" && t != usageType {
			return nil, noFeature
		}
		amount, err := whole(u.Amount, unit)
		if err != nil {
			return nil, err
		}
		text := note{Reason: u.Description, Frontier: transferNote{Source: strings.ToLower(u.Source), UserID: u.UserId}}
		if text.Metadata, err = metadataJSON(u.Metadata); err != nil {
			return nil, err
		}
		stored := text.compose()
		if stored != nil && len(stored.Data) > ledger.MaxText-revertRoom {
			return nil, tooMany
		}
		id, _ := parseUUID(u.Id)
		all[n] = ledger.Transfer{ID: id.String(), Kind: ledger.Charge, From: a.ID, To: ledger.SystemID(a.Book, a.Unit, ledger.Revenue),
			Amount: amount, Text: stored}
		c.Ops[n] = &all[n]
	}
	switch len(all) {
	case 0:
		return new(usageReply), nil
	case 1: // the command's own id is the cheapest to keep
		c.ID, all[0].ID = all[0].ID, ""
	}
	res, err := q.s.ledger.Post(q.ctx, c)
	if err == nil && res.Replayed {
		err = applied
	}
	return new(usageReply), err
}

// whole returns a number of credits in the steps of a unit.
func whole(n int64, unit money.Unit) (money.Amount, error) {
	amount, ok := money.New(n).Rescale(0, int(unit.Scale))
	if !ok {
		return amount, tooLarge
	}
	return amount, nil
}

func checkRevert(in *revertRequest) error {
	if err := mayUUID(in, in.BillingId, "billing_id"); err != nil {
		return err
	}
	return needAmount(in, in.Amount, "amount")
}

// revertBillingUsage gives back part of a usage, or all that is left of it. Who
// can only charge one account cannot give it its credits back, and nobody takes
// them from an account that the credential does not open.
func revertBillingUsage(q *request, in *revertRequest) (*revertReply, error) {
	if in.ProjectId != "" && in.OrgId == "" && in.BillingId == "" {
		return nil, unknownProject
	}
	a, err := q.account(auth.Charge, in.OrgId, in.BillingId)
	if err != nil {
		return nil, err
	}
	if !q.credential.Root.IsZero() {
		if err := q.credential.May(auth.TopUp); err != nil {
			return nil, err
		}
	}
	unit, err := q.s.ledger.UnitOf(q.ctx, a)
	if err != nil {
		return nil, err
	}
	amount, err := whole(in.Amount, unit)
	if err != nil {
		return nil, err
	}
	of, text, err := q.usage(a, in.UsageId)
	if err != nil {
		return nil, err
	}
	text.revert(of)
	id, err := q.shownAccount(a)
	if err != nil {
		return nil, err
	}
	c := &ledger.Command{Tenant: a.Tenant, Book: a.Book, Actor: q.credential.Number, ID: revertID(of, id),
		Ops: []ledger.Op{&ledger.Refund{Of: of, Amount: &amount, Text: text.compose()}}}
	res, err := q.s.ledger.Post(q.ctx, c)
	if err == nil && res.Replayed || ledger.CodeOf(err) == ledger.IDTaken { // not the first of this usage
		c.ID = q.s.ledger.NewID().String()
		_, err = q.s.ledger.Post(q.ctx, c)
	}
	return new(revertReply), err
}

// usage returns the id and the text of what was taken from an account under an id.
func (q *request) usage(a *ledger.Account, id string) (of string, text note, err error) {
	if u, ok := parseUUID(id); ok {
		id = u.String()
	}
	book, e, n, err := q.s.ledger.Find(q.ctx, a.Tenant, id)
	switch {
	case ledger.CodeOf(err) == ledger.NotFound:
		return "", text, unknownUsage
	case err != nil:
		return "", text, err
	case e.Refused != nil, n >= len(e.Transfers), e.ID == id && len(e.Transfers) > 1:
		return "", text, unknownUsage
	}
	p := &e.Transfers[n]
	switch {
	case p.Kind == ledger.Refunding && p.To == a.ID:
		return "", text, revertedRevert
	case p.From != a.ID || p.Kind == ledger.Refunding:
		return "", text, unknownUsage
	}
	if !p.To.IsSystem() { // what it gives back is that account's
		to, err := q.s.ledger.Account(q.ctx, p.To)
		if err == nil && !q.s.auth.Opens(q.ctx, q.credential, to) {
			err = forbidden
		}
		if err != nil {
			return "", text, err
		}
	}
	text, err = q.note(book, e, p)
	return e.TransferID(n), text, err
}
