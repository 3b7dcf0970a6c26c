package mturk

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/money"
	"saldo/store/embedded"
	"saldo/store/embedded/crashfs"
)

var (
	modelSeed  = flag.Uint64("model-seed", 0, "seed of the one life that TestModel lives; 0: several")
	modelSteps = flag.Int("model-steps", 600, "how long it is")
)

// TestModel lives random lives of HITs, with clock steps, stops between any two
// calls and in the midst of calls, and compares each call's outcome, each
// balance and each HIT with a model that adds up cents.
func TestModel(t *testing.T) {
	seeds := []uint64{*modelSeed}
	if *modelSeed == 0 {
		seeds = []uint64{1, 2, 3, uint64(time.Now().UnixNano())}
	}
	for _, seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { newModel(t, seed).live(*modelSteps) })
	}
}

const (
	modelCents   = 20_00
	modelKeepFor = 20 * 24 * time.Hour
	modelToken   = 24 * time.Hour
)

// A modelWork is an assignment of the model.
type modelWork struct {
	id, worker         string
	status             AssignmentStatus // 0: given back
	deadline, sent, by time.Time        // to submit, submitted, approved by
}

// A modelHIT is a HIT of the model.
type modelHIT struct {
	id          string
	reward, fee int64
	delay       time.Duration
	max, first  int64
	expires     time.Time
	expired     bool
	disposed    bool
	disabled    bool
	reviewing   bool
	quiet       time.Time
	work        []*modelWork
}

func (h *modelHIT) count(s AssignmentStatus) (n int64) {
	for _, w := range h.work {
		if w.status == s {
			n++
		}
	}
	return n
}

func (h *modelHIT) available() int64 {
	return h.max - h.count(Accepted) - h.count(Submitted) - h.count(Approved) - h.count(Rejected)
}

func (h *modelHIT) status() HITStatus {
	switch {
	case h.disposed || h.disabled:
		return Disposed
	case !h.expired && h.available() > 0:
		return Assignable
	case h.count(Accepted) > 0:
		return Unassignable
	case h.reviewing:
		return Reviewing
	}
	return Reviewable
}

// held is what is on hold for the HIT.
func (h *modelHIT) held() int64 {
	n := h.count(Accepted) + h.count(Submitted)
	if !h.expired {
		n += h.available()
	}
	return n * (h.reward + h.fee)
}

// A model is a life of one requester, twice: as it is, and as it should be.
type model struct {
	t      *testing.T
	chance *rand.Rand
	now    time.Time
	clock  atomic.Int64 // now, for the ledger's own goroutines

	fs      *crashfs.FS
	store   *embedded.Store
	ledger  *ledger.Ledger
	desk    *Desk
	tenant  ledger.TenantID
	account ledger.AccountID
	calls   int

	hits   []*modelHIT
	paid   int64            // by the requester
	earned map[string]int64 // by workers
	fees   int64
	tokens map[string]time.Time
	frozen bool
	loose  bool // a hold may have more than it needs: the account was frozen when it had to be made smaller
	trace  []string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, chance: rand.New(rand.NewPCG(seed, 4)), now: exampleAt, fs: crashfs.New(), earned: map[string]int64{}, tokens: map[string]time.Time{}}
	m.open()
	tenant, _, err := m.ledger.CreateTenant(t.Context(), 0, "", ledger.Tenant{Name: "main"})
	must(t, err)
	m.tenant = tenant.Number
	books, err := m.ledger.Books(t.Context(), m.tenant)
	must(t, err)
	m.account = m.ledger.NewID()
	_, err = m.ledger.Post(t.Context(), &ledger.Command{Tenant: m.tenant, Book: books[0].Number, ID: "begin", Ops: []ledger.Op{
		&ledger.AddUnit{Unit: money.Unit{Code: dollars, Scale: 6, Kind: money.Currency}},
		&ledger.OpenAccount{ID: m.account, Unit: dollars, Mode: ledger.Own},
		&ledger.Transfer{Kind: ledger.TopUp, From: ledger.SystemID(books[0].Number, 0, ledger.Cash), To: m.account, Amount: Cents(modelCents).steps(1, 6)},
	}})
	must(t, err)
	t.Cleanup(func() { m.close() })
	return m
}

