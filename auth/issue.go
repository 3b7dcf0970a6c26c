package auth

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"saldo/ledger"
)

// A Spec says what a new credential is for.
type Spec struct {
	Dialect    string   // whose form it has
	Dialects   []string // where it is also taken
	Name       string   // up to 255 bytes, for people
	Tenant     ledger.TenantID
	Root       ledger.AccountID // zero: the whole tenant
	Everything bool             // all tenants; Tenant is 0
	Scopes     Scope
	Allow      []netip.Prefix // up to 64; empty: from anywhere
	Expires    ledger.Time    // 0: never
	// APIKey asks for one of Twilio's API keys (SK…) in place of the account's
	// auth token, which is the one credential with the account's own SID.
	APIKey bool
}

// An Issued is a credential that was just made, and its secret: the only time
// that anyone sees it. It does not print its secret.
type Issued struct {
	Credential Credential
	Secret     string // "" when Replayed
	Replayed   bool   // an earlier command with this id made it, and showed the secret
}

func (i Issued) String() string {
	return fmt.Sprintf("credential %d, secret masked", i.Credential.Number)
}

// GoString is String.
func (i Issued) GoString() string { return i.String() }

// LogValue is the credential's.
func (i Issued) LogValue() slog.Value { return i.Credential.LogValue() }

const (
	tokenPrefix = "saldo"
	tokenLen    = len(tokenPrefix) + 40

	base62  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base32  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	hexadec = "0123456789abcdef"
)

// Issue makes a credential with a new secret, in the form that its dialect's
// clients expect. Repeated with the same id it returns the credential without
// its secret: whoever did not get it has it rotated.
func (a *Auth) Issue(ctx context.Context, actor uint64, id string, spec Spec) (Issued, error) {
	keyID, err := a.newKeyID(ctx, &spec)
	if err != nil {
		return Issued{}, err
	}
	secret, err := a.newSecret(spec.Dialect)
	if err != nil {
		return Issued{}, err
	}
	asked := append([]string{"issue"}, spec.asked()...)
	return a.add(ctx, ledger.Amendment{Actor: actor, Tenant: spec.Tenant, ID: id, Asked: asked}, &spec, keyID, secret, nil)
}

// Import makes a credential of what a vendor's client already uses. A dialect
// whose clients send no key id (native, gateway360) takes only secrets that a
// machine made, and "" for keyID.
func (a *Auth) Import(ctx context.Context, actor uint64, id string, spec Spec, keyID, secret string) (Issued, error) {
	if err := importable(&spec, keyID, secret); err != nil {
		return Issued{}, err
	}
	digest := a.digest(secret)
	asked := append([]string{"import", keyID, hex.EncodeToString(digest[:])}, spec.asked()...)
	if keyID == "" {
		keyID = a.l.NewID().String()
	}
	return a.add(ctx, ledger.Amendment{Actor: actor, Tenant: spec.Tenant, ID: id, Asked: asked}, &spec, keyID, secret, nil)
}

// FirstOperator makes the credential of the first operator, once in the life of
// a store: made says whether it was now.
func (a *Auth) FirstOperator(ctx context.Context) (token string, made bool, err error) {
	mark := ledger.RecordKey{Kind: kindAuth, Key: keyFirst}
	if r, err := a.l.Record(ctx, mark); err != nil || r != nil {
		return "", false, err
	}
	spec := Spec{Dialect: Native, Name: "first operator", Everything: true, Scopes: Operator}
	if token, err = a.newSecret(Native); err != nil {
		return "", false, err
	}
	write := &ledger.RecordWrite{Kind: mark.Kind, Key: mark.Key}
	_, err = a.add(ctx, ledger.Amendment{}, &spec, a.l.NewID().String(), token, write)
	if err == errBefore {
		return "", false, nil
	}
	return token, err == nil, err
}

var errBefore = ledger.Errorf(ledger.Exists, "this was done before")

// add stores a new credential. With once, only if that record is not there yet.
func (a *Auth) add(ctx context.Context, am ledger.Amendment, spec *Spec, keyID, secret string, once *ledger.RecordWrite) (Issued, error) {
	spec.Dialects = listed(spec)
	if err := spec.check(); err != nil {
		return Issued{}, err
	}
	answer, replayed, err := a.l.Amend(ctx, am, func() ([]ledger.RecordWrite, []byte, error) {
		writes, number, err := a.adding(ctx, spec, keyID, secret)
		if err != nil || once == nil {
			return writes, []byte(number), err
		}
		r, err := a.l.Record(ctx, ledger.RecordKey{Kind: once.Kind, Key: once.Key})
		if err == nil && r != nil {
			err = errBefore
		}
		once.Data = []byte(number)
		return append(writes, *once), []byte(number), err
	})
	if err != nil {
		return Issued{}, err
	}
	return a.issued(ctx, string(answer), secret, replayed)
}

