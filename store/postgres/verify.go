package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"saldo/ledger"
)

// VerifyIndexes compares what lists are made of with the journal and the rows,
// both ways: statements, words, entries of records, whose the holds are, and what
// was used. It keeps a few bytes of every account in memory. progress, which may
// be nil, is called with the number of rows looked at.
func (s *Store) VerifyIndexes(ctx context.Context, progress func(rows int64)) error {
	c := &checker{s: s, ctx: ctx, progress: progress}
	for _, step := range []func() error{c.journals, c.words, c.entries, c.owners} {
		if err := step(); err != nil {
			return err
		}
	}
	if progress != nil {
		progress(c.rows)
	}
	return errors.Join(c.faults...)
}

// A checker collects what is wrong.
type checker struct {
	s        *Store
	ctx      context.Context
	progress func(int64)
	rows     int64
	faults   []error
}

const maxFaults = 20 // that are reported: more say no more

func (c *checker) fault(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

func (c *checker) row() error {
	if c.rows++; c.rows%100_000 == 0 && c.progress != nil {
		c.progress(c.rows)
	}
	return c.ctx.Err()
}

// A series stands for the seqs of a statement: how many, and two sums of them
// that others hardly have.
type series struct{ n, sum, mixed uint64 }

func (s *series) add(seq uint64) {
	s.n++
	s.sum += seq
	s.mixed += (seq ^ seq<<31) * 0x9e3779b97f4a7c15
}

// journals compares statements and what was used with what the journals make.
func (c *checker) journals() error {
	statements := make(map[ledger.AccountID]*series)
	sums := make(map[usageKey]ledger.UsageSum)
	for head, err := range c.s.Scan(c.ctx, ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			return err
		}
		for row, err := range c.s.Scan(c.ctx, ledger.Query{List: ledger.ListEvents, Book: head.Head.Book}) {
			if err = errors.Join(err, c.row()); err != nil {
				return err
			}
			for i := range row.Event.Touched {
				id := row.Event.Touched[i].Account
				if statements[id] == nil {
					statements[id] = new(series)
				}
				statements[id].add(row.Event.Seq)
			}
			if row.Event.Refused != nil {
				continue
			}
			if err := c.s.eachUse(c.ctx, nil, row.Event, func(k usageKey, sum ledger.UsageSum) { addUse(sums, k, sum) }); err != nil {
				return err
			}
		}
	}
	if err := c.statements(statements); err != nil {
		return err
	}
	return c.usage(sums)
}

func (c *checker) statements(want map[ledger.AccountID]*series) error {
	found := make(map[ledger.AccountID]*series, len(want))
	err := c.s.eachRow(c.ctx, `SELECT account, seqs FROM saldo.statements`, func(row pgx.CollectableRow) error {
		var id ledger.AccountID
		var chunk []byte
		if err := row.Scan((*[16]byte)(&id), &chunk); err != nil {
			return err
		}
		seqs, err := decodeChunk(chunk)
		if found[id] == nil {
			found[id] = new(series)
		}
		for _, seq := range seqs {
			found[id].add(seq)
		}
		return errors.Join(err, c.row())
	})
	for id, w := range want {
		if f := found[id]; f == nil || *f != *w {
			c.fault("index statement: that of account %v is not what the journal makes", id)
		}
		delete(found, id)
	}
	for id := range found {
		c.fault("index statement: account %v has one, and no event touched it", id)
	}
	return err
}

func (c *checker) usage(want map[usageKey]ledger.UsageSum) error {
	err := c.s.eachRow(c.ctx, `SELECT `+usageColumns+` FROM saldo.usage`, func(row pgx.CollectableRow) error {
		u, err := scanUsage(row)
		if err != nil {
			return err
		}
		if w, ok := want[u.usageKey]; !ok || w != u.UsageSum {
			c.fault("index usage: account %v, category %q, day %d: %+v, the journal makes %+v", u.account, u.category, u.day, u.UsageSum, w)
		}
		delete(want, u.usageKey)
		return c.row()
	})
	for k := range want {
		c.fault("index usage: account %v lacks category %q, day %d", k.account, k.category, k.day)
	}
	return err
}

