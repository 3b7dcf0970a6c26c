package watch

import (
	"container/heap"
	"context"
	"errors"
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
	version := uint64(0)
	if r, err := w.record(ctx, kindChange, keyChange); err != nil {
		return err
	} else if r != nil {
		version = r.Version
	}
	sources, endpoints, rules := map[string]*Source{}, map[string]*Endpoint{}, map[string]*Rule{}
	w.mu.Lock()
	ofFile, endpointsOfFile := w.o.Sources, w.o.Endpoints
	w.mu.Unlock()
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
	w.version, w.rules, w.endpoints = version, rules, endpoints
	w.place(sources)
	w.mu.Unlock()
	w.hurry()
	return w.followRules(ctx, rules)
}

// Replace has other sources and endpoints of the file watched from now on. A
// source that stays is the same *Source as before.
func (w *Watch) Replace(ctx context.Context, sources []*Source, endpoints []*Endpoint) error {
	w.mu.Lock()
	w.o.Sources, w.o.Endpoints = sources, endpoints
	w.mu.Unlock()
	return w.load(ctx)
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

// A sourceRow is a source that the API made, as stored.
type sourceRow struct {
	V       int             `json:"v"`
	Tenant  ledger.TenantID `json:"tenant"`
	Spec    Spec            `json:"spec"`
	Secret  []byte          `json:"secret,omitempty"` // see sealer
	Created ledger.Time     `json:"created"`
}

func (w *Watch) storedSource(ctx context.Context, r *ledger.Record) (*Source, error) {
	row, err := decode[sourceRow](r)
	if err != nil {
		return nil, err
	}
	secret, old, err := w.seal.open(row.Secret, kindSource+" "+r.Key)
	if err != nil {
		return nil, err
	}
	s, err := w.newSource(row.Spec, row.Tenant, secret)
	if err != nil {
		return nil, err
	}
	s.version, s.Created = r.Version, stdTime(row.Created)
	if old { // the master key was changed: seal it under the new one
		if row.Secret, err = w.seal.seal(secret, kindSource+" "+r.Key); err != nil {
			return nil, err
		}
		write := ledger.RecordWrite{Kind: r.Kind, Key: r.Key, Expect: r.Version, Data: encode(row), Index: r.Index}
		if _, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{write}}); err != nil {
			w.o.Logger.Warn("a secret could not be sealed under the new master key; it is tried again", "source", r.Key, "error", err)
		}
	}
	return s, nil
}

func (w *Watch) newSource(spec Spec, tenant ledger.TenantID, secret string) (*Source, error) {
	s, err := spec.New(tenant)
	if err != nil {
		return nil, err
	}
	if w.o.Reader == nil {
		return nil, errors.New("watch: there is nothing to read sources with")
	}
	s.Reader, err = w.o.Reader(&spec, secret)
	return s, err
}

// CreateSource adds a source, or changes the one that has its name. Without a
// secret the one that it had is kept.
func (w *Watch) CreateSource(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, spec Spec, secret string) (replayed bool, err error) {
	key := sourceKey(tenant, spec.Name)
	w.mu.Lock()
	inFile := slices.ContainsFunc(w.o.Sources, func(s *Source) bool { return s.Key() == key })
	w.mu.Unlock()
	if inFile {
		return false, ledger.Errorf(ledger.Exists, "the source %s is in the server's file of settings; change it there", spec.Name)
	}
	asked := []string{"source", string(encode(spec))}
	_, replayed, err = w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		was, err := w.record(ctx, kindSource, key)
		if err != nil {
			return nil, nil, err
		}
		write := ledger.RecordWrite{Kind: kindSource, Key: key, Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(tenant)}}}
		row := sourceRow{V: rowVersion, Tenant: tenant, Spec: spec, Created: ledger.TimeOf(w.o.Now())}
		if was != nil {
			old, err := decode[sourceRow](was)
			if err != nil {
				return nil, nil, err
			}
			write.Expect, row.Created = was.Version, old.Created
			if secret == "" {
				if secret, _, err = w.seal.open(old.Secret, kindSource+" "+key); err != nil {
					return nil, nil, err
				}
			}
		}
		if _, err := w.newSource(spec, tenant, secret); err != nil {
			return nil, nil, ledger.Errorf(ledger.Invalid, "%v", err)
		}
		if secret != "" {
			if row.Secret, err = w.seal.seal(secret, kindSource+" "+key); err != nil {
				return nil, nil, err
			}
		}
		write.Data = encode(&row)
		return []ledger.RecordWrite{write, changed()}, nil, nil
	})
	if err == nil {
		err = w.load(ctx)
	}
	return replayed, err
}

