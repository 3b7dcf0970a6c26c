package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"saldo/ledger"
)

// maxSecret is the longest secret, and the longest key id, that is looked at.
const maxSecret = 512

// Bearer returns the credential that a native token is the secret of.
func (a *Auth) Bearer(ctx context.Context, token string, from netip.Addr) (*Credential, error) {
	return a.alone(ctx, Native, token, from)
}

// Check returns the credential with a key id if the secret is its own or, with
// no key id, the credential whose secret it is. A native token that is also for
// the dialect passes as a secret with any key id.
//
// Whatever the failures before, a right credential passes. What does not is an
// [ErrUnauthorized] that says why or, after too many failures with the same key
// from the same address, an [ErrThrottled].
func (a *Auth) Check(ctx context.Context, dialect, keyID, secret string, from netip.Addr) (*Credential, error) {
	if keyID == "" || strings.HasPrefix(secret, tokenPrefix) && len(secret) == tokenLen {
		return a.alone(ctx, dialect, secret, from)
	}
	slot, c, err := a.named(ctx, dialect, keyID)
	if err != nil {
		return nil, err
	}
	now := a.o.Now()
	if c == nil {
		return nil, a.failed(ErrUnknown, keyID, from, now)
	}
	if c.Revoked { // its secrets are gone
		return nil, ErrRevoked
	}
	ok, err := a.matches(ctx, c, secret, now, func() bool { return a.throttle.failing(foldID(keyID), from, now) })
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, a.failed(ErrSecret, keyID, from, now)
	}
	return a.admit(slot, c, dialect, from, now)
}

// Sealed returns the credential with a key id and its secrets, newest first: a
// second one while a rotation lasts. The caller proves the request with them, and
// says so by [Auth.Proved] or, if none will do, answers with [Auth.Failed].
func (a *Auth) Sealed(ctx context.Context, dialect, keyID string, from netip.Addr) (*Credential, [][]byte, error) {
	_, c, err := a.named(ctx, dialect, keyID)
	if err != nil {
		return nil, nil, err
	}
	now := a.o.Now()
	if c == nil {
		return nil, nil, a.failed(ErrUnknown, keyID, from, now)
	}
	secrets, err := a.unseal(c, now)
	if err != nil {
		return nil, nil, err
	}
	if err := c.admits(dialect, from, ledger.TimeOf(now)); err != nil {
		return nil, nil, err
	}
	if len(secrets) == 0 {
		return nil, nil, a.failed(ErrSecret, keyID, from, now)
	}
	return &c.Credential, secrets, nil
}

// Proved notes that a credential was used, whose secrets Sealed returned: until
// then somebody has shown no more than its key id.
func (a *Auth) Proved(c *Credential) {
	a.slotOf(c.Number).note(ledger.TimeOf(a.o.Now()))
}

// Reveal returns the sealed secrets of a credential, newest first, for a dialect
// that shows them again.
func (a *Auth) Reveal(ctx context.Context, keyID string) ([][]byte, error) {
	_, c, err := a.byID(ctx, keyID)
	if err != nil {
		return nil, err
	}
	return a.unseal(c, a.o.Now())
}

// Failed counts a failure that the caller found, and returns the error to
// answer with.
func (a *Auth) Failed(keyID string, from netip.Addr) error {
	return a.failed(ErrSecret, keyID, from, a.o.Now())
}

func (a *Auth) failed(err error, key string, from netip.Addr, now time.Time) error {
	if wait := a.throttle.fail(foldID(key), from, now); wait > 0 {
		return ErrThrottled{RetryAfter: wait}
	}
	return err
}

// alone returns the credential of a secret that came without a key id.
func (a *Auth) alone(ctx context.Context, dialect, secret string, from netip.Addr) (*Credential, error) {
	now := a.o.Now()
	if secret == "" || len(secret) > maxSecret {
		return nil, a.failed(ErrUnknown, dialect, from, now)
	}
	digest := a.digest(secret)
	cached := &a.digests[digest[0]%byte(len(a.digests))]
	if s, ok := cached.get(digest); ok {
		c, err := a.read(ctx, s)
		if err != nil {
			return nil, err
		}
		if c != nil && c.has(&digest, ledger.TimeOf(now)) {
			return a.admit(s, c, dialect, from, now)
		}
		cached.drop(digest)
	}
	s, _, err := a.pointed(ctx, kindDigest, hex.EncodeToString(digest[:]))
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, a.failed(ErrUnknown, dialect, from, now)
	}
	c, err := a.read(ctx, s)
	if err != nil {
		return nil, err
	}
	if c == nil || !c.has(&digest, ledger.TimeOf(now)) {
		return nil, a.failed(ErrUnknown, dialect, from, now)
	}
	cached.put(digest, s)
	return a.admit(s, c, dialect, from, now)
}

// has reports whether a digest is that of a live secret.
func (s *stored) has(digest *[32]byte, now ledger.Time) bool {
	for i := range s.secrets {
		sec := &s.secrets[i]
		if sec.live(now) && subtle.ConstantTimeCompare(sec.Digest, digest[:]) == 1 {
			return true
		}
	}
	return false
}