func (m *model) open() {
	m.clock.Store(m.now.UnixNano())
	var err error
	m.store, err = embedded.Open("data", embedded.Options{FS: m.fs, DiskReserve: -1, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, Fatal: func(error) {}})
	must(m.t, err)
	m.ledger, err = ledger.Open(context.Background(), m.store, ledger.Options{Now: func() time.Time { return time.Unix(0, m.clock.Load()).UTC() }, MaxClockStep: -1})
	must(m.t, err)
	m.desk = NewDesk(m.ledger, DeskOptions{KeepFor: modelKeepFor, TokenLife: modelToken})
}

func (m *model) close() { must(m.t, errors.Join(m.ledger.Close(), m.store.Close())) }

// crash cuts the power and starts again with what the disk has.
func (m *model) crash() {
	left := m.fs.Crash(m.chance.Uint64())
	m.fs.Resume()
	m.close()
	m.fs = left
	m.open()
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	for _, line := range m.trace[max(0, len(m.trace)-40):] {
		m.t.Log(line)
	}
	m.t.Fatalf(format, args...)
}

// requester returns the requester, for a call that an SDK would repeat.
func (m *model) requester(again bool) *Requester {
	call := Call{}
	if m.calls%3 > 0 { // of some clients a repeat cannot be told
		call = Call{ID: fmt.Sprint("call-", m.calls), Again: again}
		call.Asked = []byte(call.ID)
	}
	r, err := m.desk.Requester(context.Background(), m.account, call)
	must(m.t, err)
	return r
}

// ask makes a call of the requester; sometimes the power is cut in its midst, and
// it is made again.
func (m *model) ask(what string, call func(*Requester) error) error {
	m.calls++
	m.trace = append(m.trace, fmt.Sprintf("%d %s: %s", m.calls, m.now.Format(time.DateTime), what))
	if m.calls%3 == 0 || m.chance.IntN(25) > 0 {
		return call(m.requester(false))
	}
	m.fs.StopAt(m.fs.Ops() + 1 + m.chance.IntN(3))
	ended := make(chan error, 1)
	r := m.requester(false)
	go func() { ended <- call(r) }()
	select {
	case err := <-ended: // that much was not written
		if m.fs.StopAt(math.MaxInt); m.fs.IsStopped() {
			m.crash()
		}
		return err
	case <-m.fs.Stopped():
	}
	m.trace = append(m.trace, "  cut short")
	left := m.fs.Crash(m.chance.Uint64())
	m.fs.Resume()
	<-ended
	m.close()
	m.fs = left
	m.open()
	return call(m.requester(true))
}

// agree compares the code of a refusal, "" for none, with what it should be.
func (m *model) agree(err error, want string) bool {
	m.t.Helper()
	got := ""
	var refused *Refused
	if errors.As(err, &refused) {
		if got = refused.Code; got == "" {
			got = "token"
		}
	} else if err != nil {
		got = err.Error()
	}
	m.trace = append(m.trace, "  -> "+got)
	if got != want {
		m.fail("it came to %q, want %q", got, want)
	}
	return err == nil
}

func (m *model) available() int64 {
	left := int64(modelCents) - m.paid
	for _, h := range m.hits {
		left -= h.held()
	}
	return left
}

// spends is why the requester may not spend so much more, "" if it may.
func (m *model) spends(cents int64) string {
	switch {
	case cents <= 0:
		return ""
	case m.frozen:
		return codePermissionDenied
	case m.available() < cents:
		return codeInsufficientFunds
	}
	return ""
}

func (m *model) pay(h *modelHIT, w *modelWork) {
	m.paid += h.reward + h.fee
	m.fees += h.fee
	m.earned[w.worker] += h.reward
	w.status = Approved
	m.changed(h)
}

// changed notes what follows from a change.
func (m *model) changed(h *modelHIT) {
	m.loose = m.loose || m.frozen
	if h.disabled && h.count(Accepted)+h.count(Submitted) == 0 {
		h.disposed, h.expired = true, true
	}
	switch h.status() {
	case Reviewable, Reviewing:
		if h.quiet.IsZero() {
			h.quiet = m.now
		}
	default:
		h.quiet, h.reviewing = time.Time{}, false
	}
}

