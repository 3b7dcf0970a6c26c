package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"saldo/ledger"
)

// Records of the operator's book. Numbers in keys have ten digits.
//
//	kind               key               holds
//	credential         its number        a credentialRow; indexes tenant (number) and root (UUID)
//	credential.id      its folded ID     the number of the credential that has it now
//	credential.digest  digest in hex     the number, for secrets that come without a key id
//	directory          see directoryKey  an entryRow; indexes account and tenant
//	auth.master        key's number      32 bytes derived from the master key, to know it again
//	auth               "digest key"      the key of all digests, sealed
//	auth               "first operator"  the number of the first credential
const (
	kindCredential = "credential"
	kindID         = "credential.id"
	kindDigest     = "credential.digest"
	kindDirectory  = "directory"
	kindMaster     = "auth.master"
	kindAuth       = "auth"

	keyDigestKey = "digest key"
	keyFirst     = "first operator"

	indexTenant  = "tenant"
	indexRoot    = "root"
	indexAccount = "account"
)

// Options of an Auth. The zero value is usable.
type Options struct {
	Now    func() time.Time // time.Now
	Rand   io.Reader        // crypto/rand; used by many goroutines
	Logger *slog.Logger     // slog.Default
}

// An Auth checks credentials against a ledger's records. It starts no goroutine
// and needs no closing.
type Auth struct {
	l    *ledger.Ledger
	o    Options
	keys MasterKeys
	seal *sealer

	hashers  sync.Pool // of *hasher
	throttle throttle

	// What was read before. It only says where to look: whether a credential
	// holds is read from its record every time.
	slots    cache[uint64, *slot]       // by number
	digests  [16]cache[[32]byte, *slot] // by digest of a secret that came alone
	verified cache[[32]byte, struct{}]  // digests of slow hashes and secrets that match

	// Slow hashes at a time: those of who failed often wait for each other.
	fast, slow chan struct{}
}

// A slot is where a credential is found, and what its record said last.
type slot struct {
	key  ledger.RecordKey
	last atomic.Pointer[stored]
	used atomic.Int64 // ledger.Time
}

const slotsKept = 1 << 16

// Open returns an Auth on a ledger's records, after making sure that the master
// keys are those that the secrets there are sealed under.
func Open(ctx context.Context, l *ledger.Ledger, keys MasterKeys, o Options) (*Auth, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &Auth{l: l, o: o, keys: keys, fast: make(chan struct{}, 2), slow: make(chan struct{}, 1)}
	a.throttle.ahead = map[failure]time.Time{}
	a.throttle.begins = func(from netip.Addr) {
		o.Logger.Warn("an address fails to authenticate again and again, and is throttled", "from", from)
	}
	a.slots.most, a.verified.most = slotsKept, slotsKept
	for i := range a.digests {
		a.digests[i].most = slotsKept / len(a.digests)
	}
	var err error
	if a.seal, err = newSealer(keys, o.Rand); err != nil {
		return nil, err
	}
	if err := l.EnsureSystem(ctx); err != nil {
		return nil, err
	}
	if err := a.checkMasterKeys(ctx); err != nil {
		return nil, err
	}
	key, err := a.digestKey(ctx)
	if err != nil {
		return nil, err
	}
	a.hashers.New = func() any { return newHasher(key) }
	return a, nil
}

// checkMasterKeys compares the master keys with what the store knows of those
// that sealed its secrets, and makes the current one known.
func (a *Auth) checkMasterKeys(ctx context.Context) error {
	for row, err := range a.l.Scan(ctx, ledger.Query{List: ledger.ListRecords, Kind: kindMaster}) {
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(row.Record.Key, 10, 32)
		if err != nil {
			return errRow(row.Record, err)
		}
		key, given := a.keys.Keys[uint32(n)]
		const advice = "put back the %s that this store was used with, or the copy that was kept of it (backups leave it out unless asked)"
		if !given {
			return fmt.Errorf("auth: secrets of this store are sealed under master key %d, which was not given: "+advice, n, MasterKeyFile)
		}
		if subtle.ConstantTimeCompare(row.Record.Data, derive(key, forCheck)) != 1 {
			return fmt.Errorf("auth: master key %d is not the one that secrets of this store are sealed under: "+advice, n, MasterKeyFile)
		}
	}
	key := ledger.RecordKey{Kind: kindMaster, Key: numberKey(uint64(a.keys.Current))}
	return a.settle(ctx, key, derive(a.keys.Keys[a.keys.Current], forCheck))
}

