package auth

import (
	"slices"
	"strings"
	"testing"

	"saldo/ledger"
)

func TestDirectory(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	other, _, err := b.l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	sid := Entry{Twilio, "AC0123456789ABCDEF0123456789abcdef", b.top, b.tenant}
	user := Entry{Gateway360, "Shop_1", b.top, b.tenant}
	org := Entry{Frontier, "7C9E6679-7425-40DE-944B-E07FC1F90AE7", ledger.AccountID{}, b.tenant}
	for _, e := range []Entry{sid, user, org} {
		for i := range 2 {
			if replayed, err := b.Map(ctx, 0, "map "+e.External, e); err != nil || replayed != (i > 0) {
				t.Errorf("%+v: %v, %v", e, replayed, err)
			}
		}
		if _, err := b.Map(ctx, 0, "", e); err != nil {
			t.Errorf("the same again: %v", err)
		}
		taken := e
		taken.Tenant, taken.Account = other.Number, ledger.AccountID{}
		_, err := b.Map(ctx, 0, "", taken)
		wantCode(t, "by another tenant", err, ledger.Exists)
	}
	for external, want := range map[string]Entry{sid.External: sid, "AC" + strings.ToLower(sid.External[2:]): sid} {
		if e, err := b.Resolve(ctx, Twilio, external); err != nil || e != want {
			t.Errorf("%s: %+v, %v", external, e, err)
		}
	}
	if e, err := b.Resolve(ctx, Frontier, strings.ToLower(org.External)); err != nil || e != org {
		t.Errorf("%+v, %v", e, err)
	}
	for _, external := range []string{"shop_1", "", "\x00", strings.Repeat("x", 300)} {
		_, err := b.Resolve(ctx, Gateway360, external)
		wantCode(t, external, err, ledger.NotFound)
	}
	if all, err := b.Externals(ctx, b.top); err != nil || len(all) != 2 || !slices.Contains(all, sid) || !slices.Contains(all, user) {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = b.Map(ctx, 0, "", Entry{Dialect: Frontier, External: other.ID.String(), Tenant: b.tenant})
	wantCode(t, "another tenant's own id", err, ledger.Exists)
	if all, err := b.TenantExternals(ctx, b.tenant); err != nil || len(all) != 1 || all[0] != org {
		t.Errorf("%+v, %v", all, err)
	}
	// A token that is brought along brings its account's SID.
	const brought = "AC00112233445566778899aabbCCDDeeff"
	spec := Spec{Dialect: Twilio, Tenant: b.tenant, Root: b.child, Scopes: Read}
	if _, err := b.Import(ctx, 0, "", spec, brought, "0123456789abcdef0123456789abcdef"); err != nil {
		t.Fatal(err)
	}
	if e, err := b.Resolve(ctx, Twilio, brought); err != nil || e.Account != b.child || e.External != brought {
		t.Errorf("%+v, %v", e, err)
	}
	// The account's auth token has the SID that it was brought along with.
	made := b.issue(t, Spec{Dialect: Twilio, Root: b.top, Scopes: Read})
	if made.Credential.ID != sid.External {
		t.Errorf("issued for %s", made.Credential.ID)
	}

	for what, e := range map[string]Entry{
		"no dialect":        {"stripe", "x", b.top, b.tenant},
		"nothing":           {Twilio, "", b.top, b.tenant},
		"too long":          {Twilio, strings.Repeat("x", 300), b.top, b.tenant},
		"control character": {Twilio, "a\nb", b.top, b.tenant},
		"no tenant":         {Twilio, "x", b.top, 0},
	} {
		_, err := b.Map(ctx, 0, "", e)
		wantCode(t, what, err, ledger.Invalid)
	}
	own := "AC" + strings.ReplaceAll(b.side.String(), "-", "")
	_, err = b.Map(ctx, 0, "", Entry{Twilio, own, b.top, b.tenant})
	wantCode(t, "another account's own SID", err, ledger.Exists)
	if _, err := b.Map(ctx, 0, "", Entry{Twilio, own, b.side, b.tenant}); err != nil {
		t.Errorf("its own SID: %v", err)
	}
	_, err = b.Map(ctx, 0, "", Entry{Twilio, "PN1", b.side, other.Number})
	wantCode(t, "another tenant's account", err, ledger.NotFound)

	_, err = b.Unmap(ctx, 0, "", other.Number, user.Dialect, user.External)
	wantCode(t, "unmapped by another tenant", err, ledger.NotFound)
	for i := range 2 {
		if replayed, err := b.Unmap(ctx, 0, "unmap", b.tenant, user.Dialect, user.External); err != nil || replayed != (i > 0) {
			t.Errorf("%v, %v", replayed, err)
		}
	}
	_, err = b.Resolve(ctx, user.Dialect, user.External)
	wantCode(t, "unmapped", err, ledger.NotFound)
	user.Account = b.side
	if _, err := b.Map(ctx, 0, "", user); err != nil {
		t.Errorf("mapped anew: %v", err)
	}
}

// TestOpenedUnderAnother opens an account under an id that another was brought along
// with: to who opens both it stays the other's, and so does the token of that SID.
func TestOpenedUnderAnother(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	const sid = "AC0123456789ABCDEF0123456789abcdef"
	if _, err := b.Map(ctx, 0, "", Entry{Twilio, sid, b.top, b.tenant}); err != nil {
		t.Fatal(err)
	}
	taken, _ := ledger.ParseAccountID(sid[2:])
	_, err := b.l.Post(ctx, &ledger.Command{Tenant: b.tenant, Book: 1, Ops: []ledger.Op{&ledger.OpenAccount{ID: taken, Named: true, Parent: b.side, Mode: ledger.Drawing}}})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		root, want ledger.AccountID
	}{
		"the whole tenant":    {ledger.AccountID{}, b.top},
		"whose it is":         {b.top, b.top},
		"who opened the one":  {b.side, taken},
		"who opens something": {b.child, b.top},
	} {
		cred := b.issue(t, Spec{Dialect: Native, Root: c.root, Scopes: Read}).Credential
		got, _, err := b.Meant(ctx, Twilio, sid, taken, func(a *ledger.Account) bool { return b.Opens(ctx, &cred, a) })
		if err != nil || got.Account.ID != c.want {
			t.Errorf("%s: %v, %v", what, got.Account, err)
		}
	}
	_, err = b.Issue(ctx, 0, "", Spec{Dialect: Twilio, Tenant: b.tenant, Root: taken, Scopes: Read})
	wantCode(t, "a token of another's SID", err, ledger.Exists)
	if made := b.issue(t, Spec{Dialect: Twilio, Root: b.top, Scopes: Read}); made.Credential.ID != sid {
		t.Errorf("whose SID it is has a token for %s", made.Credential.ID)
	}
}