// issued returns what a command that made or changed a secret answers.
func (a *Auth) issued(ctx context.Context, number, secret string, replayed bool) (Issued, error) {
	r, err := a.l.Record(ctx, ledger.RecordKey{Kind: kindCredential, Key: number})
	if err != nil {
		return Issued{}, err
	}
	if r == nil {
		return Issued{}, ledger.Errorf(ledger.Internal, "the credential %s is gone", number)
	}
	c, err := decodeCredential(r)
	if err != nil {
		return Issued{}, err
	}
	if replayed {
		secret = ""
	}
	return Issued{c.Credential, secret, replayed}, nil
}

// adding returns the writes that make a credential, and its number.
func (a *Auth) adding(ctx context.Context, spec *Spec, keyID, secret string) (writes []ledger.RecordWrite, number string, err error) {
	if err := a.belongs(ctx, spec); err != nil {
		return nil, "", err
	}
	now, err := a.l.Now()
	if err != nil {
		return nil, "", err
	}
	if spec.Expires != 0 && spec.Expires <= now {
		return nil, "", ledger.Errorf(ledger.Invalid, "the credential would have expired already, at %v", spec.Expires)
	}
	n, taken, err := a.l.NextNumber(ctx, "credential")
	if err != nil {
		return nil, "", err
	}
	number = numberKey(n)
	var named []ledger.RecordWrite
	if spec.Dialect == Twilio && !spec.APIKey {
		// A token's key id is its account's SID: who brings the one along brings the
		// other, and an account that was opened under another's has no token of that.
		e := &Entry{Twilio, keyID, spec.Root, spec.Tenant}
		if own, _ := ownID(Twilio, keyID); own == spec.Root {
			err = a.others(ctx, e)
		} else {
			named, err = a.mapping(ctx, e)
		}
		if err != nil {
			return nil, "", err
		}
	}
	naming, err := a.naming(ctx, keyID, number)
	if err != nil {
		return nil, "", err
	}
	c := &stored{Credential: Credential{Number: n, ID: keyID, Dialect: spec.Dialect, Dialects: spec.Dialects, Name: spec.Name,
		Tenant: spec.Tenant, Root: spec.Root, Everything: spec.Everything, Scopes: spec.Scopes, Allow: spec.Allow,
		Created: now, Expires: spec.Expires}}
	digests, err := a.keep(ctx, c, secret)
	return slices.Concat([]ledger.RecordWrite{taken, naming, c.write()}, digests, named), number, err
}

// naming returns the write by which a key id means a credential. One that was
// revoked gives its key id up.
func (a *Auth) naming(ctx context.Context, keyID, number string) (ledger.RecordWrite, error) {
	w := ledger.RecordWrite{Kind: kindID, Key: foldID(keyID), Data: []byte(number)}
	s, r, err := a.pointed(ctx, kindID, w.Key)
	if err != nil || s == nil {
		return w, err
	}
	c, err := a.read(ctx, s)
	if err != nil {
		return w, err
	}
	if c != nil && !c.Revoked {
		return w, ledger.Errorf(ledger.Exists, "there is a credential %s already; rotate it, or revoke it first", mask(keyID))
	}
	w.Expect = r.Version
	return w, nil
}

// keep puts a secret in front of those of c, in the form that its dialect
// needs, and returns the writes by which it is found if it comes alone.
func (a *Auth) keep(ctx context.Context, c *stored, text string) ([]ledger.RecordWrite, error) {
	s := secret{}
	var err error
	switch {
	case seals(&c.Credential):
		s.Sealed, err = a.seal.seal([]byte(text), c.owner())
	case machineMade(text):
		digest := a.digest(text)
		s.Digest = digest[:]
	default:
		s.Salt = make([]byte, 16)
		if _, err = io.ReadFull(a.o.Rand, s.Salt); err == nil {
			s.Argon = hashSlowly(text, s.Salt)
		}
	}
	if err != nil {
		return nil, err
	}
	c.secrets = append([]secret{s}, c.secrets...)
	if !comesAlone(c.Dialect) {
		return nil, nil
	}
	w := ledger.RecordWrite{Kind: kindDigest, Key: hex.EncodeToString(s.Digest), Data: []byte(numberKey(c.Number))}
	r, err := a.l.Record(ctx, ledger.RecordKey{Kind: w.Kind, Key: w.Key})
	if err == nil && r != nil {
		err = ledger.Errorf(ledger.Exists, "this secret is in use already; choose another")
	}
	return []ledger.RecordWrite{w}, err
}

