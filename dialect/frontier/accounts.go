package frontier

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
	"saldo/money"
)

type (
	pbAccount   = frontierv1beta1.BillingAccount
	pbOrg       = frontierv1beta1.Organization
	accountBody = frontierv1beta1.BillingAccountRequestBody
)

// What an account is that says nothing else.
const (
	defaultCurrency  = "usd"
	defaultDueInDays = 30
)

// states are Frontier's words for how open an account is.
var states = map[ledger.Status]string{ledger.StatusOpen: "active", ledger.StatusFrozen: "disabled", ledger.StatusClosed: "deleted"}

// shownAccount returns the id by which an account is shown: the one that it was
// brought along with, or its own.
func (q *request) shownAccount(a *ledger.Account) (string, error) {
	entries, err := q.s.auth.Externals(q.ctx, a.ID)
	return shownID(entries, a.ID), err
}

// shownOrg is shownAccount of an organization.
func (q *request) shownOrg(t *ledger.Tenant) (string, error) {
	entries, err := q.s.auth.TenantExternals(q.ctx, t.Number)
	return shownID(entries, t.ID), err
}

func shownID(entries []auth.Entry, own ledger.AccountID) string {
	for _, e := range entries {
		if _, ok := parseUUID(e.External); ok && e.Dialect == auth.Frontier {
			return e.External
		}
	}
	return own.String()
}

// billingAccount returns an account as it is shown.
func (q *request) billingAccount(a *ledger.Account) (*pbAccount, error) {
	t, err := q.s.ledger.TenantByNumber(q.ctx, a.Tenant)
	if err != nil {
		return nil, err
	}
	org, err := q.shownOrg(&t)
	if err != nil {
		return nil, err
	}
	return q.billingAccountOf(a, org)
}

func (q *request) billingAccountOf(a *ledger.Account, org string) (*pbAccount, error) {
	id, err := q.shownAccount(a)
	if err != nil {
		return nil, err
	}
	p, err := q.profile(a)
	if err != nil {
		return nil, err
	}
	status, err := q.s.ledger.Status(q.ctx, a)
	if err != nil {
		return nil, err
	}
	f := &p.Frontier
	shown := &pbAccount{Id: id, OrgId: org, Name: p.Name, Email: f.Email, Phone: f.Phone,
		Address: &frontierv1beta1.BillingAccount_Address{Line1: f.Address.Line1, Line2: f.Address.Line2, City: f.Address.City,
			State: f.Address.State, PostalCode: f.Address.PostalCode, Country: f.Address.Country},
		Currency: cmp.Or(f.Currency, defaultCurrency), State: states[status], Metadata: metadataOf(p.Metadata),
		CreatedAt: timestamppb.New(a.Created.Std()), UpdatedAt: timestamppb.New(a.Updated.Std())}
	for _, tax := range f.Taxes {
		shown.TaxData = append(shown.TaxData, &frontierv1beta1.BillingAccount_Tax{Type: tax.Type, Id: tax.ID})
	}
	return shown, nil
}

// set takes over what a body says. Metadata and currency that it does not say
// stay as they are.
func (p *profile) set(in *accountBody) error {
	p.Name = in.GetName()
	f := &p.Frontier
	f.Email, f.Phone, f.Currency = in.GetEmail(), in.GetPhone(), cmp.Or(in.GetCurrency(), f.Currency)
	from := in.GetAddress()
	f.Address = address{from.GetLine1(), from.GetLine2(), from.GetCity(), from.GetState(), from.GetPostalCode(), from.GetCountry()}
	f.Taxes = nil
	for _, tax := range in.GetTaxData() {
		f.Taxes = append(f.Taxes, taxNote{tax.GetType(), tax.GetId()})
	}
	if in.GetMetadata() == nil {
		return nil
	}
	var err error
	p.Metadata, err = metadataJSON(in.GetMetadata())
	return err
}

func checkCreateAccount(in *frontierv1beta1.CreateBillingAccountRequest) error {
	if in.Body == nil {
		return violated(in, ruleRequired, "body")
	}
	return needOrg(in, in.OrgId, "org_id")
}