// pass lets time pass, and what is due happen.
func (m *model) pass(d time.Duration) {
	m.now = m.now.Add(d)
	m.clock.Store(m.now.UnixNano())
	m.trace = append(m.trace, "time passes: "+m.now.Format(time.DateTime))
	for _, h := range m.hits {
		if !h.expired && !m.now.Before(h.expires) {
			h.expired = true
			m.changed(h)
		}
		for _, w := range h.work {
			switch {
			case w.status == Accepted && !m.now.Before(w.deadline):
				w.status = 0
				m.changed(h)
			case w.status == Submitted && !m.now.Before(w.by):
				m.pay(h, w)
			}
		}
		if !h.quiet.IsZero() && !m.now.Before(h.quiet.Add(modelKeepFor)) {
			h.disposed, h.quiet = true, time.Time{}
		}
	}
}

func (m *model) live(steps int) {
	for range steps {
		m.step()
		m.check()
	}
	m.pass(40 * 24 * time.Hour)
	m.check()
	m.pass(40 * 24 * time.Hour)
	m.check()
	for _, h := range m.hits {
		if !h.disposed {
			m.fail("%s was not disposed of", h.id)
		}
	}
	m.prove()
}

// prove holds the books to their journal.
func (m *model) prove() {
	must(m.t, errors.Join(m.ledger.Close(), m.store.Close()))
	store, err := embedded.Open("data", embedded.Options{FS: m.fs, DiskReserve: -1})
	must(m.t, err)
	_, err = ledger.Verify(context.Background(), store, ledger.VerifyOptions{})
	must(m.t, errors.Join(err, store.Close()))
	m.open()
}

// any returns one of the HITs, and one of its assignments, the later ones rather.
func (m *model) any() (*modelHIT, *modelWork) {
	if len(m.hits) == 0 {
		return nil, nil
	}
	h := m.hits[max(0, len(m.hits)-1-m.chance.IntN(12))]
	if len(h.work) == 0 {
		return h, nil
	}
	return h, h.work[m.chance.IntN(len(h.work))]
}

func (m *model) step() {
	h, w := m.any()
	ctx := context.Background()
	switch n := m.chance.IntN(100); {
	case h == nil || n < 12:
		m.create()
	case n < 34:
		m.accept(h)
	case n < 48 && w != nil:
		m.worker(h, w)
	case n < 60 && w != nil:
		m.approve(h, w)
	case n < 68 && w != nil:
		feedback := fmt.Sprint("no ", n)
		err := m.ask("reject "+w.id, func(r *Requester) error { return r.Reject(ctx, w.id, feedback) })
		if m.agree(err, m.reviews(w, false)) {
			w.status = Rejected
			m.changed(h)
		}
	case n < 73 && w != nil:
		m.bonus(h, w)
	case n < 78:
		m.extend(h)
	case n < 83:
		m.expire(h)
	case n < 86:
		err := m.ask("delete "+h.id, func(r *Requester) error { return r.DeleteHIT(ctx, h.id) })
		want := ""
		if s := h.status(); s != Reviewable && s != Reviewing || h.count(Submitted) > 0 {
			want = codeInvalidHITState
		}
		if m.agree(err, want) {
			h.disposed = true
			m.changed(h)
		}
	case n < 88:
		reviewing := m.chance.IntN(2) == 0
		err := m.ask("review "+h.id, func(r *Requester) error { return r.SetReviewing(ctx, h.id, reviewing) })
		want := ""
		if s := h.status(); s != Reviewable && s != Reviewing {
			want = codeInvalidHITState
		}
		if m.agree(err, want) {
			h.reviewing = reviewing
		}
	case n < 89:
		m.disable(h)
	case n < 91:
		m.freeze()
	case n < 93:
		m.trace = append(m.trace, "the power is cut")
		m.crash()
	default:
		m.pass(time.Duration(m.chance.Int64N(int64([]time.Duration{time.Minute, time.Hour, 12 * time.Hour, 3 * 24 * time.Hour}[m.chance.IntN(4)]))))
	}
}

func (m *model) token(of string) string {
	if m.chance.IntN(3) > 0 {
		return ""
	}
	return of + strconv.Itoa(m.chance.IntN(6))
}

