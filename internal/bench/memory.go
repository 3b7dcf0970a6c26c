package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"saldo/dialect/native"
)

// touchedAccounts is how many accounts Memory has the server touch.
const touchedAccounts = 1_000_000

// Memory measures how much memory a server takes: idle, and after it charged a
// million accounts once each.
func Memory(ctx context.Context, o Options) (r *Report, err error) {
	o.say("memory: opening %d accounts", touchedAccounts)
	e, err := newEngine(ctx, o, touchedAccounts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.stop(); err != nil {
		return nil, err
	}
	server, client, err := startSaldo(ctx, filepath.Join(e.dir, "data"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	time.Sleep(time.Second)
	r = &Report{Scenario: "memory", What: fmt.Sprintf("RSS of a server that has charged %d accounts once each", touchedAccounts), Unit: "charges/s", Clients: 1, IdleBytes: server.rss()}
	began := time.Now()
	for n := 0; n < len(e.accounts); n += bulkSize {
		batch := make([]native.TransferRequest, 0, bulkSize)
		for i, id := range e.accounts[n:min(n+bulkSize, len(e.accounts))] {
			batch = append(batch, native.TransferRequest{ID: fmt.Sprintf("m%d", n+i), From: id.String(), To: "@revenue", Amount: "0.01"})
		}
		if _, err := client.Transfers(ctx, "", batch); err != nil {
			return nil, err
		}
	}
	r.add(Pair{Saldo: float64(len(e.accounts)) / time.Since(began).Seconds()})
	r.finish()
	r.RSSBytes = server.rss()
	return r, nil
}
