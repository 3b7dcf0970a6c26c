package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"saldo/ledger"
)

// Retries are the gaps between the tries of a delivery, as the Standard Webhooks
// have them: ten tries in a little over three days.
var Retries = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

const (
	// perEndpoint is how many deliveries to one endpoint run at a time.
	perEndpoint = 4
	// sharedEvery is how often nodes look for what others have left undone.
	sharedEvery = 5 * time.Second
)

// A deliveryRow is an alert on its way to an endpoint, as stored.
type deliveryRow struct {
	V        int             `json:"v"`
	Tenant   ledger.TenantID `json:"tenant"`
	Endpoint string          `json:"endpoint"`
	Rule     string          `json:"rule"` // its id
	Alert    string          `json:"alert"`
	Body     string          `json:"body"` // as in every try, but for the account's name
	Tries    int             `json:"tries,omitempty"`
	Next     ledger.Time     `json:"next"`
	Error    string          `json:"error,omitempty"`
	Dead     bool            `json:"dead,omitempty"`
	Created  ledger.Time     `json:"created"`
	Node     string          `json:"node,omitempty"`
	Until    ledger.Time     `json:"until,omitempty"`

	key     string
	version uint64
}

// A Delivery is the same for people.
type Delivery struct {
	ID, Endpoint, Alert string
	Tries               int
	Next, Created       time.Time
	Error               string
	Dead                bool
	Body                string
}

func (d *deliveryRow) write() ledger.RecordWrite {
	w := ledger.RecordWrite{Kind: kindDelivery, Key: d.key, Expect: d.version, Data: encode(d)}
	if d.Dead {
		w.Index = []ledger.IndexEntry{{Name: indexDead, Value: tenantKey(d.Tenant)}}
	} else {
		w.Index = []ledger.IndexEntry{{Name: indexOpen, Value: tenantKey(d.Tenant)}, {Name: indexLane, Value: laneOf(d.key)}}
	}
	return w
}

// A deliverer has the deliveries that are open in lanes: one for each endpoint
// and rule, in which one follows the other.
type deliverer struct {
	mu    sync.Mutex
	lanes map[string]*lane
	busy  map[string]int // by endpoint
	wake  chan struct{}
}

type lane struct {
	endpoint string // its key
	open     []*deliveryRow
	running  bool
}

func (d *deliverer) init() {
	d.lanes = make(map[string]*lane)
	d.busy = make(map[string]int)
	d.wake = make(chan struct{}, 1)
}

func (d *deliverer) hurry() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// laneOf is the part of a delivery's key that those before and after it share.
func laneOf(key string) string { return key[:strings.LastIndexByte(key, '/')] }

// add puts an open delivery into its lane, unless it is there.
func (d *deliverer) add(row *deliveryRow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := laneOf(row.key)
	l := d.lanes[name]
	if l == nil {
		l = &lane{endpoint: endpointKey(row.Tenant, row.Endpoint)}
		d.lanes[name] = l
	}
	i, found := slices.BinarySearchFunc(l.open, row.key, func(r *deliveryRow, key string) int { return strings.Compare(r.key, key) })
	if !found {
		l.open = slices.Insert(l.open, i, row)
	}
}

// backlog counts what is open.
func (d *deliverer) backlog() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lanes {
		n += len(l.open)
	}
	return n
}

// deliverAlerts puts alerts on their way and sends them, until ctx ends.
func (w *Watch) deliverAlerts(ctx context.Context) {
	defer w.running.Done()
	var senders sync.WaitGroup
	defer senders.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	looked, rung := time.Time{}, true
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.ring:
			rung = true
		case <-w.deliver.wake:
		case <-timer.C:
		}
		now := w.o.Now()
		all := looked.IsZero() || w.o.Node != "" && now.Sub(looked) >= sharedEvery
		if all || rung {
			if err := w.findWork(ctx, all); err != nil {
				if ctx.Err() == nil {
					w.o.Logger.Warn("alerts cannot be put on their way now; it is tried again", "error", err)
				}
				w.alerted()
				sleep(ctx, time.Second)
				continue
			}
			if rung = false; all {
				looked = now
			}
		}
		timer.Reset(w.dispatch(ctx, &senders))
	}
}

