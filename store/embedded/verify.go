package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// VerifyIndexes compares the derived indexes, the deadlines and the indexes of
// records with what they are made of, both ways: every row that should be is looked up, and the rows that are are
// counted. It holds no more than a page in memory. progress, which may be nil,
// is called with the number of rows looked at.
func (s *Store) VerifyIndexes(ctx context.Context, progress func(rows int64)) error {
	snapshot, err := s.even(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	c := &checker{ctx: ctx, progress: progress, r: snapshot}
	for _, step := range []func() error{c.statements, c.accounts, c.holds, c.records, c.usage} {
		if err := step(); err != nil {
			return err
		}
	}
	if progress != nil {
		progress(c.rows)
	}
	return errors.Join(c.faults...)
}

// even returns a snapshot in which the indexes have all that is appended. It
// holds up Append for the moment that the indexes take.
func (s *Store) even(ctx context.Context) (*pebble.Snapshot, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.index.wait(ctx); err != nil {
		return nil, err
	}
	return s.db.NewSnapshot(), nil
}

// A checker collects what is wrong with the indexes, as of one snapshot.
type checker struct {
	ctx      context.Context
	r        *pebble.Snapshot
	progress func(int64)
	rows     int64
	due      int64  // deadlines that there should be
	key      []byte // scratch
	faults   []error
}

const maxFaults = 20 // that are reported: more say no more

var errTooManyFaults = errors.New("and more")

func (c *checker) fault(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	} else if len(c.faults) == maxFaults {
		c.faults = append(c.faults, errTooManyFaults)
	}
}

func (c *checker) row() error {
	if c.rows++; c.rows%100_000 == 0 && c.progress != nil {
		c.progress(c.rows)
	}
	return c.ctx.Err()
}

// statements checks that every account that an event up to the watermark
// touched has the event in its statement, and that statements have no more.
func (c *checker) statements() error {
	prefix := []byte{kStatement}
	chunks, err := c.r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer chunks.Close()
	var expected, found int64
	for it, err := range each(c.r, []byte{kWatermark}, []byte{kWatermark + 1}) {
		if err != nil {
			return err
		}
		book, mark, err := readWatermark(it)
		if err != nil {
			return err
		}
		j, err := openJournal(c.r, book)
		if err != nil {
			return err
		}
		for seq := uint64(1); seq <= mark && err == nil; seq++ {
			var n int
			n, err = c.statementsOf(j, chunks, seq)
			expected += int64(n)
		}
		if err := errors.Join(err, j.close()); err != nil {
			return err
		}
	}
	var seqs []uint64
	for ok := chunks.First(); ok; ok = chunks.Next() {
		if seqs, err = readChunk(seqs[:0], chunks); err != nil {
			return err
		}
		found += int64(len(seqs))
		if err := c.row(); err != nil {
			return err
		}
	}
	if found != expected {
		c.fault("index statement: %d entries, the journal makes %d", found, expected)
	}
	return chunks.Error()
}

// statementsOf checks the statements of the accounts that an event touched and
// returns how many there are.
func (c *checker) statementsOf(j *journal, chunks *pebble.Iterator, seq uint64) (int, error) {
	e, _, err := j.event(seq)
	if err != nil {
		return 0, err
	}
	if e == nil {
		return 0, fmt.Errorf("%w: book %d, event %d", errGap, j.book, seq)
	}
	if err := c.row(); err != nil {
		return 0, err
	}
	if e.Refused != nil {
		return 0, nil
	}
	var seqs []uint64
	for _, t := range e.Touched {
		c.key = chunkKey(c.key[:0], t.Account, seq+1)
		ok := chunks.SeekLT(c.key)
		if ok {
			if seqs, err = readChunk(seqs[:0], chunks); err != nil {
				return 0, err
			}
			_, ok = slices.BinarySearch(seqs, seq)
			ok = ok && ledger.AccountID(chunks.Key()[1:17]) == t.Account
		}
		if !ok {
			c.fault("index statement: account %v lacks event %d of book %d", t.Account, seq, j.book)
		}
	}
	return len(e.Touched), nil
}

