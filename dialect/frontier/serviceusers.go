package frontier

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// A service user is a record of the operator's book, which names its
// credentials; those are auth's. It reads its organization.
const (
	kindUser    = "frontier.user" // by its UUID; index tenant
	indexTenant = "tenant"
)

// A userRow is the JSON of a record of kind "frontier.user".
type userRow struct {
	V        int             `json:"v"`
	Tenant   ledger.TenantID `json:"tenant"`
	Title    string          `json:"title,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Created  ledger.Time     `json:"created"`
	Secrets  []secretRow     `json:"secrets,omitempty"`
}

// A secretRow is a credential of a service user.
type secretRow struct {
	ID    string `json:"id"`
	Token bool   `json:"token,omitempty"` // it was made as one
}

// A user is a service user as it was read.
type user struct {
	userRow
	id      ledger.AccountID
	version uint64
	updated ledger.Time
	org     ledger.AccountID
}

func userKey(id ledger.AccountID) ledger.RecordKey {
	return ledger.RecordKey{Kind: kindUser, Key: id.String()}
}

func tenantKey(t ledger.TenantID) string { return strconv.FormatUint(uint64(t), 10) }

// write returns the write that stores a service user in place of the version
// that was read.
func (u *user) write() (ledger.RecordWrite, error) {
	data, err := json.Marshal(&u.userRow)
	return ledger.RecordWrite{Kind: kindUser, Key: u.id.String(), Expect: u.version, Data: data,
		Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(u.Tenant)}}}, err
}

func decodeUser(r *ledger.Record) (*user, error) {
	u := &user{version: r.Version, updated: r.Updated}
	var ok bool
	if u.id, ok = ledger.ParseAccountID(r.Key); !ok {
		return nil, fmt.Errorf("frontier: the record of service user %s has no UUID", r.Key)
	}
	if err := json.Unmarshal(r.Data, &u.userRow); err != nil || u.V != 1 {
		return nil, fmt.Errorf("frontier: the record of service user %s cannot be read: version %d, %w", r.Key, u.V, err)
	}
	return u, nil
}

// readUser returns a service user, or unknownUser.
func (s *server) readUser(ctx context.Context, id string) (*user, error) {
	parsed, ok := parseUUID(id)
	if !ok {
		return nil, unknownUser
	}
	r, err := s.ledger.Record(ctx, userKey(parsed))
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, unknownUser
	}
	u, err := decodeUser(r)
	if err != nil {
		return nil, err
	}
	t, err := s.ledger.TenantByNumber(ctx, u.Tenant)
	u.org = t.ID
	return u, err
}

// findUser returns a service user of an organization that the credential is for.
func (q *request) findUser(id string) (*user, error) {
	u, err := q.s.readUser(q.ctx, id)
	if err == nil && !q.credential.Everything && u.Tenant != q.credential.Tenant {
		err = unknownUser
	}
	return u, err
}

// user returns a service user to a credential that has a scope for the whole of
// its organization, which is org if that is said.
func (q *request) user(scope auth.Scope, org, id string) (*user, error) {
	u, err := q.findUser(id)
	if err != nil {
		return nil, err
	}
	if org != "" {
		if same, err := q.s.isOrg(q.ctx, org, u.Tenant); err != nil || !same {
			if err == nil {
				err = otherOrg
			}
			return nil, err
		}
	}
	return u, q.ownsOrg(scope, u.Tenant)
}

// amendUser changes a service user.
func (q *request) amendUser(u *user, how func(*user) error) error {
	_, _, err := q.s.ledger.Amend(q.ctx, ledger.Amendment{Actor: q.credential.Number, Tenant: u.Tenant}, func() ([]ledger.RecordWrite, []byte, error) {
		now, err := q.s.readUser(q.ctx, u.id.String())
		if err != nil {
			return nil, nil, err
		}
		if err := how(now); err != nil {
			return nil, nil, err
		}
		w, err := now.write()
		return []ledger.RecordWrite{w}, nil, err
	})
	return err
}

// serviceUser returns a service user as it is shown.
func (q *request) serviceUser(u *user) (*frontierv1beta1.ServiceUser, error) {
	t, err := q.s.ledger.TenantByNumber(q.ctx, u.Tenant)
	if err != nil {
		return nil, err
	}
	org, err := q.shownOrg(&t)
	updated := u.updated
	if updated == 0 {
		updated = u.Created
	}
	return &frontierv1beta1.ServiceUser{Id: u.id.String(), Title: u.Title, Metadata: metadataOf(u.Metadata), State: enabled, OrgId: org,
		CreatedAt: timestamppb.New(u.Created.Std()), UpdatedAt: timestamppb.New(updated.Std())}, err
}

func checkCreateUser(in *frontierv1beta1.CreateServiceUserRequest) error {
	return needOrg(in, in.OrgId, "org_id")
}

func createServiceUser(q *request, in *frontierv1beta1.CreateServiceUserRequest) (*frontierv1beta1.CreateServiceUserResponse, error) {
	t, err := q.org(in.OrgId)
	if err == nil {
		err = q.ownsOrg(auth.Admin, t.Number)
	}
	if err != nil {
		return nil, err
	}
	u := &user{id: q.s.ledger.NewID(), userRow: userRow{V: 1, Tenant: t.Number, Title: in.Body.GetTitle()}}
	if u.Metadata, err = metadataJSON(in.Body.GetMetadata()); err != nil {
		return nil, err
	}
	if u.Created, err = q.s.ledger.Now(); err != nil {
		return nil, err
	}
	_, _, err = q.s.ledger.Amend(q.ctx, ledger.Amendment{Actor: q.credential.Number, Tenant: t.Number}, func() ([]ledger.RecordWrite, []byte, error) {
		w, err := u.write()
		return []ledger.RecordWrite{w}, nil, err
	})
	if err != nil {
		return nil, err
	}
	shown, err := q.serviceUser(u)
	return &frontierv1beta1.CreateServiceUserResponse{Serviceuser: shown}, err
}

func getServiceUser(q *request, in *frontierv1beta1.GetServiceUserRequest) (*frontierv1beta1.GetServiceUserResponse, error) {
	u, err := q.user(auth.Read, in.OrgId, in.Id)
	if err != nil {
		return nil, err
	}
	shown, err := q.serviceUser(u)
	return &frontierv1beta1.GetServiceUserResponse{Serviceuser: shown}, err
}

func checkListUsers(in *frontierv1beta1.ListServiceUsersRequest) error {
	return needOrg(in, in.OrgId, "org_id")
}

func listServiceUsers(q *request, in *frontierv1beta1.ListServiceUsersRequest) (*frontierv1beta1.ListServiceUsersResponse, error) {
	t, err := q.org(in.OrgId)
	if err == nil {
		err = q.ownsOrg(auth.Read, t.Number)
	}
	if err != nil {
		return nil, err
	}
	out := new(frontierv1beta1.ListServiceUsersResponse)
	rows := q.rows(out)
	if in.State == "" || in.State == enabled {
		err = q.addUsers(rows, &t)
	}
	if err == nil {
		err = rows.end()
	}
	if err != nil {
		return nil, rows.broken(err)
	}
	return out, nil
}

func (q *request) addUsers(rows *rows, t *ledger.Tenant) error {
	query := ledger.Query{List: ledger.ListRecords, Kind: kindUser, Index: indexTenant, Value: tenantKey(t.Number)}
	for row, err := range q.s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return err
		}
		u, err := decodeUser(row.Record)
		if err != nil {
			return err
		}
		shown, err := q.serviceUser(u)
		if err != nil {
			return err
		}
		if err := rows.add(shown); err != nil {
			return err
		}
	}
	return nil
}

// deleteServiceUser ends a service user and all of its credentials: those
// first, for what is left of it can still be deleted.
func deleteServiceUser(q *request, in *frontierv1beta1.DeleteServiceUserRequest) (*frontierv1beta1.DeleteServiceUserResponse, error) {
	u, err := q.user(auth.Admin, in.OrgId, in.Id)
	if err != nil {
		return nil, err
	}
	for _, c := range u.Secrets {
		if err := q.revoke(c.ID); err != nil {
			return nil, err
		}
	}
	_, _, err = q.s.ledger.Amend(q.ctx, ledger.Amendment{Actor: q.credential.Number, Tenant: u.Tenant}, func() ([]ledger.RecordWrite, []byte, error) {
		now, err := q.s.readUser(q.ctx, in.Id)
		switch {
		case err != nil:
			return nil, nil, err
		case len(now.Secrets) > len(u.Secrets):
			return nil, nil, changed // one more was made meanwhile
		}
		return []ledger.RecordWrite{{Kind: kindUser, Key: u.id.String(), Expect: now.version, Delete: true}}, nil, nil
	})
	return new(frontierv1beta1.DeleteServiceUserResponse), err
}