// findWork makes deliveries of the alerts that have none yet and, if it is to
// look at all, finds those that are open.
func (w *Watch) findWork(ctx context.Context, all bool) error {
	type found struct {
		record *ledger.Record
		row    *alertRow
	}
	var alerts []found
	if err := w.each(ctx, kindAlert, indexOpen, "1", func(r *ledger.Record) error {
		row, err := decode[alertRow](r)
		alerts = append(alerts, found{r, row})
		return err
	}); err != nil {
		return err
	}
	slices.SortFunc(alerts, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.row.At, b.row.At), cmp.Compare(a.row.Number, b.row.Number))
	})
	for _, a := range alerts {
		if err := w.expand(ctx, a.record, a.row); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	return w.each(ctx, kindDelivery, indexOpen, "", func(r *ledger.Record) error {
		row, err := decode[deliveryRow](r)
		if err != nil {
			return err
		}
		row.key, row.version = r.Key, r.Version
		w.deliver.add(row)
		return nil
	})
}

// expand makes a delivery of an alert for each endpoint that it goes to.
func (w *Watch) expand(ctx context.Context, r *ledger.Record, row *alertRow) error {
	a := row.Alert
	a.Time, a.To = row.At, row.To
	if t, err := w.o.Ledger.TenantByNumber(ctx, row.Tenant); err == nil {
		a.Tenant = t.Name
	}
	row.Alert.Tenant = a.Tenant
	onItsWay := slices.DeleteFunc(slices.Clone(r.Index), func(e ledger.IndexEntry) bool { return e.Name == indexOpen })
	writes := []ledger.RecordWrite{{Kind: kindAlert, Key: r.Key, Expect: r.Version, Data: encode(row), Index: onItsWay}}
	if row.Fired != 0 {
		ended := alertID(a.RuleID, a.Level, a.Crossing, row.Fired, "firing")
		unlist, err := w.listAlert(ctx, row.Tenant, alertKey(row.Tenant, row.Fired, ended), false)
		if err != nil {
			return err
		}
		writes = append(writes, unlist...)
	}
	body := payload(&a)
	var made []*deliveryRow
	for _, e := range w.Endpoints(row.Tenant) {
		if !e.wants(&a) || len(writes) == ledger.MaxRecords {
			continue
		}
		d := &deliveryRow{V: rowVersion, Tenant: row.Tenant, Endpoint: e.Name, Rule: a.RuleID, Alert: a.ID, Body: string(body),
			Next: ledger.TimeOf(w.o.Now()), Created: ledger.TimeOf(w.o.Now()), key: deliveryKey(e, &a)}
		if e.Disabled {
			d.Dead, d.Error = true, "the endpoint is disabled: "+e.Why
		}
		writes, made = append(writes, d.write()), append(made, d)
	}
	res, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: writes})
	if code := ledger.CodeOf(err); code == ledger.Changed || code == ledger.Exists {
		return nil // another node did it
	} else if err != nil {
		return err
	}
	for _, d := range made {
		if d.version = res.Event.Seq; !d.Dead {
			w.deliver.add(d)
		}
	}
	return nil
}

// deliveryKey sorts the deliveries of a rule's alerts to an endpoint as they came.
func deliveryKey(e *Endpoint, a *Alert) string {
	rule := strings.ReplaceAll(a.RuleID, "/", "~") // of sources' own rules
	return fmt.Sprintf("%s/%s/%012d", e.key(), rule, a.Number)
}

