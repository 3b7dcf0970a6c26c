package mturk

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"saldo/auth"
	"saldo/dialect"
)

// Signature Version 4 in its header form, as
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// has it. What its clients sign differs, so what is signed is whatever
// SignedHeaders lists; and the texts of refusals are what AWS services answered
// in public issues.
const (
	algorithm  = "AWS4-HMAC-SHA256"
	service    = "mturk-requester"
	terminator = "aws4_request"
	basicTime  = "20060102T150405Z"
	basicDate  = "20060102"

	// A request may be as old, or as far ahead, as any AWS service lets it be.
	// Most let it be 5 minutes and say so; whoever is past 15 is past 5.
	tolerance = 15 * time.Minute
	toldAs    = 5 * time.Minute

	// maxCanonical bounds what is hashed for who may be nobody: a header that is
	// listed often would count often.
	maxCanonical = 64 << 10
	maxQuoted    = 200 // bytes of a request that a refusal repeats
)

// A verifier checks who signed a request.
type verifier struct {
	auth *auth.Auth
	now  func() time.Time
	keys *keyring
}

func newVerifier(a *auth.Auth, now func() time.Time) *verifier {
	return &verifier{a, now, newKeyring(keysKept)}
}

// verify returns the credential that a request was signed with, whose body was
// read. It uses x.Out, and leaves it empty. The error is a *refusal, or one of
// auth's or the ledger's.
func (v *verifier) verify(x *dialect.Exchange) (*auth.Credential, error) {
	header, bad := authorization(x.Request)
	if bad != nil {
		return nil, bad
	}
	var s signature
	if bad := s.parse(header); bad != nil {
		return nil, bad
	}
	if bad := s.readTime(x.Request.Header); bad != nil {
		return nil, bad
	}
	if bad := s.check(x.Request, v.now().UTC()); bad != nil {
		return nil, bad
	}
	body := sha256.Sum256(x.Body)
	var bodyHex [64]byte
	hex.Encode(bodyHex[:], body[:])
	for _, claimed := range x.Request.Header["X-Amz-Content-Sha256"] {
		if claimed != string(bodyHex[:]) {
			return nil, refuse(faultSignature)
		}
	}
	c, secrets, err := v.auth.Sealed(x.Context(), auth.MTurk, s.keyID, x.From())
	if err != nil {
		return nil, err
	}
	x.Out = s.appendToSign(x.Out[:0], x.Request, &bodyHex)
	matches := v.matches(&s, x.Out, secrets)
	x.Out = x.Out[:0]
	if !matches {
		return nil, v.auth.Failed(s.keyID, x.From())
	}
	v.auth.Proved(c)
	return c, nil
}

// matches reports whether a signature over a text was made with one of the
// secrets.
func (v *verifier) matches(s *signature, toSign []byte, secrets [][]byte) bool {
	for _, secret := range secrets {
		id := v.keys.id(secret, s.date, s.region)
		key, known := v.keys.find(id)
		if !known {
			key = signingKey(secret, s.date, s.region)
		}
		sum := hmacOf(key[:], toSign)
		var text [64]byte
		hex.Encode(text[:], sum[:])
		if subtle.ConstantTimeCompare(text[:], []byte(s.signature)) == 1 {
			if !known { // kept only for who has the secret: nobody else can fill the ring
				v.keys.keep(id, key)
			}
			return true
		}
	}
	return false
}

// authorization returns the header Authorization.
func authorization(r *http.Request) (string, *refusal) {
	switch values := r.Header["Authorization"]; {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", refuse(faultMissingToken)
	case len(values) > 1:
		return "", refusef(faultIncomplete, "The request has more than one Authorization header.")
	default:
		return values[0], nil
	}
}

// A signature is what a request says of how it was signed.
type signature struct {
	keyID, date, region, service, terminator string // Credential
	signed                                   string // SignedHeaders: names between semicolons
	signature                                string // Signature: hex
	dateHeader                               string // the header that says when: x-amz-date or date
	at                                       time.Time
	time                                     string // the same as it was signed
}

