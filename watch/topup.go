package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"saldo/ledger"
	"saldo/money"
)

// A TopUp is what a rule does about an account's balance, beside telling: it
// brings it up to an amount, from another account or by a webhook that must
// confirm that somebody has paid. It cannot storm: one is in flight at a time,
// a decline makes the next one wait, longer each time, and no more than Cap is
// added in a Period.
type TopUp struct {
	To      string `json:"to"`                // the spendable amount that it is to have then
	From    string `json:"from,omitempty"`    // an account of the same book and unit
	Webhook string `json:"webhook,omitempty"` // name of an endpoint, in place of From
	Cap     string `json:"cap"`               // of a period
	Period  string `json:"period,omitempty"`  // "30d" if ""
}

const defaultPeriod = 30 * 24 * time.Hour

// A planStanding is how far a rule's top-ups have come. It is stored with the
// rule's standing before anything is done, and says under which id it is done:
// whatever stops, the same is done again under the same id.
type planStanding struct {
	N      uint64      `json:"n"`                // of the top-ups of the rule: 1, 2, 3
	Amount string      `json:"amount,omitempty"` // of the one in flight; "": none is
	Not    ledger.Time `json:"not,omitempty"`    // before when the next one is not tried
	Fails  int         `json:"fails,omitempty"`
	Error  string      `json:"error,omitempty"`
	Begin  ledger.Time `json:"begin,omitempty"` // of the period
	Sum    string      `json:"sum,omitempty"`   // that was added in it
}

func (u *TopUp) check(r *Rule) error {
	if r.When != BalanceBelow || r.Account.IsZero() {
		return errors.New("top_up goes with a rule about an account's balance")
	}
	if (u.From == "") == (u.Webhook == "") {
		return errors.New("top_up needs from, an account, or webhook, an endpoint, and not both")
	}
	if _, ok := ledger.ParseAccountID(u.From); u.From != "" && !ok {
		return errors.New("top_up.from has to be the id of an account")
	}
	for name, text := range map[string]string{"to": u.To, "cap": u.Cap} {
		if a, err := money.Parse(text, wide); err != nil || a.Sign() <= 0 {
			return fmt.Errorf("top_up.%s has to be an amount above zero", name)
		}
	}
	if u.Period != "" {
		if d, err := ParseDuration(u.Period); err != nil || d < time.Minute {
			return errors.New("top_up.period has to be a time of a minute and more, as 30d")
		}
	}
	for _, l := range r.Levels {
		if to, _ := money.Parse(u.To, wide); l.At.Kind == isAmount && !l.At.Amount.Less(to) {
			return errors.New("top_up.to has to be above the thresholds")
		}
	}
	return nil
}

func (u *TopUp) period() time.Duration {
	if d, err := ParseDuration(u.Period); err == nil && u.Period != "" {
		return d
	}
	return defaultPeriod
}

// firing reports whether any level of a rule does.
func (s *Standing) firing() bool {
	for _, l := range s.Levels {
		if l.Firing {
			return true
		}
	}
	return false
}

// lasts reports whether a level that fires goes on doing so with a measure.
func (x *watched) lasts(m Measure) bool {
	for _, l := range x.Levels {
		if s := x.standing.Levels[l.Name]; s != nil && s.Firing {
			if _, good, known := x.sides(l.At, m); known && !good {
				return true
			}
		}
	}
	return false
}

