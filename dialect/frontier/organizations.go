package frontier

import (
	"errors"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// enabled is the state of every organization and service user.
const enabled = "enabled"

// organization returns a tenant as it is shown.
func (q *request) organization(t *ledger.Tenant) (*pbOrg, error) {
	id, err := q.shownOrg(t)
	created := timestamppb.New(t.Created.Std())
	return &pbOrg{Id: id, Name: t.Name, Metadata: new(structpb.Struct), CreatedAt: created, UpdatedAt: created, State: enabled}, err
}

func checkCreateOrg(in *frontierv1beta1.CreateOrganizationRequest) error {
	if in.Body == nil {
		return violated(in, ruleRequired, "body")
	}
	return nil
}

// createOrganization makes a tenant, for the operator.
func createOrganization(q *request, in *frontierv1beta1.CreateOrganizationRequest) (*frontierv1beta1.CreateOrganizationResponse, error) {
	if err := q.credential.May(auth.Operator); err != nil {
		return nil, err
	}
	t, _, err := q.s.ledger.CreateTenant(q.ctx, q.credential.Number, "", ledger.Tenant{Name: in.Body.Name})
	switch ledger.CodeOf(err) {
	case ledger.Invalid:
		return nil, violated(in, ruleName, "body", "name")
	case ledger.Exists:
		return nil, orgExists
	case ledger.OK:
	default:
		return nil, err
	}
	shown, err := q.organization(&t)
	return &frontierv1beta1.CreateOrganizationResponse{Organization: shown}, err
}

func getOrganization(q *request, in *frontierv1beta1.GetOrganizationRequest) (*frontierv1beta1.GetOrganizationResponse, error) {
	t, err := q.org(in.Id)
	if err == nil {
		err = q.credential.May(auth.Read)
	}
	if err != nil {
		return nil, err
	}
	shown, err := q.organization(&t)
	return &frontierv1beta1.GetOrganizationResponse{Organization: shown}, err
}

// defaultPage is how many organizations are listed where nothing is said.
const defaultPage = 1000

func checkListOrgs(in *frontierv1beta1.ListOrganizationsRequest) error {
	if in.PageSize < 0 {
		return violated(in, ruleFrom1, "page_size")
	}
	if in.PageNum < 0 {
		return violated(in, ruleFrom1, "page_num")
	}
	return nil
}

// listOrganizations lists the organizations that the credential is for, or
// those of one service user.
func listOrganizations(q *request, in *frontierv1beta1.ListOrganizationsRequest) (*frontierv1beta1.ListOrganizationsResponse, error) {
	if err := q.credential.May(auth.Read); err != nil {
		return nil, err
	}
	out := new(frontierv1beta1.ListOrganizationsResponse)
	rows := q.rows(out)
	size := int64(in.PageSize)
	if size == 0 {
		size = defaultPage
	}
	skip := size * int64(max(in.PageNum, 1)-1)
	only := ""
	if in.UserId != "" {
		u, err := q.findUser(in.UserId)
		if err != nil && err != unknownUser {
			return nil, err
		}
		if err == nil {
			only = u.org.String()
		}
	}
	var err error
	if (in.State == "" || in.State == enabled) && (in.UserId == "" || only != "") {
		err = q.eachOrg(only, func(t *ledger.Tenant) error {
			switch {
			case skip > 0:
				skip--
				return nil
			case size == 0:
				return errEnough
			}
			size--
			shown, err := q.organization(t)
			if err == nil {
				err = rows.add(shown)
			}
			return err
		})
	}
	if err == nil || err == errEnough {
		err = rows.end()
	}
	if err != nil {
		return nil, rows.broken(err)
	}
	return out, nil
}

// errEnough ends a list that is long enough.
var errEnough = errors.New("frontier: the list is long enough")

// eachOrg calls yield with the tenant that an organization's id names or,
// without one, with every one that the credential is for.
func (q *request) eachOrg(ref string, yield func(*ledger.Tenant) error) error {
	if ref != "" || !q.credential.Everything {
		find := func() (ledger.Tenant, error) { return q.org(ref) }
		if ref == "" {
			find = func() (ledger.Tenant, error) { return q.s.ledger.TenantByNumber(q.ctx, q.credential.Tenant) }
		}
		t, err := find()
		if err != nil {
			return err
		}
		return yield(&t)
	}
	for from := ""; ; {
		page, next, err := q.s.ledger.Tenants(q.ctx, from, defaultPage)
		if err != nil {
			return err
		}
		for i := range page {
			if err := yield(&page[i]); err != nil {
				return err
			}
		}
		if from = next; from == "" {
			return nil
		}
	}
}
