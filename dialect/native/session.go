package native

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"saldo/auth"
	"saldo/ledger"
)

// Sessions are for browsers: a cookie that has the token in it, sealed, so that
// scripts cannot read it, any node opens it, and a revoked credential's session
// ends with it. It is
//
//	1 (version) · master key's number, 4 bytes, big endian · nonce, 12 · ciphertext · tag, 16
//
// in base64, the plaintext being the second in which it ends (8 bytes, big
// endian) and the token, the associated data the first 5 bytes.
//
// One that was signed out has a record of kind "session.ended" under its nonce,
// without content, until it would have ended anyway: a copy of the cookie opens
// nothing, on any node.
const (
	sessionCookie  = "saldo_session"
	sessionLife    = 12 * time.Hour
	sessionVersion = 1
	sessionHeader  = 1 + 4
	kindEnded      = "session.ended"
	forSessions    = "saldo session v1"

	// csrfHeader is what a write by session needs: a form of another site
	// cannot send it.
	csrfHeader = "Saldo-Csrf"
)

// A sealer seals sessions.
type sealer struct {
	current uint32
	aeads   map[uint32]cipher.AEAD
}

// newSealer derives keys for sessions from the master keys. Without any, it
// makes one that ends with the process.
func newSealer(keys auth.MasterKeys) (*sealer, error) {
	if len(keys.Keys) == 0 {
		var key [32]byte
		rand.Read(key[:])
		keys = auth.MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: key}}
	}
	s := &sealer{current: keys.Current, aeads: make(map[uint32]cipher.AEAD)}
	for n, master := range keys.Keys {
		key, err := hkdf.Key(sha256.New, master[:], nil, forSessions, 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if s.aeads[n], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *sealer) seal(token string, ends time.Time) string {
	aead := s.aeads[s.current]
	blob := binary.BigEndian.AppendUint32([]byte{sessionVersion}, s.current)
	ad := blob[:sessionHeader:sessionHeader]
	blob = append(blob, make([]byte, aead.NonceSize())...)
	rand.Read(blob[sessionHeader:])
	plain := append(binary.BigEndian.AppendUint64(nil, uint64(ends.Unix())), token...)
	blob = aead.Seal(blob, blob[sessionHeader:], plain, ad)
	return base64.RawURLEncoding.EncodeToString(blob)
}

// A session is what a cookie has sealed.
type session struct {
	id    string // its nonce
	token string
	ends  time.Time
}

// open returns a session that has not ended by itself.
func (s *sealer) open(text string, now time.Time) (is session, ok bool) {
	blob, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(blob) < sessionHeader || blob[0] != sessionVersion {
		return is, false
	}
	aead := s.aeads[binary.BigEndian.Uint32(blob[1:])]
	if aead == nil || len(blob) < sessionHeader+aead.NonceSize() {
		return is, false
	}
	nonce, sealed := blob[sessionHeader:sessionHeader+aead.NonceSize()], blob[sessionHeader+aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, sealed, blob[:sessionHeader])
	if err != nil || len(plain) < 8 {
		return is, false
	}
	is = session{hex.EncodeToString(nonce), string(plain[8:]), time.Unix(int64(binary.BigEndian.Uint64(plain)), 0).UTC()}
	return is, now.Before(is.ends)
}

// session returns the session that the request's cookie opens, if it does.
func (q *request) session() (is session, ok bool, err error) {
	c, err := q.Cookie(sessionCookie)
	if err != nil {
		return is, false, nil // there is none
	}
	if is, ok = q.s.sessions.open(c.Value, q.s.o.Now()); !ok {
		return is, false, nil
	}
	ended, err := q.s.ledger.Record(q.ctx, ledger.RecordKey{Kind: kindEnded, Key: is.id})
	return is, ended == nil, err
}

// forgetSession takes away that a session was signed out, when it has ended by
// itself.
func forgetSession(_ context.Context, r *ledger.Record) (*ledger.Command, error) {
	return &ledger.Command{Records: []ledger.RecordWrite{{Kind: r.Kind, Key: r.Key, Expect: r.Version, Delete: true}}}, nil
}

func (q *request) sessionCookie(value string, ends time.Time) *http.Cookie {
	c := &http.Cookie{Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: q.TLS != nil || q.s.o.SecureCookies, Expires: ends}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// createSession serves POST /v1/session: it puts the bearer token into a cookie.
func (s *server) createSession(q *request) (reply, error) {
	if q.cookie {
		return reply{}, refuse(CodeUnauthorized, "Give the token, as Authorization: Bearer: a session does not make another")
	}
	token, err := q.token()
	if err != nil {
		return reply{}, err
	}
	now := s.o.Now()
	ends := now.Add(sessionLife).UTC().Truncate(time.Second)
	q.writeSession(now, ends)
	return reply{status: 201, cookie: q.sessionCookie(s.sessions.seal(token, ends), ends)}, nil
}

// readSession serves GET /v1/session: whose credential it is and what it may.
func (s *server) readSession(q *request) (reply, error) {
	if err := q.ask(); err != nil {
		return reply{}, err
	}
	var ends time.Time
	if q.cookie {
		is, _, err := q.session()
		if err != nil {
			return reply{}, err
		}
		ends = is.ends
	}
	q.writeSession(s.o.Now(), ends)
	return reply{}, nil
}

func (q *request) writeSession(now, ends time.Time) {
	c := q.cred
	q.b = append(q.b, '{')
	q.string("id", c.ID)
	q.time("created_at", c.Created)
	if !ends.IsZero() {
		q.string("expires_at", ends.Format(time.RFC3339))
	}
	q.credentialMembers(c)
	q.close()
}

// deleteSession serves DELETE /v1/session: it ends the session for whoever has
// the cookie, and takes that out of the browser.
func (s *server) deleteSession(q *request) (reply, error) {
	is, ok, err := q.session()
	if err != nil {
		return reply{}, err
	}
	if ok {
		end := &ledger.Command{Records: []ledger.RecordWrite{{Kind: kindEnded, Key: is.id, Deadline: ledger.TimeOf(is.ends)}}}
		if c, err := s.auth.Bearer(q.ctx, is.token, s.o.ClientAddr(q.Request)); err == nil {
			end.Actor = c.Number
		}
		if _, err := s.ledger.Post(q.ctx, end); err != nil && ledger.CodeOf(err) != ledger.Exists { // by the same request, just now
			return reply{}, err
		}
	}
	q.b = append(q.b, `{"deleted":true}`...)
	return reply{cookie: q.sessionCookie("", time.Unix(1, 0))}, nil
}