// dispatch starts what is due, and returns when to look again.
func (w *Watch) dispatch(ctx context.Context, senders *sync.WaitGroup) time.Duration {
	d := &w.deliver
	d.mu.Lock()
	defer d.mu.Unlock()
	now := w.o.Now()
	wait := time.Minute
	if w.o.Node != "" {
		wait = sharedEvery
	}
	for _, name := range slices.Sorted(maps.Keys(d.lanes)) {
		l := d.lanes[name]
		if len(l.open) == 0 {
			if !l.running {
				delete(d.lanes, name)
			}
			continue
		}
		if l.running || d.busy[l.endpoint] >= perEndpoint {
			continue
		}
		head := l.open[0]
		if due := head.Next.Std(); due.After(now) {
			wait = min(wait, due.Sub(now))
			continue
		}
		l.running = true
		d.busy[l.endpoint]++
		senders.Add(1)
		go func() {
			defer senders.Done()
			done := w.try(ctx, head)
			d.mu.Lock()
			l.running = false
			d.busy[l.endpoint]--
			if done && len(l.open) > 0 && l.open[0] == head {
				l.open = l.open[1:]
			}
			d.mu.Unlock()
			d.hurry()
		}()
	}
	return max(wait, time.Millisecond)
}

// try sends the first delivery of a lane, and notes what came of it. It reports
// whether the lane is to go on with the next one.
func (w *Watch) try(ctx context.Context, d *deliveryRow) (done bool) {
	r, err := w.record(ctx, kindDelivery, d.key)
	if err != nil {
		w.postpone(d, 5*time.Second)
		return false
	}
	if r == nil {
		return true // somebody else delivered it
	}
	now, err := decode[deliveryRow](r)
	if err != nil || now.Dead {
		return true
	}
	now.key, now.version = d.key, r.Version
	at := ledger.TimeOf(w.o.Now())
	if w.o.Node != "" {
		if now.Node != w.o.Node && now.Until > at {
			w.postpone(d, now.Until.Std().Sub(w.o.Now())+time.Second)
			return false
		}
		if before, err := w.before(ctx, d); err != nil || before {
			w.postpone(d, 250*time.Millisecond)
			return false
		}
		if now.Next > at {
			w.postpone(d, now.Next.Std().Sub(w.o.Now()))
			return false
		}
		now.Node, now.Until = w.o.Node, at.Add(deliveryTime+10*time.Second)
		made, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{now.write()}})
		if err != nil {
			w.postpone(d, time.Second)
			return false
		}
		now.version = made.Event.Seq
	}
	e := w.Endpoint(now.Tenant, now.Endpoint)
	if e == nil {
		return w.finish(ctx, now, "dropped")
	}
	alert, err := data([]byte(now.Body))
	if err != nil {
		return w.finish(ctx, now, "dropped")
	}
	ctx, span := w.o.Tracer.Start(ctx, "deliver "+e.Kind(), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("saldo.endpoint", e.Name), attribute.String("saldo.alert", alert.ID), attribute.Int("saldo.try", now.Tries+1)))
	defer span.End()
	err = w.send(ctx, e, alert)
	if ctx.Err() != nil && err != nil {
		return false // the try does not count: it is made again after a restart
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	if err == nil {
		return w.finish(ctx, now, "ok")
	}
	return w.failed(ctx, e, now, err)
}

// before reports whether another node has a delivery open that comes before one.
// Alerts of a rule are put on their way in order, so there is none that comes
// later.
func (w *Watch) before(ctx context.Context, d *deliveryRow) (bool, error) {
	q := ledger.Query{List: ledger.ListRecords, Kind: kindDelivery, Index: indexLane, Value: laneOf(d.key), Limit: 1}
	for row, err := range w.o.Ledger.Scan(ctx, q) {
		if err != nil {
			return false, err
		}
		if row.Record.Key >= d.key {
			break
		}
		earlier, err := decode[deliveryRow](row.Record)
		if err != nil {
			return false, err
		}
		earlier.key, earlier.version = row.Record.Key, row.Record.Version
		w.deliver.add(earlier) // so that it is taken over if that node has ended
		return true, nil
	}
	return false, nil
}