// parse reads a header Authorization.
func (s *signature) parse(header string) *refusal {
	scheme, rest, _ := strings.Cut(header, " ")
	if scheme != algorithm { // it may hold a secret: nothing of it is repeated
		return refusef(faultIncomplete, "The Authorization header has to begin with %s.", algorithm)
	}
	var credential string
	for pair := range strings.SplitSeq(rest, ",") {
		pair = strings.TrimSpace(pair)
		key, value, found := strings.Cut(pair, "=")
		if !found && pair != "" {
			return refusef(faultIncomplete, "'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", quoted(pair), quoted(masked(header)))
		}
		switch key {
		case "Credential":
			credential = value
		case "SignedHeaders":
			s.signed = value
		case "Signature":
			s.signature = value
		}
	}
	var missing []string
	for _, p := range [...]struct{ name, value string }{{"Credential", credential}, {"Signature", s.signature}, {"SignedHeaders", s.signed}} {
		if p.value == "" {
			missing = append(missing, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	if missing != nil {
		return refusef(faultIncomplete, "%s Authorization=%s", strings.Join(missing, " "), quoted(masked(header)))
	}
	if strings.Count(credential, "/") != 4 {
		return refusef(faultIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term")
	}
	s.keyID, credential, _ = strings.Cut(credential, "/")
	s.date, credential, _ = strings.Cut(credential, "/")
	s.region, credential, _ = strings.Cut(credential, "/")
	s.service, s.terminator, _ = strings.Cut(credential, "/")
	return nil
}

// quoted returns what a refusal repeats of a request.
func quoted(s string) string {
	if len(s) > maxQuoted {
		return s[:maxQuoted] + "..."
	}
	return s
}

// masked returns a header Authorization without its Credential: some take the
// secret for the key id, and what a refusal says ends up in logs.
func masked(header string) string {
	before, credential, found := strings.Cut(header, "Credential=")
	if !found {
		return header
	}
	if end := strings.IndexByte(credential, ','); end >= 0 {
		return before + "Credential=..." + credential[end:]
	}
	return before + "Credential=..."
}

// readTime reads when the request was signed: X-Amz-Date or, without it, Date.
func (s *signature) readTime(h http.Header) *refusal {
	s.dateHeader = "x-amz-date"
	values := h["X-Amz-Date"]
	if len(values) == 0 {
		s.dateHeader, values = "date", h["Date"]
	}
	if len(values) != 1 {
		return refusef(faultIncomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	s.time = values[0]
	var err error
	if s.at, err = time.Parse(basicTime, s.time); err == nil && len(s.time) == len(basicTime) { // not with a fraction
		return nil
	}
	if s.dateHeader == "date" {
		if s.at, err = http.ParseTime(s.time); err == nil {
			s.at = s.at.UTC()
			s.time = s.at.Format(basicTime)
			return nil
		}
	}
	return refusef(faultIncomplete, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", quoted(values[0]))
}

// check checks everything but the signature itself.
func (s *signature) check(r *http.Request, now time.Time) *refusal {
	switch {
	case s.date != s.time[:len(basicDate)]:
		return refusef(faultSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", quoted(s.date), s.time[:len(basicDate)], s.time)
	case s.region == "":
		return refusef(faultSignature, "Credential should be scoped to a valid region. ")
	case s.service != service:
		return refusef(faultSignature, "Credential should be scoped to correct service: '%s'. ", service)
	case s.terminator != terminator:
		return refusef(faultSignature, "Credential should be scoped with a valid terminator: '%s', not '%s'.", terminator, quoted(s.terminator))
	case s.at.Before(now.Add(-tolerance)):
		return refusef(faultSignature, "Signature expired: %s is now earlier than %s (%s - 5 min.)", s.time, now.Add(-toldAs).Format(basicTime), now.Format(basicTime))
	case s.at.After(now.Add(tolerance)):
		return refusef(faultSignature, "Signature not yet current: %s is still later than %s (%s + 5 min.)", s.time, now.Add(toldAs).Format(basicTime), now.Format(basicTime))
	case !s.signs("host") && !s.signs(":authority"):
		return refusef(faultSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	case !s.signs(s.dateHeader):
		return refusef(faultSignature, "'%s' must be a 'SignedHeader' in the AWS Authorization.", textproto.CanonicalMIMEHeaderKey(s.dateHeader))
	}
	// Whoever could change these without breaking the signature could have
	// something else done in the signer's name.
	for _, name := range [...]string{"x-amz-security-token", "x-amz-target"} {
		if _, sent := r.Header[canonicalKey(name)]; sent && !s.signs(name) {
			return refusef(faultSignature, "'%s' must be a 'SignedHeader' in the AWS Authorization.", canonicalKey(name))
		}
	}
	if _, sent := r.Header["X-Amz-Security-Token"]; sent { // no session was ever issued here
		return refuse(faultUnrecognized)
	}
	return nil
}

// signs reports whether a header is among the signed ones.
func (s *signature) signs(name string) bool {
	for listed := range strings.SplitSeq(s.signed, ";") {
		if listed == name {
			return true
		}
	}
	return false
}

// appendToSign appends the string to sign.
func (s *signature) appendToSign(dst []byte, r *http.Request, bodyHex *[64]byte) []byte {
	start := len(dst)
	dst = s.appendCanonical(dst, r, bodyHex)
	canonical := sha256.Sum256(dst[start:])
	dst = append(dst[:start], algorithm+"\n"...)
	dst = append(append(dst, s.time...), '\n')
	for _, part := range [...]string{s.date, s.region, s.service} {
		dst = append(append(dst, part...), '/')
	}
	dst = append(append(dst, s.terminator...), '\n')
	return hex.AppendEncode(dst, canonical[:])
}

// appendCanonical appends the canonical request. The path is "/": no other has
// an operation.
func (s *signature) appendCanonical(dst []byte, r *http.Request, bodyHex *[64]byte) []byte {
	start := len(dst)
	dst = append(dst, r.Method...)
	dst = append(dst, "\n/\n"...)
	dst = appendQuery(dst, r.URL.RawQuery)
	dst = append(dst, '\n')
	for name := range strings.SplitSeq(s.signed, ";") {
		dst = append(append(dst, name...), ':')
		dst = appendHeader(dst, r, name)
		dst = append(dst, '\n')
		if len(dst)-start > maxCanonical {
			break // whatever was signed, it was not this
		}
	}
	dst = append(dst, '\n')
	dst = append(dst, s.signed...)
	dst = append(dst, '\n')
	return append(dst, bodyHex[:]...)
}

// headerKeys are the keys of headers that clients sign, so that they need not be
// made each time.
var headerKeys = map[string]string{
	"amz-sdk-invocation-id":        "Amz-Sdk-Invocation-Id",
	"amz-sdk-request":              "Amz-Sdk-Request",
	"content-length":               "Content-Length",
	"content-type":                 "Content-Type",
	"x-amz-content-sha256":         "X-Amz-Content-Sha256",
	"x-amz-date":                   "X-Amz-Date",
	"x-amz-security-token":         "X-Amz-Security-Token",
	"x-amz-target":                 "X-Amz-Target",
	"x-amz-user-agent":             "X-Amz-User-Agent",
	"x-amzn-query-mode":            "X-Amzn-Query-Mode",
	"accept":                       "Accept",
	"accept-encoding":              "Accept-Encoding",
	"user-agent":                   "User-Agent",
	"x-amzn-trace-id":              "X-Amzn-Trace-Id",
	"x-amz-sdk-checksum-algorithm": "X-Amz-Sdk-Checksum-Algorithm",
}

func canonicalKey(name string) string {
	if key, ok := headerKeys[name]; ok {
		return key
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// appendHeader appends the values of a header as they are signed: trimmed, with
// one space for many, and a comma between those of headers that came more than
// once. Some headers are not where the others are, because net/http has read
// them.
func appendHeader(dst []byte, r *http.Request, name string) []byte {
	switch name {
	case "host", ":authority":
		return appendFolded(dst, r.Host)
	case "transfer-encoding":
		return append(dst, strings.Join(r.TransferEncoding, ",")...)
	}
	values := r.Header[canonicalKey(name)]
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return strconv.AppendInt(dst, r.ContentLength, 10)
	}
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendFolded(dst, value)
	}
	return dst
}

// appendFolded appends a text without the spaces around it, and with one where
// there are many.
func appendFolded(dst []byte, s string) []byte {
	s = strings.Trim(s, " \t")
	for {
		at := strings.Index(s, "  ")
		if at < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:at+1]...)
		s = strings.TrimLeft(s[at:], " ")
	}
}

// appendQuery appends a query as it is signed: parameters in order of name and
// value, each encoded anew.
func appendQuery(dst []byte, raw string) []byte {
	if raw == "" {
		return dst
	}
	type parameter struct{ name, value string }
	var all []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			all = append(all, parameter{encoded(name), encoded(value)})
		}
	}
	slices.SortFunc(all, func(a, b parameter) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range all {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(append(append(dst, p.name...), '='), p.value...)
	}
	return dst
}

// encoded encodes a part of a query: letters, digits and -._~ as they are, the
// rest in percent.
func encoded(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		s = plain
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// signingKey derives the key that a secret signs with on a day in a region.
func signingKey(secret []byte, date, region string) [32]byte {
	key := hmacOf(append([]byte("AWS4"), secret...), []byte(date))
	for _, part := range [...]string{region, service, terminator} {
		key = hmacOf(key[:], []byte(part))
	}
	return key
}

// hmacOf is HMAC-SHA-256 as RFC 2104 has it: of a short text in a quarter of the
// time of crypto/hmac, and in no memory.
func hmacOf(key, text []byte) [sha256.Size]byte {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	var inner, outer [sha256.BlockSize]byte
	copy(inner[:], key)
	for i, b := range inner {
		inner[i], outer[i] = b^0x36, b^0x5c
	}
	var space [512]byte
	sum := sha256.Sum256(append(append(space[:0], inner[:]...), text...))
	return sha256.Sum256(append(append(space[:0], outer[:]...), sum[:]...))
}

// keysKept is how many signing keys are remembered, twice.
const keysKept = 4096

// A keyring remembers signing keys, which take four times as long to derive as
// to use. It knows them by a digest of the secret, the day and the region, under
// a salt of its own: no secret is in it. Keys that nobody used while as many
// others as it holds were made are forgotten.
type keyring struct {
	salt       [32]byte
	most       int
	mu         sync.RWMutex
	young, old map[[32]byte][32]byte
}

func newKeyring(most int) *keyring {
	k := &keyring{most: most, young: map[[32]byte][32]byte{}}
	rand.Read(k.salt[:]) // never fails
	return k
}

func (k *keyring) id(secret []byte, date, region string) [32]byte {
	var space [256]byte
	b := append(space[:0], k.salt[:]...)
	for _, part := range [...]string{date, region} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	b = append(b, secret...)
	id := sha256.Sum256(b)
	clear(b)
	return id
}

func (k *keyring) find(id [32]byte) ([32]byte, bool) {
	k.mu.RLock()
	key, ok := k.young[id]
	aged := false
	if !ok {
		key, aged = k.old[id]
	}
	k.mu.RUnlock()
	if aged {
		k.keep(id, key)
	}
	return key, ok || aged
}

func (k *keyring) keep(id, key [32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= k.most {
		k.young, k.old = make(map[[32]byte][32]byte, k.most), k.young
	}
	k.young[id] = key
}
