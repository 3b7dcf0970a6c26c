package frontier

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"saldo/auth"
	frontierv1beta1 "saldo/dialect/frontier/proto/raystack/frontier/v1beta1"
	"saldo/ledger"
)

// maxSecrets is how many credentials a service user has.
const maxSecrets = 100

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