// createBillingAccount opens an account of an organization, in the unit of
// credits.
func createBillingAccount(q *request, in *frontierv1beta1.CreateBillingAccountRequest) (*frontierv1beta1.CreateBillingAccountResponse, error) {
	t, err := q.org(in.OrgId)
	if err != nil {
		return nil, err
	}
	if err := q.ownsOrg(auth.Admin, t.Number); err != nil {
		return nil, err
	}
	if !in.Offline {
		return nil, noProvider
	}
	var p profile
	if err := p.set(in.Body); err != nil {
		return nil, err
	}
	text, err := p.compose()
	if err != nil {
		return nil, err
	}
	unit, err := q.s.creditUnit(q.ctx, q.credential.Number, t.Number)
	if err != nil {
		return nil, err
	}
	book, err := q.s.ledger.BookByName(q.ctx, t.Number, ledger.FirstBook)
	if err != nil {
		return nil, err
	}
	id := q.s.ledger.NewID()
	_, err = q.s.ledger.Post(q.ctx, &ledger.Command{Tenant: t.Number, Book: book.Number, Actor: q.credential.Number,
		Ops: []ledger.Op{&ledger.AddUnit{Unit: unit}, &ledger.OpenAccount{ID: id, Unit: unit.Code, Mode: ledger.Own, Profile: text}}})
	if err != nil {
		return nil, err
	}
	a, err := q.s.ledger.Account(q.ctx, id)
	if err != nil {
		return nil, err
	}
	shown, err := q.billingAccount(a)
	return &frontierv1beta1.CreateBillingAccountResponse{BillingAccount: shown}, err
}

// creditUnit returns the unit of new accounts of a tenant, which is made with
// the first of them.
func (s *server) creditUnit(ctx context.Context, actor uint64, tenant ledger.TenantID) (money.Unit, error) {
	unit, err := s.ledger.Unit(ctx, tenant, s.o.Unit)
	if ledger.CodeOf(err) != ledger.NotFound {
		return unit, err
	}
	unit = money.Unit{Code: s.o.Unit, Scale: money.DefaultCreditScale, Kind: money.Credit}
	_, err = s.ledger.CreateUnit(ctx, actor, "", tenant, unit)
	return unit, err
}

func checkGetAccount(in *frontierv1beta1.GetBillingAccountRequest) error {
	return needUUID(in, in.Id, "id")
}

// getBillingAccount returns an account, with its details if they are asked for.
func getBillingAccount(q *request, in *frontierv1beta1.GetBillingAccountRequest) (*frontierv1beta1.GetBillingAccountResponse, error) {
	a, err := q.openAccount(auth.Read, in.OrgId, in.Id)
	if err != nil {
		return nil, err
	}
	shown, err := q.billingAccount(a)
	if err != nil {
		return nil, err
	}
	if slices.Contains(in.Expand, "organization") {
		t, err := q.s.ledger.TenantByNumber(q.ctx, a.Tenant)
		if err != nil {
			return nil, err
		}
		if shown.Organization, err = q.organization(&t); err != nil {
			return nil, err
		}
	}
	out := &frontierv1beta1.GetBillingAccountResponse{BillingAccount: shown}
	if in.WithBillingDetails {
		out.BillingDetails, err = q.details(a)
	}
	return out, err
}

func checkUpdateAccount(in *frontierv1beta1.UpdateBillingAccountRequest) error {
	if in.Body == nil {
		return violated(in, ruleRequired, "body")
	}
	return needUUID(in, in.Id, "id")
}

// updateBillingAccount changes what is known of an account.
func updateBillingAccount(q *request, in *frontierv1beta1.UpdateBillingAccountRequest) (*frontierv1beta1.UpdateBillingAccountResponse, error) {
	a, err := q.openAccount(auth.Admin, in.OrgId, in.Id)
	if err != nil {
		return nil, err
	}
	a, err = q.change(a, func(op *ledger.SetAccount, p *profile) (bool, error) { return true, p.set(in.Body) })
	if err != nil {
		return nil, err
	}
	shown, err := q.billingAccount(a)
	return &frontierv1beta1.UpdateBillingAccountResponse{BillingAccount: shown}, err
}

// change changes settings of an account. How says whether the profile is one of
// them; it is asked again when another was faster.
func (q *request) change(a *ledger.Account, how func(*ledger.SetAccount, *profile) (bool, error)) (*ledger.Account, error) {
	const tries = 4
	for n := 1; ; n++ {
		op := &ledger.SetAccount{Account: a.ID, Expect: a.Version}
		p, err := q.profile(a)
		if err != nil {
			return nil, err
		}
		texts, err := how(op, &p)
		if err != nil {
			return nil, err
		}
		if texts {
			if op.Profile, err = p.compose(); err != nil {
				return nil, err
			}
		}
		_, err = q.s.ledger.Post(q.ctx, &ledger.Command{Tenant: a.Tenant, Book: a.Book, Actor: q.credential.Number, Ops: []ledger.Op{op}})
		if err != nil && (ledger.CodeOf(err) != ledger.Changed || n == tries) {
			return nil, err
		}
		now, err2 := q.s.ledger.Account(q.ctx, a.ID)
		if err == nil || err2 != nil {
			return now, err2
		}
		a = now
	}
}