// words compares what accounts can be found by with their profiles.
func (c *checker) words() error {
	found := make(map[ledger.AccountID][]string)
	err := c.s.eachRow(c.ctx, `SELECT account, word FROM saldo.words ORDER BY account, word`, func(row pgx.CollectableRow) error {
		var id ledger.AccountID
		var word []byte
		err := row.Scan((*[16]byte)(&id), &word)
		found[id] = append(found[id], string(word))
		return errors.Join(err, c.row())
	})
	if err != nil {
		return err
	}
	err = c.s.eachRow(c.ctx, `SELECT a.id, t.data FROM saldo.accounts a JOIN saldo.texts t ON t.book = a.book AND t.seq = a.profile_seq AND t.n = a.profile_n
		WHERE a.profile_n <> 0`, func(row pgx.CollectableRow) error {
		var id ledger.AccountID
		var profile []byte
		if err := row.Scan((*[16]byte)(&id), &profile); err != nil {
			return err
		}
		if !slices.Equal(found[id], ledger.ProfileWords(profile)) {
			c.fault("index search: the words of account %v are not its profile's", id)
		}
		delete(found, id)
		return c.row()
	})
	for id := range found {
		c.fault("index search: account %v has words, and no profile", id)
	}
	return err
}

// entries compares the index of records with the records.
func (c *checker) entries() error {
	found := make(map[entry]bool)
	err := c.s.eachRow(c.ctx, `SELECT book, kind, name, value, key FROM saldo.entries`, func(row pgx.CollectableRow) error {
		var e entry
		var kind, name, value, key []byte
		err := row.Scan(&e.key.Book, &kind, &name, &value, &key)
		e.key.Kind, e.key.Key, e.Name, e.Value = string(kind), string(key), string(name), string(value)
		found[e] = true
		return errors.Join(err, c.row())
	})
	if err != nil {
		return err
	}
	for row, err := range c.s.Scan(c.ctx, ledger.Query{List: ledger.ListRecords, All: true}) {
		if err = errors.Join(err, c.row()); err != nil {
			return err
		}
		for _, e := range slices.Compact(appendEntriesOf(nil, row.Record)) {
			if !found[e] {
				c.fault("index records: %s %q lacks %s=%q", e.key.Kind, e.key.Key, e.Name, e.Value)
			}
			delete(found, e)
		}
	}
	for e := range maps.Keys(found) {
		c.fault("index records: %s %q has no %s=%q", e.key.Kind, e.key.Key, e.Name, e.Value)
	}
	return nil
}

// owners checks whose list a hold is in.
func (c *checker) owners() error {
	n, err := c.s.count(c.ctx, `SELECT count(*) FROM saldo.holds WHERE owner <> coalesce(via, account)`)
	if n > 0 {
		c.fault("index holds: %d are in the list of another account", n)
	}
	return err
}

// CountIDs returns how many ids are known as used.
func (s *Store) CountIDs(ctx context.Context) (uint64, error) {
	return s.count(ctx, `SELECT count(*) FROM saldo.ids`)
}

// CountRefunds returns of how many transfers something was refunded.
func (s *Store) CountRefunds(ctx context.Context) (uint64, error) {
	return s.count(ctx, `SELECT count(*) FROM saldo.refunds`)
}

func (s *Store) count(ctx context.Context, sql string) (n uint64, err error) {
	err = s.whole(ctx, func(conn querier) error { return conn.QueryRow(ctx, sql).Scan(&n) })
	return n, err
}

// whole is read for what may take as long as it takes.
func (s *Store) whole(ctx context.Context, do func(querier) error) error {
	if s.fixed != nil {
		s.fixing.Lock()
		defer s.fixing.Unlock()
		return do(s.fixed)
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return do(conn)
}

// eachRow reads a whole table, however long that takes.
func (s *Store) eachRow(ctx context.Context, sql string, do func(pgx.CollectableRow) error) error {
	return s.whole(ctx, func(conn querier) error {
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := do(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
