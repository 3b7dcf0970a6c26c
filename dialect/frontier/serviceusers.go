package frontier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

	maxSecrets = 100 // of a service user
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

// revoke ends a credential, unless it has ended already.
func (q *request) revoke(id string) error {
	_, _, err := q.s.auth.Revoke(q.ctx, q.credential.Number, "", id)
	if ledger.CodeOf(err) == ledger.NotFound {
		return nil
	}
	return err
}

// issue makes a credential of a service user, which may read its organization.
func (q *request) issue(org, id, title string, token bool) (auth.Issued, error) {
	u, err := q.user(auth.Admin, org, id)
	if err != nil {
		return auth.Issued{}, err
	}
	if len(u.Secrets) >= maxSecrets {
		return auth.Issued{}, tooMany
	}
	spec := auth.Spec{Dialect: auth.Frontier, Name: title, Tenant: u.Tenant, Scopes: auth.Read, Allow: q.credential.Allow, Expires: q.credential.Expires}
	if err := q.s.auth.MayIssue(q.ctx, q.credential, spec); err != nil {
		return auth.Issued{}, err
	}
	var issued auth.Issued
	if token {
		var secret [32]byte
		_, _ = rand.Read(secret[:]) // it never fails
		text := hex.EncodeToString(secret[:])
		issued, err = q.s.auth.Import(q.ctx, q.credential.Number, "", spec, q.s.ledger.NewID().String(), text)
	} else {
		issued, err = q.s.auth.Issue(q.ctx, q.credential.Number, "", spec)
	}
	if err != nil {
		return auth.Issued{}, err
	}
	err = q.amendUser(u, func(u *user) error {
		u.Secrets = append(u.Secrets, secretRow{ID: issued.Credential.ID, Token: token})
		return nil
	})
	if err != nil { // it is nobody's
		return auth.Issued{}, errors.Join(err, q.revoke(issued.Credential.ID))
	}
	return issued, nil
}

// secrets lists the credentials of a service user that were made in one way.
func (q *request) secrets(org, id string, token bool, yield func(*auth.Credential) error) error {
	u, err := q.user(auth.Read, org, id)
	if err != nil {
		return err
	}
	for _, row := range u.Secrets {
		if row.Token != token {
			continue
		}
		c, err := q.s.auth.ByID(q.ctx, row.ID)
		switch {
		case ledger.CodeOf(err) == ledger.NotFound:
			continue
		case err != nil:
			return err
		case c.Revoked:
			continue
		}
		if err := yield(&c); err != nil {
			return err
		}
	}
	return nil
}

// deleteSecret ends a credential of a service user.
func (q *request) deleteSecret(org, id, secret string, token bool) error {
	u, err := q.user(auth.Admin, org, id)
	if err != nil {
		return err
	}
	is := func(row secretRow) bool { return row.ID == secret && row.Token == token }
	if !slices.ContainsFunc(u.Secrets, is) {
		return unknownSecret
	}
	if err := q.revoke(secret); err != nil {
		return err
	}
	return q.amendUser(u, func(u *user) error {
		u.Secrets = slices.DeleteFunc(u.Secrets, is)
		return nil
	})
}

func createSecret(q *request, in *frontierv1beta1.CreateServiceUserCredentialRequest) (*frontierv1beta1.CreateServiceUserCredentialResponse, error) {
	issued, err := q.issue(in.OrgId, in.Id, in.Title, false)
	if err != nil {
		return nil, err
	}
	shown := secretOf(&issued.Credential)
	shown.Secret = issued.Secret
	return &frontierv1beta1.CreateServiceUserCredentialResponse{Secret: shown}, nil
}

func secretOf(c *auth.Credential) *frontierv1beta1.SecretCredential {
	return &frontierv1beta1.SecretCredential{Id: c.ID, Title: c.Name, CreatedAt: timestamppb.New(c.Created.Std())}
}

func listSecrets(q *request, in *frontierv1beta1.ListServiceUserCredentialsRequest) (*frontierv1beta1.ListServiceUserCredentialsResponse, error) {
	out := new(frontierv1beta1.ListServiceUserCredentialsResponse)
	return out, q.secrets(in.OrgId, in.Id, false, func(c *auth.Credential) error {
		out.Secrets = append(out.Secrets, secretOf(c))
		return nil
	})
}

func deleteSecret(q *request, in *frontierv1beta1.DeleteServiceUserCredentialRequest) (*frontierv1beta1.DeleteServiceUserCredentialResponse, error) {
	return new(frontierv1beta1.DeleteServiceUserCredentialResponse), q.deleteSecret(in.OrgId, in.Id, in.SecretId, false)
}

func createToken(q *request, in *frontierv1beta1.CreateServiceUserTokenRequest) (*frontierv1beta1.CreateServiceUserTokenResponse, error) {
	issued, err := q.issue(in.OrgId, in.Id, in.Title, true)
	if err != nil {
		return nil, err
	}
	shown := tokenOf(&issued.Credential)
	shown.Token = issued.Secret
	return &frontierv1beta1.CreateServiceUserTokenResponse{Token: shown}, nil
}

func tokenOf(c *auth.Credential) *frontierv1beta1.ServiceUserToken {
	return &frontierv1beta1.ServiceUserToken{Id: c.ID, Title: c.Name, CreatedAt: timestamppb.New(c.Created.Std())}
}

func listTokens(q *request, in *frontierv1beta1.ListServiceUserTokensRequest) (*frontierv1beta1.ListServiceUserTokensResponse, error) {
	out := new(frontierv1beta1.ListServiceUserTokensResponse)
	return out, q.secrets(in.OrgId, in.Id, true, func(c *auth.Credential) error {
		out.Tokens = append(out.Tokens, tokenOf(c))
		return nil
	})
}

func deleteToken(q *request, in *frontierv1beta1.DeleteServiceUserTokenRequest) (*frontierv1beta1.DeleteServiceUserTokenResponse, error) {
	return new(frontierv1beta1.DeleteServiceUserTokenResponse), q.deleteSecret(in.OrgId, in.Id, in.TokenId, true)
}
