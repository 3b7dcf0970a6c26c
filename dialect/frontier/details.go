package frontier

import (
	"math"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// details are what an account may owe, as Frontier puts it: what must stay, so
// minus how far below zero it may go.
func (q *request) details(a *ledger.Account) (*frontierv1beta1.BillingAccountDetails, error) {
	unit, err := q.s.ledger.UnitOf(q.ctx, a)
	if err != nil {
		return nil, err
	}
	limit, err := wholeCredits(a.Limit, unit)
	if err != nil || limit == math.MinInt64 {
		return nil, tooLarge
	}
	p, err := q.profile(a)
	d := &frontierv1beta1.BillingAccountDetails{CreditMin: -limit, DueInDays: defaultDueInDays}
	if p.Frontier.DueInDays != nil {
		d.DueInDays = *p.Frontier.DueInDays
	}
	return d, err
}

func checkDetails(in *frontierv1beta1.GetBillingAccountDetailsRequest) error {
	return needUUID(in, in.Id, "id")
}

func getBillingAccountDetails(q *request, in *frontierv1beta1.GetBillingAccountDetailsRequest) (*frontierv1beta1.GetBillingAccountDetailsResponse, error) {
	a, err := q.openAccount(auth.Admin, in.OrgId, in.Id)
	if err != nil {
		return nil, err
	}
	d, err := q.details(a)
	if err != nil {
		return nil, err
	}
	return &frontierv1beta1.GetBillingAccountDetailsResponse{CreditMin: d.CreditMin, DueInDays: d.DueInDays}, nil
}

func checkUpdateDetails(in *frontierv1beta1.UpdateBillingAccountDetailsRequest) error {
	if in.DueInDays < 0 {
		return violated(in, ruleNotBelow, "due_in_days")
	}
	return needUUID(in, in.Id, "id")
}

func updateBillingAccountDetails(q *request, in *frontierv1beta1.UpdateBillingAccountDetailsRequest) (*frontierv1beta1.UpdateBillingAccountDetailsResponse, error) {
	return new(frontierv1beta1.UpdateBillingAccountDetailsResponse), q.setLimit(in.OrgId, in.Id, in.CreditMin, &in.DueInDays)
}

func checkLimits(in *frontierv1beta1.UpdateBillingAccountLimitsRequest) error {
	return needUUID(in, in.Id, "id")
}

func updateBillingAccountLimits(q *request, in *frontierv1beta1.UpdateBillingAccountLimitsRequest) (*frontierv1beta1.UpdateBillingAccountLimitsResponse, error) {
	return new(frontierv1beta1.UpdateBillingAccountLimitsResponse), q.setLimit(in.OrgId, in.Id, in.CreditMin, nil)
}

// setLimit sets how much of an account's credits must stay. Below zero that is
// credit, which only who opens the whole organization gives.
func (q *request) setLimit(org, id string, creditMin int64, dueInDays *int64) error {
	a, err := q.openAccount(auth.Admin, org, id)
	if err != nil {
		return err
	}
	if err := q.ownsOrg(auth.Admin, a.Tenant); err != nil {
		return err
	}
	unit, err := q.s.ledger.UnitOf(q.ctx, a)
	if err != nil {
		return err
	}
	must, err := whole(creditMin, unit)
	if err != nil {
		return err
	}
	limit, ok := must.Neg()
	if !ok || creditMin == math.MinInt64 { // its opposite is what details would have to show
		return tooLarge
	}
	_, err = q.change(a, func(op *ledger.SetAccount, p *profile) (bool, error) {
		op.Limit = &limit
		if dueInDays != nil {
			p.Frontier.DueInDays = dueInDays
		}
		return dueInDays != nil, nil
	})
	if ledger.CodeOf(err) == ledger.Insufficient {
		err = hasLess
	}
	return err
}
