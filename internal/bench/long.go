package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"saldo/ledger"
	"saldo/store/embedded"
)

// Cold measures charges over 100,000 accounts, one a request; beside charges of
// one account of the same server.
func Cold(ctx context.Context, o Options) (r *Report, err error) {
	e, err := newEngine(ctx, o, coldAccounts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.stop(); err != nil {
		return nil, err
	}
	w := &world{o: o}
	if w.server, w.client, err = startSaldo(ctx, filepath.Join(e.dir, "data")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.server.stop()) }()
	w.host = w.server.address
	r = &Report{Scenario: "cold", What: fmt.Sprintf("one charge a request, spread over %d accounts, over HTTP", coldAccounts),
		Baseline: "the same on one account", Unit: "charges/s", Clients: o.Clients}
	cold := w.charges(func() string { return e.accounts[rand.IntN(len(e.accounts))].String() })
	hot := w.charges(func() string { return e.accounts[0].String() })
	return r, w.beside(ctx, r, cold, w.host, hot)
}

// charges is a load of charges of accounts, under new ids.
func (w *world) charges(account func() string) Load {
	run := strconv.FormatUint(rand.Uint64(), 36)
	var n atomic.Int64
	return Load{Request: func(dst []byte, _, _ int) []byte {
		body := fmt.Appendf(nil, `{"id":"b%s-%d","amount":"0.0001"}`, run, n.Add(1))
		return append(w.head(dst, "POST", "/v1/accounts/"+account()+"/charges", len(body)), body...)
	}}
}

// beside measures a load on the server and another on an address, in turns.
func (w *world) beside(ctx context.Context, r *Report, load Load, address string, other Load) error {
	load.Clients, load.For, load.Address = r.Clients, w.o.For, w.host
	other.Clients, other.For, other.Address = r.Clients, w.o.For, address
	// run also returns what the server used of the processors for each request:
	// steadier than how many there were in a second, where other programs run.
	run := func(load *Load) (*Result, time.Duration, error) {
		if load.Before != nil {
			if err := load.Before(ctx); err != nil {
				return nil, 0, err
			}
		}
		before := w.server.cpu()
		res, err := load.Run(ctx)
		if err != nil {
			return nil, 0, err
		}
		return res, (w.server.cpu() - before) / time.Duration(max(res.Requests, 1)), nil
	}
	for n := range w.o.Pairs {
		var p Pair
		var cost, otherCost time.Duration
		steps := []func() error{
			func() error {
				res, each, err := run(&load)
				if err == nil {
					p.setSaldo(res, 1)
					cost = each
				}
				return err
			},
			func() error {
				res, each, err := run(&other)
				if err == nil {
					p.setBase(res, 1)
					otherCost = each
				}
				return err
			},
		}
		if n%2 == 1 {
			steps[0], steps[1] = steps[1], steps[0]
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		r.add(p)
		w.o.say("%s, pair %d of %d: %.0f and %.0f %s, by %v and %v of this server's processors", r.Scenario, n+1, w.o.Pairs, p.Saldo, p.Base, r.Unit, cost, otherCost)
	}
	if w.server != nil {
		r.RSSBytes = w.server.rss()
	}
	r.finish()
	return nil
}

// LongBalance measures reads of a balance in a book of ten million transfers,
// each a command of its own, spread over coldAccounts; and LongCharge charges;
// both beside the same in an empty book.
func LongBalance(ctx context.Context, o Options) (*Report, error) {
	return long(ctx, o, "long-balance", "reads/s", func(w *world, account string) (Load, error) {
		request := w.head(nil, "GET", "/v1/accounts/"+account+"/balance", 0)
		return Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}, nil
	})
}

// LongCharge is described at LongBalance.
func LongCharge(ctx context.Context, o Options) (*Report, error) {
	return long(ctx, o, "long-charge", "charges/s", func(w *world, account string) (Load, error) {
		return w.charges(func() string { return account }), nil
	})
}

// LongVendors measures reads of one balance in every vendor's dialect, in turns,
// in a book of ten million transfers; beside the same in an empty book.
func LongVendors(ctx context.Context, o Options) (*Report, error) {
	return long(ctx, o, "long-vendors", "reads/s", func(w *world, account string) (Load, error) {
		var requests [][]byte
		for i := range questions {
			request, err := w.question(ctx, &questions[i], account)
			if err != nil {
				return Load{}, err
			}
			requests = append(requests, request)
		}
		return Load{Request: func(dst []byte, _, n int) []byte { return append(dst, requests[n%len(requests)]...) }}, nil
	})
}

func long(ctx context.Context, o Options, name, unit string, load func(*world, string) (Load, error)) (r *Report, err error) {
	dir := o.History
	if dir == "" {
		if dir, err = os.MkdirTemp(o.Dir, "saldo-bench-"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	account, err := makeHistory(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	opened, err := openFor(ctx, filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	w := &world{o: o}
	if w.server, w.client, err = startSaldo(ctx, filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.server.stop()) }()
	w.host = w.server.address
	empty, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, empty.close()) }()
	size, err := sizeOf(filepath.Join(dir, "data", "books"))
	if err != nil {
		return nil, err
	}
	r = &Report{Scenario: name, Unit: unit, Clients: o.Clients, Baseline: "the same in an empty book",
		What: fmt.Sprintf("over HTTP, one account, in a book of %d transfers, each a command of its own: opens in %v, %d bytes on disk a transfer",
			o.transfers(), opened.Round(time.Millisecond), size/int64(o.transfers()))}
	here, err := load(w, account)
	if err != nil {
		return nil, err
	}
	there, err := load(empty, empty.account)
	if err != nil {
		return nil, err
	}
	return r, w.beside(ctx, r, here, empty.host, there)
}

// makeHistory makes the history in a directory, unless it is there, and returns
// one of its accounts.
func makeHistory(ctx context.Context, o Options, dir string) (string, error) {
	note := filepath.Join(dir, "account")
	if account, err := os.ReadFile(note); err == nil {
		return string(account), nil
	}
	inside := o
	inside.Dir = dir
	e, err := newEngine(ctx, inside, coldAccounts)
	if err != nil {
		return "", err
	}
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(o.transfers()))
	errs := make([]error, 2000)
	for i := range errs {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if _, errs[i] = e.ledger.Post(ctx, e.command(rng, 1)); errs[i] != nil {
					return
				}
				if n%500_000 == 0 {
					o.say("history: %d transfers to go", n)
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, e.settle(ctx))...); err != nil {
		return "", errors.Join(err, e.close())
	}
	if err := e.stop(); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(e.dir, "data"), filepath.Join(dir, "data")); err != nil {
		return "", err
	}
	account := e.accounts[0].String()
	return account, os.WriteFile(note, []byte(account), 0o600)
}

// openFor returns how long it takes until a directory answers.
func openFor(ctx context.Context, dir string) (time.Duration, error) {
	began := time.Now()
	store, err := embedded.Open(dir, embedded.Options{DiskReserve: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	l, err := ledger.Open(ctx, store, ledger.Options{})
	if err != nil {
		return 0, errors.Join(err, store.Close())
	}
	if _, err := l.Account(ctx, ledger.SystemID(1, 0, ledger.Revenue)); err != nil {
		return 0, errors.Join(err, l.Close(), store.Close())
	}
	opened := time.Since(began)
	return opened, errors.Join(l.Close(), store.Close())
}

// sizeOf returns how many bytes the files of a directory have.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
