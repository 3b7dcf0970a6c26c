package embedded

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
	"saldo/money"
)

// A usageKey names a row of usage: what an account, or those below it, used in a
// category and a unit on a day.
type usageKey struct {
	account  ledger.AccountID
	below    bool
	unit     uint32
	category string
	day      ledger.Day
}

func usagePrefix(dst []byte, account ledger.AccountID, below bool, unit uint32) []byte {
	dst = append(append(dst, kUsage), account[:]...)
	if below {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return be.AppendUint32(dst, unit)
}

const usagePrefixLen = 1 + 16 + 1 + 4

// append sorts days before 1970 first.
func (k *usageKey) append(dst []byte) []byte {
	dst = appendEscaped(usagePrefix(dst, k.account, k.below, k.unit), k.category)
	return appendDay(dst, k.day)
}

func appendDay(dst []byte, d ledger.Day) []byte { return be.AppendUint32(dst, uint32(d)^1<<31) }

func parseUsageKey(key []byte) (k usageKey, err error) {
	if len(key) < usagePrefixLen || key[17] > 1 {
		return k, errBadKey
	}
	k.account, k.below, k.unit = ledger.AccountID(key[1:17]), key[17] == 1, be.Uint32(key[18:])
	rest := key[usagePrefixLen:]
	day, ok := cutEscaped(rest)
	if !ok || len(day) != 4 {
		return k, errBadKey
	}
	k.category = unescaped(rest[:len(rest)-len(day)])
	k.day = ledger.Day(be.Uint32(day) ^ 1<<31)
	return k, nil
}

// unescaped returns the value of value*.
func unescaped(b []byte) string {
	return string(bytes.ReplaceAll(b[:len(b)-2], []byte{0, 0xff}, []byte{0}))
}

// What was used, without its key:
//
//	01 | 00, or 01: the units are mixed | amt price | amt count | str unit
func appendSum(dst []byte, s *ledger.UsageSum) []byte {
	mixed := byte(0)
	if s.Mixed {
		mixed = 1
	}
	dst = s.Price.AppendVarint(append(dst, rowVersion, mixed))
	return appendBytes(s.Count.AppendVarint(dst), s.Unit)
}

func decodeSum(b []byte) (s ledger.UsageSum, err error) {
	r := readRow(b, rowVersion)
	mixed := r.byte()
	s = ledger.UsageSum{Mixed: mixed == 1, Price: r.amount(), Count: r.amount(), Unit: r.string()}
	r.bad = r.bad || mixed > 1 || s.Mixed && s.Unit != ""
	return s, r.end()
}

// sumMerger adds up what is merged into a row of usage: such rows are added to
// without being read. Its name stands in the store's files.
var sumMerger = &pebble.Merger{
	Name: "saldo.usage",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := new(sumInProgress)
		return m, m.MergeNewer(value)
	},
}

type sumInProgress struct {
	sum ledger.UsageSum
	row [48]byte // room for it: compactions merge many
}

func (m *sumInProgress) MergeNewer(value []byte) error {
	sum, err := decodeSum(value)
	if err == nil {
		m.sum.Add(sum)
	}
	return err
}

func (m *sumInProgress) MergeOlder(value []byte) error { return m.MergeNewer(value) } // the order is all one

func (m *sumInProgress) Finish(bool) ([]byte, io.Closer, error) {
	return appendSum(m.row[:0], &m.sum), nil, nil
}

// sums are what is to be merged into rows of usage with the next batch.
type sums map[usageKey]*ledger.UsageSum

// A tree is the unit of an account and the accounts above it.
type tree struct {
	known bool
	unit  uint32
	above []ledger.AccountID
}

// each calls add with the key of every row that a use goes into.
func (in *tree) each(u *ledger.Use, day ledger.Day, add func(*usageKey)) {
	for _, category := range u.Categories() {
		k := usageKey{u.Account, false, in.unit, category, day}
		add(&k)
		k.below = true
		for _, k.account = range in.above {
			add(&k)
		}
	}
}

// used is the row of usage of an account that every charge of it goes into: what
// it used itself on a day, in all categories.
type used struct {
	any bool
	day ledger.Day
	sum ledger.UsageSum
}

// takes reports whether it is this row that a key names.
func (s *used) takes(k *usageKey) bool {
	return k.category == "" && !k.below && (!s.any || s.day == k.day)
}

// mostTrees bounds what is kept from one batch to the next.
const mostTrees = 16 << 10

func (f *folder) usage(_ ledger.BookID, e *ledger.Event) {
	day := e.Time.Day()
	e.EachUse(func(u *ledger.Use) {
		a := f.account(u.Account)
		if !a.tree.known {
			in, err := f.trees.find(f.s.db, u.Account)
			f.fail(err)
			a.tree = in
		}
		a.tree.each(u, day, func(k *usageKey) {
			if a.used.takes(k) {
				a.used.any, a.used.day = true, day
				a.used.sum.Add(u.Sum())
				return
			}
			row := f.sums[*k]
			if row == nil {
				row = new(ledger.UsageSum)
				f.sums[*k] = row
			}
			row.Add(u.Sum())
		})
	})
}

// addSums puts the sums into the batch.
func (f *folder) addSums() {
	for k, row := range f.sums {
		f.merge(k.append(f.key[:0]), appendSum(f.value[:0], row))
	}
	clear(f.sums)
	f.trees.trim()
}

// learn takes the trees of roots from rows that are at hand.
func (f *folder) learn(rows []*ledger.Account) {
	for _, row := range rows {
		if row.Parent.IsZero() {
			f.account(row.ID).tree = tree{known: true, unit: row.Unit}
		}
	}
}

