package watch

import (
	"container/heap"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// Options of a Watch.
type Options struct {
	Ledger *ledger.Ledger
	Logger *slog.Logger
	Now    func() time.Time // time.Now
	// Node names this process among those that share the store; "" has the store
	// to itself.
	Node string
	// Keys seal the secrets of sources and endpoints that the API made.
	Keys auth.MasterKeys
	// Reader makes what asks a source, or says what is wrong with the spec.
	Reader func(*Spec, string) (dialect.Reader, error)
	// Sources and Endpoints are those of the file.
	Sources   []*Source
	Endpoints []*Endpoint
	// Allow are the private networks that webhooks may be in.
	Allow []netip.Prefix
	// PerVendor is how many polls of one vendor begin at a time; 4.
	PerVendor int
	// HTTP sends webhooks; nil: a guarded client.
	HTTP *http.Client
	// Tracer makes spans of polls and deliveries; nil: there are none.
	Tracer trace.Tracer
	// Retries are the gaps between the tries of a delivery; nil: three days of them.
	Retries []time.Duration
}

// A Watch polls sources, applies rules and delivers alerts, until it is closed.
type Watch struct {
	o       Options
	seal    *sealer
	client  *http.Client
	running sync.WaitGroup
	stop    context.CancelFunc
	rush    chan struct{} // wakes the poller
	ring    chan struct{} // wakes what puts alerts on their way
	reread  chan struct{} // wakes what reads the configuration

	loading   sync.Mutex // held while the configuration is read
	mu        sync.Mutex
	sources   map[string]*polled // by key
	queue     queue
	vendors   map[string]*vendorQueue
	rules     map[string]*Rule     // by id, those of sources in specs not among them
	endpoints map[string]*Endpoint // by key
	version   uint64               // of the configuration that was read
	follow    follower
	deliver   deliverer
	counts    counts
}

// Open reads what is configured and begins to watch.
func Open(ctx context.Context, o Options) (*Watch, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retries == nil {
		o.Retries = Retries
	}
	if o.Tracer == nil {
		o.Tracer = noop.NewTracerProvider().Tracer("")
	}
	w := &Watch{o: o, client: o.HTTP, rush: make(chan struct{}, 1), ring: make(chan struct{}, 1), reread: make(chan struct{}, 1),
		sources: make(map[string]*polled), vendors: make(map[string]*vendorQueue), endpoints: make(map[string]*Endpoint)}
	if w.client == nil {
		w.client = Guarded(o.Allow, deliveryTime)
	}
	var err error
	if w.seal, err = newSealer(o.Keys); err != nil {
		return nil, err
	}
	if err := o.Ledger.EnsureSystem(ctx); err != nil {
		return nil, err
	}
	w.follow.init()
	w.deliver.init()
	if err := w.load(ctx); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, loop := range []func(context.Context){w.poll, w.reload, w.followBooks, w.deliverAlerts} {
		w.running.Add(1)
		go loop(ctx)
	}
	return w, nil
}

// Close ends everything that Open began. What was not finished goes on when the
// store is opened again.
func (w *Watch) Close() error {
	w.stop()
	w.running.Wait()
	if w.o.Node == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, key := range slices.Sorted(maps.Keys(w.sources)) {
		if err := w.release(ctx, key); err != nil {
			w.o.Logger.Warn("a claim was not given back; it runs out", "source", key, "error", err)
			break
		}
	}
	return nil
}

// release lets another node poll a source at once.
func (w *Watch) release(ctx context.Context, key string) error {
	state, err := w.readState(ctx, key)
	if err != nil || state.Node != w.o.Node {
		return err
	}
	state.Until = 0
	_, err = w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{state.write(key)}})
	if ledger.CodeOf(err) == ledger.Changed {
		err = nil
	}
	return err
}

// reload reads the configuration again when it was changed, here or by others.
func (w *Watch) reload(ctx context.Context) {
	defer w.running.Done()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.reread:
		case <-tick.C:
		}
		r, err := w.record(ctx, kindChange, keyChange)
		w.mu.Lock()
		version := w.version
		w.mu.Unlock()
		if err == nil && r != nil && r.Version != version {
			err = w.load(ctx)
		}
		if err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("what is watched cannot be read", "error", err)
		}
	}
}

// changed is the record write that tells every node of a change.
func changed() ledger.RecordWrite {
	return ledger.RecordWrite{Kind: kindChange, Key: keyChange, Expect: ledger.AnyVersion}
}

// load reads what is configured: the file's, which was given, and the store's.
func (w *Watch) load(ctx context.Context) error {
	w.loading.Lock()
	defer w.loading.Unlock()
	w.mu.Lock()
	sources, endpoints := w.o.Sources, w.o.Endpoints
	w.mu.Unlock()
	return w.loadBeside(ctx, sources, endpoints)
}