// finish takes a delivery away that is done with.
func (w *Watch) finish(ctx context.Context, d *deliveryRow, outcome string) bool {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		_, err := w.o.Ledger.Post(ctx, &ledger.Command{Records: []ledger.RecordWrite{{Kind: kindDelivery, Key: d.key, Expect: ledger.AnyVersion, Delete: true}}})
		if code := ledger.CodeOf(err); err == nil || code == ledger.NotFound {
			w.count(outcome)
			return true
		}
		if try == 3 {
			w.o.Logger.Warn("it cannot be noted that an alert was delivered; it may be delivered again", "endpoint", d.Endpoint, "error", err)
			w.postpone(d, 5*time.Second)
			return false
		}
		time.Sleep(time.Duration(try) * 100 * time.Millisecond)
	}
}

// failed notes a try that failed.
func (w *Watch) failed(ctx context.Context, e *Endpoint, d *deliveryRow, err error) bool {
	var why *sendError
	if !errors.As(err, &why) {
		why = &sendError{text: err.Error()}
	}
	d.Tries++
	d.Error = clip(why.text, 300)
	d.Dead = why.gone || d.Tries > len(w.o.Retries)
	gap := time.Duration(0)
	if !d.Dead {
		gap = w.o.Retries[d.Tries-1]
		gap = max(gap-gap/10+rand.N(gap/5+1), why.after)
	}
	d.Next, d.Until = ledger.TimeOf(w.o.Now().Add(gap)), 0
	if _, err := w.o.Ledger.Post(context.WithoutCancel(ctx), &ledger.Command{Records: []ledger.RecordWrite{d.write()}}); err != nil {
		w.o.Logger.Warn("it cannot be noted that an alert was not delivered; it is tried again", "endpoint", d.Endpoint, "error", err)
	}
	if !d.Dead {
		w.count("failed")
		w.o.Logger.Warn("an alert was not delivered; it is tried again", "endpoint", d.Endpoint, "alert", d.Alert, "tries", d.Tries, "error", d.Error,
			"again", d.Next.String())
		w.postpone(d, gap)
		return false
	}
	w.count("dead")
	w.o.Logger.Error("an alert could not be delivered and is kept among the dead (saldo delivery list)", "endpoint", d.Endpoint, "alert", d.Alert,
		"tries", d.Tries, "error", d.Error)
	if err := w.disableEndpoint(ctx, e, d.Error); err != nil {
		w.o.Logger.Warn("an endpoint that fails could not be disabled", "endpoint", d.Endpoint, "error", err)
	}
	return true
}

// postpone lets a lane wait.
func (w *Watch) postpone(d *deliveryRow, gap time.Duration) {
	next := ledger.TimeOf(w.o.Now().Add(gap))
	w.deliver.mu.Lock()
	defer w.deliver.mu.Unlock()
	if l := w.deliver.lanes[laneOf(d.key)]; l != nil && len(l.open) > 0 && l.open[0].key == d.key {
		l.open[0].Next = next
	}
}

func (w *Watch) count(outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts.delivered == nil {
		w.counts.delivered = make(map[string]int)
	}
	w.counts.delivered[outcome]++
}

// Delivered returns how many tries of this process came to what, and how many
// deliveries are open.
func (w *Watch) Delivered() (outcomes map[string]int, backlog int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts.delivered), w.deliver.backlog()
}

// Deliveries returns a tenant's deliveries that are open or, with dead, those
// that have failed for good.
func (w *Watch) Deliveries(ctx context.Context, tenant ledger.TenantID, dead bool, most int) (all []Delivery, err error) {
	index := indexOpen
	if dead {
		index = indexDead
	}
	for row, err := range w.o.Ledger.Scan(ctx, ledger.Query{List: ledger.ListRecords, Kind: kindDelivery, Index: index, Value: tenantKey(tenant), Limit: most}) {
		if err != nil {
			return nil, err
		}
		d, err := decode[deliveryRow](row.Record)
		if err != nil {
			return nil, err
		}
		_, id, _ := strings.Cut(row.Record.Key, "/")
		all = append(all, Delivery{ID: strings.ReplaceAll(id, "/", ":"), Endpoint: d.Endpoint, Alert: d.Alert, Tries: d.Tries, Next: d.Next.Std(),
			Created: d.Created.Std(), Error: d.Error, Dead: d.Dead, Body: d.Body})
	}
	return all, nil
}

