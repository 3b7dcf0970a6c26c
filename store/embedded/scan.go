package embedded

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"saldo/ledger"
)

// Scan yields what q asks for. See [ledger.Store]. Lists that a derived index
// serves begin by waiting for it.
func (s *Store) Scan(ctx context.Context, q ledger.Query) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		sc := &scanner{s: s, ctx: ctx, q: q, yield: yield}
		if err := sc.run(); err != nil && !sc.stopped {
			yield(ledger.Row{}, err)
		}
	}
}

// A scanner yields the rows of one query.
type scanner struct {
	s       *Store
	ctx     context.Context
	q       ledger.Query
	yield   func(ledger.Row, error) bool
	loader  loader        // reads the view: what is durable
	index   pebble.Reader // what derived rows are read from
	n       int           // rows yielded
	stopped bool          // the caller wants no more
}

func (sc *scanner) run() error {
	list, derived := sc.list()
	if list == nil {
		return fmt.Errorf("embedded: no list %d", sc.q.List)
	}
	if derived {
		if err := sc.s.index.wait(sc.ctx); err != nil {
			return err
		}
		if err := sc.s.err(); err != nil {
			return err
		}
		// Taken before the view, so that every row that the index names is in
		// the view: the indexer is fed after the view was.
		index := sc.s.db.NewSnapshot()
		defer index.Close()
		sc.index = index
	}
	v, err := sc.s.view(sc.ctx)
	if err != nil {
		return err
	}
	defer v.release()
	sc.loader.r = v
	return list(sc)
}

// list returns what makes the list, and whether it needs the derived indexes.
func (sc *scanner) list() (list func(*scanner) error, derived bool) {
	switch sc.q.List {
	case ledger.ListEvents:
		return (*scanner).events, false
	case ledger.ListStatement:
		return (*scanner).statement, true
	case ledger.ListAccounts:
		if sc.q.All {
			return (*scanner).allAccounts, false
		}
		return (*scanner).accounts, true
	case ledger.ListHolds:
		if sc.q.All {
			return (*scanner).allHolds, false
		}
		return (*scanner).holds, true
	case ledger.ListRecords:
		switch {
		case sc.q.All:
			return (*scanner).allRecords, false
		case sc.q.Index != "":
			return (*scanner).recordsByIndex, false
		}
		return (*scanner).records, false
	case ledger.ListDeadlines:
		return (*scanner).deadlines, false
	case ledger.ListSearch:
		return (*scanner).search, true
	case ledger.ListHeads:
		return (*scanner).heads, false
	case ledger.ListUsage:
		return (*scanner).usage, true
	case ledger.ListCategories:
		return (*scanner).categories, true
	}
	return nil, false
}

// row yields one row and reports whether to go on.
func (sc *scanner) row(r ledger.Row) bool {
	sc.n++
	if !sc.yield(r, nil) {
		sc.stopped = true
		return false
	}
	return sc.q.Limit <= 0 || sc.n < sc.q.Limit
}

// keys calls row with each key and value that begins with prefix, after from if
// that is set, until row returns false. Both are valid during the call.
func (sc *scanner) keys(r pebble.Reader, prefix []byte, from string, row func(key, value []byte) (bool, error)) error {
	lower, upper := prefix, after(prefix)
	down := sc.q.List == ledger.ListRecords && sc.q.Reverse && !sc.q.All
	switch {
	case from == "":
	case down:
		upper = append(bytes.Clone(prefix), from...)
	default:
		lower = append(append(bytes.Clone(prefix), from...), 0)
	}
	for it, err := range walk(r, lower, upper, down) {
		if err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		if ok, err := row(it.Key(), value); !ok || err != nil {
			return err
		}
	}
	return nil
}

// each yields an iterator at each key from lower to before upper.
func each(r pebble.Reader, lower, upper []byte) iter.Seq2[*pebble.Iterator, error] {
	return walk(r, lower, upper, false)
}

// walk is each or, with down, the same from the last key to the first.
func walk(r pebble.Reader, lower, upper []byte, down bool) iter.Seq2[*pebble.Iterator, error] {
	return func(yield func(*pebble.Iterator, error) bool) {
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(nil, err)
			return
		}
		first, next := it.First, it.Next
		if down {
			first, next = it.Last, it.Prev
		}
		for ok := first(); ok; ok = next() {
			if !yield(it, nil) {
				_ = it.Close() // the caller has what it wanted
				return
			}
		}
		if err := it.Close(); err != nil {
			yield(nil, err)
		}
	}
}

// events lists a book's events after q.After whose time is not after q.Until.
func (sc *scanner) events() error {
	j, last, err := sc.openJournal(sc.q.Book)
	if err != nil {
		return err
	}
	defer j.close()
	first := sc.q.After + 1
	if sc.q.Reverse {
		if sc.q.After != 0 {
			last = min(last, sc.q.After-1)
		}
		for seq := last; seq > 0; seq-- {
			if ok, err := sc.eventRow(j, seq); !ok || err != nil {
				return err
			}
		}
		return nil
	}
	for seq := first; seq <= last; seq++ {
		if ok, err := sc.eventRow(j, seq); !ok || err != nil {
			return err
		}
	}
	return nil
}

