package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"saldo/ledger"
	"saldo/money"
)

// Load returns what keys name, in one round trip. See [ledger.Store].
func (s *Store) Load(ctx context.Context, keys *ledger.Keys) (snap *ledger.Snapshot, err error) {
	err = s.read(ctx, func(ctx context.Context, conn querier) error {
		p := &pgx.Batch{}
		snap = queueLoad(p, keys)
		if p.Len() == 0 {
			return nil
		}
		return conn.SendBatch(ctx, p).Close()
	})
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// queueLoad queues what answers keys, and returns where the answers will be.
func queueLoad(p *pgx.Batch, keys *ledger.Keys) *ledger.Snapshot {
	snap := &ledger.Snapshot{
		Heads:    room[*ledger.Head](keys.Heads),
		Accounts: room[*ledger.Account](keys.Accounts),
		Holds:    room[*ledger.Hold](keys.Holds),
		Records:  room[*ledger.Record](keys.Records),
		IDs:      room[*ledger.TransferAt](keys.IDs),
		Refunds:  room[money.Amount](keys.Refunds),
		Events:   room[*ledger.Event](keys.Events),
		Texts:    room[*ledger.Text](keys.Texts),
	}
	if len(keys.Heads) > 0 {
		q := p.Queue(headQuery+` WHERE h.book = ANY($1::bigint[]) `+headGroup, column(keys.Heads, func(b ledger.BookID) int64 { return int64(b) }))
		answer(q, scanHead, func(h *ledger.Head) ledger.BookID { return h.Book }, keys.Heads, func(i int, row *ledger.Head) { snap.Heads[i] = row })
	}
	if len(keys.Accounts) > 0 {
		q := p.Queue(`SELECT `+accountColumns+` FROM saldo.accounts WHERE id = ANY($1::uuid[])`, column(keys.Accounts, uid[ledger.AccountID]))
		answer(q, scanAccount, func(a *ledger.Account) ledger.AccountID { return a.ID }, keys.Accounts, func(i int, row *ledger.Account) { snap.Accounts[i] = row })
	}
	if len(keys.Holds) > 0 {
		q := p.Queue(`SELECT `+holdColumns+` FROM saldo.holds WHERE ref = ANY($1::uuid[])`, column(keys.Holds, uid[ledger.Ref]))
		answer(q, scanHold, func(h *ledger.Hold) ledger.Ref { return h.Ref }, keys.Holds, func(i int, row *ledger.Hold) { snap.Holds[i] = row })
	}
	if len(keys.Records) > 0 {
		q := p.Queue(`SELECT `+recordColumns+recordTables+`JOIN unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS k (book, kind, key)
			ON r.book = k.book AND r.kind = k.kind AND r.key = k.key`,
			column(keys.Records, func(k ledger.RecordKey) int64 { return int64(k.Book) }),
			column(keys.Records, func(k ledger.RecordKey) []byte { return []byte(k.Kind) }),
			column(keys.Records, func(k ledger.RecordKey) []byte { return []byte(k.Key) }))
		answer(q, scanRecord, func(r *ledger.Record) ledger.RecordKey { return r.RecordKey }, keys.Records, func(i int, row *ledger.Record) { snap.Records[i] = row })
	}
	if len(keys.IDs) > 0 {
		q := p.Queue(`SELECT ref, book, seq, n FROM saldo.ids WHERE ref = ANY($1::uuid[])`, column(keys.IDs, uid[ledger.Ref]))
		answer(q, scanID, func(r ledger.IDRow) ledger.Ref { return r.Ref }, keys.IDs, func(i int, r ledger.IDRow) { snap.IDs[i] = &r.At })
	}
	if len(keys.Refunds) > 0 {
		q := p.Queue(`SELECT r.book, r.seq, r.n, r.refunded::text FROM saldo.refunds r JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (book, seq, n)
			ON r.book = k.book AND r.seq = k.seq AND r.n = k.n`,
			column(keys.Refunds, func(k ledger.TransferAt) int64 { return int64(k.Book) }),
			column(keys.Refunds, func(k ledger.TransferAt) int64 { return int64(k.Seq) }),
			column(keys.Refunds, func(k ledger.TransferAt) int64 { return int64(k.N) }))
		answer(q, scanRefund, func(r ledger.RefundRow) ledger.TransferAt { return r.Of }, keys.Refunds, func(i int, r ledger.RefundRow) { snap.Refunds[i] = r.Refunded })
	}
	queueEvents(p, keys.Events, snap.Events)
	if len(keys.Texts) > 0 {
		q := p.Queue(`SELECT t.book, t.seq, t.n, t.salt, t.data FROM saldo.texts t JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (book, seq, n)
			ON t.book = k.book AND t.seq = k.seq AND t.n = k.n`,
			column(keys.Texts, func(k ledger.TextKey) int64 { return int64(k.Book) }),
			column(keys.Texts, func(k ledger.TextKey) int64 { return int64(k.Seq) }),
			column(keys.Texts, func(k ledger.TextKey) int64 { return int64(k.N) }))
		answer(q, scanText, func(t textRow) ledger.TextKey { return t.key }, keys.Texts, func(i int, t textRow) { snap.Texts[i] = t.text })
	}
	return snap
}

// room returns room for as many answers as there are keys.
func room[V, K any](keys []K) []V {
	if len(keys) == 0 {
		return nil
	}
	return make([]V, len(keys))
}

// answer reads a query's rows, which come in any order and only where there is
// one, and gives each to the place of its key.
func answer[R any, K comparable](q *pgx.QueuedQuery, scan pgx.RowToFunc[R], key func(R) K, keys []K, set func(i int, row R)) {
	q.Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return err
		}
		if len(keys) == 1 {
			for _, row := range found {
				set(0, row)
			}
			return nil
		}
		at := make(map[K]R, len(found))
		for _, row := range found {
			at[key(row)] = row
		}
		for i, k := range keys {
			if row, ok := at[k]; ok {
				set(i, row)
			}
		}
		return nil
	})
}