// used is why a token may not be used, "" if it may.
func (m *model) used(token, code string) string {
	if until, ok := m.tokens[token]; ok && m.now.Before(until) {
		return code
	}
	return ""
}

func (m *model) use(token string) {
	if token != "" {
		m.tokens[token] = m.now.Add(modelToken)
	}
}

func (m *model) create() {
	t := HITType{Title: "t", Description: "d", Reward: Cents(m.chance.Int64N(40)), AssignmentDuration: time.Duration(1+m.chance.IntN(60)) * time.Minute,
		AutoApprovalDelay: time.Duration(m.chance.IntN(4)) * 12 * time.Hour}
	percent := int64(20)
	if m.chance.IntN(4) == 0 {
		t.Qualifications, percent = []Qualification{{TypeID: masters, Comparator: "Exists"}}, 25
	}
	h := &modelHIT{reward: int64(t.Reward), max: 1 + m.chance.Int64N(14), delay: t.AutoApprovalDelay}
	if h.max >= 10 {
		percent += 20
	}
	h.first, h.fee = h.max, max(1, (h.reward*percent+50)/100)
	in := NewHIT{Type: &t, MaxAssignments: h.max, Lifetime: time.Duration(1+m.chance.IntN(48)) * time.Hour, Token: m.token("hit")}
	in.Question = question
	h.expires = m.now.Add(in.Lifetime)
	want := m.used(in.Token, codeHITAlreadyExists)
	if want == "" {
		want = m.spends(h.max * (h.reward + h.fee))
	}
	var made *HIT
	err := m.ask(fmt.Sprintf("create %d × (%d + %d), token %q", h.max, h.reward, h.fee, in.Token), func(r *Requester) (err error) {
		made, err = r.CreateHIT(context.Background(), in)
		return err
	})
	if m.agree(err, want) {
		h.id = made.ID
		m.hits = append(m.hits, h)
		m.use(in.Token)
		if made.Status != Assignable || made.Available != h.max || made.Question != question {
			m.fail("it was made as %+v", made)
		}
	}
}

func (m *model) accept(h *modelHIT) {
	worker := "A" + strconv.Itoa(m.chance.IntN(30))
	m.calls++
	m.trace = append(m.trace, fmt.Sprintf("%d %s: %s accepts %s", m.calls, m.now.Format(time.DateTime), worker, h.id))
	want := ""
	if h.status() != Assignable {
		want = codeInvalidHITState
	} else {
		for _, w := range h.work {
			if w.worker == worker && w.status != 0 {
				want = codeAssignmentExists
			}
		}
	}
	a, err := m.desk.Accept(context.Background(), m.tenant, h.id, worker)
	if m.agree(err, want) {
		h.work = append(h.work, &modelWork{id: a.ID, worker: worker, status: Accepted, deadline: a.Deadline.Std()})
		m.changed(h)
	}
}

// worker submits work, or gives it back.
func (m *model) worker(h *modelHIT, w *modelWork) {
	back := m.chance.IntN(4) == 0
	m.trace = append(m.trace, fmt.Sprintf("%s: %s hands %s in (back: %v)", m.now.Format(time.DateTime), w.worker, w.id, back))
	want := ""
	switch w.status {
	case 0:
		want = codeAssignmentMissing
	case Submitted, Approved, Rejected:
		want = codeAssignmentState
	}
	var err error
	if back {
		_, err = m.desk.Return(context.Background(), m.tenant, w.id, w.worker)
	} else {
		_, err = m.desk.Submit(context.Background(), m.tenant, w.id, w.worker, "answer")
	}
	if !m.agree(err, want) {
		return
	}
	if w.status = 0; !back {
		w.status, w.sent, w.by = Submitted, m.now, m.now.Add(h.delay)
		if h.disabled {
			w.by = m.now
		}
	}
	m.changed(h)
	if !back && !m.now.Before(w.by) {
		m.pay(h, w)
	}
}

// reviews is why work may not be reviewed, "" if it may.
func (m *model) reviews(w *modelWork, override bool) string {
	switch w.status {
	case 0, Accepted:
		return codeAssignmentMissing
	case Submitted:
		return ""
	case Rejected:
		if override {
			return ""
		}
	}
	return codeAssignmentState
}