// comesAlone reports whether clients of a dialect send no key id.
func comesAlone(dialect string) bool { return dialect == Native || dialect == Gateway360 }

// seals reports whether a credential's secret must sign or be shown again.
func seals(c *Credential) bool {
	return c.Dialect == MTurk || c.Dialect == MTurkLegacy || c.Dialect == Twilio && !strings.HasPrefix(c.ID, "SK")
}

// machineMade reports whether a secret is so long and so mixed that nobody
// thought it up.
func machineMade(text string) bool {
	var seen [256]bool
	different := 0
	for i := 0; i < len(text); i++ {
		if !seen[text[i]] {
			seen[text[i]] = true
			different++
		}
	}
	return len(text) >= 32 && different >= 9
}

// listed returns where a credential is taken, its own dialect first.
func listed(spec *Spec) []string {
	dialects := []string{spec.Dialect}
	for _, d := range spec.Dialects {
		if !slices.Contains(dialects, d) {
			dialects = append(dialects, d)
		}
	}
	return dialects
}

// asked spells a spec, to tell two commands apart.
func (spec *Spec) asked() []string {
	asked := append([]string{spec.Name, spec.Root.String(), spec.Scopes.String(), fmt.Sprint(spec.Everything, spec.Expires, spec.APIKey)},
		listed(spec)...)
	for _, p := range spec.Allow {
		asked = append(asked, p.String())
	}
	return asked
}

// check says what is wrong with a spec as it stands.
func (spec *Spec) check() error {
	vendor := spec.Dialect != Native
	for _, d := range spec.Dialects {
		if !slices.Contains(Dialects(), d) {
			return ledger.Errorf(ledger.Invalid, "there is no dialect %.32q; the dialects are %s", d, strings.Join(Dialects(), ", "))
		}
		if aws := spec.Dialect == MTurk || spec.Dialect == MTurkLegacy; d != spec.Dialect &&
			(vendor && !(aws && (d == MTurk || d == MTurkLegacy)) || !vendor && (d == MTurk || d == MTurkLegacy)) {
			return ledger.Errorf(ledger.Invalid, "a %s credential cannot be used in %s; issue one for that", spec.Dialect, d)
		}
	}
	switch {
	case spec.Scopes == 0:
		return ledger.Errorf(ledger.Invalid, "a credential without scopes opens nothing; the scopes are %s", strings.Join(scopeNames[:], ", "))
	case spec.Scopes >= Operator<<1:
		return ledger.Errorf(ledger.Invalid, "there are no such scopes; the scopes are %s", strings.Join(scopeNames[:], ", "))
	case vendor && spec.Scopes&(TopUp|Operator) != 0:
		return ledger.Errorf(ledger.Invalid, "a %s credential is its holder's own and cannot have the scope topup or operator; issue a native one", spec.Dialect)
	case spec.Everything && (vendor || spec.Tenant != 0 || !spec.Root.IsZero()):
		return ledger.Errorf(ledger.Invalid, "a credential for everything is native, and names neither tenant nor account")
	case !spec.Everything && spec.Tenant == 0:
		return ledger.Errorf(ledger.Invalid, "name the tenant that the credential is for")
	case !spec.Everything && spec.Scopes&Operator != 0:
		return ledger.Errorf(ledger.Invalid, "the scope operator is for everything, not for one tenant")
	case vendor && spec.Dialect != Frontier && spec.Root.IsZero():
		return ledger.Errorf(ledger.Invalid, "name the account that the %s credential is for", spec.Dialect)
	case spec.APIKey && spec.Dialect != Twilio:
		return ledger.Errorf(ledger.Invalid, "only twilio has API keys beside account tokens")
	case !isName(spec.Name):
		return errName
	case len(spec.Allow) > 64:
		return ledger.Errorf(ledger.TooMany, "a credential is limited to up to 64 address ranges")
	case slices.ContainsFunc(spec.Allow, func(p netip.Prefix) bool { return !p.IsValid() || p.Addr().Is4In6() }):
		return ledger.Errorf(ledger.Invalid, "an address range is like 192.0.2.0/24 or 2001:db8::/32")
	case spec.Expires < 0:
		return ledger.Errorf(ledger.Invalid, "a credential cannot expire before 1970")
	}
	return nil
}

