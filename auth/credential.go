package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"

	"saldo/ledger"
)

// The dialects that credentials are made for.
const (
	Native      = "native"
	Twilio      = "twilio"
	MTurk       = "mturk"
	MTurkLegacy = "mturk-legacy"
	Gateway360  = "gateway360"
	Frontier    = "frontier"
)

// Dialects returns the names of all dialects.
func Dialects() []string {
	return []string{Native, Twilio, MTurk, MTurkLegacy, Gateway360, Frontier}
}

// A Credential opens accounts. It is read only: checks hand out the same one.
type Credential struct {
	Number uint64 // as it stands in events
	ID     string // public: a UUID, or the vendor's key id
	// Dialect is whose form it has. Dialects is where it is taken; more than
	// one only for native tokens, and for AWS keys, which both MTurk APIs take.
	Dialect    string
	Dialects   []string
	Name       string
	Tenant     ledger.TenantID  // 0: the operator's own
	Root       ledger.AccountID // zero: the whole tenant
	Everything bool             // all tenants
	Scopes     Scope
	Allow      []netip.Prefix // empty: from anywhere
	Created    ledger.Time
	Updated    ledger.Time // when it was last changed
	Expires    ledger.Time // 0: never
	Revoked    bool

	// LastUsed is set by List and ByID: when it last passed a check of this
	// process, 0 if it did not.
	LastUsed ledger.Time
}

// Speaks reports whether the credential is for a dialect.
func (c *Credential) Speaks(dialect string) bool { return slices.Contains(c.Dialects, dialect) }

// May returns nil if the credential has a scope, else an [ErrForbidden].
func (c *Credential) May(want Scope) error {
	if c.Scopes.Has(want) {
		return nil
	}
	return ErrForbidden{want &^ c.Scopes}
}

// LogValue is what logs show of a credential. Key ids are shown in part: with
// some vendors they are half of the secret.
func (c *Credential) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("number", c.Number), slog.String("id", mask(c.ID)),
		slog.String("dialect", c.Dialect), slog.Uint64("tenant", uint64(c.Tenant)), slog.String("scopes", c.Scopes.String()))
}

// mask hides all but the first 4 and last 4 characters of a key id.
func mask(s string) string {
	if len(s) < 16 {
		return "…"
	}
	return s[:4] + "…" + s[len(s)-4:]
}

// allows reports whether a credential may be used from an address.
func (c *Credential) allows(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return len(c.Allow) == 0 || slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(from) })
}

// A secret is one of the one or two that a credential has: a keyed digest, an
// argon2id hash, or sealed.
type secret struct {
	Digest []byte      `json:"digest,omitempty"` // HMAC-SHA-256 under the digest key
	Salt   []byte      `json:"salt,omitempty"`   // of Argon
	Argon  []byte      `json:"argon,omitempty"`  // argon2id, see hashSlowly
	Sealed []byte      `json:"sealed,omitempty"` // see sealer
	Until  ledger.Time `json:"until,omitempty"`  // 0: for good. Others end there: they were rotated away
}

func (s *secret) live(now ledger.Time) bool { return s.Until == 0 || now < s.Until }

// A stored is a credential's record, read: kind "credential", keyed by number.
type stored struct {
	Credential
	secrets []secret // newest first
	version uint64
}

// A credentialRow is the JSON of a record of kind "credential".
type credentialRow struct {
	V          int             `json:"v"`
	ID         string          `json:"id"`
	Dialects   []string        `json:"dialects"` // the first is whose form it has
	Name       string          `json:"name,omitempty"`
	Tenant     ledger.TenantID `json:"tenant,omitempty"`
	Root       string          `json:"root,omitempty"`
	Everything bool            `json:"everything,omitempty"`
	Scopes     []string        `json:"scopes"`
	Allow      []netip.Prefix  `json:"allow,omitempty"`
	Created    ledger.Time     `json:"created"`
	Expires    ledger.Time     `json:"expires,omitempty"`
	Revoked    bool            `json:"revoked,omitempty"`
	Secrets    []secret        `json:"secrets,omitempty"`
}

// write returns the write that stores s in place of the version it was read at.
func (s *stored) write() ledger.RecordWrite {
	row := credentialRow{V: 1, ID: s.ID, Dialects: s.Dialects, Name: s.Name, Tenant: s.Tenant, Everything: s.Everything,
		Scopes: s.Scopes.Names(), Allow: s.Allow, Created: s.Created, Expires: s.Expires, Revoked: s.Revoked, Secrets: s.secrets}
	index := []ledger.IndexEntry{{Name: indexTenant, Value: numberKey(uint64(s.Tenant))}}
	if !s.Root.IsZero() {
		row.Root = s.Root.String()
		index = append(index, ledger.IndexEntry{Name: indexRoot, Value: row.Root})
	}
	return ledger.RecordWrite{Kind: kindCredential, Key: numberKey(s.Number), Expect: s.version, Data: encodeRow(row), Index: index}
}

// decodeCredential reads a record of kind "credential".
func decodeCredential(r *ledger.Record) (*stored, error) {
	row, err := decodeRow[credentialRow](r)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(r.Key, 10, 64)
	if err != nil {
		return nil, errRow(r, err)
	}
	scopes, err := ParseScopes(row.Scopes)
	if err != nil {
		return nil, errRow(r, err)
	}
	var root ledger.AccountID
	if row.Root != "" {
		var ok bool
		if root, ok = ledger.ParseAccountID(row.Root); !ok || root.IsZero() {
			return nil, errRow(r, errors.New("its root is not a UUID"))
		}
	}
	switch {
	case row.V != 1:
		return nil, errRow(r, fmt.Errorf("it is of version %d", row.V))
	case len(row.Dialects) == 0:
		return nil, errRow(r, errors.New("it is for no dialect"))
	case row.Everything && (row.Tenant != 0 || !root.IsZero()), !row.Everything && row.Tenant == 0:
		return nil, errRow(r, errors.New("it opens either a tenant or everything"))
	case slices.ContainsFunc(row.Allow, func(p netip.Prefix) bool { return !p.IsValid() }):
		return nil, errRow(r, errors.New("an address range is empty")) // an empty list would be all
	}
	return &stored{Credential{Number: n, ID: row.ID, Dialect: row.Dialects[0], Dialects: row.Dialects, Name: row.Name,
		Tenant: row.Tenant, Root: root, Everything: row.Everything, Scopes: scopes, Allow: row.Allow,
		Created: row.Created, Updated: r.Updated, Expires: row.Expires, Revoked: row.Revoked}, row.Secrets, r.Version}, nil
}

func numberKey(n uint64) string { return fmt.Sprintf("%010d", n) }

func encodeRow(row any) []byte {
	data, err := json.Marshal(row)
	if err != nil {
		panic(err) // rows are structs of strings and numbers
	}
	return data
}

// decodeRow reads a record's JSON. What it does not know was written by a newer
// version, and is not guessed at.
func decodeRow[T any](r *ledger.Record) (row T, err error) {
	d := json.NewDecoder(bytes.NewReader(r.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&row); err != nil {
		return row, errRow(r, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return row, errRow(r, errors.New("something follows it"))
	}
	return row, nil
}

// errRow never wraps what a secret may be quoted in: JSON errors name types and
// places only.
func errRow(r *ledger.Record, err error) error {
	return fmt.Errorf("auth: the record %s %q cannot be read (was it written by a newer version?): %w", r.Kind, mask(r.Key), err)
}