func (m *model) approve(h *modelHIT, w *modelWork) {
	override := m.chance.IntN(3) == 0
	want := m.reviews(w, override)
	late := h.disposed || !m.now.Before(w.sent.Add(overrideFor))
	again := w.status == Rejected
	if want == "" && again {
		if late || h.disabled {
			want = codeAssignmentState
		} else {
			want = m.spends(h.reward + h.fee)
		}
	}
	feedback := fmt.Sprint("yes ", m.chance.IntN(9))
	err := m.ask(fmt.Sprintf("approve %s, override %v", w.id, override), func(r *Requester) error {
		return r.Approve(context.Background(), w.id, feedback, override)
	})
	if m.agree(err, want) {
		m.pay(h, w)
	}
}

func (m *model) bonus(h *modelHIT, w *modelWork) {
	b := Bonus{WorkerID: w.worker, Amount: Cents(1 + m.chance.Int64N(60)), AssignmentID: w.id, Reason: "r"}
	fee := max(1, (int64(b.Amount)*20+50)/100)
	token := m.token("bonus")
	want := m.used(token, "token")
	if want == "" && w.status < Submitted {
		want = codeAssignmentMissing
	}
	if want == "" {
		want = m.spends(int64(b.Amount) + fee)
	}
	err := m.ask(fmt.Sprintf("bonus of %v for %s, token %q", b.Amount, w.id, token), func(r *Requester) error {
		return r.SendBonus(context.Background(), b, token)
	})
	if m.agree(err, want) {
		m.use(token)
		m.paid += int64(b.Amount) + fee
		m.fees += fee
		m.earned[w.worker] += int64(b.Amount)
	}
}

func (m *model) extend(h *modelHIT) {
	if m.frozen && m.loose {
		return // it may go on with what is on hold too much
	}
	n := 1 + m.chance.Int64N(4)
	token := m.token("add")
	want := m.used(token, "token")
	cost := n * (h.reward + h.fee)
	if h.expired {
		cost = 0
	}
	switch {
	case want != "":
	case h.status() == Disposed:
		want = codeInvalidHITState
	case h.first < 10 && h.max+n >= 10:
		want = codeInvalidIncrease
	default:
		want = m.spends(cost)
	}
	err := m.ask(fmt.Sprintf("%d more for %s, token %q", n, h.id, token), func(r *Requester) error {
		return r.AddAssignments(context.Background(), h.id, n, token)
	})
	if m.agree(err, want) {
		m.use(token)
		h.max += n
		m.changed(h)
	}
}

func (m *model) expire(h *modelHIT) {
	at := m.now.Add(time.Duration(m.chance.IntN(40)-10) * time.Hour)
	if m.frozen && m.loose {
		at = m.now // a later time may do with what is on hold too much
	}
	now := !at.After(m.now)
	want := ""
	switch {
	case h.status() == Disposed:
		want = codeInvalidHITState
	case !now && h.expired:
		want = m.spends(h.available() * (h.reward + h.fee))
	}
	err := m.ask(fmt.Sprintf("%s expires %v", h.id, at), func(r *Requester) error {
		return r.UpdateExpiration(context.Background(), h.id, ledger.TimeOf(at))
	})
	if m.agree(err, want) {
		if h.expired = now; !now {
			h.expires = at
		}
		m.changed(h)
	}
}

func (m *model) disable(h *modelHIT) {
	want := ""
	if h.status() == Disposed {
		want = codeInvalidHITState
	}
	err := m.ask("disable "+h.id, func(r *Requester) error { return r.DisableHIT(context.Background(), h.id) })
	if !m.agree(err, want) {
		return
	}
	h.disabled, h.expired = true, true
	m.changed(h)
	for _, w := range h.work {
		if w.status == Submitted {
			m.pay(h, w)
		}
	}
}