// settle writes a record that is written once. Who finds another there instead
// used other master keys at the same moment.
func (a *Auth) settle(ctx context.Context, key ledger.RecordKey, data []byte) error {
	r, err := a.l.Record(ctx, key)
	if err != nil {
		return err
	}
	if r != nil && bytes.Equal(r.Data, data) {
		return nil
	}
	_, err = a.l.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{{Kind: key.Kind, Key: key.Key, Data: data}}})
	var e *ledger.Error
	if errors.As(err, &e) && e.Code == ledger.Exists {
		if r, err := a.l.Record(ctx, key); err != nil || r != nil && bytes.Equal(r.Data, data) {
			return err
		}
		return errors.New("auth: another server set up this store with another master key; give both the same")
	}
	return err
}

// digestKey returns the key of all digests. It comes from the master key of the
// first start, and stays the same when the master key changes.
func (a *Auth) digestKey(ctx context.Context) ([]byte, error) {
	at := ledger.RecordKey{Kind: kindAuth, Key: keyDigestKey}
	r, err := a.l.Record(ctx, at)
	if err != nil {
		return nil, err
	}
	if r == nil {
		sealed, err := a.seal.seal(derive(a.keys.Keys[a.keys.Current], forDigests), []byte(keyDigestKey))
		if err != nil {
			return nil, err
		}
		write := ledger.RecordWrite{Kind: at.Kind, Key: at.Key, Data: sealed}
		_, err = a.l.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{write}})
		if err != nil && ledger.CodeOf(err) != ledger.Exists {
			return nil, err
		}
		if r, err = a.l.Record(ctx, at); err != nil {
			return nil, err
		}
	}
	return a.seal.open(r.Data, []byte(keyDigestKey))
}

// slotOf returns the slot of the credential with a number.
func (a *Auth) slotOf(n uint64) *slot {
	if s, ok := a.slots.get(n); ok {
		return s
	}
	return a.slots.put(n, &slot{key: ledger.RecordKey{Kind: kindCredential, Key: numberKey(n)}})
}

// read returns what a credential's record says now, or nil.
func (a *Auth) read(ctx context.Context, s *slot) (*stored, error) {
	r, err := a.l.Record(ctx, s.key)
	if err != nil || r == nil {
		return nil, err
	}
	if last := s.last.Load(); last != nil && last.version == r.Version {
		return last, nil
	}
	c, err := decodeCredential(r)
	if err != nil {
		return nil, err
	}
	s.last.Store(c)
	return c, nil
}

// pointed returns the slot of the credential whose number a record holds, or nil.
func (a *Auth) pointed(ctx context.Context, kind, key string) (*slot, *ledger.Record, error) {
	r, err := a.l.Record(ctx, ledger.RecordKey{Kind: kind, Key: key})
	if err != nil || r == nil {
		return nil, nil, err
	}
	n, err := strconv.ParseUint(string(r.Data), 10, 64)
	if err != nil {
		return nil, nil, errRow(r, err)
	}
	return a.slotOf(n), r, nil
}

// A cache remembers up to most things and, beyond that, forgets any.
type cache[K comparable, V any] struct {
	mu   sync.RWMutex
	m    map[K]V
	most int
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	v, ok := c.m[k]
	c.mu.RUnlock()
	return v, ok
}

// put remembers v unless there is one, and returns what there is.
func (c *cache[K, V]) put(k K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.m[k]; ok {
		return old
	}
	if c.m == nil {
		c.m = map[K]V{}
	}
	for old := range c.m {
		if len(c.m) < c.most {
			break
		}
		delete(c.m, old)
	}
	c.m[k] = v
	return v
}

func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	delete(c.m, k)
	c.mu.Unlock()
}