// DeleteSource takes a source away, with its history.
func (w *Watch) DeleteSource(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, name string) error {
	key := sourceKey(tenant, name)
	_, replayed, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"source.delete", name}}, func() ([]ledger.RecordWrite, []byte, error) {
		r, err := w.record(ctx, kindSource, key)
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no source %s that the API made", name)
		}
		return []ledger.RecordWrite{{Kind: kindSource, Key: key, Expect: r.Version, Delete: true}, changed()}, nil, nil
	})
	if err != nil {
		return err
	}
	if err := w.load(ctx); err != nil || replayed {
		return err
	}
	var writes []ledger.RecordWrite
	flush := func(most int) error {
		if len(writes) < most {
			return nil
		}
		_, err := w.o.Ledger.Post(ctx, &ledger.Command{Actor: actor, Records: writes})
		writes = nil
		return err
	}
	if r, err := w.record(ctx, kindState, key); err == nil && r != nil {
		writes = append(writes, ledger.RecordWrite{Kind: kindState, Key: key, Expect: ledger.AnyVersion, Delete: true})
	}
	if err := w.history(ctx, key, func(k string, _ chunk) error {
		writes = append(writes, ledger.RecordWrite{Kind: kindHistory, Key: k, Expect: ledger.AnyVersion, Delete: true})
		return flush(ledger.MaxRecords)
	}); err != nil {
		return err
	}
	return flush(1)
}

// TestSource asks a source now, without noting what it answers.
func (w *Watch) TestSource(ctx context.Context, tenant ledger.TenantID, name string) (dialect.Reading, error) {
	w.mu.Lock()
	p := w.sources[sourceKey(tenant, name)]
	w.mu.Unlock()
	if p == nil {
		return dialect.Reading{}, ledger.Errorf(ledger.NotFound, "there is no source %.63s", name)
	}
	return w.read(ctx, p.Reader)
}

// CreateRule adds a rule. Its id is made of the command's, or new.
func (w *Watch) CreateRule(ctx context.Context, actor uint64, id string, r *Rule) (*Rule, bool, error) {
	if err := r.Check(); err != nil {
		return nil, false, ledger.Errorf(ledger.Invalid, "%v", err)
	}
	now, err := w.o.Ledger.Now()
	if err != nil {
		return nil, false, err
	}
	r.ID, r.Created = w.o.Ledger.NewID().String(), now
	if r.Source != "" {
		w.mu.Lock()
		found := w.sources[sourceKey(r.Tenant, r.Source)] != nil
		w.mu.Unlock()
		if !found {
			return nil, false, ledger.Errorf(ledger.NotFound, "there is no source %s", r.Source)
		}
	} else if a, err := w.o.Ledger.Account(ctx, r.Account); err != nil {
		return nil, false, err
	} else if a.Tenant != r.Tenant {
		return nil, false, ledger.Errorf(ledger.NotFound, "there is no such account")
	} else if a.Mode != ledger.Own {
		return nil, false, ledger.Errorf(ledger.Invalid, "a rule is about an account with a balance of its own")
	}
	row := r.row()
	shape := *row
	shape.Created = 0
	asked := []string{"rule", string(encode(&shape))}
	answer, replayed, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: r.Tenant, ID: id, Asked: asked}, func() ([]ledger.RecordWrite, []byte, error) {
		of := 0
		for _, other := range w.Rules(r.Tenant) {
			if other.Name == r.Name {
				return nil, nil, ledger.Errorf(ledger.Exists, "a rule %s exists already", r.Name)
			}
			if other.Source == r.Source && other.Account == r.Account {
				of++
			}
		}
		if of >= 16 {
			return nil, nil, ledger.Errorf(ledger.TooMany, "there may be 16 rules about one source or account")
		}
		return []ledger.RecordWrite{{Kind: kindRule, Key: r.ID, Data: encode(row),
			Index: []ledger.IndexEntry{{Name: indexTenant, Value: tenantKey(r.Tenant)}}}, changed()}, []byte(r.ID), nil
	})
	if err != nil {
		return nil, false, err
	}
	r.ID = string(answer)
	if err := w.load(ctx); err != nil {
		return nil, replayed, err
	}
	if r.Source != "" {
		w.pollNow(sourceKey(r.Tenant, r.Source))
	}
	return r, replayed, nil
}

// DeleteRule takes a rule away. What it fired stays as it is.
func (w *Watch) DeleteRule(ctx context.Context, actor uint64, id string, tenant ledger.TenantID, rule string) error {
	_, _, err := w.o.Ledger.Amend(ctx, ledger.Amendment{Actor: actor, Tenant: tenant, ID: id, Asked: []string{"rule.delete", rule}}, func() ([]ledger.RecordWrite, []byte, error) {
		r := w.FindRule(tenant, rule)
		if r == nil || r.ID == "" {
			return nil, nil, ledger.Errorf(ledger.NotFound, "there is no rule %.63s that the API made", rule)
		}
		writes := []ledger.RecordWrite{{Kind: kindRule, Key: r.ID, Expect: ledger.AnyVersion, Delete: true}, changed()}
		if s, err := w.record(ctx, kindStanding, r.ID); err != nil {
			return nil, nil, err
		} else if s != nil {
			writes = append(writes, ledger.RecordWrite{Kind: kindStanding, Key: r.ID, Expect: ledger.AnyVersion, Delete: true})
		}
		return writes, nil, nil
	})
	if err != nil {
		return err
	}
	return w.load(ctx)
}

