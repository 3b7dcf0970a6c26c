package postgres

import (
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"saldo/ledger"
	"saldo/money"
)

// errRow is what is said of a row that no version up to this one writes.
var errRow = errors.New("postgres: a stored row is damaged, or of a newer version")

// uid makes a column's value of an account's id or a reference; NULL of none.
func uid[T ~[16]byte](id T) pgtype.UUID {
	return pgtype.UUID{Bytes: [16]byte(id), Valid: [16]byte(id) != [16]byte{}}
}

// amount is an amount as text: numeric has more room than 128 bits need.
func amount(a money.Amount) string { return a.Text(0) }

// An amounts reads numerics that were selected as text.
type amountText struct{ to *money.Amount }

func (t amountText) ScanText(v pgtype.Text) (err error) {
	if !v.Valid {
		return errRow
	}
	*t.to, err = money.Parse(v.String, 0)
	return err
}

const accountColumns = `id, parent, tenant, book, unit, mode, status, depth, posted::text, held::text, credit::text, cap::text,
	children, open_holds, created, updated, seq, version, erased, profile_seq, profile_n`

func scanAccount(row pgx.CollectableRow) (*ledger.Account, error) {
	var a ledger.Account
	var parent pgtype.UUID
	var mode, status, depth int16
	var cap pgtype.Text
	err := row.Scan((*[16]byte)(&a.ID), &parent, &a.Tenant, &a.Book, &a.Unit, &mode, &status, &depth,
		amountText{&a.Posted}, amountText{&a.Held}, amountText{&a.Limit}, &cap,
		&a.Children, &a.OpenHolds, &a.Created, &a.Updated, &a.Seq, &a.Version, &a.Erased, &a.Profile.Seq, &a.Profile.N)
	if err != nil {
		return nil, err
	}
	a.Parent = parent.Bytes
	a.Mode, a.Status, a.Depth = ledger.Mode(mode), ledger.Status(status), uint8(depth)
	if a.HasCap = cap.Valid; a.HasCap {
		a.Cap, err = money.Parse(cap.String, 0)
	}
	return &a, err
}

func queueAccounts(p *pgx.Batch, b *ledger.Batch) {
	opened := map[ledger.AccountID]bool{}
	for i := range b.Books {
		for _, e := range b.Books[i].Events {
			for k := range e.Opened {
				opened[e.Opened[k].Account] = true
			}
		}
	}
	var made, rest []*ledger.Account
	for _, a := range b.Accounts {
		if opened[a.ID] {
			made = append(made, a)
		} else {
			rest = append(rest, a)
		}
	}
	const insert = `INSERT INTO saldo.accounts (id, parent, tenant, book, unit, mode, status, depth, posted, held, credit, cap,
		children, open_holds, created, updated, seq, version, erased, profile_seq, profile_n)
	SELECT id, parent, tenant, book, unit, mode, status, depth, posted::numeric, held::numeric, credit::numeric, cap::numeric,
		children, open_holds, created, updated, seq, version, erased, profile_seq, profile_n
	FROM unnest((SELECT $1::uuid[]), $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[], $7::smallint[], $8::smallint[],
		$9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
		$18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[])
	AS k (id, parent, tenant, book, unit, mode, status, depth, posted, held, credit, cap,
		children, open_holds, created, updated, seq, version, erased, profile_seq, profile_n)`
	queue := func(sql string, rows []*ledger.Account) {
		if len(rows) == 0 {
			return
		}
		type a = *ledger.Account
		p.Queue(sql,
			column(rows, func(a a) pgtype.UUID { return uid(a.ID) }),
			column(rows, func(a a) pgtype.UUID { return uid(a.Parent) }),
			column(rows, func(a a) int64 { return int64(a.Tenant) }),
			column(rows, func(a a) int64 { return int64(a.Book) }),
			column(rows, func(a a) int64 { return int64(a.Unit) }),
			column(rows, func(a a) int16 { return int16(a.Mode) }),
			column(rows, func(a a) int16 { return int16(a.Status) }),
			column(rows, func(a a) int16 { return int16(a.Depth) }),
			column(rows, func(a a) string { return amount(a.Posted) }),
			column(rows, func(a a) string { return amount(a.Held) }),
			column(rows, func(a a) string { return amount(a.Limit) }),
			column(rows, func(a a) pgtype.Text {
				if !a.HasCap {
					return pgtype.Text{}
				}
				return pgtype.Text{String: amount(a.Cap), Valid: true}
			}),
			column(rows, func(a a) int64 { return int64(a.Children) }),
			column(rows, func(a a) int64 { return int64(a.OpenHolds) }),
			column(rows, func(a a) int64 { return int64(a.Created) }),
			column(rows, func(a a) int64 { return int64(a.Updated) }),
			column(rows, func(a a) int64 { return int64(a.Seq) }),
			column(rows, func(a a) int64 { return int64(a.Version) }),
			column(rows, func(a a) int64 { return int64(a.Erased) }),
			column(rows, func(a a) int64 { return int64(a.Profile.Seq) }),
			column(rows, func(a a) int64 { return int64(a.Profile.N) }))
	}
	queue(insert, made) // fails if an id is taken, in whatever book
	queue(insert+` ON CONFLICT (id) DO UPDATE SET status = excluded.status, posted = excluded.posted, held = excluded.held,
		credit = excluded.credit, cap = excluded.cap, children = excluded.children, open_holds = excluded.open_holds,
		updated = excluded.updated, seq = excluded.seq, version = excluded.version, erased = excluded.erased,
		profile_seq = excluded.profile_seq, profile_n = excluded.profile_n`, rest)
}