// openJournal opens a book and returns the last seq that the query may list.
func (sc *scanner) openJournal(book ledger.BookID) (*journal, uint64, error) {
	head, err := sc.loader.head(book)
	if err != nil {
		return nil, 0, err
	}
	var last uint64
	if head != nil {
		last = head.Seq
	}
	j, err := openJournal(sc.loader.r, book)
	if err != nil {
		return nil, 0, err
	}
	if sc.q.Until != 0 {
		if last, err = j.seqAt(sc.q.Until, last); err != nil {
			j.close()
			return nil, 0, err
		}
	}
	return j, last, nil
}

func (sc *scanner) eventRow(j *journal, seq uint64) (bool, error) {
	if err := sc.ctx.Err(); err != nil {
		return false, err
	}
	e, b, err := j.event(seq)
	if err != nil {
		return false, err
	}
	if e == nil {
		return false, fmt.Errorf("%w: book %d, event %d", errGap, j.book, seq)
	}
	return sc.row(ledger.Row{Event: e, Bytes: b}), nil
}

// statement lists the events that touched an account, from its chunks.
func (sc *scanner) statement() error {
	account, err := sc.loader.account(sc.q.Account)
	if account == nil || err != nil {
		return err
	}
	j, last, err := sc.openJournal(account.Book)
	if err != nil {
		return err
	}
	defer j.close()
	prefix := append([]byte{kStatement}, sc.q.Account[:]...)
	it, err := sc.index.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()

	// The chunk that q.After is in begins there or before.
	first := sc.q.After + 1
	step, ok := it.Next, false
	if sc.q.Reverse {
		if sc.q.After != 0 {
			last = min(last, sc.q.After-1)
		}
		first, step = 1, it.Prev
		ok = it.SeekLT(chunkKey(nil, sc.q.Account, last+1))
	} else if ok = it.SeekLT(chunkKey(nil, sc.q.Account, first+1)); !ok {
		ok = it.First()
	}
	var seqs []uint64
	for ; ok; ok = step() {
		if seqs, err = readChunk(seqs[:0], it); err != nil {
			return err
		}
		if sc.q.Reverse {
			slices.Reverse(seqs)
		}
		for _, seq := range seqs {
			if seq < first || seq > last {
				if seq > last && !sc.q.Reverse {
					return nil
				}
				continue
			}
			if ok, err := sc.eventRow(j, seq); !ok || err != nil {
				return err
			}
		}
	}
	return it.Error()
}

func readChunk(dst []uint64, it *pebble.Iterator) ([]uint64, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return dst, err
	}
	if len(it.Key()) != 25 {
		return dst, rowError(it.Key(), errBadKey)
	}
	dst, err = decodeChunk(dst, be.Uint64(it.Key()[17:]), value)
	if err != nil {
		return dst, rowError(it.Key(), err)
	}
	return dst, nil
}

// accounts lists the accounts of a tenant, or the children of one. The ledger's
// own accounts of a book (@cash and so on) are in neither.
func (sc *scanner) accounts() error {
	prefix := tenantKey(nil, sc.q.Tenant, sc.q.Roots)
	if !sc.q.Parent.IsZero() {
		prefix = childPrefix(nil, sc.q.Parent)
	}
	return sc.keys(sc.index, prefix, sc.q.From, func(key, _ []byte) (bool, error) {
		return sc.accountRow(string(key[len(prefix):]), key[len(prefix):])
	})
}

// accountRow yields the account that a derived row names.
func (sc *scanner) accountRow(from string, id []byte) (bool, error) {
	if len(id) != 16 {
		return false, errBadKey
	}
	a, err := sc.loader.account(ledger.AccountID(id))
	if a == nil {
		return err == nil, err
	}
	return sc.row(ledger.Row{Key: from, Account: a}), nil
}

func (sc *scanner) allAccounts() error {
	return sc.keys(sc.loader.r, []byte{kAccount}, sc.q.From, func(key, value []byte) (bool, error) {
		if len(key) != 17 {
			return false, rowError(key, errBadKey)
		}
		a, err := decodeAccount(ledger.AccountID(key[1:]), value)
		if err != nil {
			return false, rowError(key, err)
		}
		return sc.row(ledger.Row{Key: string(key[1:]), Account: a}), nil
	})
}

// holds lists the holds of the account that their maker named, by when they
// were placed.
func (sc *scanner) holds() error {
	kind := byte(kHolds)
	if sc.q.Open {
		kind = kOpenHolds
	}
	prefix := holdsPrefix(nil, kind, sc.q.Account)
	return sc.keys(sc.index, prefix, sc.q.From, func(key, _ []byte) (bool, error) {
		if len(key) != 41 {
			return false, rowError(key, errBadKey)
		}
		h, err := sc.loader.hold(ledger.Ref(key[25:]))
		if h == nil || sc.q.Open && h.State != ledger.HoldOpen { // closed since
			return err == nil, err
		}
		return sc.row(ledger.Row{Key: string(key[len(prefix):]), Hold: h}), nil
	})
}