// Rules returns the rules of a tenant that the API made, by name.
func (w *Watch) Rules(tenant ledger.TenantID) (rules []*Rule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rules {
		if r.Tenant == tenant {
			rules = append(rules, r)
		}
	}
	slices.SortFunc(rules, func(a, b *Rule) int { return cmpText(a.Name, b.Name) })
	return rules
}

// FindRule returns the rule of a tenant with an id or a name, or nil.
func (w *Watch) FindRule(tenant ledger.TenantID, word string) *Rule {
	for _, r := range w.Rules(tenant) {
		if r.ID == word || r.Name == word {
			return r
		}
	}
	return nil
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
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

// A Look is a source as it stands, for tables and metrics.
type Look struct {
	Source  *Source
	State   string // unknown, ok, low, critical, stale, failed
	Read    time.Time
	Tried   time.Time
	Next    time.Time
	Account string
	Balance string // as the vendor wrote it
	Amount  float64
	Unit    string
	OnHold  string
	Change  string // over the last day, "" if it is not known
	Reason  string // of the last failure; "": the last poll succeeded
	Why     string
	Runway  Runway
	Drift   string
	Point   Point
	Node    string
	Firing  []string // rules and levels

	Polls    int
	Took     time.Duration // of the last poll
	Outcomes map[string]int
}

func (l *Look) took(outcome string, d time.Duration) {
	l.Polls++
	l.Took = d
	counts := maps.Clone(l.Outcomes) // who looks has the old one
	if counts == nil {
		counts = make(map[string]int)
	}
	counts[outcome]++
	l.Outcomes = counts
}

// Looks returns every source of a tenant, or of all (tenant 0), by name.
func (w *Watch) Looks(tenant ledger.TenantID) (all []Look) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(w.sources)) {
		if p := w.sources[key]; tenant == 0 || p.Tenant == tenant {
			all = append(all, p.look)
		}
	}
	return all
}

// show takes over what a state says.
func (w *Watch) show(p *polled, s *stateRow, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.show(s, now)
}

func (p *polled) show(s *stateRow, now time.Time) {
	w := &p.look
	w.Read, w.Tried, w.Next = stdTime(s.Read), stdTime(s.Tried), stdTime(s.Next)
	w.Account, w.Balance, w.Unit, w.OnHold = s.Account, s.Shown, s.Unit, s.OnHold
	w.Reason, w.Why, w.Node = s.Reason, s.Why, s.Node
	w.State, w.Firing = "ok", nil
	if point, ok := s.last(); ok {
		w.Point, w.Amount = point, number(point.Balance)
		w.Change, w.Drift = "", ""
		if point.HasDrift {
			w.Drift = text(point.Drift)
		}
		if p.usage != nil {
			if change, ok := p.usage.change(now); ok {
				w.Change = text(change)
			}
		}
	} else {
		w.State = "unknown"
	}
	if s.Reason != "" {
		w.State = "failed"
	}
	worst := ""
	for _, id := range slices.Sorted(maps.Keys(s.Rules)) {
		for _, level := range slices.Sorted(maps.Keys(s.Rules[id].Levels)) {
			if s.Rules[id].Levels[level].Firing {
				w.Firing = append(w.Firing, id+"/"+level)
				if level == "critical" || worst == "" {
					worst = level
				}
			}
		}
	}
	switch {
	case w.State == "failed":
	case worst == "critical":
		w.State = "critical"
	case worst == "warning":
		w.State = "low"
	}
}

func stdTime(t ledger.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Std()
}

// Readings calls use with the points of a source since a time, in order.
func (w *Watch) Readings(ctx context.Context, tenant ledger.TenantID, name string, since time.Time, use func(Point) error) error {
	key := sourceKey(tenant, name)
	state, err := w.readState(ctx, key)
	if err != nil {
		return err
	}
	var all chunk
	if err := w.history(ctx, key, func(_ string, c chunk) error {
		if c[len(c)-1].At >= since.Unix() {
			all = append(all, c...)
		}
		return nil
	}); err != nil {
		return err
	}
	all = append(all, state.points...)
	slices.SortFunc(all, func(a, b Point) int { return int(a.At - b.At) })
	for _, p := range all {
		if p.At >= since.Unix() {
			if err := use(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// counts is what metrics tell of deliveries.
type counts struct {
	delivered map[string]int // by outcome
}