var errName = ledger.Errorf(ledger.Invalid, "a name is up to 255 bytes without control characters")

func isName(s string) bool {
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// belongs says what is wrong with a spec's tenant or account.
func (a *Auth) belongs(ctx context.Context, spec *Spec) error {
	if spec.Everything {
		return nil
	}
	if _, err := a.l.TenantByNumber(ctx, spec.Tenant); err != nil {
		return err
	}
	if spec.Root.IsZero() {
		return nil
	}
	root, err := a.l.Account(ctx, spec.Root)
	if err == nil && (root == nil || root.Tenant != spec.Tenant || root.Mode == ledger.System) {
		err = ledger.Errorf(ledger.NotFound, "the tenant has no account %s", spec.Root)
	}
	return err
}

// importable says why a key id and secret cannot be brought along.
func importable(spec *Spec, keyID, secret string) error {
	if len(secret) < 8 || len(secret) > maxSecret || !printable(secret) {
		return ledger.Errorf(ledger.Invalid, "a secret is 8 to %d printable ASCII characters without spaces", maxSecret)
	}
	folded, word := foldID(keyID), keyID != "" && len(keyID) <= 128
	for i := 0; i < len(keyID); i++ {
		word = word && (keyID[i] == '_' || strings.IndexByte(base62, keyID[i]) >= 0)
	}
	_, uuid := uuidOf(keyID)
	switch spec.Dialect {
	case Native, Gateway360:
		if keyID != "" {
			return ledger.Errorf(ledger.Invalid, "clients of %s send no key id; leave it out", spec.Dialect)
		}
		if !machineMade(secret) {
			return ledger.Errorf(ledger.Invalid, "without a key id, a secret has to be made at random and 32 characters long; issue one in its place")
		}
	case Twilio:
		kind := "AC"
		if spec.APIKey {
			kind = "SK"
		}
		if !isSID(folded) || !strings.HasPrefix(folded, kind) {
			return ledger.Errorf(ledger.Invalid, "the key id is %s and 32 hexadecimal digits", kind)
		}
	case MTurk, MTurkLegacy:
		if !word {
			return ledger.Errorf(ledger.Invalid, "an access key id is 1 to 128 letters, digits and _")
		}
	case Frontier:
		if !uuid {
			return ledger.Errorf(ledger.Invalid, "a client id is a UUID")
		}
	}
	return nil
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// newKeyID returns the key id of a new credential. That of an account's Twilio
// token is the SID that the account was brought along with, or its own.
func (a *Auth) newKeyID(ctx context.Context, spec *Spec) (string, error) {
	switch {
	case spec.Dialect == MTurk || spec.Dialect == MTurkLegacy:
		return a.random("AKIA", 16, base32)
	case spec.Dialect == Twilio && spec.APIKey:
		return a.random("SK", 32, hexadec)
	case spec.Dialect == Twilio:
		entries, err := a.Externals(ctx, spec.Root)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if sid := fold(Twilio, e.External); e.Dialect == Twilio && isSID(sid) && strings.HasPrefix(sid, "AC") {
				return e.External, nil
			}
		}
		return "AC" + hex.EncodeToString(spec.Root[:]), nil
	}
	return a.l.NewID().String(), nil
}

// newSecret makes a secret of letters and digits, which is all that some
// vendors' clients take.
func (a *Auth) newSecret(dialect string) (string, error) {
	switch dialect {
	case Twilio, Gateway360:
		return a.random("", 32, hexadec)
	case MTurk, MTurkLegacy:
		return a.random("", 40, base62)
	case Frontier:
		return a.random("", 43, base62)
	}
	return a.random(tokenPrefix, tokenLen-len(tokenPrefix), base62)
}

// random returns prefix and n characters of an alphabet of up to 64, each as
// likely as the other.
func (a *Auth) random(prefix string, n int, alphabet string) (string, error) {
	out := []byte(prefix)
	var buf [64]byte
	for len(out) < len(prefix)+n {
		if _, err := io.ReadFull(a.o.Rand, buf[:]); err != nil {
			return "", fmt.Errorf("auth: no random numbers: %w", err)
		}
		for _, b := range buf {
			if b &= 63; int(b) < len(alphabet)*(64/len(alphabet)) && len(out) < len(prefix)+n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out), nil
}