// plan begins a top-up if the rule fires and none is in flight. What counts is how
// the account stands now: the rule may still have to hear of the last top-up.
func (w *Watch) plan(ctx context.Context, x *watched) error {
	now := ledger.TimeOf(w.o.Now())
	if p := x.standing.Plan; p != nil && now < p.Not {
		return nil
	}
	b, err := w.o.Ledger.Balance(ctx, x.Account)
	if err != nil {
		return err
	}
	m := x.measure(b.Available, b.Limit)
	if !x.lasts(m) {
		return nil
	}
	target, _ := money.Parse(x.TopUp.To, wide)
	amount, ok := target.Sub(m.Amount)
	if !ok || amount.Sign() <= 0 {
		return nil
	}
	if status, err := w.o.Ledger.Status(ctx, b.Account); err != nil || status == ledger.StatusClosed {
		return err // nobody is asked to pay for what cannot take it
	}
	was := x.standing
	x.standing = was.clone()
	if x.standing.Plan == nil {
		x.standing.Plan = &planStanding{Begin: now}
	}
	p := x.standing.Plan
	if now >= p.Begin.Add(x.TopUp.period()) {
		p.Begin, p.Sum = now, ""
	}
	most, _ := money.Parse(x.TopUp.Cap, wide)
	sum, _ := parseWide(p.Sum)
	if left, ok := most.Sub(sum); !ok || left.Less(amount) {
		amount = left
	}
	if amount, ok = narrow(amount, x.unit); !ok || amount.Sign() <= 0 {
		x.standing = was
		if was.Plan != nil && was.Plan.Error != errCap {
			x.standing = was.clone()
			x.standing.Plan.Error, x.standing.Plan.Not = errCap, was.Plan.Begin.Add(x.TopUp.period())
			w.o.Logger.Warn("an account was topped up as often as its rule allows", "rule", x.Name, "account", x.Account.String())
			return w.keepPlan(ctx, x, was)
		}
		return nil
	}
	p.N, p.Amount = p.N+1, text(amount)
	return w.keepPlan(ctx, x, was)
}

const errCap = "the cap of the period is reached"

// narrow cuts a wide amount to the decimals of a unit.
func narrow(a money.Amount, u money.Unit) (money.Amount, bool) {
	steps, ok := a.Rescale(wide, int(u.Scale))
	if !ok {
		return a, false
	}
	return widen(steps, int(u.Scale))
}

// keepPlan writes the standing. When another node was first, that one goes on.
func (w *Watch) keepPlan(ctx context.Context, x *watched, was Standing) error {
	err := w.writeStanding(ctx, x, nil)
	switch ledger.CodeOf(err) {
	case ledger.OK:
		return nil
	case ledger.Changed, ledger.Exists:
		_, err = w.standing(ctx, x)
		return err
	}
	x.standing = was
	return err
}

// planAgain carries the top-up that is in flight on, and begins one when the
// time for it has come.
func (w *Watch) planAgain(ctx context.Context, x *watched) error {
	p := x.standing.Plan
	if x.TopUp == nil || !x.standing.firing() && (p == nil || p.Amount == "") {
		return nil
	}
	if p == nil || p.Amount == "" {
		return w.plan(ctx, x)
	}
	if x.busy || w.o.Now().Before(x.retry) {
		return nil
	}
	x.busy = true
	plan := *p
	w.running.Add(1)
	go func() { // it may take as long as somebody else wants
		defer w.running.Done()
		id, amount := x.planID(plan.N), plan.Amount
		err := w.pay(ctx, x, id, amount)
		w.follow.mu.Lock()
		defer w.follow.mu.Unlock()
		x.busy = false
		if ctx.Err() != nil && err != nil {
			return
		}
		if err := w.paid(ctx, x, plan, err); err != nil && ctx.Err() == nil {
			w.o.Logger.Warn("how a top-up went cannot be noted now; it is tried again", "rule", x.Name, "error", err)
			x.retry = w.o.Now().Add(5 * time.Second)
		}
	}()
	return nil
}

// planID is the id of a rule's top-up, in the tenant's book and in the webhook.
func (x *watched) planID(n uint64) string { return "topup/" + x.ID + "/" + strconv.FormatUint(n, 10) }

// errUnknown says that it is not known whether somebody has paid, errPaid that
// somebody has, and the account has not got it.
var (
	errUnknown = errors.New("it is not known whether it was paid")
	errPaid    = errors.New("it was paid, and the account cannot take it now")
)

// pay makes a top-up, once for an id.
func (w *Watch) pay(ctx context.Context, x *watched, id, amount string) error {
	from := ledger.AccountID{}
	kind := ledger.TopUp
	if x.TopUp.From != "" {
		from, _ = ledger.ParseAccountID(x.TopUp.From)
		kind = ledger.Move
	} else {
		if err := w.confirm(ctx, x, id, amount); err != nil {
			return err
		}
		a, err := w.o.Ledger.Account(ctx, x.Account)
		if err != nil {
			return errors.Join(errUnknown, err)
		}
		from = ledger.SystemID(x.book, a.Unit, ledger.Cash)
	}
	steps, err := x.unit.Parse(strings.TrimSuffix(amount, "."))
	if err != nil {
		return err
	}
	note := &ledger.Text{Data: encode(map[string]any{"reason": "topped up by the rule " + x.Name})}
	_, err = w.o.Ledger.Post(ctx, &ledger.Command{Tenant: x.Tenant, Book: x.book, ID: id, Ops: []ledger.Op{
		&ledger.Transfer{Kind: kind, From: from, To: x.Account, Amount: steps, Text: note}}})
	switch {
	case err != nil && x.TopUp.Webhook != "":
		return errors.Join(errPaid, err)
	case err != nil && ledger.CodeOf(err).Retryable():
		return errors.Join(errUnknown, err)
	}
	return err
}