// Replay sends a delivery once more, from the first try on, under the id that
// its message had.
func (w *Watch) Replay(ctx context.Context, actor uint64, tenant ledger.TenantID, id string) error {
	key := tenantKey(tenant) + "/" + strings.ReplaceAll(id, ":", "/")
	r, err := w.record(ctx, kindDelivery, key)
	if err != nil {
		return err
	}
	if r == nil {
		return ledger.Errorf(ledger.NotFound, "there is no delivery %.200s", id)
	}
	d, err := decode[deliveryRow](r)
	if err != nil {
		return err
	}
	d.key, d.version = key, r.Version
	d.Dead, d.Tries, d.Next, d.Error, d.Until = false, 0, ledger.TimeOf(w.o.Now()), "", 0
	if e := w.Endpoint(tenant, d.Endpoint); e != nil && e.Disabled {
		if err := w.EnableEndpoint(ctx, actor, "", tenant, d.Endpoint); err != nil {
			return err
		}
	}
	if _, err := w.o.Ledger.Post(ctx, &ledger.Command{Actor: actor, Records: []ledger.RecordWrite{d.write()}}); err != nil {
		return err
	}
	w.deliver.mu.Lock()
	if l := w.deliver.lanes[laneOf(key)]; l != nil {
		for _, o := range l.open {
			if o.key == key {
				o.Next = d.Next
			}
		}
	}
	w.deliver.mu.Unlock()
	w.deliver.add(d)
	w.deliver.hurry()
	return nil
}

// Alerts calls use with a tenant's alerts, newest first, until it returns false.
func (w *Watch) Alerts(ctx context.Context, tenant ledger.TenantID, from string, use func(key string, a *Alert) bool) error {
	return w.alerts(ctx, indexTenant, tenant, from, use)
}

func (w *Watch) alerts(ctx context.Context, index string, tenant ledger.TenantID, from string, use func(key string, a *Alert) bool) error {
	q := ledger.Query{List: ledger.ListRecords, Kind: kindAlert, Index: index, Value: tenantKey(tenant), From: from}
	for row, err := range w.o.Ledger.Scan(ctx, q) {
		if err != nil {
			return err
		}
		a, err := decode[alertRow](row.Record)
		if err != nil {
			return err
		}
		a.Alert.Time = a.At
		if !use(row.Key, &a.Alert) {
			return nil
		}
	}
	return nil
}

// TestEndpoint sends a sample to an endpoint, once, and returns why it was not
// taken.
func (w *Watch) TestEndpoint(ctx context.Context, e *Endpoint, sample *Alert) error {
	return w.send(ctx, e, sample)
}

// Sample makes an alert as a rule would, marked as a test.
func (w *Watch) Sample(r *Rule) *Alert {
	a := &Alert{Type: "test", Rule: r.Name, RuleID: r.ID, Level: "warning", State: "firing", Source: r.Source, When: r.When, Test: true,
		Text: "This is a test of the rule " + r.Name + "; nothing is wrong.", Time: ledger.TimeOf(w.o.Now()), To: r.To}
	if len(r.Levels) > 0 {
		a.Level, a.Threshold = r.Levels[0].Name, r.Levels[0].At.String()
	}
	if !r.Account.IsZero() {
		a.Account = r.Account.String()
	}
	a.ID = "msg_test_" + strings.ReplaceAll(w.o.Ledger.NewID().String(), "-", "")
	return a
}
