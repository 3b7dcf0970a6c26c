package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What a baseline asks a PostgreSQL before it answers, see asks.
const (
	AskSelect  = "select"
	AskLocked  = "locked"
	AskPooled  = "pooled" // the same as AskLocked, over few connections
	AskBatched = "batched"
)

var asks = map[string]struct {
	what        string
	open        func(*pgxpool.Pool) asker
	connections int32
}{
	AskSelect:  {"one SELECT by key a request", openSelect, asNode},
	AskLocked:  {"a PL/pgSQL function a request, which locks the two rows FOR UPDATE, a connection for each of 64 clients", openLocked, 64},
	AskPooled:  {"a PL/pgSQL function a request, which locks the two rows FOR UPDATE, over eight connections", openLocked, asNode},
	AskBatched: {"a PL/pgSQL function with all that waits, which locks each row once", openBatched, asNode},
}

// asNode is as many connections as a node has.
const asNode = 8

// An asker asks a PostgreSQL what a request is about.
type asker func(ctx context.Context, body []byte) error

// askTables are what the functions work on: an account that pays, one that is
// paid, and every charge under its id, so that none is made twice.
//
// charge makes one charge and returns what is left, or nothing for lack of money.
// charges makes many, in one transaction: the rows are locked once, and each
// charge is decided against what the one before has left.
const askTables = `
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE IF NOT EXISTS bench.accounts (id bigint PRIMARY KEY, balance numeric NOT NULL) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS bench.charges (id text PRIMARY KEY, payer bigint NOT NULL, payee bigint NOT NULL,
	amount numeric NOT NULL, balance numeric NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS charges_payer ON bench.charges (payer, at);
INSERT INTO bench.accounts VALUES (1, 1000000000000), (2, 0) ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION bench.charge(ref text, payer_id bigint, payee_id bigint, price numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	was numeric;
BEGIN
	PERFORM 1 FROM bench.accounts WHERE id IN (payer_id, payee_id) ORDER BY id FOR UPDATE;
	SELECT balance INTO was FROM bench.charges WHERE id = ref;
	IF FOUND THEN
		RETURN was;
	END IF;
	UPDATE bench.accounts SET balance = balance - price WHERE id = payer_id AND balance >= price RETURNING balance INTO was;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	UPDATE bench.accounts SET balance = balance + price WHERE id = payee_id;
	INSERT INTO bench.charges (id, payer, payee, amount, balance) VALUES (ref, payer_id, payee_id, price, was);
	RETURN was;
END $$;

CREATE OR REPLACE FUNCTION bench.charge_all(refs text[], payers bigint[], payees bigint[], prices numeric[]) RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
	results numeric[] := '{}';
	was numeric;
BEGIN
	PERFORM 1 FROM bench.accounts WHERE id = ANY(payers || payees) ORDER BY id FOR UPDATE;
	FOR i IN 1 .. cardinality(refs) LOOP
		SELECT balance INTO was FROM bench.charges WHERE id = refs[i];
		IF NOT FOUND THEN
			UPDATE bench.accounts SET balance = balance - prices[i] WHERE id = payers[i] AND balance >= prices[i] RETURNING balance INTO was;
			IF FOUND THEN
				UPDATE bench.accounts SET balance = balance + prices[i] WHERE id = payees[i];
				INSERT INTO bench.charges (id, payer, payee, amount, balance) VALUES (refs[i], payers[i], payees[i], prices[i], was);
			END IF;
		END IF;
		results := results || was;
	END LOOP;
	RETURN results;
END $$;`

// openAsker connects, and makes the tables that are asked.
func openAsker(ctx context.Context, url, ask string) (asker, func(), error) {
	kind, ok := asks[ask]
	if !ok {
		return nil, nil, fmt.Errorf("bench: a baseline cannot ask %q", ask)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = kind.connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	if _, err := pool.Exec(ctx, askTables); err != nil {
		pool.Close()
		return nil, nil, err
	}
	return kind.open(pool), pool.Close, nil
}

func openSelect(pool *pgxpool.Pool) asker {
	return func(ctx context.Context, _ []byte) error {
		var balance string
		return pool.QueryRow(ctx, `SELECT balance::text FROM bench.accounts WHERE id = $1`, 1).Scan(&balance)
	}
}

// A wanted charge is a request's body.
type wanted struct{ ID, Amount string }

var errPoor = errors.New("bench: the account has too little")

func openLocked(pool *pgxpool.Pool) asker {
	return func(ctx context.Context, body []byte) error {
		var c wanted
		if err := json.Unmarshal(body, &c); err != nil {
			return err
		}
		var left *string
		err := pool.QueryRow(ctx, `SELECT bench.charge($1, 1, 2, $2::text::numeric)::text`, c.ID, c.Amount).Scan(&left)
		if err == nil && left == nil {
			err = errPoor
		}
		return err
	}
}

// mostAtOnce bounds one call of charge_all.
const mostAtOnce = 1000

// openBatched has one goroutine that takes what waits, calls, and answers. While
// one call is made the next one gathers.
func openBatched(pool *pgxpool.Pool) asker {
	type waiter struct {
		wanted
		done chan error
	}
	waiting := make(chan *waiter, mostAtOnce)
	call := func(batch []*waiter) (left []*string, err error) {
		refs, amounts := make([]string, len(batch)), make([]string, len(batch))
		payers, payees := make([]int64, len(batch)), make([]int64, len(batch))
		for i, w := range batch {
			refs[i], amounts[i], payers[i], payees[i] = w.ID, w.Amount, 1, 2
		}
		err = pool.QueryRow(context.Background(), `SELECT bench.charge_all($1, $2, $3, $4::text[]::numeric[])::text[]`, refs, payers, payees, amounts).Scan(&left)
		if err == nil && len(left) != len(batch) {
			err = fmt.Errorf("bench: %d charges were answered of %d", len(left), len(batch))
		}
		return left, err
	}
	go func() {
		for w := range waiting {
			batch := []*waiter{w}
			for more := true; more && len(batch) < mostAtOnce; {
				select {
				case w := <-waiting:
					batch = append(batch, w)
				default:
					more = false
				}
			}
			left, err := call(batch)
			for i, w := range batch {
				if err == nil && left[i] == nil {
					w.done <- errPoor
				} else {
					w.done <- err
				}
			}
		}
	}()
	return func(ctx context.Context, body []byte) error {
		w := &waiter{done: make(chan error, 1)}
		if err := json.Unmarshal(body, &w.wanted); err != nil {
			return err
		}
		waiting <- w
		return <-w.done
	}
}