// confirm asks a webhook to collect a payment. Only {"confirmed": true} is yes;
// {"confirmed": false} is no; anything else is asked again under the same id.
func (w *Watch) confirm(ctx context.Context, x *watched, id, amount string) error {
	e := w.Endpoint(x.Tenant, x.TopUp.Webhook)
	if e == nil || e.Kind() != Webhook || len(e.Secrets) == 0 {
		return errors.New("the webhook that confirms payments is not there")
	}
	body := encode(map[string]any{"type": "account.topup.requested", "timestamp": w.o.Now().UTC().Format(time.RFC3339),
		"data": map[string]string{"id": id, "account": x.Account.String(), "amount": amount, "unit": x.unit.Code, "rule": x.Name}})
	signer, err := standardwebhooks.NewWebhook(e.Secrets[0])
	if err != nil {
		return err
	}
	message := "msg_" + strings.NewReplacer("/", "_").Replace(id)
	now := w.o.Now()
	signature, err := signer.Sign(message, now, body)
	if err != nil {
		return err
	}
	answer, err := w.exchange(ctx, e.URL, body, http.Header{"Webhook-Id": {message}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {signature}})
	if err != nil {
		return errors.Join(errUnknown, err)
	}
	var said struct {
		Confirmed *bool `json:"confirmed"`
	}
	switch err := json.Unmarshal(answer, &said); {
	case err != nil || said.Confirmed == nil:
		return errors.Join(errUnknown, errors.New(`it answered without {"confirmed": true} or false`))
	case !*said.Confirmed:
		return errors.New("the payment was declined")
	}
	return nil
}

// paid notes how a top-up went. w.follow.mu is held.
func (w *Watch) paid(ctx context.Context, x *watched, plan planStanding, failed error) error {
	p := x.standing.Plan
	if p == nil || p.N != plan.N || p.Amount == "" {
		return nil // another node has noted it
	}
	was := x.standing
	x.standing = was.clone()
	p = x.standing.Plan
	now := w.o.Now()
	switch {
	case failed == nil:
		sum, _ := parseWide(p.Sum)
		amount, _ := parseWide(p.Amount)
		if total, ok := sum.Add(amount); ok {
			p.Sum = text(total)
		}
		p.Amount, p.Fails, p.Error = "", 0, ""
		p.Not = ledger.TimeOf(now) // the next one waits for the next crossing or the next look
	case errors.Is(failed, errUnknown) || errors.Is(failed, errPaid):
		x.retry = now.Add(w.gap(p.Fails))
		x.standing = was
		x.standing.Plan.Fails++ // in memory: what is in flight stays so
		w.o.Logger.Warn("a top-up is not done yet; it is tried again under its id", "rule", x.Name, "account", x.Account.String(), "error", failed)
		return nil
	default: // declined: another try is another top-up
		p.Amount, p.Fails, p.Error = "", p.Fails+1, clip(failed.Error(), 300)
		p.Not = ledger.TimeOf(now.Add(w.gap(p.Fails)))
		w.o.Logger.Warn("a top-up was declined", "rule", x.Name, "account", x.Account.String(), "again", p.Not.String(), "error", failed)
	}
	return w.keepPlan(ctx, x, was)
}

// gap is how long to wait after so many failures: 1 minute, 2, 4, up to 6 hours;
// where deliveries are tried faster, for tests, this is too.
func (w *Watch) gap(fails int) time.Duration {
	unit := min(time.Minute, 12*w.o.Retries[0])
	d := min(unit<<min(max(fails-1, 0), 12), 360*unit)
	return d + rand.N(d/10+1)
}