// above refuses a credential for what is decided about its own account.
func (q *request) above(a *ledger.Account) error {
	if a.ID == q.credential.Root {
		return forbidden
	}
	return nil
}

// setStatus opens, freezes or closes an account.
func (q *request) setStatus(org, id string, to ledger.Status) error {
	a, err := q.openAccount(auth.Admin, org, id)
	if err != nil {
		return err
	}
	if err := q.above(a); err != nil || a.Status == to {
		return err
	}
	_, err = q.change(a, func(op *ledger.SetAccount, _ *profile) (bool, error) {
		op.Status = &to
		return false, nil
	})
	return err
}

func checkEnable(in *frontierv1beta1.EnableBillingAccountRequest) error {
	return needUUID(in, in.Id, "id")
}

func enableBillingAccount(q *request, in *frontierv1beta1.EnableBillingAccountRequest) (*frontierv1beta1.EnableBillingAccountResponse, error) {
	return new(frontierv1beta1.EnableBillingAccountResponse), q.setStatus(in.OrgId, in.Id, ledger.StatusOpen)
}

func checkDisable(in *frontierv1beta1.DisableBillingAccountRequest) error {
	return needUUID(in, in.Id, "id")
}

func disableBillingAccount(q *request, in *frontierv1beta1.DisableBillingAccountRequest) (*frontierv1beta1.DisableBillingAccountResponse, error) {
	return new(frontierv1beta1.DisableBillingAccountResponse), q.setStatus(in.OrgId, in.Id, ledger.StatusFrozen)
}

func checkDelete(in *frontierv1beta1.DeleteBillingAccountRequest) error {
	return needUUID(in, in.Id, "id")
}

func deleteBillingAccount(q *request, in *frontierv1beta1.DeleteBillingAccountRequest) (*frontierv1beta1.DeleteBillingAccountResponse, error) {
	return new(frontierv1beta1.DeleteBillingAccountResponse), q.setStatus(in.OrgId, in.Id, ledger.StatusClosed)
}

func checkListAccounts(in *frontierv1beta1.ListBillingAccountsRequest) error {
	return needOrg(in, in.OrgId, "org_id")
}

// listBillingAccounts lists the accounts of an organization that the credential
// opens, oldest first.
func listBillingAccounts(q *request, in *frontierv1beta1.ListBillingAccountsRequest) (*frontierv1beta1.ListBillingAccountsResponse, error) {
	t, err := q.org(in.OrgId)
	if err != nil {
		return nil, err
	}
	if err := q.credential.May(auth.Read); err != nil {
		return nil, err
	}
	out := new(frontierv1beta1.ListBillingAccountsResponse)
	rows := q.rows(out)
	if err = q.addAccounts(rows, &t, slices.Contains(in.Expand, "organization")); err == nil {
		err = rows.end()
	}
	if err != nil {
		return nil, rows.broken(err)
	}
	return out, nil
}

// listAllBillingAccounts lists the accounts of every organization that the
// credential opens as a whole.
func listAllBillingAccounts(q *request, in *frontierv1beta1.ListAllBillingAccountsRequest) (*frontierv1beta1.ListAllBillingAccountsResponse, error) {
	out := new(frontierv1beta1.ListAllBillingAccountsResponse)
	rows := q.rows(out)
	err := q.eachOrg(in.OrgId, func(t *ledger.Tenant) error {
		if err := q.ownsOrg(auth.Admin, t.Number); err != nil {
			return err
		}
		return q.addAccounts(rows, t, false)
	})
	if err == nil {
		err = rows.end()
	}
	if err != nil {
		return nil, rows.broken(err)
	}
	return out, nil
}

// addAccounts adds the accounts of a tenant to a list.
func (q *request) addAccounts(rows *rows, t *ledger.Tenant, expand bool) error {
	org, err := q.shownOrg(t)
	if err != nil {
		return err
	}
	var expanded *pbOrg
	if expand {
		if expanded, err = q.organization(t); err != nil {
			return err
		}
	}
	for row, err := range q.s.ledger.Scan(q.ctx, ledger.Query{List: ledger.ListAccounts, Tenant: t.Number}) {
		if err != nil {
			return err
		}
		a := row.Account
		if a.Mode != ledger.Own || a.Status == ledger.StatusClosed || !q.s.auth.Opens(q.ctx, q.credential, a) {
			continue
		}
		shown, err := q.billingAccountOf(a, org)
		if err != nil {
			return err
		}
		shown.Organization = expanded
		if err := rows.add(shown); err != nil {
			return err
		}
	}
	return nil
}