func (sc *scanner) allHolds() error {
	return sc.keys(sc.loader.r, []byte{kHold}, sc.q.From, func(key, value []byte) (bool, error) {
		if len(key) != 17 {
			return false, rowError(key, errBadKey)
		}
		h, err := decodeHold(ledger.Ref(key[1:]), value)
		if err != nil {
			return false, rowError(key, err)
		}
		return sc.row(ledger.Row{Key: string(key[1:]), Hold: h}), nil
	})
}

// records lists the records of a kind by their keys.
func (sc *scanner) records() error {
	return sc.recordRows(recordPrefix(nil, kRecord, sc.q.Book, sc.q.Kind))
}

func (sc *scanner) allRecords() error { return sc.recordRows([]byte{kRecord}) }

func (sc *scanner) recordRows(prefix []byte) error {
	return sc.keys(sc.loader.r, prefix, sc.q.From, func(key, value []byte) (bool, error) {
		k, err := parseRecordKey(key)
		if err != nil {
			return false, rowError(key, err)
		}
		rec, err := decodeRecord(k, value)
		if err != nil {
			return false, rowError(key, err)
		}
		if err := sc.loader.fillIn(rec); err != nil {
			return false, err
		}
		return sc.row(ledger.Row{Key: string(key[len(prefix):]), Record: rec}), nil
	})
}

// recordsByIndex lists them by the values of an index, once for each value.
func (sc *scanner) recordsByIndex() error {
	all := entryPrefix(nil, sc.q.Book, sc.q.Kind, sc.q.Index)
	prefix := all
	if sc.q.Value != "" {
		prefix = appendEscaped(bytes.Clone(all), sc.q.Value)
	}
	return sc.keys(sc.loader.r, prefix, sc.q.From, func(key, _ []byte) (bool, error) {
		of, ok := cutEscaped(key[len(all):])
		if !ok {
			return false, rowError(key, errBadKey)
		}
		rec, err := sc.loader.record(ledger.RecordKey{Book: sc.q.Book, Kind: sc.q.Kind, Key: string(of)})
		if rec == nil {
			return err == nil, err
		}
		if err != nil {
			return false, err
		}
		return sc.row(ledger.Row{Key: string(key[len(prefix):]), Record: rec}), nil
	})
}

// deadlines lists what is due until a time, the earliest first.
func (sc *scanner) deadlines() error {
	upper := []byte{kDeadline + 1}
	if sc.q.Until != 0 {
		upper = deadlinePrefix(nil, sc.q.Until+1)
	}
	lower := []byte{kDeadline}
	if sc.q.From != "" {
		lower = append(append(lower, sc.q.From...), 0)
	}
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	for it, err := range each(sc.loader.r, lower, upper) {
		if err != nil {
			return err
		}
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		due, err := parseDeadlineKey(it.Key())
		if err != nil {
			return rowError(it.Key(), err)
		}
		if sc.q.Books != nil && !slices.Contains(sc.q.Books, due.Book) {
			continue
		}
		if !sc.row(ledger.Row{Key: string(it.Key()[1:]), Due: due}) {
			return nil
		}
	}
	return nil
}

// search lists the accounts of a tenant that have a word which begins with
// q.Word, each once, by the first such word.
func (sc *scanner) search() error {
	word := strings.ToLower(sc.q.Word)
	all := wordPrefix(nil, sc.q.Tenant, "")
	prefix := append(bytes.Clone(all), word...)
	return sc.keys(sc.index, prefix, sc.q.From, func(key, _ []byte) (bool, error) {
		w, id, ok := bytes.Cut(key[len(all):], []byte{0})
		if !ok || len(id) != 16 {
			return false, rowError(key, errBadKey)
		}
		words, err := get(sc.index, wordsKey(nil, ledger.AccountID(id)), decodeWords)
		if err != nil {
			return false, err
		}
		for _, earlier := range words {
			if strings.HasPrefix(earlier, word) && earlier < string(w) {
				return true, nil // it was listed there
			}
		}
		return sc.accountRow(string(key[len(prefix):]), id)
	})
}

func (sc *scanner) heads() error {
	for head, err := range scanHeads(sc.loader.r) {
		if err != nil {
			return err
		}
		if !sc.row(ledger.Row{Head: head}) {
			return nil
		}
	}
	return nil
}

// scanHeads yields the head of every book.
func scanHeads(r pebble.Reader) iter.Seq2[*ledger.Head, error] {
	return func(yield func(*ledger.Head, error) bool) {
		for it, err := range each(r, []byte{kHead}, []byte{kHead + 1}) {
			var head *ledger.Head
			if err == nil {
				head, err = readHead(it)
			}
			if !yield(head, err) || err != nil {
				return
			}
		}
	}
}

func readHead(it *pebble.Iterator) (*ledger.Head, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	if len(it.Key()) != 5 {
		return nil, rowError(it.Key(), errBadKey)
	}
	return decodeHead(ledger.BookID(be.Uint32(it.Key()[1:])), value)
}