// trees are what is kept of the trees that accounts are in, which never change.
type trees map[ledger.AccountID]tree

// each calls add for every row that what an event's transfers used goes into.
func (t trees) each(r pebble.Reader, e *ledger.Event, add func(*usageKey, *ledger.Use)) (failed error) {
	e.EachUse(func(u *ledger.Use) {
		in, err := t.find(r, u.Account)
		if failed = errors.Join(failed, err); failed == nil {
			in.each(u, e.Time.Day(), func(k *usageKey) { add(k, u) })
		}
	})
	return failed
}

// find returns an account's unit and the accounts above it.
func (t trees) find(r pebble.Reader, id ledger.AccountID) (in tree, err error) {
	in, ok := t[id]
	if ok {
		return in, nil
	}
	for at := id; !at.IsZero(); {
		a, err := get(r, accountKey(nil, at), accountDecoder(at))
		if err != nil {
			return in, err
		}
		if a == nil {
			return in, nil // which no event of a ledger's names
		}
		if at == id {
			in.unit = a.Unit
		}
		if at = a.Parent; !at.IsZero() {
			in.above = append(in.above, at)
		}
	}
	in.known = true
	t[id] = in
	return in, nil
}

// trim forgets them all when they are many.
func (t trees) trim() {
	if len(t) > mostTrees {
		clear(t)
	}
}

// usage lists the days of one category. A row's Key is the last four bytes of its key.
func (sc *scanner) usage() error {
	q := &sc.q
	if q.FromDay > q.ToDay {
		return nil
	}
	prefix := appendEscaped(usagePrefix(nil, q.Account, q.Below, q.Unit), q.Value)
	lower := appendDay(bytes.Clone(prefix), q.FromDay)
	if from := append(append(bytes.Clone(prefix), q.From...), 0); q.From != "" && bytes.Compare(from, lower) > 0 {
		lower = from
	}
	upper := append(appendDay(bytes.Clone(prefix), q.ToDay), 0)
	for it, err := range each(sc.index, lower, upper) {
		if err != nil {
			return err
		}
		k, row, err := readUsage(it)
		if err != nil {
			return err
		}
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		key := string(it.Key()[len(prefix):])
		if !sc.row(ledger.Row{Key: key, Usage: &ledger.UsageRow{Day: k.day, Category: k.category, UsageSum: row}}) {
			return nil
		}
	}
	return nil
}

func readUsage(it *pebble.Iterator) (k usageKey, row ledger.UsageSum, err error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return k, row, err
	}
	if k, err = parseUsageKey(it.Key()); err == nil {
		row, err = decodeSum(value)
	}
	if err != nil {
		return k, row, rowError(it.Key(), err)
	}
	return k, row, nil
}

// categories lists the categories that there are rows of. It looks at one row of
// each, however many days it has.
func (sc *scanner) categories() error {
	prefix := usagePrefix(nil, sc.q.Account, sc.q.Below, sc.q.Unit)
	it, err := sc.index.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	next := func(category string) bool { return it.SeekGE(after(appendEscaped(bytes.Clone(prefix), category))) }
	for ok := next(sc.q.From); ok; {
		k, err := parseUsageKey(it.Key())
		if err != nil {
			return rowError(it.Key(), err)
		}
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		if !sc.row(ledger.Row{Key: k.category, Usage: &ledger.UsageRow{Category: k.category}}) {
			return nil
		}
		ok = next(k.category)
	}
	return it.Error()
}

// usage checks what is summed up against the journal, without keeping either: by
// a sum of prices and counts, each times a number that its row's key hashes to.
// Rows that are not what the journal makes of them pass with a chance of 1 in 2^60.
func (c *checker) usage() error {
	seed := maphash.MakeSeed()
	var expected, found fingerprint
	var scratch []byte
	known := trees{}
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
			var e *ledger.Event
			if e, _, err = j.event(seq); err != nil || e == nil || e.Refused != nil {
				continue
			}
			err = known.each(c.r, e, func(k *usageKey, u *ledger.Use) {
				scratch = k.append(scratch[:0])
				expected.add(maphash.Bytes(seed, scratch), u.Price, u.Count)
			})
			known.trim()
			err = errors.Join(c.row(), err)
		}
		if err := errors.Join(err, j.close()); err != nil {
			return err
		}
	}
	for it, err := range each(c.r, []byte{kUsage}, []byte{kUsage + 1}) {
		if err != nil {
			return err
		}
		_, row, err := readUsage(it)
		if err != nil {
			return err
		}
		found.add(maphash.Bytes(seed, it.Key()), row.Price, row.Count)
		if err := c.row(); err != nil {
			return err
		}
	}
	if found != expected {
		c.fault("index usage: the sums are not what the journal makes")
	}
	return nil
}

// A fingerprint of rows does not depend on their order, nor on the parts that
// their sums are made of. It is two numbers modulo 2^61-1.
type fingerprint struct{ price, count uint64 }

const prime = 1<<61 - 1

func (f *fingerprint) add(key uint64, price, count money.Amount) {
	key %= prime
	f.price = (f.price + times(key, remainder(price))) % prime
	f.count = (f.count + times(key, remainder(count))) % prime
}

// times returns a product modulo the prime of numbers below it.
func times(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi, lo, prime)
	return r
}

// remainder returns an amount modulo the prime.
func remainder(a money.Amount) uint64 {
	hi, lo := a.Parts()
	negative := hi < 0
	if negative {
		minus, ok := a.Neg()
		if !ok {
			return 0 // -2^127, which no sum of the journal is
		}
		hi, lo = minus.Parts()
	}
	_, r := bits.Div64(uint64(hi)%prime, lo, prime)
	if negative && r > 0 {
		r = prime - r
	}
	return r
}