// A head with its units in one row, so that they are of one moment.
const (
	headQuery = `SELECT h.book, h.tenant, h.seq, h.time, h.hash, array_agg(u.code ORDER BY u.unit), array_agg(u.scale ORDER BY u.unit), array_agg(u.kind ORDER BY u.unit)
		FROM saldo.heads h LEFT JOIN saldo.units u ON u.book = h.book`
	headGroup = ` GROUP BY h.book, h.tenant, h.seq, h.time, h.hash`
)

func scanHead(row pgx.CollectableRow) (*ledger.Head, error) {
	var h ledger.Head
	var hash []byte
	var codes []pgtype.Text
	var scales, kinds []pgtype.Int2
	if err := row.Scan(&h.Book, &h.Tenant, &h.Seq, &h.Time, &hash, &codes, &scales, &kinds); err != nil {
		return nil, err
	}
	copy(h.Hash[:], hash)
	for i, code := range codes {
		if code.Valid { // else there are none
			h.Units = append(h.Units, money.Unit{Code: code.String, Scale: uint8(scales[i].Int16), Kind: money.Kind(kinds[i].Int16)})
		}
	}
	return &h, nil
}

func scanID(row pgx.CollectableRow) (r ledger.IDRow, err error) {
	err = row.Scan((*[16]byte)(&r.Ref), &r.At.Book, &r.At.Seq, &r.At.N)
	return r, err
}

func scanRefund(row pgx.CollectableRow) (r ledger.RefundRow, err error) {
	err = row.Scan(&r.Of.Book, &r.Of.Seq, &r.Of.N, amountText{&r.Refunded})
	return r, err
}

type textRow struct {
	key  ledger.TextKey
	text *ledger.Text
}

func scanText(row pgx.CollectableRow) (r textRow, err error) {
	var salt []byte
	r.text = new(ledger.Text)
	err = row.Scan(&r.key.Book, &r.key.Seq, &r.key.N, &salt, &r.text.Data)
	if len(r.text.Data) == 0 {
		r.text.Data = nil
	}
	copy(r.text.Salt[:], salt)
	return r, err
}

// blocksOf are the blocks of a book that have some of its events, each once.
const blocksOf = `SELECT seq, n, events FROM saldo.journal WHERE book = $1
	AND seq IN (SELECT (SELECT min(j.seq) FROM saldo.journal j WHERE j.book = $1 AND j.seq >= k.seq) FROM unnest($2::bigint[]) AS k (seq))
	ORDER BY seq`

// queueEvents queues the look-up of events, a query for each book.
func queueEvents(p *pgx.Batch, keys []ledger.EventKey, into []*ledger.Event) {
	books := map[ledger.BookID][]int{}
	for i, k := range keys {
		books[k.Book] = append(books[k.Book], i)
	}
	for book, at := range books {
		q := p.Queue(blocksOf, int64(book), column(at, func(i int) int64 { return int64(keys[i].Seq) }))
		q.Query(func(rows pgx.Rows) error {
			blocks, err := pgx.CollectRows(rows, scanBlock)
			if err != nil {
				return err
			}
			for _, i := range at {
				if into[i], err = pick(blocks, book, keys[i].Seq); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// pick returns an event that one of some blocks has, or nil.
func pick(blocks []block, book ledger.BookID, seq uint64) (*ledger.Event, error) {
	for i := range blocks {
		b := &blocks[i]
		if b.first <= seq && seq <= b.last {
			e, err := ledger.DecodeEvent(b.bytes(seq), book)
			if err != nil {
				return nil, fmt.Errorf("book %d, event %d: %w", book, seq, err)
			}
			return e, nil
		}
	}
	return nil, nil
}