// freeze freezes the account, or lets it go again.
func (m *model) freeze() {
	m.frozen = !m.frozen
	status := ledger.StatusOpen
	if m.frozen {
		status = ledger.StatusFrozen
	}
	m.trace = append(m.trace, "the account is "+status.String())
	a, err := m.ledger.Account(context.Background(), m.account)
	must(m.t, err)
	_, err = m.ledger.Post(context.Background(), &ledger.Command{Tenant: m.tenant, Book: a.Book, ID: fmt.Sprint("freeze-", m.ledger.NewID()),
		Ops: []ledger.Op{&ledger.SetAccount{Account: m.account, Status: &status}}})
	must(m.t, err)
	if m.loose && !m.frozen { // what is on hold too much is let go
		m.pass(postponed)
		m.loose = false
	}
}

// check compares balances, and a HIT.
func (m *model) check() {
	m.t.Helper()
	ctx := context.Background()
	r := m.requester(false)
	r.call = Call{}
	bal, err := r.Balance(ctx)
	must(m.t, err)
	left, held := m.available(), int64(modelCents)-m.paid-m.available()
	is := func(what string, got money.Amount, cents int64) {
		m.t.Helper()
		if want := Cents(cents).steps(1, 6); got != want {
			m.fail("%s is %s, want %s", what, got.Text(6), want.Text(6))
		}
	}
	is("posted", bal.Posted, modelCents-m.paid)
	if !m.loose {
		is("held", bal.Held, held)
		is("available", bal.Available, left)
	} else if bal.Held.Less(Cents(held).steps(1, 6)) {
		m.fail("held is %s, which is less than %v", bal.Held.Text(6), Cents(held))
	}
	fees, err := m.ledger.Balance(ctx, ledger.SystemID(bal.Account.Book, bal.Account.Unit, ledger.Fees))
	must(m.t, err)
	is("@fees", fees.Posted, m.fees)
	for worker, cents := range m.earned {
		id, err := m.desk.Worker(ctx, bal.Account.Book, worker)
		must(m.t, err)
		b, err := m.ledger.Balance(ctx, id)
		must(m.t, err)
		is(worker, b.Posted, cents)
	}
	for range min(3, len(m.hits)) {
		h, _ := m.any()
		got, err := r.GetHIT(ctx, h.id)
		must(m.t, err)
		want := HIT{Status: h.status(), MaxAssignments: h.max, Pending: h.count(Accepted), Available: h.available(), Submitted: h.count(Submitted), Completed: h.count(Approved) + h.count(Rejected)}
		if g := (HIT{Status: got.Status, MaxAssignments: got.MaxAssignments, Pending: got.Pending, Available: got.Available, Submitted: got.Submitted, Completed: got.Completed}); fmt.Sprint(g) != fmt.Sprint(want) {
			m.fail("HIT %s is %+v, want %+v", h.id, g, want)
		}
	}
	m.lists(r)
}

// lists compares the lists with the model, now and then.
func (m *model) lists(r *Requester) {
	if m.chance.IntN(10) > 0 {
		return
	}
	ctx := context.Background()
	want := map[string][]string{}
	for _, h := range slices.Backward(m.hits) {
		if s := h.status(); s != Disposed {
			want["all"] = append(want["all"], h.id)
			want[s.String()] = append(want[s.String()], h.id)
		}
	}
	get := func(list func(Page) ([]*HIT, string, error)) (ids []string) {
		for p := (Page{Limit: 3}); ; {
			hits, next, err := list(p)
			must(m.t, err)
			for _, h := range hits {
				ids = append(ids, h.ID)
			}
			if p.After = next; next == "" {
				return ids
			}
		}
	}
	same := func(what string, got, want []string) {
		m.t.Helper()
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
		if !slices.Equal(got, want) {
			m.fail("%s: %v, want %v", what, got, want)
		}
	}
	same("all", get(func(p Page) ([]*HIT, string, error) { return r.ListHITs(ctx, p) }), want["all"])
	for _, s := range []HITStatus{Reviewable, Reviewing} {
		same(s.String(), get(func(p Page) ([]*HIT, string, error) { return r.ListReviewable(ctx, s, "", p) }), want[s.String()])
	}
	n, err := r.Counts(ctx)
	must(m.t, err)
	if n != (Counts{int64(len(want["all"])), int64(len(want["Reviewable"])), int64(len(want["Reviewing"]))}) {
		m.fail("the counts are %+v, want those of %v", n, want)
	}
}
