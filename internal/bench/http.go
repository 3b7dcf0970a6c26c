package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

// Options say what to measure.
type Options struct {
	Pairs   int
	For     time.Duration // of each run
	Clients int
	Dir     string // for data directories; "": a temporary one
	History string // where the long history is, or is to be kept; "": it is made anew
	Long    int    // transfers of a long history; 0: ten million
	Store   string // URL of a PostgreSQL in which databases may be made; "": one is started
	// Address and Token name a server that runs already, to be measured without
	// a baseline.
	Address, Token string
	Said           func(format string, args ...any) // progress; nil: none
}

// transfers is how many a long history has, each of its own.
func (o *Options) transfers() int {
	if o.Long > 0 {
		return o.Long
	}
	return 10_000_000
}

func (o *Options) say(format string, args ...any) {
	if o.Said != nil {
		o.Said(format, args...)
	}
}

// A world is a server under measurement, and what is asked of it.
type world struct {
	o       Options
	dir     string
	server  *child // nil: it was there before
	client  *native.Client
	host    string
	account string
}

// newWorld starts a server with one rich account.
func newWorld(ctx context.Context, o Options) (w *world, err error) {
	made := &world{o: o}
	w = made
	if w.dir, err = os.MkdirTemp(o.Dir, "saldo-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, made.close())
		}
	}()
	if o.Address != "" {
		w.client = &native.Client{URL: o.Address, Token: o.Token}
	} else if w.server, w.client, err = startSaldo(ctx, filepath.Join(w.dir, "data")); err != nil {
		return nil, err
	}
	u, err := url.Parse(w.client.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" {
		return nil, errors.New("bench: the load is made over plain HTTP; measure a listener without TLS")
	}
	w.host = u.Host
	return w, w.open(ctx)
}

// open opens a rich account.
func (w *world) open(ctx context.Context) error {
	a, err := w.client.Open(ctx, native.AccountRequest{Unit: "USD", Name: "bench"})
	if err != nil {
		return err
	}
	w.account = a.ID
	_, err = w.client.TopUp(ctx, a.ID, native.TransferRequest{ID: "bench-top-up-" + a.ID, Amount: "1000000000000"})
	return err
}