// loadBeside has these sources and endpoints of the file watched, and those of
// the store. If it cannot read the store, nothing changes. w.loading is held.
func (w *Watch) loadBeside(ctx context.Context, ofFile []*Source, endpointsOfFile []*Endpoint) error {
	version := uint64(0)
	if r, err := w.record(ctx, kindChange, keyChange); err != nil {
		return err
	} else if r != nil {
		version = r.Version
	}
	sources, endpoints, rules := map[string]*Source{}, map[string]*Endpoint{}, map[string]*Rule{}
	for _, s := range ofFile {
		if s.Created.IsZero() {
			s.Created = w.o.Now()
		}
		sources[s.Key()] = s
	}
	for _, e := range endpointsOfFile {
		endpoints[e.key()] = e
	}
	if err := w.each(ctx, kindSource, indexTenant, "", func(r *ledger.Record) error {
		s, err := w.storedSource(ctx, r)
		if err != nil {
			w.o.Logger.Error("a source cannot be used", "source", r.Key, "error", err)
		} else if sources[s.Key()] == nil {
			sources[s.Key()] = s
		}
		return nil
	}); err != nil {
		return err
	}
	if err := w.each(ctx, kindEndpoint, indexTenant, "", func(r *ledger.Record) error {
		e, err := w.storedEndpoint(ctx, r)
		if err != nil {
			w.o.Logger.Error("an endpoint cannot be used", "endpoint", r.Key, "error", err)
		} else if endpoints[e.key()] == nil {
			endpoints[e.key()] = e
		}
		return nil
	}); err != nil {
		return err
	}
	if err := w.each(ctx, kindRule, indexTenant, "", func(r *ledger.Record) error {
		row, err := decode[ruleRow](r)
		if err != nil {
			return err
		}
		rules[r.Key], err = row.rule(r.Key)
		return err
	}); err != nil {
		return err
	}
	w.mu.Lock()
	w.o.Sources, w.o.Endpoints = ofFile, endpointsOfFile
	w.version, w.rules, w.endpoints = version, rules, endpoints
	w.place(sources)
	w.mu.Unlock()
	w.hurry()
	if err := w.followRules(ctx, rules); err != nil {
		w.mu.Lock()
		w.version = 0 // reload goes on with it
		w.mu.Unlock()
		w.o.Logger.Warn("not every rule is followed yet; it is tried again", "error", err)
	}
	return nil
}

// Replace has other sources and endpoints of the file watched from now on, or
// changes nothing. A source that stays is the same *Source as before.
func (w *Watch) Replace(ctx context.Context, sources []*Source, endpoints []*Endpoint) error {
	w.loading.Lock()
	defer w.loading.Unlock()
	return w.loadBeside(ctx, sources, endpoints)
}

// place puts new sources into the queue and takes old ones out. w.mu is held.
func (w *Watch) place(sources map[string]*Source) {
	now := w.o.Now()
	changed := map[string]bool{}
	for key, p := range w.sources {
		if s := sources[key]; s == nil || s.Reader != p.Reader && !same(s, p.Source) {
			p.gone, changed[key] = true, true
			if p.place >= 0 {
				heap.Remove(&w.queue, p.place)
			}
			delete(w.sources, key)
		} else {
			p.Source.Rules = s.Rules
		}
	}
	n := 0
	for _, key := range slices.Sorted(maps.Keys(sources)) {
		if w.sources[key] != nil {
			continue
		}
		s := sources[key]
		// Many begin over some seconds, so that no vendor gets all of its calls at once.
		p := &polled{Source: s, vendor: vendorOf(s), due: now.Add(time.Duration(n)*5*time.Millisecond + rand.N(100*time.Millisecond)), place: -1,
			asked: changed[key]} // one that was changed is asked at once, whatever its state says
		p.look.Source = s
		w.sources[key] = p
		heap.Push(&w.queue, p)
		n++
	}
}

// same reports whether two sources are asked in the same way.
func same(a, b *Source) bool {
	return a.version == b.version && a.version != 0
}

// vendorOf says which sources share a bound on what is asked at a time.
func vendorOf(s *Source) string {
	if u, err := url.Parse(s.Address); err == nil && u.Host != "" {
		return s.Kind + " " + u.Host
	}
	return s.Kind
}

// rulesOf returns the rules about a source.
func (w *Watch) rulesOf(s *Source) []*Rule {
	w.mu.Lock()
	defer w.mu.Unlock()
	rules := slices.Clone(s.Rules)
	for _, id := range slices.Sorted(maps.Keys(w.rules)) {
		if r := w.rules[id]; r.Source == s.Name && r.Tenant == s.Tenant {
			rules = append(rules, r)
		}
	}
	return rules
}

// alerted wakes up what puts alerts on their way.
func (w *Watch) alerted() {
	select {
	case w.ring <- struct{}{}:
	default:
	}
}

// pollNow makes a source the next one.
func (w *Watch) pollNow(key string) {
	w.mu.Lock()
	if p := w.sources[key]; p != nil && p.place >= 0 {
		p.due = w.o.Now()
		p.asked = true // whatever its state says
		heap.Fix(&w.queue, p.place)
	}
	w.mu.Unlock()
	w.hurry()
}

// counts is what metrics tell of deliveries.
type counts struct {
	delivered map[string]int // by outcome
}
