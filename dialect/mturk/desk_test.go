package mturk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"saldo/dialect/dialecttest"
	"saldo/dialect/native"
	"saldo/ledger"
)

// An office is a desk at a moment that stands still, with one requester.
type office struct {
	*dialecttest.World
	desk *Desk
	r    *Requester
}

func openOffice(t testing.TB, amount string, o DeskOptions) *office {
	w := dialecttest.OpenAt(t, exampleAt)
	b := &office{World: w, desk: NewDesk(w.Ledger, o)}
	b.r = b.requester(w.Account("USD", amount))
	return b
}

func (b *office) requester(account ledger.AccountID) *Requester {
	b.T.Helper()
	r, err := b.desk.Requester(b.T.Context(), account, Call{})
	must(b.T, err)
	return r
}

// pass moves the clock, in steps that the ledger believes.
func (b *office) pass(d time.Duration) {
	for ; d > 0; d -= 12 * time.Hour {
		b.Clock.Set(b.Clock.Now().Add(min(d, 12*time.Hour)))
		_, err := b.Ledger.Now()
		must(b.T, err)
	}
}

// has holds what the requester can spend, and what is on hold, to amounts.
func (b *office) has(when, available, held string) {
	b.T.Helper()
	bal, err := b.r.Balance(b.T.Context())
	must(b.T, err)
	if got := bal.Unit.Text(bal.Available); got != available+"0000" {
		b.T.Errorf("%s: available is %s, want %s", when, got, available)
	}
	if got := bal.Unit.Text(bal.Held); got != held+"0000" {
		b.T.Errorf("%s: held is %s, want %s", when, got, held)
	}
}

// earned holds what a worker has to an amount.
func (b *office) earned(worker, amount string) {
	b.T.Helper()
	id, err := b.desk.Worker(b.T.Context(), b.r.book, worker)
	must(b.T, err)
	bal, err := b.Ledger.Balance(b.T.Context(), id)
	must(b.T, err)
	if got := bal.Unit.Text(bal.Available); got != amount+"0000" {
		b.T.Errorf("worker %s has %s, want %s", worker, got, amount)
	}
}

const question = `<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"><ExternalURL>https://example.com/q</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>`

func aType(reward Cents) *HITType {
	return &HITType{Title: "Compare two photographs", Description: "Compare two pictures and pick one", Keywords: "photograph, opinion",
		Reward: reward, AutoApprovalDelay: 3 * 24 * time.Hour, AssignmentDuration: 10 * time.Minute}
}

func (b *office) create(reward Cents, assignments int64) *HIT {
	b.T.Helper()
	h, err := b.r.CreateHIT(b.T.Context(), NewHIT{Type: aType(reward), Content: Content{Question: question}, MaxAssignments: assignments, Lifetime: 7 * 24 * time.Hour})
	must(b.T, err)
	return h
}

func (b *office) work(hit, worker string) string {
	b.T.Helper()
	a, err := b.desk.Accept(b.T.Context(), b.Tenant.Number, hit, worker)
	must(b.T, err)
	_, err = b.desk.Submit(b.T.Context(), b.Tenant.Number, a.ID, worker, "<QuestionFormAnswers/>")
	must(b.T, err)
	return a.ID
}

func (b *office) status(hit string, want HITStatus) {
	b.T.Helper()
	h, err := b.r.GetHIT(b.T.Context(), hit)
	must(b.T, err)
	if h.Status != want {
		b.T.Errorf("the HIT is %v, want %v", h.Status, want)
	}
}

func code(t testing.TB, err error, want string) {
	t.Helper()
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != want {
		t.Errorf("got %v (%+v), want %s", err, refused, want)
	}
}

func TestLifeOfAHIT(t *testing.T) {
	b := openOffice(t, "10", DeskOptions{})
	ctx := context.Background()
	h := b.create(5, 3) // 3 × (0.05 + 0.01)
	b.has("created", "9.82", "0.18")
	b.status(h.ID, Assignable)

	one := b.work(h.ID, "A1")
	two := b.work(h.ID, "A2")
	b.has("submitted", "9.82", "0.18")
	must(t, b.r.Approve(ctx, one, "Thank you", false))
	b.has("approved", "9.82", "0.12")
	b.earned("A1", "0.05")
	code(t, b.r.Approve(ctx, one, "", false), codeAssignmentState)

	must(t, b.r.Reject(ctx, two, "no"))
	b.has("rejected", "9.88", "0.06")
	must(t, b.r.Approve(ctx, two, "yes", true))
	b.has("overridden", "9.82", "0.06")
	b.earned("A2", "0.05")

	must(t, b.r.SendBonus(ctx, Bonus{WorkerID: "A1", Amount: 125, AssignmentID: one, Reason: "Great work"}, "bonus-0001"))
	b.has("bonus", "8.32", "0.06")
	b.earned("A1", "1.30")
	code(t, b.r.SendBonus(ctx, Bonus{WorkerID: "A1", Amount: 125, AssignmentID: one, Reason: "Great work"}, "bonus-0001"), "")

	must(t, b.r.AddAssignments(ctx, h.ID, 2, "")) // 5: 3 more to be had
	b.has("extended", "8.20", "0.18")
	code(t, b.r.AddAssignments(ctx, h.ID, 5, ""), codeInvalidIncrease)

	a, err := b.desk.Accept(ctx, b.Tenant.Number, h.ID, "A3")
	must(t, err)
	must(t, b.r.UpdateExpiration(ctx, h.ID, 0)) // what A3 works on stays on hold
	b.has("expired", "8.32", "0.06")
	b.status(h.ID, Unassignable)
	code(t, b.r.DeleteHIT(ctx, h.ID), codeInvalidHITState)

	b.pass(10 * time.Minute) // A3 is too late
	b.has("abandoned", "8.38", "0.00")
	b.status(h.ID, Reviewable)
	_, err = b.desk.Submit(ctx, b.Tenant.Number, a.ID, "A3", "")
	code(t, err, codeAssignmentMissing)

	must(t, b.r.UpdateExpiration(ctx, h.ID, ledger.TimeOf(b.Clock.Now().Add(time.Hour))))
	b.has("brought back", "8.20", "0.18")
	three := b.work(h.ID, "A3")
	b.pass(time.Hour)
	b.has("expired by itself", "8.32", "0.06")
	b.pass(3 * 24 * time.Hour)
	b.has("approved by itself", "8.32", "0.00")
	b.earned("A3", "0.05")
	code(t, b.r.Reject(ctx, three, "too late"), codeAssignmentState)

	must(t, b.r.DeleteHIT(ctx, h.ID))
	b.status(h.ID, Disposed)
	b.has("deleted", "8.32", "0.00")
}