const holdColumns = `ref, id, tenant, book, account, via, amount::text, remaining::text, captured::text, expires, state,
	created, updated, seq, opened, text_seq, text_n`

func scanHold(row pgx.CollectableRow) (*ledger.Hold, error) {
	var h ledger.Hold
	var via pgtype.UUID
	var state int16
	err := row.Scan((*[16]byte)(&h.Ref), &h.ID, &h.Tenant, &h.Book, (*[16]byte)(&h.Account), &via,
		amountText{&h.Amount}, amountText{&h.Remaining}, amountText{&h.Captured}, &h.Expires, &state,
		&h.Created, &h.Updated, &h.Seq, &h.Opened, &h.Text.Seq, &h.Text.N)
	h.Via, h.State = via.Bytes, ledger.HoldState(state)
	return &h, err
}

func queueHolds(p *pgx.Batch, rows []ledger.HoldRow) {
	if len(rows) == 0 {
		return
	}
	type h = ledger.HoldRow
	p.Queue(`INSERT INTO saldo.holds (ref, id, tenant, book, account, via, owner, amount, remaining, captured, expires, state,
		created, updated, seq, opened, text_seq, text_n)
	SELECT ref, id, tenant, book, account, via, owner, amount::numeric, remaining::numeric, captured::numeric, expires, state,
		created, updated, seq, opened, text_seq, text_n
	FROM unnest((SELECT $1::uuid[]), $2::text[], $3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[],
		$11::bigint[], $12::smallint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
	AS k (ref, id, tenant, book, account, via, owner, amount, remaining, captured, expires, state, created, updated, seq, opened, text_seq, text_n)
	ON CONFLICT (ref) DO UPDATE SET amount = excluded.amount, remaining = excluded.remaining, captured = excluded.captured,
		expires = excluded.expires, state = excluded.state, updated = excluded.updated, seq = excluded.seq`,
		column(rows, func(h h) pgtype.UUID { return uid(h.Now.Ref) }),
		column(rows, func(h h) string { return h.Now.ID }),
		column(rows, func(h h) int64 { return int64(h.Now.Tenant) }),
		column(rows, func(h h) int64 { return int64(h.Now.Book) }),
		column(rows, func(h h) pgtype.UUID { return uid(h.Now.Account) }),
		column(rows, func(h h) pgtype.UUID { return uid(h.Now.Via) }),
		column(rows, func(h h) pgtype.UUID { return uid(h.Now.Owner()) }),
		column(rows, func(h h) string { return amount(h.Now.Amount) }),
		column(rows, func(h h) string { return amount(h.Now.Remaining) }),
		column(rows, func(h h) string { return amount(h.Now.Captured) }),
		column(rows, func(h h) int64 { return int64(h.Now.Expires) }),
		column(rows, func(h h) int16 { return int16(h.Now.State) }),
		column(rows, func(h h) int64 { return int64(h.Now.Created) }),
		column(rows, func(h h) int64 { return int64(h.Now.Updated) }),
		column(rows, func(h h) int64 { return int64(h.Now.Seq) }),
		column(rows, func(h h) int64 { return int64(h.Now.Opened) }),
		column(rows, func(h h) int64 { return int64(h.Now.Text.Seq) }),
		column(rows, func(h h) int64 { return int64(h.Now.Text.N) }))
}