// accounts checks the lists of accounts, and search, against the accounts.
func (c *checker) accounts() error {
	var listed, words, profiles int64
	l := loader{r: c.r}
	for it, err := range each(c.r, []byte{kAccount}, []byte{kAccount + 1}) {
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(it.Key()) != 17 {
			return rowError(it.Key(), errBadKey)
		}
		a, err := decodeAccount(ledger.AccountID(it.Key()[1:]), value)
		if err != nil {
			return rowError(it.Key(), err)
		}
		if err := c.row(); err != nil {
			return err
		}
		if a.Mode == ledger.System {
			continue
		}
		listed += 2
		c.expect("accounts", append(tenantKey(c.key[:0], a.Tenant, false), a.ID[:]...))
		if a.Parent.IsZero() {
			c.expect("accounts", append(tenantKey(c.key[:0], a.Tenant, true), a.ID[:]...))
		} else {
			c.expect("accounts", append(childPrefix(c.key[:0], a.Parent), a.ID[:]...))
		}
		if a.Profile == (ledger.TextAt{}) {
			continue
		}
		text, err := l.text(ledger.TextKey{Book: a.Book, TextAt: a.Profile})
		if text == nil || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		of := ledger.ProfileWords(text.Data)
		for _, w := range of {
			c.expect("search", wordKey(c.key[:0], a.Tenant, w, a.ID))
		}
		if len(of) > 0 {
			c.expect("search", wordsKey(c.key[:0], a.ID))
			profiles++
		}
		words += int64(len(of))
	}
	return errors.Join(
		c.count("accounts", listed, kTenant, kChild),
		c.count("search", words, kWord),
		c.count("search", profiles, kWords))
}

// holds checks the lists of holds against the holds.
func (c *checker) holds() error {
	var all, open int64
	for it, err := range each(c.r, []byte{kHold}, []byte{kHold + 1}) {
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(it.Key()) != 17 {
			return rowError(it.Key(), errBadKey)
		}
		h, err := decodeHold(ledger.Ref(it.Key()[1:]), value)
		if err != nil {
			return rowError(it.Key(), err)
		}
		if err := c.row(); err != nil {
			return err
		}
		all++
		c.deadline(holdDeadline(h))
		c.expect("holds", holdsKey(c.key[:0], kHolds, h.Owner(), h.Opened, h.Ref))
		if h.State == ledger.HoldOpen {
			open++
			c.expect("holds", holdsKey(c.key[:0], kOpenHolds, h.Owner(), h.Opened, h.Ref))
		}
	}
	return errors.Join(c.count("holds", all, kHolds), c.count("holds", open, kOpenHolds))
}

// records checks the indexes of records against the records, and counts the
// deadlines, of which those of holds were looked up before.
func (c *checker) records() error {
	var entries int64
	for it, err := range each(c.r, []byte{kRecord}, []byte{kRecord + 1}) {
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		key, err := parseRecordKey(it.Key())
		if err != nil {
			return rowError(it.Key(), err)
		}
		rec, err := decodeRecord(key, value)
		if err != nil {
			return rowError(it.Key(), err)
		}
		if err := c.row(); err != nil {
			return err
		}
		c.deadline(recordDeadline(rec))
		of := slices.Compact(rec.Index)
		for _, e := range of {
			c.expect("records", entryKey(c.key[:0], key, e))
		}
		entries += int64(len(of))
	}
	return errors.Join(c.count("records", entries, kEntry), c.count("deadlines", c.due, kDeadline))
}

// CountRefunds returns of how many transfers something was refunded.
func (s *Store) CountRefunds(ctx context.Context) (n uint64, err error) {
	v, err := s.view(ctx)
	if err != nil {
		return 0, err
	}
	defer v.release()
	for _, err := range each(v, []byte{kRefund}, []byte{kRefund + 1}) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

func (c *checker) deadline(d ledger.Deadline) {
	if d.At != 0 {
		c.due++
		c.expect("deadlines", deadlineKey(c.key[:0], d))
	}
}

// expect reports a fault if a row is not there.
func (c *checker) expect(index string, key []byte) {
	c.key = key
	_, closer, err := c.r.Get(key)
	if err != nil {
		c.fault("index %s: row %q: %w", index, key, err)
		return
	}
	closer.Close()
}

// count reports a fault if kinds have more or fewer rows than there should be.
func (c *checker) count(index string, expected int64, kinds ...byte) error {
	var found int64
	for _, kind := range kinds {
		for _, err := range each(c.r, []byte{kind}, []byte{kind + 1}) {
			if err := errors.Join(err, c.row()); err != nil {
				return err
			}
			found++
		}
	}
	if found != expected {
		c.fault("index %s: %d rows, %d are expected", index, found, expected)
	}
	return nil
}
