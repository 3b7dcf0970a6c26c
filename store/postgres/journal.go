package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"saldo/ledger"
)

// blockBytes is where a block of the journal is cut. An event that is larger is
// a block of its own.
const blockBytes = 32 << 10

func queueUnits(p *pgx.Batch, books []ledger.BookEvents) {
	var book, unit []int64
	var code []string
	var scale, kind []int16
	for i := range books {
		be := &books[i]
		added := 0
		for _, e := range be.Events {
			added += len(e.Units)
		}
		for n := len(be.Head.Units) - added; n < len(be.Head.Units); n++ {
			u := be.Head.Units[n]
			book, unit, code = append(book, int64(be.Head.Book)), append(unit, int64(n)), append(code, u.Code)
			scale, kind = append(scale, int16(u.Scale)), append(kind, int16(u.Kind))
		}
	}
	if len(book) > 0 {
		p.Queue(`INSERT INTO saldo.units (book, unit, code, scale, kind) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::text[], $4::smallint[], $5::smallint[])`,
			book, unit, code, scale, kind)
	}
}

func queueJournal(p *pgx.Batch, books []ledger.BookEvents) {
	var book, seq, n, at []int64
	var blocks [][]byte
	for i := range books {
		be := &books[i]
		var block []byte
		first := 0
		for k, e := range be.Bytes {
			block = appendBytes(block, e)
			if k+1 < len(be.Bytes) && len(block)+len(be.Bytes[k+1]) <= blockBytes {
				continue
			}
			book, seq = append(book, int64(be.Head.Book)), append(seq, int64(be.Events[k].Seq))
			n, at = append(n, int64(k+1-first)), append(at, int64(be.Events[k].Time))
			blocks, block, first = append(blocks, block), nil, k+1
		}
	}
	p.Queue(`INSERT INTO saldo.journal (book, seq, n, time, events) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::integer[], $4::bigint[], $5::bytea[])`,
		book, seq, n, at, blocks)
}

func queueTexts(p *pgx.Batch, books []ledger.BookEvents) {
	var book, seq, n []int64
	var salt, data [][]byte
	for i := range books {
		for _, e := range books[i].Events {
			for k := range e.Beside {
				t := &e.Beside[k]
				if t.Gone() {
					continue
				}
				book, seq, n = append(book, int64(books[i].Head.Book)), append(seq, int64(e.Seq)), append(n, int64(k+1))
				salt, data = append(salt, t.Salt[:]), append(data, notNil(t.Data))
			}
		}
	}
	if len(book) > 0 {
		p.Queue(`INSERT INTO saldo.texts (book, seq, n, salt, data) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])`,
			book, seq, n, salt, data)
	}
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// chunkBytes is where a piece of a statement is cut.
const chunkBytes = 4 << 10

// queueStatements writes, for each account that events have touched, a row with
// their seqs.
func queueStatements(p *pgx.Batch, books []ledger.BookEvents) {
	type chunk struct {
		at   int // in the columns
		last uint64
	}
	var account []pgtype.UUID
	var seq []int64
	var seqs [][]byte
	chunks := map[ledger.AccountID]chunk{}
	for i := range books {
		for _, e := range books[i].Events {
			for k := range e.Touched {
				id := e.Touched[k].Account
				c, ok := chunks[id]
				if !ok || len(seqs[c.at]) >= chunkBytes {
					chunks[id] = chunk{len(seqs), e.Seq}
					account, seq = append(account, uid(id)), append(seq, int64(e.Seq))
					seqs = append(seqs, binary.AppendUvarint(nil, e.Seq))
					continue
				}
				seqs[c.at] = binary.AppendUvarint(seqs[c.at], e.Seq-c.last)
				seq[c.at] = int64(e.Seq)
				chunks[id] = chunk{c.at, e.Seq}
			}
		}
	}
	if len(account) > 0 {
		p.Queue(`INSERT INTO saldo.statements (account, seq, seqs) SELECT * FROM unnest((SELECT $1::uuid[]), $2::bigint[], $3::bytea[])`, account, seq, seqs)
	}
}

// decodeChunk returns the seqs of a piece of a statement.
func decodeChunk(b []byte) (seqs []uint64, err error) {
	r := reader{b: b}
	last := uint64(0)
	for len(r.b) > 0 {
		last += r.uvarint()
		seqs = append(seqs, last)
	}
	if r.bad || len(seqs) == 0 {
		return nil, errRow
	}
	return seqs, nil
}

// queueWords puts the words of profiles that events have set in place of those
// that the accounts had.
func queueWords(p *pgx.Batch, books []ledger.BookEvents) {
	type words struct {
		tenant ledger.TenantID
		now    []string
	}
	changed := map[ledger.AccountID]words{}
	for i := range books {
		tenant := books[i].Head.Tenant
		for _, e := range books[i].Events {
			set := func(id ledger.AccountID, n uint32) {
				if n != 0 && int(n) <= len(e.Beside) {
					changed[id] = words{tenant, ledger.ProfileWords(e.Beside[n-1].Data)}
				}
			}
			for k := range e.Opened {
				set(e.Opened[k].Account, e.Opened[k].Profile)
			}
			for k := range e.Set {
				set(e.Set[k].Account, e.Set[k].Profile)
			}
			for _, id := range e.Erased {
				changed[id] = words{tenant, nil}
			}
		}
	}
	if len(changed) == 0 {
		return
	}
	var of, account []pgtype.UUID
	var tenant []int64
	var word [][]byte
	for id, w := range changed {
		of = append(of, uid(id))
		for _, text := range w.now {
			account, tenant, word = append(account, uid(id)), append(tenant, int64(w.tenant)), append(word, []byte(text))
		}
	}
	p.Queue(`DELETE FROM saldo.words WHERE account = ANY($1::uuid[])`, of)
	if len(word) > 0 {
		p.Queue(`INSERT INTO saldo.words (tenant, word, account) SELECT * FROM unnest((SELECT $1::bigint[]), $2::bytea[], $3::uuid[])`, tenant, word, account)
	}
}

// A block is consecutive events as the journal has them.
type block struct {
	first  uint64
	last   uint64
	events [][]byte
}

// bytes returns the encoding of an event that the block has.
func (b *block) bytes(seq uint64) []byte { return b.events[seq-b.first] }

func makeBlock(seq int64, n int32, events []byte) (block, error) {
	b := block{first: uint64(seq) - uint64(n) + 1, last: uint64(seq)}
	r := reader{b: events}
	for len(r.b) > 0 {
		b.events = append(b.events, r.bytes())
	}
	if r.bad || len(b.events) != int(n) {
		return b, fmt.Errorf("%w: block %d of a journal", errRow, seq)
	}
	return b, nil
}

// scanBlock reads seq, n and events.
func scanBlock(row pgx.CollectableRow) (block, error) {
	var seq int64
	var n int32
	var events []byte
	if err := row.Scan(&seq, &n, &events); err != nil {
		return block{}, err
	}
	return makeBlock(seq, n, events)
}

// queryBlocks reads blocks of a journal.
func queryBlocks(ctx context.Context, conn querier, sql string, args ...any) ([]block, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanBlock)
}