// recordColumns are of saldo.records r left join saldo.texts t.
const recordColumns = `r.book, r.kind, r.key, r.data, t.data, r.text_seq, r.text_n, r.version, r.seq, r.created, r.updated, r.deadline, r.entries, r.counters`

const recordTables = ` FROM saldo.records r LEFT JOIN saldo.texts t ON r.text_n <> 0 AND t.book = r.book AND t.seq = r.text_seq AND t.n = r.text_n `

func scanRecord(row pgx.CollectableRow) (*ledger.Record, error) {
	var rec ledger.Record
	var kind, key, data, text, entries, counters []byte
	err := row.Scan(&rec.Book, &kind, &key, &data, &text, &rec.At.Seq, &rec.At.N, &rec.Version, &rec.Seq,
		&rec.Created, &rec.Updated, &rec.Deadline, &entries, &counters)
	if err != nil {
		return nil, err
	}
	rec.Kind, rec.Key, rec.Data = string(kind), string(key), data
	if rec.At != (ledger.TextAt{}) {
		rec.Data = text
	}
	if len(rec.Data) == 0 {
		rec.Data = nil
	}
	if rec.Index, err = readEntries(entries); err == nil {
		rec.Counters, err = readCounters(counters)
	}
	if err != nil {
		return nil, err
	}
	return &rec, nil
}

// A record's index entries in its row: of each, name and value, each a LEB128
// length and the bytes. Its counters: name, value (zigzag LEB128).
func appendEntries(dst []byte, index []ledger.IndexEntry) []byte {
	for _, e := range index {
		dst = appendBytes(appendBytes(dst, e.Name), e.Value)
	}
	return dst
}

func appendCounters(dst []byte, counters []ledger.Counter) []byte {
	for _, c := range counters {
		dst = binary.AppendVarint(appendBytes(dst, c.Name), c.Value)
	}
	return dst
}

func readEntries(b []byte) ([]ledger.IndexEntry, error) {
	return readAll(b, func(r *reader) ledger.IndexEntry { return ledger.IndexEntry{Name: r.string(), Value: r.string()} })
}

func readCounters(b []byte) ([]ledger.Counter, error) {
	return readAll(b, func(r *reader) ledger.Counter { return ledger.Counter{Name: r.string(), Value: r.varint()} })
}

// readAll reads one after the other what a column has.
func readAll[T any](b []byte, next func(*reader) T) (all []T, err error) {
	r := reader{b: b}
	for len(r.b) > 0 {
		all = append(all, next(&r))
	}
	if r.bad {
		return nil, errRow
	}
	return all, nil
}

func queueRecords(p *pgx.Batch, rows []ledger.RecordRow) {
	var now, gone []*ledger.Record
	var was, is []entry
	for _, r := range rows {
		switch {
		case r.Now != nil:
			now = append(now, r.Now)
			is = appendEntriesOf(is, r.Now)
		case r.Was != nil:
			gone = append(gone, r.Was)
		}
		if r.Was != nil {
			was = appendEntriesOf(was, r.Was)
		}
	}
	type r = *ledger.Record
	book := func(r r) int64 { return int64(r.Book) }
	kind := func(r r) []byte { return []byte(r.Kind) }
	key := func(r r) []byte { return []byte(r.Key) }
	if was, is = differing(was, is); len(was) > 0 {
		p.Queue(`DELETE FROM saldo.entries e USING unnest((SELECT $1::bigint[]), $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) AS k (book, kind, name, value, key)
			WHERE e.book = k.book AND e.kind = k.kind AND e.name = k.name AND e.value = k.value AND e.key = k.key`, entryArgs(was)...)
	}
	if len(gone) > 0 {
		p.Queue(`DELETE FROM saldo.records r USING unnest((SELECT $1::bigint[]), $2::bytea[], $3::bytea[]) AS k (book, kind, key)
			WHERE r.book = k.book AND r.kind = k.kind AND r.key = k.key`, column(gone, book), column(gone, kind), column(gone, key))
	}
	if len(now) > 0 {
		p.Queue(`INSERT INTO saldo.records (book, kind, key, data, text_seq, text_n, version, seq, created, updated, deadline, entries, counters)
		SELECT * FROM unnest((SELECT $1::bigint[]), $2::bytea[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
			$10::bigint[], $11::bigint[], $12::bytea[], $13::bytea[])
		ON CONFLICT (book, kind, key) DO UPDATE SET data = excluded.data, text_seq = excluded.text_seq, text_n = excluded.text_n,
			version = excluded.version, seq = excluded.seq, created = excluded.created, updated = excluded.updated,
			deadline = excluded.deadline, entries = excluded.entries, counters = excluded.counters`,
			column(now, book), column(now, kind), column(now, key),
			column(now, func(r r) []byte {
				if r.At != (ledger.TextAt{}) {
					return nil
				}
				return r.Data
			}),
			column(now, func(r r) int64 { return int64(r.At.Seq) }),
			column(now, func(r r) int64 { return int64(r.At.N) }),
			column(now, func(r r) int64 { return int64(r.Version) }),
			column(now, func(r r) int64 { return int64(r.Seq) }),
			column(now, func(r r) int64 { return int64(r.Created) }),
			column(now, func(r r) int64 { return int64(r.Updated) }),
			column(now, func(r r) int64 { return int64(r.Deadline) }),
			column(now, func(r r) []byte { return appendEntries([]byte{}, r.Index) }),
			column(now, func(r r) []byte { return appendCounters([]byte{}, r.Counters) }))
	}
	if len(is) > 0 {
		p.Queue(`INSERT INTO saldo.entries (book, kind, name, value, key) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
			ON CONFLICT (book, kind, name, value, key) DO NOTHING`, entryArgs(is)...)
	}
}