func (w *world) close() error {
	var err error
	if w.server != nil {
		err = w.server.stop()
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// head appends a request's line and headers.
func (w *world) head(dst []byte, method, path string, length int) []byte {
	dst = append(dst, method...)
	dst = append(append(append(dst, ' '), path...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, w.host...), "\r\nAuthorization: Bearer "...)
	dst = append(dst, w.client.Token...)
	if length > 0 {
		dst = append(dst, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(length), 10)
	}
	return append(dst, headEnd...)
}

// sample asks once and writes the answer to a file, for a baseline to repeat.
func (w *world) sample(ctx context.Context, name string, request []byte) (string, error) {
	head, body, err := once(ctx, w.host, request)
	if err != nil {
		return "", err
	}
	file := filepath.Join(w.dir, name+".http")
	return file, os.WriteFile(file, append(append([]byte{}, head...), body...), 0o600)
}

// pairs measures a load on the server and on its baseline, in turns: the first
// of each pair is the second of the next.
func (w *world) pairs(ctx context.Context, r *Report, load Load, each int, b *Baseline) error {
	var base *child
	if w.server != nil && b != nil {
		var err error
		if base, err = startBaseline(ctx, *b); err != nil {
			return err
		}
		defer func() { _ = base.stop() }()
	}
	load.Clients, load.For = r.Clients, w.o.For
	run := func(address string) (*Result, error) {
		load.Address = address
		return load.Run(ctx)
	}
	if _, err := w.warm(ctx, load); err != nil {
		return err
	}
	for n := range w.o.Pairs {
		var p Pair
		steps := []func() error{
			func() error {
				res, err := run(w.host)
				if err == nil {
					p.setSaldo(res, each)
				}
				return err
			},
			func() error {
				if base == nil {
					return nil
				}
				check := load.Check
				load.Check = nil
				res, err := run(base.address)
				load.Check = check
				if err == nil {
					p.setBase(res, each)
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
		w.o.say("%s, %d clients, pair %d of %d: %.0f and %.0f %s", r.Scenario, r.Clients, n+1, w.o.Pairs, p.Saldo, p.Base, r.Unit)
	}
	if w.server != nil {
		r.RSSBytes = w.server.rss()
	}
	r.finish()
	return nil
}

func (w *world) warm(ctx context.Context, load Load) (*Result, error) {
	load.Address, load.For = w.host, min(500*time.Millisecond, w.o.For)
	return load.Run(ctx)
}

// Balance measures reads of one balance, beside a bare net/http handler that
// writes the same headers and the same body.
func Balance(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	request := w.head(nil, "GET", "/v1/accounts/"+w.account+"/balance", 0)
	sample, err := w.sample(ctx, "balance", request)
	if err != nil {
		return nil, err
	}
	r = &Report{Scenario: "balance", What: "GET of one balance over HTTP", Baseline: "net/http writing the same headers and body", Unit: "reads/s", Clients: o.Clients}
	load := Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}
	return r, w.pairs(ctx, r, load, 1, &Baseline{Sample: sample})
}

// Charge measures one charge a request on one account, beside a handler that
// appends as many bytes to a file and waits for a shared fdatasync.
func Charge(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	path := "/v1/accounts/" + w.account + "/charges"
	run := time.Now().UnixNano()
	request := func(dst []byte, client, _ int) []byte {
		var buf [128]byte
		body := append(buf[:0], `{"id":"b`...)
		body = strconv.AppendInt(body, run, 36)
		body = append(body, '-')
		body = strconv.AppendInt(body, int64(client), 36)
		body = append(body, '-')
		body = strconv.AppendInt(body, time.Now().UnixNano(), 36)
		body = append(body, `","amount":"0.0001"}`...)
		return append(w.head(dst, "POST", path, len(body)), body...)
	}
	sample, err := w.sample(ctx, "charge", request(nil, 0, 0))
	if err != nil {
		return nil, err
	}
	size, err := w.eventSize(ctx)
	if err != nil {
		return nil, err
	}
	r = &Report{Scenario: "charge", What: "one charge a request, all on one account, over HTTP",
		Baseline: fmt.Sprintf("net/http appending the same %d bytes to a file, one fdatasync for all who wait", size), Unit: "charges/s", Clients: o.Clients}
	return r, w.pairs(ctx, r, Load{Request: request}, 1, &Baseline{Sample: sample, File: filepath.Join(w.dir, "appended"), Bytes: size})
}

// bulkSize is the transfers of one request of Bulk.
const bulkSize = 1000

// Bulk measures many transfers a request, beside the same handler.
func Bulk(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	bodies := make([][]byte, o.Clients)
	request := func(dst []byte, client, _ int) []byte {
		b := append(bodies[client][:0], `{"transfers":[`...)
		stamp := strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.Itoa(client) + "-"
		for i := range bulkSize {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, `{"id":"k`...), stamp...)
			b = strconv.AppendInt(b, int64(i), 36)
			b = append(append(b, `","from":"`...), w.account...)
			b = append(b, `","to":"@revenue","amount":"0.0001"}`...)
		}
		bodies[client] = append(b, "]}"...)
		return append(w.head(dst, "POST", "/v1/transfers", len(bodies[client])), bodies[client]...)
	}
	sample, err := w.sample(ctx, "bulk", request(nil, 0, 0))
	if err != nil {
		return nil, err
	}
	size, err := w.eventSize(ctx)
	if err != nil {
		return nil, err
	}
	r = &Report{Scenario: "bulk", What: fmt.Sprintf("%d transfers a request, over HTTP", bulkSize),
		Baseline: fmt.Sprintf("net/http appending the same %d bytes to a file, one fdatasync for all who wait", size), Unit: "transfers/s", Clients: o.Clients}
	return r, w.pairs(ctx, r, Load{Request: request}, bulkSize, &Baseline{Sample: sample, File: filepath.Join(w.dir, "appended"), Bytes: size})
}

// eventSize is how many bytes of journal the last event took: the server is
// stopped for a moment to look.
func (w *world) eventSize(ctx context.Context) (size int, err error) {
	if w.server == nil {
		return 0, nil
	}
	if err := w.server.stop(); err != nil {
		return 0, err
	}
	dir := filepath.Join(w.dir, "data")
	store, err := embedded.Open(dir, embedded.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	for row, err := range store.Scan(ctx, ledger.Query{List: ledger.ListEvents, Book: 1}) {
		if err != nil {
			return 0, errors.Join(err, store.Close())
		}
		size = len(row.Bytes)
	}
	if err := store.Close(); err != nil {
		return 0, err
	}
	if w.server, w.client, err = startSaldo(ctx, dir); err == nil {
		w.host = strings.TrimPrefix(w.client.URL, "http://")
	}
	return size, err
}

// historyTransfers is how long the history is that History reads.
const historyTransfers = 200_000

// History measures reads of a long history: the newest page of a statement, and
// balances at past times.
func History(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	o.say("history: making %d transfers", historyTransfers)
	begin := time.Now()
	for n := 0; n < historyTransfers; n += bulkSize {
		batch := make([]native.TransferRequest, bulkSize)
		for i := range batch {
			batch[i] = native.TransferRequest{ID: fmt.Sprintf("h%d-%d", begin.UnixNano(), n+i), From: w.account, To: "@revenue", Amount: "0.0001"}
		}
		if _, err := w.client.Transfers(ctx, "", batch); err != nil {
			return nil, err
		}
	}
	page := w.head(nil, "GET", "/v1/accounts/"+w.account+"/statement?limit=50", 0)
	span := time.Since(begin)
	r = &Report{Scenario: "history", What: fmt.Sprintf("in turns the newest 50 lines of a statement of %d, and a balance at a past time", historyTransfers), Unit: "reads/s", Clients: o.Clients}
	load := Load{Request: func(dst []byte, client, n int) []byte {
		if n%2 == 0 {
			return append(dst, page...)
		}
		at := begin.Add(span * time.Duration((client*7919+n*104729)%1000) / 1000)
		return w.head(dst, "GET", "/v1/accounts/"+w.account+"/balance?at="+url.QueryEscape(at.UTC().Format(time.RFC3339Nano)), 0)
	}}
	return r, w.pairs(ctx, r, load, 1, nil)
}