// TestHoldEndedByOthers ends holds of HITs natively. What is approved is paid all
// the same while there is money, and the rest is on hold again as soon as there is.
func TestHoldEndedByOthers(t *testing.T) {
	b := openOffice(t, "10", DeskOptions{})
	ctx := context.Background()
	hold := func() string {
		t.Helper()
		query := ledger.Query{List: ledger.ListHolds, Book: b.r.book, Tenant: b.r.tenant, Account: b.r.Account, Open: true}
		for row, err := range b.Ledger.Scan(ctx, query) {
			must(t, err)
			return row.Hold.ID
		}
		t.Fatal("nothing is on hold")
		return ""
	}
	release := func() {
		t.Helper()
		_, err := b.Native.Release(ctx, hold(), native.HoldRequest{ID: b.ID("release")})
		must(t, err)
	}
	h := b.create(5, 3) // 3 × (0.05 + 0.01)
	one := b.work(h.ID, "A1")
	release()
	b.has("released", "10.00", "0.00")
	must(t, b.r.Approve(ctx, one, "", false))
	b.has("approved", "9.82", "0.12")
	b.earned("A1", "0.05")

	two := b.work(h.ID, "A2")
	release()
	b.Charge(b.r.Account, "9.86")
	must(t, b.r.Approve(ctx, two, "", false))
	b.has("approved with the last of it", "0.02", "0.00")
	b.earned("A2", "0.05")
	three := b.work(h.ID, "A3")
	code(t, b.r.Approve(ctx, three, "", false), codeInsufficientFunds)
	code(t, b.r.AddAssignments(ctx, h.ID, 1, ""), codeInsufficientFunds)
	b.TopUp(b.r.Account, "1")
	b.pass(time.Hour)
	b.has("topped up", "0.96", "0.06")
	release()
	must(t, b.r.Reject(ctx, three, "no"))
	b.has("rejected", "1.02", "0.00")
	must(t, b.r.UpdateExpiration(ctx, h.ID, 0))
	must(t, b.r.DeleteHIT(ctx, h.ID))

	h = b.create(5, 2)
	b.work(h.ID, "A1")
	must(t, b.Native.Do(ctx, http.MethodPost, "/v1/holds/"+url.PathEscape(hold())+"/extend", map[string]any{"id": b.ID("extend"), "ttl_seconds": 60}, nil))
	b.pass(time.Minute)
	b.has("the hold has expired", "1.02", "0.00")
	b.pass(3 * 24 * time.Hour)
	b.has("approved by itself", "0.90", "0.06")
	b.earned("A1", "0.10")
}

// TestIDsThatOthersTook takes the ids that commands of the desk would have for
// something else: they do their work under other ids.
func TestIDsThatOthersTook(t *testing.T) {
	b := openOffice(t, "10", DeskOptions{})
	ctx := context.Background()
	other := b.Account("USD", "1")
	take := func(verb, kind, id string) {
		t.Helper()
		rec, err := b.Ledger.Record(ctx, ledger.RecordKey{Book: b.r.book, Kind: kind, Key: id})
		must(t, err)
		_, err = b.Native.Charge(ctx, other.String(), native.TransferRequest{ID: "mturk:" + verb + ":" + id + "@" + uitoa(rec.Version), Amount: "0.01"})
		must(t, err)
	}
	h := b.create(5, 2)
	one, two := b.work(h.ID, "A1"), b.work(h.ID, "A2")
	take("approve", kindAssignment, one)
	must(t, b.r.Approve(ctx, one, "", false))
	take("due", kindAssignment, two)
	b.pass(3 * 24 * time.Hour)
	b.has("approved", "9.88", "0.00")
	take("delete", kindHIT, h.ID)
	must(t, b.r.DeleteHIT(ctx, h.ID))
}
