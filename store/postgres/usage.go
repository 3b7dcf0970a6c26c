package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"saldo/ledger"
	"saldo/money"
)

// A usageKey names a row of usage.
type usageKey struct {
	account  ledger.AccountID
	below    bool
	unit     uint32
	category string
	day      ledger.Day
}

func (k usageKey) compare(o usageKey) int {
	return cmp.Or(bytes.Compare(k.account[:], o.account[:]), cmp.Compare(k.category, o.category), cmp.Compare(k.day, o.day),
		cmp.Compare(k.unit, o.unit), cmp.Compare(bit(k.below), bit(o.below)))
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// trees are what is kept of the trees that accounts are in, which never change.
type trees struct {
	mu sync.Mutex
	of map[ledger.AccountID]tree
}

// A tree is the unit of an account and the accounts above it.
type tree struct {
	unit  uint32
	above []ledger.AccountID
}

// mostTrees bounds what is kept.
const mostTrees = 64 << 10

// find returns the tree of an account. rows has those of accounts that may not
// be durable yet; others are loaded.
func (t *trees) find(ctx context.Context, s *Store, rows map[ledger.AccountID]*ledger.Account, id ledger.AccountID) (in tree, err error) {
	t.mu.Lock()
	in, ok := t.of[id]
	t.mu.Unlock()
	if ok {
		return in, nil
	}
	for at := id; !at.IsZero(); {
		a := rows[at]
		if a == nil {
			snap, err := s.Load(ctx, &ledger.Keys{Accounts: []ledger.AccountID{at}})
			if err != nil {
				return in, err
			}
			if a = snap.Accounts[0]; a == nil {
				return in, nil // which no event of a ledger's names
			}
		}
		if at == id {
			in.unit = a.Unit
		}
		if at = a.Parent; !at.IsZero() {
			in.above = append(in.above, at)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= mostTrees {
		t.of = make(map[ledger.AccountID]tree)
	}
	t.of[id] = in
	return in, nil
}

// uses sums up what a batch's transfers used.
func (s *Store) uses(ctx context.Context, b *ledger.Batch) (map[usageKey]ledger.UsageSum, error) {
	var sums map[usageKey]ledger.UsageSum
	var rows map[ledger.AccountID]*ledger.Account
	for i := range b.Books {
		for _, e := range b.Books[i].Events {
			if e.Refused != nil || len(e.Transfers) == 0 {
				continue
			}
			if sums == nil {
				sums, rows = make(map[usageKey]ledger.UsageSum), make(map[ledger.AccountID]*ledger.Account, len(b.Accounts))
				for _, a := range b.Accounts {
					rows[a.ID] = a
				}
			}
			if err := s.eachUse(ctx, rows, e, func(k usageKey, sum ledger.UsageSum) { addUse(sums, k, sum) }); err != nil {
				return nil, err
			}
		}
	}
	return sums, nil
}

func addUse(sums map[usageKey]ledger.UsageSum, k usageKey, sum ledger.UsageSum) {
	total := sums[k]
	total.Add(sum)
	sums[k] = total
}

// eachUse calls add for every row that what an event's transfers used goes into.
func (s *Store) eachUse(ctx context.Context, rows map[ledger.AccountID]*ledger.Account, e *ledger.Event, add func(usageKey, ledger.UsageSum)) (failed error) {
	e.EachUse(func(u *ledger.Use) {
		if failed != nil {
			return
		}
		var in tree
		if in, failed = s.trees.find(ctx, s, rows, u.Account); failed != nil {
			return
		}
		for _, category := range u.Categories() {
			k := usageKey{u.Account, false, in.unit, category, e.Time.Day()}
			add(k, u.Sum())
			k.below = true
			for _, k.account = range in.above {
				add(k, u.Sum())
			}
		}
	})
	return failed
}

func queueUsage(p *pgx.Batch, sums map[usageKey]ledger.UsageSum) {
	if len(sums) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(sums), usageKey.compare)
	p.Queue(`INSERT INTO saldo.usage AS u (account, below, unit, category, day, price, count, what, mixed)
	SELECT account, below, unit, category, day, price::numeric, count::numeric, what, mixed
	FROM unnest((SELECT $1::uuid[]), $2::boolean[], $3::bigint[], $4::bytea[], $5::integer[], $6::text[], $7::text[], $8::bytea[], $9::boolean[])
	AS k (account, below, unit, category, day, price, count, what, mixed)
	ON CONFLICT (account, below, unit, category, day) DO UPDATE SET price = u.price + excluded.price, count = u.count + excluded.count,
		mixed = u.mixed OR excluded.mixed OR (u.what <> '' AND excluded.what <> '' AND u.what <> excluded.what),
		what = CASE WHEN u.mixed OR excluded.mixed OR (u.what <> '' AND excluded.what <> '' AND u.what <> excluded.what) THEN ''
			WHEN u.what = '' THEN excluded.what ELSE u.what END`,
		column(keys, func(k usageKey) pgtype.UUID { return uid(k.account) }),
		column(keys, func(k usageKey) bool { return k.below }),
		column(keys, func(k usageKey) int64 { return int64(k.unit) }),
		column(keys, func(k usageKey) []byte { return []byte(k.category) }),
		column(keys, func(k usageKey) int32 { return int32(k.day) }),
		column(keys, func(k usageKey) string { return amount(sums[k].Price) }),
		column(keys, func(k usageKey) string { return amount(sums[k].Count) }),
		column(keys, func(k usageKey) []byte { return []byte(sums[k].Unit) }),
		column(keys, func(k usageKey) bool { return sums[k].Mixed }))
}

// clampedText is amountText for sums, which have no bound in the database.
type clampedText struct{ to *money.Amount }

func (t clampedText) ScanText(v pgtype.Text) error {
	err := amountText(t).ScanText(v)
	if err != nil && len(v.String) > 38 {
		*t.to, err = money.FromParts(math.MaxInt64, math.MaxUint64), nil
		if v.String[0] == '-' {
			*t.to = money.FromParts(math.MinInt64, 0)
		}
	}
	return err
}

const usageColumns = `account, below, unit, category, day, price::text, count::text, what, mixed`

// A usageLine is a row of usage with its key.
type usageLine struct {
	usageKey
	ledger.UsageSum
}

func scanUsage(row pgx.CollectableRow) (u usageLine, err error) {
	var category, what []byte
	err = row.Scan((*[16]byte)(&u.account), &u.below, &u.usageKey.unit, &category, &u.day,
		clampedText{&u.Price}, clampedText{&u.Count}, &what, &u.Mixed)
	u.category, u.Unit = string(category), string(what)
	return u, err
}

// usage lists the days of one category.
func (sc *scanner) usage() error {
	q := &sc.q
	return pages(sc, func(from string, limit int) ([]usageLine, error) {
		first := int64(q.FromDay)
		if len(from) == 4 {
			first = max(first, int64(int32(binary.BigEndian.Uint32([]byte(from))^1<<31))+1)
		}
		if first > int64(q.ToDay) {
			return nil, nil
		}
		return query(sc, scanUsage, `SELECT `+usageColumns+` FROM saldo.usage WHERE account = $1 AND below = $2 AND unit = $3 AND category = $4
			AND day >= $5 AND day <= $6 ORDER BY day LIMIT $7`, uid(q.Account), q.Below, int64(q.Unit), []byte(q.Value), int32(first), int32(q.ToDay), limit)
	}, func(u usageLine) ledger.Row {
		return ledger.Row{Key: string(binary.BigEndian.AppendUint32(nil, uint32(u.day)^1<<31)),
			Usage: &ledger.UsageRow{Day: u.day, Category: u.category, UsageSum: u.UsageSum}}
	})
}

// categories lists the categories that there are rows of.
func (sc *scanner) categories() error {
	return pages(sc, func(from string, limit int) ([][]byte, error) {
		return query(sc, pgx.RowTo[[]byte], `SELECT DISTINCT category FROM saldo.usage WHERE account = $1 AND below = $2 AND unit = $3 AND category > $4
			ORDER BY category LIMIT $5`, uid(sc.q.Account), sc.q.Below, int64(sc.q.Unit), []byte(from), limit)
	}, func(category []byte) ledger.Row {
		return ledger.Row{Key: string(category), Usage: &ledger.UsageRow{Category: string(category)}}
	})
}
