package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/store/embedded"
)

var (
	home = netip.MustParseAddr("192.0.2.1")
	away = netip.MustParseAddr("198.51.100.9")
)

// A bench is an Auth on a real ledger, with a tenant and a tree of accounts:
// top, below it child, and beside them side.
type bench struct {
	*Auth
	l                *ledger.Ledger
	dir              string
	tenant           ledger.TenantID
	top, child, side ledger.AccountID
	later            atomic.Int64 // how far the Auth's clock is ahead
	close            func()
}

func keysOf(first byte) MasterKeys {
	return MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {first, 1, 2, 3}}}
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	b.reopen(t, keysOf(1))
	tenant, _, err := b.l.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	b.tenant = tenant.Number
	b.top, b.child, b.side = b.l.NewID(), b.l.NewID(), b.l.NewID()
	usd, err := b.l.Unit(t.Context(), b.tenant, "USD")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.l.Post(t.Context(), &ledger.Command{Tenant: b.tenant, Book: 1, Ops: []ledger.Op{
		&ledger.AddUnit{Unit: usd},
		&ledger.OpenAccount{ID: b.top, Unit: "USD", Mode: ledger.Own},
		&ledger.OpenAccount{ID: b.child, Parent: b.top, Mode: ledger.Drawing},
		&ledger.OpenAccount{ID: b.side, Unit: "USD", Mode: ledger.Own},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start opens the store with master keys.
func (b *bench) start(t testing.TB, keys MasterKeys) error {
	t.Helper()
	if b.close != nil {
		b.close()
	}
	store, err := embedded.Open(b.dir, embedded.Options{DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	b.l, err = ledger.Open(t.Context(), store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.close = sync.OnceFunc(func() {
		if err := errors.Join(b.l.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(b.close)
	b.Auth, err = Open(t.Context(), b.l, keys, Options{
		Now:    func() time.Time { return time.Now().Add(time.Duration(b.later.Load())) },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return err
}

func (b *bench) reopen(t testing.TB, keys MasterKeys) {
	t.Helper()
	if err := b.start(t, keys); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) issue(t testing.TB, spec Spec) Issued {
	t.Helper()
	if spec.Tenant == 0 && !spec.Everything {
		spec.Tenant = b.tenant
	}
	made, err := b.Issue(t.Context(), 0, "", spec)
	if err != nil {
		t.Fatalf("%+v: %v", spec, err)
	}
	return made
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func wantCode(t *testing.T, what string, err error, code ledger.Code) {
	t.Helper()
	if ledger.CodeOf(err) != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func TestBearer(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: Native, Name: "billing", Scopes: Read | Charge})
	if len(made.Secret) != 45 || !strings.HasPrefix(made.Secret, "saldo") || !alphanumeric(made.Secret) || made.Credential.Number == 0 {
		t.Errorf("%+v %q", made.Credential, made.Secret)
	}
	for range 3 { // not known yet, known
		c, err := b.Bearer(ctx, made.Secret, home)
		if err != nil || c.Number != made.Credential.Number || c.Name != "billing" || c.Tenant != b.tenant {
			t.Fatalf("%+v, %v", c, err)
		}
		wantErr(t, "charge", c.May(Read|Charge), nil)
		var missing ErrForbidden
		if err := c.May(Read | TopUp); !errors.As(err, &missing) || missing.Missing != TopUp || !strings.Contains(err.Error(), "topup") {
			t.Errorf("top up: %v", err)
		}
	}
	for _, token := range []string{"", "saldo", made.Secret[:44], made.Secret + "x", strings.ToUpper(made.Secret), strings.Repeat("x", 5000), "\x00argon2id"} {
		_, err := b.Bearer(ctx, token, home)
		wantErr(t, token, err, ErrUnknown)
		wantErr(t, token, err, ErrUnauthorized)
	}
	_, err := b.Check(ctx, Twilio, "", made.Secret, home)
	wantErr(t, "another dialect", err, ErrDialect)

	b.reopen(t, keysOf(1))
	if _, err := b.Bearer(ctx, made.Secret, home); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, replayed, err := b.Revoke(ctx, 0, "gone", made.Credential.ID); err != nil || replayed {
		t.Errorf("%v, %v", replayed, err)
	}
	_, err = b.Bearer(ctx, made.Secret, home)
	wantErr(t, "revoked", err, ErrUnauthorized)
	if c, replayed, err := b.Revoke(ctx, 0, "gone", made.Credential.ID); err != nil || !replayed || !c.Revoked {
		t.Errorf("%+v, %v, %v", c, replayed, err)
	}
}

func alphanumeric(s string) bool {
	return strings.Trim(s, base62) == ""
}

// TestForms holds what is issued to what each vendor's clients check.
func TestForms(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	for _, c := range []struct {
		spec       Spec
		id, secret string // alphabets; the id's prefix before a colon
		idLen, len int
	}{
		{Spec{Dialect: Twilio, Root: b.top, Scopes: Read}, "AC:" + hexadec, hexadec, 34, 32},
		{Spec{Dialect: Twilio, Root: b.top, Scopes: Read, APIKey: true}, "SK:" + hexadec, hexadec, 34, 32},
		{Spec{Dialect: MTurk, Dialects: []string{MTurkLegacy}, Root: b.top, Scopes: Read}, "AKIA:" + base32, base62, 20, 40},
		{Spec{Dialect: Gateway360, Root: b.top, Scopes: Read}, ":" + hexadec + "-", hexadec, 36, 32},
		{Spec{Dialect: Frontier, Scopes: Read}, ":" + hexadec + "-", base62, 36, 43},
	} {
		made := b.issue(t, c.spec)
		prefix, alphabet, _ := strings.Cut(c.id, ":")
		id, ok := strings.CutPrefix(made.Credential.ID, prefix)
		if !ok || strings.Trim(id, alphabet) != "" || len(made.Credential.ID) != c.idLen {
			t.Errorf("%s: id %s", c.spec.Dialect, made.Credential.ID)
		}
		if strings.Trim(made.Secret, c.secret) != "" || len(made.Secret) != c.len {
			t.Errorf("%s: secret %q", c.spec.Dialect, made.Secret)
		}
		id = made.Credential.ID
		if c.spec.Dialect == Gateway360 {
			id = ""
		}
		got, err := b.Check(ctx, c.spec.Dialect, id, made.Secret, home)
		if err != nil || got.ID != made.Credential.ID {
			t.Errorf("%s: %+v, %v", c.spec.Dialect, got, err)
		}
		if id == "" {
			continue
		}
		_, err = b.Check(ctx, c.spec.Dialect, id, made.Secret[1:], home)
		wantErr(t, c.spec.Dialect+" with another secret", err, ErrSecret)
		_, err = b.Check(ctx, Gateway360, id, made.Secret, home)
		wantErr(t, c.spec.Dialect+" elsewhere", err, ErrUnknown)
		if c.spec.Dialect == Frontier || c.spec.Dialect == Twilio {
			shouted := id[:2] + strings.ToUpper(id[2:])
			if _, err := b.Check(ctx, c.spec.Dialect, shouted, made.Secret, home); err != nil {
				t.Errorf("%s in capitals: %v", c.spec.Dialect, err)
			}
		}
	}
	own := "AC" + strings.ReplaceAll(b.top.String(), "-", "")
	if c, err := b.ByID(ctx, own); err != nil || c.Root != b.top || c.LastUsed == 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSealed(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: MTurk, Dialects: []string{MTurkLegacy}, Root: b.top, Scopes: Read | Charge})
	for _, dialect := range []string{MTurk, MTurkLegacy} {
		c, secrets, err := b.Sealed(ctx, dialect, made.Credential.ID, home)
		if err != nil || c.ID != made.Credential.ID || len(secrets) != 1 || string(secrets[0]) != made.Secret {
			t.Errorf("%+v, %q, %v", c, secrets, err)
		}
	}
	// Who has shown only a key id has not used it.
	if c, err := b.ByID(ctx, made.Credential.ID); err != nil || c.LastUsed != 0 {
		t.Errorf("used at %v, %v, before anybody proved anything", c.LastUsed, err)
	}
	b.Proved(&made.Credential)
	if c, err := b.ByID(ctx, made.Credential.ID); err != nil || c.LastUsed == 0 {
		t.Errorf("used at %v, %v, after a proof", c.LastUsed, err)
	}
	_, _, err := b.Sealed(ctx, MTurk, "AKIANOSUCHKEY", home)
	wantErr(t, "no such key", err, ErrUnknown)
	next, err := b.Rotate(ctx, 0, "", made.Credential.ID, time.Hour)
	if err != nil || next.Secret == made.Secret || next.Credential.ID != made.Credential.ID {
		t.Fatal(next, err)
	}
	_, secrets, err := b.Sealed(ctx, MTurk, made.Credential.ID, home)
	if err != nil || len(secrets) != 2 || string(secrets[0]) != next.Secret || string(secrets[1]) != made.Secret {
		t.Errorf("%q, %v", secrets, err)
	}
	b.later.Store(int64(2 * time.Hour))
	_, secrets, err = b.Sealed(ctx, MTurk, made.Credential.ID, home)
	if err != nil || len(secrets) != 1 || string(secrets[0]) != next.Secret {
		t.Errorf("after the overlap: %q, %v", secrets, err)
	}
	if shown, err := b.Reveal(ctx, made.Credential.ID); err != nil || len(shown) != 1 || string(shown[0]) != next.Secret {
		t.Errorf("%q, %v", shown, err)
	}
	if _, _, err := b.Revoke(ctx, 0, "", made.Credential.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = b.Sealed(ctx, MTurk, made.Credential.ID, home)
	wantErr(t, "revoked", err, ErrRevoked)
}

func TestRotate(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	first := b.issue(t, Spec{Dialect: Native, Scopes: Read})
	check := func(what, token string, good bool) {
		t.Helper()
		if c, err := b.Bearer(ctx, token, home); (err == nil) != good || good && c.Number != first.Credential.Number {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	check("before", first.Secret, true)
	second, err := b.Rotate(ctx, 0, "r", first.Credential.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Rotate(ctx, 0, "r", first.Credential.ID, time.Hour)
	if err != nil || !again.Replayed || again.Secret != "" {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	check("first in the overlap", first.Secret, true)
	check("second in the overlap", second.Secret, true)
	third, err := b.Rotate(ctx, 0, "", first.Credential.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	check("first of three", first.Secret, false)
	check("second of three", second.Secret, true)
	check("third", third.Secret, true)
	b.later.Store(int64(time.Hour + time.Minute))
	check("second after the overlap", second.Secret, false)
	check("third after the overlap", third.Secret, true)
	fourth, err := b.Rotate(ctx, 0, "", first.Credential.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	check("third, ended at once", third.Secret, false)
	check("fourth", fourth.Secret, true)
	if _, _, err := b.Revoke(ctx, 0, "", first.Credential.ID); err != nil {
		t.Fatal(err)
	}
	check("fourth, revoked", fourth.Secret, false)
	_, err = b.Rotate(ctx, 0, "", first.Credential.ID, 0)
	wantCode(t, "rotating what is revoked", err, ledger.Closed)
}

// A secret that was brought along ends with its overlap too, however it is kept.
func TestRotateImported(t *testing.T) {
	for _, c := range []struct{ what, dialect, id, secret string }{
		{"sealed", Twilio, "AC0123456789abcdef0123456789abcdef", "00112233445566778899aabbccddeeff"},
		{"hashed slowly", Frontier, "7c9e6679-7425-40de-944b-e07fc1f90ae7", "tr0ub4dor"},
	} {
		b, ctx := newBench(t), t.Context()
		spec := Spec{Dialect: c.dialect, Tenant: b.tenant, Root: b.top, Scopes: Read}
		if _, err := b.Import(ctx, 0, "", spec, c.id, c.secret); err != nil {
			t.Fatal(c.what, err)
		}
		if _, err := b.Rotate(ctx, 0, "", c.id, time.Hour); err != nil {
			t.Fatal(c.what, err)
		}
		_, err := b.Check(ctx, c.dialect, c.id, c.secret, home)
		wantErr(t, c.what+", in the overlap", err, nil)
		b.later.Store(int64(time.Hour + time.Minute))
		_, err = b.Check(ctx, c.dialect, c.id, c.secret, home)
		wantErr(t, c.what+", after it", err, ErrSecret)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := cache[int, int]{most: 4}
	for k := range 10 {
		if got := c.put(k, k); got != k || len(c.m) > 4 {
			t.Fatalf("%d of %d are kept", len(c.m), k+1)
		}
	}
	if v, ok := c.get(9); !ok || v != 9 {
		t.Error("the last is forgotten")
	}
}

func TestIssueRepeats(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	spec := Spec{Dialect: Native, Tenant: b.tenant, Scopes: Read, Name: "one"}
	first, err := b.Issue(ctx, 3, "id", spec)
	if err != nil || first.Replayed || first.Secret == "" {
		t.Fatal(first, err)
	}
	again, err := b.Issue(ctx, 3, "id", spec)
	if err != nil || !again.Replayed || again.Secret != "" || again.Credential.ID != first.Credential.ID {
		t.Errorf("%+v, %v", again.Credential, err)
	}
	spec.Scopes |= Charge
	_, err = b.Issue(ctx, 3, "id", spec)
	wantCode(t, "another with the same id", err, ledger.IDTaken)
	if c, err := b.ByNumber(ctx, first.Credential.Number); err != nil || c.ID != first.Credential.ID {
		t.Errorf("%+v, %v", c, err)
	}
	// Nothing that prints it shows the secret.
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "issued", first, "credential", &first.Credential, "keys", keysOf(7))
	fmt.Fprintf(&log, "%v %#v %v %#v", first, first, keysOf(7), keysOf(7))
	if strings.Contains(log.String(), first.Secret) || strings.Contains(log.String(), first.Credential.ID) {
		t.Errorf("shown: %s", log.String())
	}
}

func TestIssueRefuses(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	good := Spec{Dialect: Native, Tenant: b.tenant, Scopes: Read}
	for what, change := range map[string]func(*Spec){
		"no scope":                 func(s *Spec) { s.Scopes = 0 },
		"unknown scope":            func(s *Spec) { s.Scopes = 64 },
		"no dialect":               func(s *Spec) { s.Dialect = "" },
		"unknown dialect":          func(s *Spec) { s.Dialects = []string{"stripe"} },
		"a token that would sign":  func(s *Spec) { s.Dialects = []string{MTurk} },
		"no tenant":                func(s *Spec) { s.Tenant = 0 },
		"operator of a tenant":     func(s *Spec) { s.Scopes = Operator },
		"everything of a tenant":   func(s *Spec) { s.Everything = true },
		"twilio without account":   func(s *Spec) { s.Dialect = Twilio },
		"twilio that tops up":      func(s *Spec) { s.Dialect, s.Root, s.Scopes = Twilio, b.top, TopUp },
		"twilio in gateway360":     func(s *Spec) { s.Dialect, s.Root, s.Dialects = Twilio, b.top, []string{Gateway360} },
		"vendor for everything":    func(s *Spec) { s.Dialect, s.Tenant, s.Everything = Frontier, 0, true },
		"API key of another":       func(s *Spec) { s.APIKey = true },
		"control character":        func(s *Spec) { s.Name = "a\nb" },
		"long name":                func(s *Spec) { s.Name = strings.Repeat("x", 256) },
		"no range":                 func(s *Spec) { s.Allow = []netip.Prefix{{}} },
		"range of mapped":          func(s *Spec) { s.Allow = []netip.Prefix{netip.MustParsePrefix("::ffff:192.0.2.0/120")} },
		"expired":                  func(s *Spec) { s.Expires = 1 },
		"expired before all times": func(s *Spec) { s.Expires = -1 },
	} {
		spec := good
		change(&spec)
		_, err := b.Issue(ctx, 0, "", spec)
		wantCode(t, what, err, ledger.Invalid)
	}
	spec := good
	spec.Allow = slices.Repeat([]netip.Prefix{netip.PrefixFrom(home, 32)}, 65)
	_, err := b.Issue(ctx, 0, "", spec)
	wantCode(t, "many ranges", err, ledger.TooMany)
	spec = good
	spec.Tenant = 99
	_, err = b.Issue(ctx, 0, "", spec)
	wantCode(t, "no such tenant", err, ledger.NotFound)
	spec = good
	spec.Root = ledger.AccountID{9}
	_, err = b.Issue(ctx, 0, "", spec)
	wantCode(t, "no such account", err, ledger.NotFound)
	token := Spec{Dialect: Twilio, Root: b.top, Scopes: Read}
	b.issue(t, token)
	token.Tenant = b.tenant
	_, err = b.Issue(ctx, 0, "", token)
	wantCode(t, "a second auth token", err, ledger.Exists)
}

func TestAllowAndExpiry(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: Native, Scopes: Read, Expires: ledger.TimeOf(time.Now().Add(time.Hour)),
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}})
	for from, want := range map[string]error{"192.0.2.77": nil, "::ffff:192.0.2.77": nil, "2001:db8::1": nil,
		"192.0.3.1": ErrAddress, "::1": ErrAddress} {
		_, err := b.Bearer(ctx, made.Secret, netip.MustParseAddr(from))
		wantErr(t, from, err, want)
	}
	_, err := b.Bearer(ctx, made.Secret, netip.Addr{})
	wantErr(t, "an unknown address", err, ErrAddress)
	b.later.Store(int64(time.Hour))
	_, err = b.Bearer(ctx, made.Secret, home)
	wantErr(t, "later", err, ErrExpired)
	for at, want := range map[ledger.Time]error{made.Credential.Expires - 1: nil, made.Credential.Expires: ErrExpired} {
		wantErr(t, "at "+at.String(), made.Credential.admits(Native, netip.MustParseAddr("192.0.2.77"), at), want)
	}
}

func TestImport(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	const sid = "AC0123456789abcdef0123456789ABCDEF"
	made, err := b.Import(ctx, 0, "i", Spec{Dialect: Twilio, Tenant: b.tenant, Root: b.top, Scopes: Read}, sid, "00112233445566778899aabbccddeeff")
	if err != nil || made.Credential.ID != sid {
		t.Fatal(made, err)
	}
	for _, spelling := range []string{sid, "AC" + strings.ToLower(sid[2:])} {
		if c, err := b.Check(ctx, Twilio, spelling, "00112233445566778899aabbccddeeff", home); err != nil || c.ID != sid {
			t.Errorf("%s: %+v, %v", spelling, c, err)
		}
	}
	again, err := b.Import(ctx, 0, "i", Spec{Dialect: Twilio, Tenant: b.tenant, Root: b.top, Scopes: Read}, sid, "00112233445566778899aabbccddeeff")
	if err != nil || !again.Replayed {
		t.Error(again, err)
	}
	_, err = b.Import(ctx, 0, "i", Spec{Dialect: Twilio, Tenant: b.tenant, Root: b.top, Scopes: Read}, sid, "00112233445566778899aabbccddeef0")
	wantCode(t, "another secret with the same id", err, ledger.IDTaken)

	_, err = b.Import(ctx, 0, "", Spec{Dialect: Twilio, Tenant: b.tenant, Root: b.top, Scopes: Read},
		"AC"+strings.ReplaceAll(b.side.String(), "-", ""), "00112233445566778899aabbccddeeff")
	wantCode(t, "another account's SID", err, ledger.Exists)

	// A password that a person thought up is hashed slowly, once.
	const client = "7C9E6679-7425-40DE-944B-E07FC1F90AE7"
	if _, err := b.Import(ctx, 0, "", Spec{Dialect: Frontier, Tenant: b.tenant, Scopes: Read}, client, "tr0ub4dor"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 50 {
		if c, err := b.Check(ctx, Frontier, strings.ToLower(client), "tr0ub4dor", home); err != nil || c.ID != client {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if len(b.verified.m) != 1 {
		t.Errorf("50 checks took %v and left %d entries", time.Since(begun), len(b.verified.m))
	}
	_, err = b.Check(ctx, Frontier, client, "Tr0ub4dor", home)
	wantErr(t, "wrong", err, ErrSecret)
	if _, _, err := b.Revoke(ctx, 0, "", client); err != nil {
		t.Fatal(err)
	}
	_, err = b.Check(ctx, Frontier, client, "tr0ub4dor", home)
	wantErr(t, "revoked", err, ErrRevoked)
	// What was revoked gives its key id up.
	if _, err := b.Import(ctx, 0, "", Spec{Dialect: Frontier, Tenant: b.tenant, Scopes: Read}, client, "correct-horse"); err != nil {
		t.Error(err)
	}

	const key = "399d2b438a53ebed3db8a7d52107f846"
	gateway := Spec{Dialect: Gateway360, Tenant: b.tenant, Root: b.child, Scopes: Read}
	if _, err := b.Import(ctx, 0, "", gateway, "", key); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Check(ctx, Gateway360, "", key, home); err != nil || c.Root != b.child {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = b.Import(ctx, 0, "", gateway, "", key)
	wantCode(t, "the same key twice", err, ledger.Exists)
	for what, c := range map[string]struct {
		dialect, id, secret string
	}{
		"key id where none is sent": {Gateway360, "me", key},
		"a key that can be guessed": {Gateway360, "", "my-company-2024"},
		"repetitive":                {Gateway360, "", strings.Repeat("ab", 20)},
		"no SID":                    {Twilio, "me", key},
		"another kind of SID":       {Twilio, "SK" + key, key},
		"no UUID":                   {Frontier, "me", key},
		"access key with a slash":   {MTurk, "AKIA/1", key},
		"no access key":             {MTurk, "", key},
		"short secret":              {MTurk, "AKIDEXAMPLE", "short"},
		"secret with a space":       {MTurk, "AKIDEXAMPLE", key + " "},
	} {
		_, err := b.Import(ctx, 0, "", Spec{Dialect: c.dialect, Tenant: b.tenant, Root: b.top, Scopes: Read}, c.id, c.secret)
		wantCode(t, what, err, ledger.Invalid)
	}
}

// TestNativeTokenElsewhere uses one native token with two dialects' clients.
func TestNativeTokenElsewhere(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: Native, Dialects: []string{Twilio, Gateway360}, Root: b.top, Scopes: Read})
	for dialect, id := range map[string]string{Native: "", Gateway360: "", Twilio: "AC0123456789abcdef0123456789abcdef"} {
		if c, err := b.Check(ctx, dialect, id, made.Secret, home); err != nil || c.ID != made.Credential.ID {
			t.Errorf("%s: %+v, %v", dialect, c, err)
		}
	}
	_, err := b.Check(ctx, Frontier, made.Credential.ID, made.Secret, home)
	wantErr(t, "frontier", err, ErrDialect)
}

func TestThrottledYetRightPasses(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: Twilio, Root: b.top, Scopes: Read})
	var throttled ErrThrottled
	for i := range 3 * failuresAtOnce {
		_, err := b.Check(ctx, Twilio, made.Credential.ID, "wrong", away)
		if errors.As(err, &throttled) != (i >= failuresAtOnce) || i < failuresAtOnce && !errors.Is(err, ErrSecret) {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	if throttled.RetryAfter <= 0 || throttled.RetryAfter > throttleMost {
		t.Errorf("retry after %v", throttled.RetryAfter)
	}
	if _, err := b.Check(ctx, Twilio, made.Credential.ID, made.Secret, away); err != nil {
		t.Errorf("the right one: %v", err)
	}
	_, err := b.Check(ctx, Twilio, made.Credential.ID, "wrong", home)
	wantErr(t, "from another address", err, ErrSecret)
	err = b.Failed("AKIAOTHER", away)
	wantErr(t, "with another key", err, ErrSecret)
	b.later.Store(int64(time.Hour))
	_, err = b.Check(ctx, Twilio, made.Credential.ID, "wrong", away)
	wantErr(t, "later", err, ErrSecret)
}

// TestSlowSecrets holds slow hashes to their places, and lets what is known
// pass by.
func TestSlowSecrets(t *testing.T) {
	b := newBench(t)
	const client, other = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679-7425-40de-944b-e07fc1f90ae8"
	for _, id := range []string{client, other} {
		if _, err := b.Import(t.Context(), 0, "", Spec{Dialect: Frontier, Tenant: b.tenant, Scopes: Read}, id, "tr0ub4dor"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Check(t.Context(), Frontier, client, "tr0ub4dor", away); err != nil {
		t.Fatal(err)
	}
	for range failuresAtOnce + 1 {
		_ = b.Failed(client, away)
	}
	b.slow <- struct{}{} // someone else who fails often
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Check(ctx, Frontier, client, "tr0ub4dor", away); err != nil {
		t.Errorf("known, and throttled: %v", err)
	}
	if _, err := b.Check(t.Context(), Frontier, other, "tr0ub4dor", away); err != nil {
		t.Errorf("not throttled: %v", err)
	}
	_, err := b.Check(ctx, Frontier, client, "guess", away)
	wantCode(t, "throttled, for as long as the caller waits", err, ledger.Timeout)
	<-b.slow
	_, err = b.Check(t.Context(), Frontier, client, "guess", away)
	var throttled ErrThrottled
	if !errors.As(err, &throttled) || throttled.RetryAfter > 2*failureEvery {
		t.Errorf("throttled, once there is a place: %v", err)
	}
}

func TestOpensAndMayIssue(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	other, _, err := b.l.CreateTenant(ctx, 0, "", ledger.Tenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	operator := b.issue(t, Spec{Dialect: Native, Everything: true, Scopes: Operator}).Credential
	tenant := b.issue(t, Spec{Dialect: Native, Scopes: Admin | Read}).Credential
	foreign := b.issue(t, Spec{Dialect: Native, Tenant: other.Number, Scopes: Admin | Read}).Credential
	top := b.issue(t, Spec{Dialect: Native, Root: b.top, Scopes: Admin | Read}).Credential
	child := b.issue(t, Spec{Dialect: Native, Root: b.child, Scopes: Read}).Credential
	for what, c := range map[string]struct {
		c     Credential
		opens [3]bool // top, child, side
	}{
		"operator": {operator, [3]bool{true, true, true}}, "tenant": {tenant, [3]bool{true, true, true}},
		"foreign": {foreign, [3]bool{}}, "top": {top, [3]bool{true, true, false}}, "child": {child, [3]bool{false, true, false}},
	} {
		for i, id := range []ledger.AccountID{b.top, b.child, b.side} {
			acct, err := b.l.Account(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Opens(ctx, &c.c, acct); got != c.opens[i] {
				t.Errorf("%s opens account %d: %v", what, i, got)
			}
		}
	}
	if b.Opens(ctx, &operator, nil) {
		t.Error("nothing is opened")
	}
	spec := func(tenant ledger.TenantID, root ledger.AccountID, scopes Scope) Spec {
		return Spec{Dialect: Native, Tenant: tenant, Root: root, Scopes: scopes}
	}
	brief, narrow := tenant, tenant
	brief.Expires = 1000
	narrow.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")}
	until := func(t ledger.Time) Spec {
		return Spec{Dialect: Native, Tenant: b.tenant, Scopes: Read, Expires: t}
	}
	from := func(ranges ...string) Spec {
		s := spec(b.tenant, ledger.AccountID{}, Read)
		for _, r := range ranges {
			s.Allow = append(s.Allow, netip.MustParsePrefix(r))
		}
		return s
	}
	for what, c := range map[string]struct {
		c    Credential
		spec Spec
		may  bool
	}{
		"expiring, for as long":        {brief, until(1000), true},
		"expiring, for longer":         {brief, until(1001), false},
		"expiring, for ever":           {brief, until(0), false},
		"limited, the same":            {narrow, from("2001:db8::/32", "10.1.0.0/16"), true},
		"limited, less":                {narrow, from("10.1.2.0/24"), true},
		"limited, more":                {narrow, from("10.0.0.0/8"), false},
		"limited, another too":         {narrow, from("10.1.2.0/24", "10.2.0.0/24"), false},
		"limited, the other family":    {narrow, from("::/0"), false},
		"limited, from anywhere":       {narrow, from(), false},
		"operator, anything":           {operator, Spec{Dialect: Native, Everything: true, Scopes: Operator}, true},
		"tenant, itself":               {tenant, spec(b.tenant, ledger.AccountID{}, Read|Admin), true},
		"tenant, more":                 {tenant, spec(b.tenant, ledger.AccountID{}, Read|Charge), false},
		"tenant, operator":             {tenant, spec(b.tenant, ledger.AccountID{}, Operator), false},
		"tenant, everything":           {tenant, Spec{Dialect: Native, Everything: true, Scopes: Read}, false},
		"tenant, other tenant":         {tenant, spec(other.Number, ledger.AccountID{}, Read), false},
		"account, below":               {top, spec(b.tenant, b.child, Read), true},
		"account, beside":              {top, spec(b.tenant, b.side, Read), false},
		"account, all":                 {top, spec(b.tenant, ledger.AccountID{}, Read), false},
		"without admin, what it opens": {child, spec(b.tenant, b.child, Read), false},
	} {
		if err := b.MayIssue(ctx, &c.c, c.spec); (err == nil) != c.may {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFirstOperator(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	var wait sync.WaitGroup
	var made atomic.Int64
	for range 8 {
		wait.Go(func() {
			token, ok, err := b.FirstOperator(ctx)
			if err != nil || ok != (token != "") {
				t.Errorf("%v, %v", ok, err)
			}
			if !ok {
				return
			}
			made.Add(1)
			if c, err := b.Bearer(ctx, token, home); err != nil || !c.Everything || !c.Scopes.Has(TopUp) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	wait.Wait()
	b.reopen(t, keysOf(1))
	if _, ok, err := b.FirstOperator(ctx); made.Load() != 1 || ok || err != nil {
		t.Errorf("made %d times, then %v, %v", made.Load(), ok, err)
	}
}

func TestList(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	var all, ofTop []string
	for i := range 5 {
		spec := Spec{Dialect: Native, Scopes: Read}
		if i%2 == 1 {
			spec.Root = b.top
		}
		c := b.issue(t, spec).Credential
		all = append(all, c.ID)
		if i%2 == 1 {
			ofTop = append(ofTop, c.ID)
		}
	}
	if _, _, err := b.Revoke(ctx, 0, "", all[2]); err != nil {
		t.Fatal(err)
	}
	list := func(tenant ledger.TenantID, root ledger.AccountID) (ids []string) {
		from := ""
		for {
			page, next, err := b.List(ctx, tenant, root, from, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				if c.Revoked != (c.ID == all[2]) {
					t.Errorf("%s is revoked: %v", c.ID, c.Revoked)
				}
				ids = append(ids, c.ID)
			}
			if from = next; next == "" {
				return ids
			}
		}
	}
	if got := list(b.tenant, ledger.AccountID{}); !slices.Equal(got, all) {
		t.Errorf("of the tenant: %v, want %v", got, all)
	}
	if got := list(b.tenant, b.top); !slices.Equal(got, ofTop) {
		t.Errorf("of the account: %v, want %v", got, ofTop)
	}
	if got := list(0, ledger.AccountID{}); got != nil {
		t.Errorf("of operators: %v", got)
	}
}

// TestRename gives a credential another name, and nothing else.
func TestRename(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	made := b.issue(t, Spec{Dialect: Native, Scopes: Read, Name: "old"})
	renamed, replayed, err := b.Rename(ctx, 0, "r", made.Credential.ID, "new")
	if err != nil || replayed || renamed.Name != "new" || renamed.Updated < made.Credential.Updated || renamed.Created != made.Credential.Created {
		t.Errorf("renamed it is %+v, %v", renamed, err)
	}
	if again, replayed, err := b.Rename(ctx, 0, "r", made.Credential.ID, "new"); err != nil || !replayed || again.Name != "new" {
		t.Errorf("renamed again it is %+v, %v", again, err)
	}
	if c, err := b.Bearer(ctx, made.Secret, home); err != nil || c.Name != "new" || c.Scopes != Read {
		t.Errorf("its token is that of %+v, %v", c, err)
	}
	if _, _, err := b.Rename(ctx, 0, "", made.Credential.ID, "a\nb"); ledger.CodeOf(err) != ledger.Invalid {
		t.Errorf("a name with a line's end: %v", err)
	}
	if _, _, err := b.Revoke(ctx, 0, "", made.Credential.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Rename(ctx, 0, "", made.Credential.ID, "late"); ledger.CodeOf(err) != ledger.Closed {
		t.Errorf("one that was revoked: %v", err)
	}
}

// TestRevokeIsSeenAtOnce has readers use a token while it is revoked: none that
// begins after Revoke returned may pass.
func TestRevokeIsSeenAtOnce(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	for range 20 {
		made := b.issue(t, Spec{Dialect: Native, Scopes: Read})
		var revoked atomic.Bool
		var wait sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			wait.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					late := revoked.Load()
					if _, err := b.Bearer(ctx, made.Secret, home); err == nil && late {
						t.Error("a revoked token passed")
						return
					}
				}
			})
		}
		if _, _, err := b.Revoke(ctx, 0, "", made.Credential.ID); err != nil {
			t.Error(err)
		}
		revoked.Store(true)
		time.Sleep(time.Millisecond)
		close(stop)
		wait.Wait()
	}
}

func BenchmarkBearer(b *testing.B) {
	bench := newBench(b)
	made := bench.issue(b, Spec{Dialect: Native, Scopes: Read})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bench.Bearer(ctx, made.Secret, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealed(b *testing.B) {
	bench := newBench(b)
	made := bench.issue(b, Spec{Dialect: MTurk, Root: bench.top, Scopes: Read})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := bench.Sealed(ctx, MTurk, made.Credential.ID, home); err != nil {
			b.Fatal(err)
		}
	}
}