// named returns the credential that has a key id in a dialect, or nil.
func (a *Auth) named(ctx context.Context, dialect, keyID string) (*slot, *stored, error) {
	if keyID == "" || len(keyID) > ledger.MaxID || strings.IndexByte(keyID, 0) >= 0 {
		return nil, nil, nil
	}
	s, _, err := a.pointed(ctx, kindID, foldID(keyID))
	if err != nil || s == nil {
		return nil, nil, err
	}
	c, err := a.read(ctx, s)
	if err != nil || c == nil || !c.Speaks(dialect) {
		return nil, nil, err
	}
	return s, c, nil
}

// matches reports whether a secret is a live one of c.
func (a *Auth) matches(ctx context.Context, c *stored, text string, at time.Time, failing func() bool) (bool, error) {
	if text == "" || len(text) > maxSecret {
		return false, nil
	}
	now, digest := ledger.TimeOf(at), a.digest(text)
	if c.has(&digest, now) {
		return true, nil
	}
	sealed, err := a.unseal(c, at)
	if err != nil {
		return false, err
	}
	for _, secret := range sealed {
		if subtle.ConstantTimeCompare(secret, []byte(text)) == 1 {
			return true, nil
		}
	}
	for i := range c.secrets {
		if s := &c.secrets[i]; s.live(now) && len(s.Argon) > 0 {
			if ok, err := a.matchesSlowly(ctx, s, text, failing); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// unseal returns the live sealed secrets of c.
func (a *Auth) unseal(c *stored, at time.Time) (secrets [][]byte, err error) {
	for i := range c.secrets {
		s := &c.secrets[i]
		if len(s.Sealed) == 0 || !s.live(ledger.TimeOf(at)) {
			continue
		}
		secret, err := a.seal.open(s.Sealed, c.owner())
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// matchesSlowly compares with an argon2id hash. What matched once is known by
// its keyed digest; the rest waits for one of few places.
func (a *Auth) matchesSlowly(ctx context.Context, s *secret, text string, failing func() bool) (bool, error) {
	known := a.digest("\x00argon2id", string(s.Salt), string(s.Argon), text)
	if _, ok := a.verified.get(known); ok {
		return true, nil
	}
	places := a.fast
	if failing() {
		places = a.slow
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return false, ledger.Errorf(ledger.Timeout, "the caller gave up before its secret was checked")
	}
	if _, ok := a.verified.get(known); ok {
		return true, nil
	}
	if subtle.ConstantTimeCompare(hashSlowly(text, s.Salt), s.Argon) != 1 {
		return false, nil
	}
	a.verified.put(known, struct{}{})
	return true, nil
}

// hashSlowly is argon2id with 2 passes over 19 MiB, one thread, 32 bytes: the
// least that OWASP recommends.
func hashSlowly(text string, salt []byte) []byte {
	return argon2.IDKey([]byte(text), salt, 2, 19<<10, 1, 32)
}

// admit lets a credential pass whose secret is right.
func (a *Auth) admit(s *slot, c *stored, dialect string, from netip.Addr, at time.Time) (*Credential, error) {
	now := ledger.TimeOf(at)
	if err := c.admits(dialect, from, now); err != nil {
		return nil, err
	}
	s.note(now)
	return &c.Credential, nil
}

// admits returns why a credential may not be used, whatever its secret.
func (c *Credential) admits(dialect string, from netip.Addr, now ledger.Time) error {
	switch {
	case c.Revoked:
		return ErrRevoked
	case c.Expires != 0 && now >= c.Expires:
		return ErrExpired
	case !c.Speaks(dialect):
		return ErrDialect
	case !c.allows(from):
		return ErrAddress
	}
	return nil
}

// note notes when the credential was used, to a second.
func (s *slot) note(now ledger.Time) {
	if used := s.used.Load(); int64(now)-used > int64(time.Second/time.Microsecond) {
		s.used.Store(int64(now))
	}
}

// Opens reports whether an account is one of those that a credential opens.
func (a *Auth) Opens(ctx context.Context, c *Credential, acct *ledger.Account) bool {
	switch {
	case acct == nil:
		return false
	case c.Everything:
		return true
	case c.Tenant != acct.Tenant || c.Tenant == 0:
		return false
	case c.Root.IsZero():
		return true
	}
	for range ledger.MaxDepth {
		if acct.ID == c.Root {
			return true
		}
		if acct.Parent.IsZero() {
			return false
		}
		var err error
		if acct, err = a.l.Fixed(ctx, acct.Parent); err != nil || acct == nil {
			return false
		}
	}
	return false
}

// A hasher computes digests: HMAC-SHA-256 under the digest key.
type hasher struct {
	mac hash.Hash
	in  []byte
	sum []byte
}

func newHasher(key []byte) *hasher {
	return &hasher{mac: hmac.New(sha256.New, key), in: make([]byte, 0, 2*maxSecret), sum: make([]byte, 0, 32)}
}

// digest returns the keyed digest of parts. More than one begin with a part that
// no secret begins with.
func (a *Auth) digest(parts ...string) [32]byte {
	h := a.hashers.Get().(*hasher)
	h.in = h.in[:0]
	for _, part := range parts {
		h.in = append(h.in, part...)
	}
	h.mac.Reset()
	h.mac.Write(h.in)
	h.sum = h.mac.Sum(h.sum[:0])
	digest := [32]byte(h.sum)
	clear(h.in)
	a.hashers.Put(h)
	return digest
}