// An entry is a row of the index of records.
type entry struct {
	key ledger.RecordKey
	ledger.IndexEntry
}

func appendEntriesOf(dst []entry, r *ledger.Record) []entry {
	for _, e := range r.Index {
		dst = append(dst, entry{r.RecordKey, e})
	}
	return dst
}

// differing leaves out what is in both.
func differing(was, is []entry) (gone, made []entry) {
	had, has := map[entry]bool{}, map[entry]bool{}
	for _, e := range was {
		had[e] = true
	}
	for _, e := range is {
		if !had[e] && !has[e] {
			made = append(made, e)
		}
		has[e] = true
	}
	for e := range had {
		if !has[e] {
			gone = append(gone, e)
		}
	}
	return gone, made
}

func entryArgs(entries []entry) []any {
	return []any{
		column(entries, func(e entry) int64 { return int64(e.key.Book) }),
		column(entries, func(e entry) []byte { return []byte(e.key.Kind) }),
		column(entries, func(e entry) []byte { return []byte(e.Name) }),
		column(entries, func(e entry) []byte { return []byte(e.Value) }),
		column(entries, func(e entry) []byte { return []byte(e.key.Key) }),
	}
}

func queueRefunds(p *pgx.Batch, rows []ledger.RefundRow) {
	if len(rows) == 0 {
		return
	}
	type r = ledger.RefundRow
	p.Queue(`INSERT INTO saldo.refunds (book, seq, n, refunded)
	SELECT book, seq, n, refunded::numeric FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::bigint[], $4::text[]) AS k (book, seq, n, refunded)
	ON CONFLICT (book, seq, n) DO UPDATE SET refunded = excluded.refunded`,
		column(rows, func(r r) int64 { return int64(r.Of.Book) }),
		column(rows, func(r r) int64 { return int64(r.Of.Seq) }),
		column(rows, func(r r) int64 { return int64(r.Of.N) }),
		column(rows, func(r r) string { return amount(r.Refunded) }))
}

// queueIDs takes ids, in one order whoever takes them, so that two that take the
// same do not wait for each other.
func queueIDs(p *pgx.Batch, rows []ledger.IDRow) {
	if len(rows) == 0 {
		return
	}
	type r = ledger.IDRow
	p.Queue(`INSERT INTO saldo.ids (ref, book, seq, n) SELECT * FROM unnest((SELECT $1::uuid[]), $2::bigint[], $3::bigint[], $4::bigint[]) AS k (ref, book, seq, n) ORDER BY k.ref`,
		column(rows, func(r r) pgtype.UUID { return uid(r.Ref) }),
		column(rows, func(r r) int64 { return int64(r.At.Book) }),
		column(rows, func(r r) int64 { return int64(r.At.Seq) }),
		column(rows, func(r r) int64 { return int64(r.At.N) }))
}

// A reader takes bytes apart. After the first part that does not fit it is bad
// and yields zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes()) }

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
