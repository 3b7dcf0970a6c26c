package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"saldo/ledger"
)

// Rows that are read at once. No connection is held while the caller looks at
// them.
const (
	pageRows   = 500
	pageBlocks = 32
)

// Scan yields what q asks for, page by page. See [ledger.Store].
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
	n       int  // rows yielded
	stopped bool // the caller wants no more
}

func (sc *scanner) run() error {
	switch sc.q.List {
	case ledger.ListEvents:
		return sc.events()
	case ledger.ListStatement:
		return sc.statement()
	case ledger.ListAccounts:
		return sc.accounts()
	case ledger.ListHolds:
		return sc.holds()
	case ledger.ListRecords:
		if sc.q.Index != "" && !sc.q.All {
			return sc.recordsByIndex()
		}
		return sc.records()
	case ledger.ListDeadlines:
		return sc.deadlines()
	case ledger.ListSearch:
		return sc.search()
	case ledger.ListHeads:
		return sc.heads()
	case ledger.ListUsage:
		return sc.usage()
	case ledger.ListCategories:
		return sc.categories()
	}
	return fmt.Errorf("postgres: no list %d", sc.q.List)
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

// page is how many rows the next page has.
func (sc *scanner) page() int {
	if sc.q.Limit > 0 {
		return min(pageRows, sc.q.Limit-sc.n)
	}
	return pageRows
}

// query reads one page.
func query[R any](sc *scanner, scan pgx.RowToFunc[R], sql string, args ...any) (rows []R, err error) {
	err = sc.s.read(sc.ctx, func(ctx context.Context, conn querier) error {
		found, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		rows, err = pgx.CollectRows(found, scan)
		return err
	})
	return rows, err
}

// pages reads a list page by page, from a cursor that each row has: next reads
// the page after one.
func pages[R any](sc *scanner, next func(from string, limit int) ([]R, error), row func(R) ledger.Row) error {
	for from := sc.q.From; ; {
		limit := sc.page()
		rows, err := next(from, limit)
		if err != nil {
			return err
		}
		for _, r := range rows {
			out := row(r)
			from = out.Key
			if !sc.row(out) {
				return nil
			}
		}
		if len(rows) < limit {
			return nil
		}
	}
}

// seqAt returns the seq of the last event of a book that is not after a time.
func (sc *scanner) seqAt(book ledger.BookID, at ledger.Time) (uint64, error) {
	blocks, err := query(sc, scanBlock, `SELECT seq, n, events FROM saldo.journal WHERE book = $1 AND time > $2 ORDER BY time, seq LIMIT 1`, int64(book), int64(at))
	if err != nil || len(blocks) == 0 {
		return math.MaxInt64, err // all of them
	}
	last := blocks[0].first - 1
	for seq := blocks[0].first; seq <= blocks[0].last; seq++ {
		e, err := ledger.DecodeEvent(blocks[0].bytes(seq), book)
		if err != nil {
			return 0, err
		}
		if e.Time > at {
			break
		}
		last = seq
	}
	return last, nil
}

// bounds returns the first and the last seq that the query may list.
func (sc *scanner) bounds(book ledger.BookID) (first, last uint64, err error) {
	first, last = sc.q.After+1, math.MaxInt64
	if sc.q.Until != 0 {
		if last, err = sc.seqAt(book, sc.q.Until); err != nil {
			return 0, 0, err
		}
	}
	if sc.q.Reverse {
		first = 1
		if sc.q.After != 0 {
			last = min(last, sc.q.After-1)
		}
	}
	return first, last, nil
}

// events lists a book's events after q.After whose time is not after q.Until.
func (sc *scanner) events() error {
	first, last, err := sc.bounds(sc.q.Book)
	for err == nil && first <= last && !sc.stopped {
		var blocks []block
		if sc.q.Reverse {
			// From the block that has the last one on, or that ends before it.
			blocks, err = query(sc, scanBlock, `SELECT seq, n, events FROM saldo.journal WHERE book = $1
				AND seq <= coalesce((SELECT min(seq) FROM saldo.journal WHERE book = $1 AND seq >= $2), $2) ORDER BY seq DESC LIMIT $3`,
				int64(sc.q.Book), int64(last), pageBlocks)
		} else {
			blocks, err = query(sc, scanBlock, `SELECT seq, n, events FROM saldo.journal WHERE book = $1 AND seq >= $2 ORDER BY seq LIMIT $3`,
				int64(sc.q.Book), int64(first), pageBlocks)
		}
		if err != nil || len(blocks) == 0 {
			return err
		}
		for i := range blocks {
			more, err := sc.blockRows(&blocks[i], sc.q.Book, first, last)
			if !more || err != nil {
				return err
			}
			if sc.q.Reverse {
				last = blocks[i].first - 1
			} else {
				first = blocks[i].last + 1
			}
		}
		if len(blocks) < pageBlocks {
			return nil
		}
	}
	return err
}

// blockRows yields a block's events within bounds.
func (sc *scanner) blockRows(b *block, book ledger.BookID, first, last uint64) (more bool, err error) {
	first, last = max(first, b.first), min(last, b.last)
	for n := range last + 1 - min(first, last+1) {
		seq := first + n
		if sc.q.Reverse {
			seq = last - n
		}
		if more, err = sc.eventRow(b.bytes(seq), book, seq); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (sc *scanner) eventRow(encoding []byte, book ledger.BookID, seq uint64) (bool, error) {
	e, err := ledger.DecodeEvent(encoding, book)
	if err != nil {
		return false, fmt.Errorf("book %d, event %d: %w", book, seq, err)
	}
	return sc.row(ledger.Row{Event: e, Bytes: encoding}), nil
}

// statement lists the events that touched an account.
func (sc *scanner) statement() error {
	snap, err := sc.s.Load(sc.ctx, &ledger.Keys{Accounts: []ledger.AccountID{sc.q.Account}})
	if err != nil || snap.Accounts[0] == nil {
		return err
	}
	book := snap.Accounts[0].Book
	first, last, err := sc.bounds(book)
	for err == nil && first <= last {
		var seqs []uint64
		var full bool
		if seqs, full, err = sc.statementSeqs(first, last); err != nil || len(seqs) == 0 {
			return err
		}
		for page := range slices.Chunk(seqs, 64) {
			if sc.q.Limit > 0 {
				page = page[:min(len(page), sc.q.Limit-sc.n)]
			}
			blocks, err := query(sc, scanBlock, blocksOf, int64(book), column(page, func(seq uint64) int64 { return int64(seq) }))
			if err != nil {
				return err
			}
			for _, seq := range page {
				at := slices.IndexFunc(blocks, func(b block) bool { return b.first <= seq && seq <= b.last })
				if at < 0 {
					return fmt.Errorf("postgres: book %d has no event %d", book, seq)
				}
				if more, err := sc.eventRow(blocks[at].bytes(seq), book, seq); !more || err != nil {
					return err
				}
			}
		}
		if !full {
			return nil
		}
		if sc.q.Reverse {
			last = seqs[len(seqs)-1] - 1
		} else {
			first = seqs[len(seqs)-1] + 1
		}
	}
	return err
}

// statementSeqs returns the next seqs of a statement, and whether there may be
// more of them.
func (sc *scanner) statementSeqs(first, last uint64) (seqs []uint64, full bool, err error) {
	sql := `SELECT seqs FROM saldo.statements WHERE account = $1 AND seq >= $2 ORDER BY seq LIMIT $3`
	bound := first
	if sc.q.Reverse {
		sql = `SELECT seqs FROM saldo.statements WHERE account = $1
			AND seq <= coalesce((SELECT min(seq) FROM saldo.statements WHERE account = $1 AND seq >= $2), $2) ORDER BY seq DESC LIMIT $3`
		bound = last
	}
	limit := sc.page() + 1 // the first one may have none of them
	chunks, err := query(sc, pgx.RowTo[[]byte], sql, uid(sc.q.Account), int64(bound), limit)
	if err != nil {
		return nil, false, err
	}
	for _, chunk := range chunks {
		of, err := decodeChunk(chunk)
		if err != nil {
			return nil, false, err
		}
		if sc.q.Reverse {
			slices.Reverse(of)
		}
		for _, seq := range of {
			if first <= seq && seq <= last {
				seqs = append(seqs, seq)
			}
		}
	}
	return seqs, len(chunks) == limit, nil
}

func id16(from string) pgtype.UUID {
	var id [16]byte
	copy(id[:], from)
	return pgtype.UUID{Bytes: id, Valid: true}
}

// accounts lists accounts of a tenant, the children of one, or all. The ledger's
// own accounts of a book (@cash and so on) are in the last only.
func (sc *scanner) accounts() error {
	where, args := `tenant = $3 AND mode <> 3`, []any{int64(sc.q.Tenant)}
	switch {
	case sc.q.All:
		where, args = `true`, nil
	case !sc.q.Parent.IsZero():
		where, args = `parent = $3 AND mode <> 3`, []any{uid(sc.q.Parent)}
	case sc.q.Roots:
		where += ` AND parent IS NULL`
	}
	sql := `SELECT ` + accountColumns + ` FROM saldo.accounts WHERE id > $1 AND ` + where + ` ORDER BY id LIMIT $2`
	return pages(sc, func(from string, limit int) ([]*ledger.Account, error) {
		return query(sc, scanAccount, sql, append([]any{id16(from), limit}, args...)...)
	}, func(a *ledger.Account) ledger.Row { return ledger.Row{Key: string(a.ID[:]), Account: a} })
}

// holds lists the holds of the account that their maker named, by when they were
// placed, or all.
func (sc *scanner) holds() error {
	if sc.q.All {
		return pages(sc, func(from string, limit int) ([]*ledger.Hold, error) {
			return query(sc, scanHold, `SELECT `+holdColumns+` FROM saldo.holds WHERE ref > $1 ORDER BY ref LIMIT $2`, id16(from), limit)
		}, func(h *ledger.Hold) ledger.Row { return ledger.Row{Key: string(h.Ref[:]), Hold: h} })
	}
	open := ``
	if sc.q.Open {
		open = `AND state = 1`
	}
	return pages(sc, func(from string, limit int) ([]*ledger.Hold, error) {
		var opened uint64
		if len(from) == 24 {
			opened, from = binary.BigEndian.Uint64([]byte(from)), from[8:]
		}
		return query(sc, scanHold, `SELECT `+holdColumns+` FROM saldo.holds WHERE owner = $1 AND (opened, ref) > ($2, $3) `+open+` ORDER BY opened, ref LIMIT $4`,
			uid(sc.q.Account), int64(opened), id16(from), limit)
	}, func(h *ledger.Hold) ledger.Row {
		key := binary.BigEndian.AppendUint64(nil, h.Opened)
		return ledger.Row{Key: string(append(key, h.Ref[:]...)), Hold: h}
	})
}

// records lists the records of a kind by their keys, or all.
func (sc *scanner) records() error {
	if !sc.q.All {
		return pages(sc, func(from string, limit int) ([]*ledger.Record, error) {
			beyond, order := sc.beyond(from)
			return query(sc, scanRecord, `SELECT `+recordColumns+recordTables+`WHERE r.book = $1 AND r.kind = $2 AND r.key `+beyond+` $3 ORDER BY r.key`+order+` LIMIT $4`,
				int64(sc.q.Book), []byte(sc.q.Kind), []byte(from), limit)
		}, func(r *ledger.Record) ledger.Row { return ledger.Row{Key: r.Key, Record: r} })
	}
	return pages(sc, func(from string, limit int) ([]*ledger.Record, error) {
		r := reader{b: []byte(from)}
		book, kind, key := int64(-1), "", ""
		if from != "" {
			book, kind, key = int64(r.uvarint()), r.string(), string(r.b)
		}
		return query(sc, scanRecord, `SELECT `+recordColumns+recordTables+`WHERE (r.book, r.kind, r.key) > ($1, $2, $3) ORDER BY r.book, r.kind, r.key LIMIT $4`,
			book, []byte(kind), []byte(key), limit)
	}, func(r *ledger.Record) ledger.Row {
		key := appendBytes(binary.AppendUvarint(nil, uint64(r.Book)), r.Kind)
		return ledger.Row{Key: string(append(key, r.Key...)), Record: r}
	})
}

// beyond returns how the keys of the records that follow compare to that of the
// last one, which is empty at the start, and the order that they come in.
func (sc *scanner) beyond(from string) (operator, order string) {
	switch {
	case !sc.q.Reverse:
		return ">", ""
	case from == "":
		return ">=", " DESC"
	}
	return "<", " DESC"
}

// An indexed is a record found by a value.
type indexed struct {
	value  []byte
	record *ledger.Record
}

// recordsByIndex lists them by the values of an index, once for each value.
func (sc *scanner) recordsByIndex() error {
	return pages(sc, func(from string, limit int) ([]indexed, error) {
		beyond, order := sc.beyond(from)
		where := `(e.value, e.key) ` + beyond + ` ($4, $5)`
		if sc.q.Value != "" {
			where = `e.value = $4 AND e.key ` + beyond + ` $5`
		}
		sql := `SELECT e.value, ` + recordColumns + `
			FROM saldo.entries e JOIN saldo.records r ON r.book = e.book AND r.kind = e.kind AND r.key = e.key
			LEFT JOIN saldo.texts t ON r.text_n <> 0 AND t.book = r.book AND t.seq = r.text_seq AND t.n = r.text_n
			WHERE e.book = $1 AND e.kind = $2 AND e.name = $3 AND ` + where + ` ORDER BY e.value` + order + `, e.key` + order + ` LIMIT $6`
		r := reader{b: []byte(from)}
		value, key := []byte{}, []byte{}
		if from != "" {
			value, key = r.bytes(), r.b
		}
		if sc.q.Value != "" {
			value = []byte(sc.q.Value)
		}
		return query(sc, scanIndexed, sql, int64(sc.q.Book), []byte(sc.q.Kind), []byte(sc.q.Index), notNil(value), notNil(key), limit)
	}, func(x indexed) ledger.Row {
		return ledger.Row{Key: string(append(appendBytes(nil, x.value), x.record.Key...)), Record: x.record}
	})
}

// scanIndexed reads a value before a record's columns.
func scanIndexed(row pgx.CollectableRow) (x indexed, err error) {
	x.record, err = scanRecord(after{row, &x.value})
	return x, err
}

// after is a row without its first column.
type after struct {
	pgx.CollectableRow
	first any
}

func (a after) Scan(dest ...any) error {
	return a.CollectableRow.Scan(append([]any{a.first}, dest...)...)
}

// A due is a deadline with where it stands among others: by time, book, holds
// before records, and name.
type due struct {
	ledger.Deadline
	name []byte // a hold's reference; a record's kind, 0, key
}

func (d *due) what() byte {
	if d.Hold.IsZero() {
		return 2
	}
	return 1
}

func (d *due) compare(e *due) int {
	return slices.Compare([]int64{int64(d.At), int64(d.Book), int64(d.what())}, []int64{int64(e.At), int64(e.Book), int64(e.what())})*2 + bytes.Compare(d.name, e.name)
}

func (d *due) key() string {
	key := binary.BigEndian.AppendUint64(nil, uint64(d.At)^1<<63)
	key = binary.BigEndian.AppendUint32(key, uint32(d.Book))
	return string(append(append(key, d.what()), d.name...))
}

func parseDue(key string) (d due, what byte) {
	if len(key) < 13 {
		return due{Deadline: ledger.Deadline{At: math.MinInt64}}, 0
	}
	b := []byte(key)
	d.At = ledger.Time(binary.BigEndian.Uint64(b) ^ 1<<63)
	d.Book = ledger.BookID(binary.BigEndian.Uint32(b[8:]))
	d.name = b[13:]
	return d, b[12]
}

// deadlines lists what is due until a time, the earliest first.
func (sc *scanner) deadlines() error {
	until := int64(sc.q.Until)
	if until == 0 {
		until = math.MaxInt64
	}
	var books []int64 // NULL: all
	if sc.q.Books != nil {
		books = column(sc.q.Books, func(b ledger.BookID) int64 { return int64(b) })
	}
	return pages(sc, func(from string, limit int) ([]due, error) {
		d, what := parseDue(from)
		ref, kind, key := id16(string(d.name)), []byte{}, []byte{}
		switch what {
		case 2: // holds of that time and book came before
			ref.Bytes = [16]byte(bytes.Repeat([]byte{0xff}, 16))
			k, rest, _ := bytes.Cut(d.name, []byte{0})
			kind, key = notNil(k), notNil(rest)
		}
		holds, err := query(sc, scanDueHold, `SELECT expires, book, ref FROM saldo.holds WHERE state = 1 AND expires <> 0
			AND expires <= $1 AND ($2::bigint[] IS NULL OR book = ANY($2)) AND (expires, book, ref) > ($3, $4, $5) ORDER BY expires, book, ref LIMIT $6`,
			until, books, int64(d.At), int64(d.Book), ref, limit)
		if err != nil {
			return nil, err
		}
		records, err := query(sc, scanDueRecord, `SELECT deadline, book, kind, key FROM saldo.records WHERE deadline <> 0
			AND deadline <= $1 AND ($2::bigint[] IS NULL OR book = ANY($2)) AND (deadline, book, kind, key) > ($3, $4, $5, $6) ORDER BY deadline, book, kind, key LIMIT $7`,
			until, books, int64(d.At), int64(d.Book), kind, key, limit)
		both := append(holds, records...)
		slices.SortFunc(both, func(x, y due) int { return x.compare(&y) })
		return both[:min(len(both), limit)], err
	}, func(d due) ledger.Row { return ledger.Row{Key: d.key(), Due: d.Deadline} })
}

func scanDueHold(row pgx.CollectableRow) (d due, err error) {
	err = row.Scan(&d.At, &d.Book, (*[16]byte)(&d.Hold))
	d.name = bytes.Clone(d.Hold[:])
	return d, err
}

func scanDueRecord(row pgx.CollectableRow) (d due, err error) {
	var kind, key []byte
	err = row.Scan(&d.At, &d.Book, &kind, &key)
	d.Record = ledger.RecordKey{Book: d.Book, Kind: string(kind), Key: string(key)}
	d.name = append(append(kind, 0), key...)
	return d, err
}

// A hit is an account that a word has found.
type hit struct {
	word    []byte
	account ledger.AccountID
}

// search lists the accounts of a tenant that have a word which begins with
// q.Word, each once, by the first such word.
func (sc *scanner) search() error {
	word := []byte(strings.ToLower(sc.q.Word))
	next := func(from string, limit int) ([]hit, error) {
		r := reader{b: []byte(from)}
		at, id := word, ""
		if from != "" {
			at, id = r.bytes(), string(r.b)
		}
		return query(sc, func(row pgx.CollectableRow) (h hit, err error) {
			err = row.Scan(&h.word, (*[16]byte)(&h.account))
			return h, err
		}, `SELECT w.word, w.account FROM saldo.words w
			WHERE w.tenant = $1 AND (w.word, w.account) > ($2, $3) AND w.word >= $4 AND w.word < $5
			AND NOT EXISTS (SELECT 1 FROM saldo.words e WHERE e.account = w.account AND e.word >= $4 AND e.word < w.word)
			ORDER BY w.word, w.account LIMIT $6`, int64(sc.q.Tenant), at, id16(id), word, following(word), limit)
	}
	for from := sc.q.From; ; {
		limit := sc.page()
		hits, err := next(from, limit)
		if err != nil {
			return err
		}
		snap, err := sc.s.Load(sc.ctx, &ledger.Keys{Accounts: column(hits, func(h hit) ledger.AccountID { return h.account })})
		if err != nil {
			return err
		}
		for i, h := range hits {
			from = string(append(appendBytes(nil, h.word), h.account[:]...))
			if a := snap.Accounts[i]; a != nil && !sc.row(ledger.Row{Key: from, Account: a}) {
				return nil
			}
		}
		if len(hits) < limit {
			return nil
		}
	}
}

// following returns what sorts after everything that begins with a prefix.
// Words are UTF-8, in which no byte is ff.
func following(prefix []byte) []byte { return append(bytes.Clone(prefix), 0xff) }

func (sc *scanner) heads() error {
	return pages(sc, func(from string, limit int) ([]*ledger.Head, error) {
		after := int64(-1)
		if len(from) == 4 {
			after = int64(binary.BigEndian.Uint32([]byte(from)))
		}
		return query(sc, scanHead, headQuery+` WHERE h.book > $1 `+headGroup+` ORDER BY h.book LIMIT $2`, after, limit)
	}, func(h *ledger.Head) ledger.Row {
		return ledger.Row{Key: string(binary.BigEndian.AppendUint32(nil, uint32(h.Book))), Head: h}
	})
}
