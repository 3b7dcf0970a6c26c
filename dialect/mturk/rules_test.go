package mturk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"saldo/dialect/dialecttest"
	"saldo/ledger"
)

// The table of fees as it was published, and worked out by hand.
func TestFees(t *testing.T) {
	for _, tt := range []struct {
		reward      Cents
		assignments int64
		masters     bool
		fee         Cents
	}{
		{1, 1, false, 1}, {5, 9, false, 1}, {12, 1, false, 2}, {13, 1, false, 3}, {25, 1, false, 5}, {0, 1, false, 1},
		{5, 10, false, 2}, {25, 10, false, 10}, {10, 1, true, 3}, {100, 10, true, 45}, {52, 1, false, 10}, {54, 1, false, 11},
	} {
		if got := StandardFees.ofReward(tt.reward, tt.assignments, tt.masters); got != tt.fee {
			t.Errorf("%v × %d (Masters: %v) costs %v, want %v", tt.reward, tt.assignments, tt.masters, got, tt.fee)
		}
	}
	if got := StandardFees.ofBonus(125); got != 25 {
		t.Errorf("a bonus of 1.25 costs %v", got)
	}
}

func TestParseDollars(t *testing.T) {
	for s, want := range map[string]Cents{"0": 0, "5": 500, "5.": 500, "5.0": 500, "5.00": 500, "005": 500, "0.05": 5, "101.42": 10142,
		"99999999999999999999999999": MostCents + 1, "10000000000000.00": MostCents, "10000000000000.01": MostCents + 1} {
		if got, ok := ParseDollars(s); !ok || got != want {
			t.Errorf("%q is %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", ".5", ".", "0.9752", "-1", "+1", "1e3", "1,000", "$5", " 5", "5 ", "5\n", "1.2.3", "٥"} {
		if got, ok := ParseDollars(s); ok {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

// An operator's own rules.
func TestOwnRules(t *testing.T) {
	b := openOffice(t, "100", DeskOptions{Fees: &Fees{Percent: 10, LargePercent: 5, Large: 3}, TokenLife: -1})
	ctx := context.Background()
	b.create(1, 3) // 15 % of 0.01, and nothing at least
	b.has("created", "99.97", "0.03")
	in := NewHIT{Type: aType(100), Content: Content{Question: question}, MaxAssignments: 1, Lifetime: time.Hour, Token: "for ever"}
	_, err := b.r.CreateHIT(ctx, in)
	must(t, err)
	b.has("created", "98.87", "1.13")
	b.pass(90 * 24 * time.Hour)
	_, err = b.r.CreateHIT(ctx, in)
	code(t, err, codeHITAlreadyExists)
	free := openOffice(t, "", DeskOptions{Fees: new(Fees)}) // work that costs nothing
	h := free.create(0, 5)
	work := free.work(h.ID, "A1")
	must(t, free.r.Approve(ctx, work, "", false))
	must(t, free.r.Reject(ctx, free.work(h.ID, "A2"), "no"))
	must(t, free.r.UpdateExpiration(ctx, h.ID, 0))
	must(t, free.r.DeleteHIT(ctx, h.ID))
	free.has("all for nothing", "0.00", "0.00")
}

// A token is forgotten after a day, to the microsecond.
func TestTokenLife(t *testing.T) {
	b := openOffice(t, "100", DeskOptions{})
	in := NewHIT{Type: aType(10), Content: Content{Question: question}, MaxAssignments: 1, Lifetime: time.Hour, Token: "once a day"}
	for day := range 3 {
		first, err := b.r.CreateHIT(t.Context(), in)
		must(t, err)
		b.pass(24*time.Hour - time.Microsecond)
		if _, err = b.r.CreateHIT(t.Context(), in); err == nil || !bytes.Contains([]byte(err.Error()), []byte(first.ID)) {
			t.Errorf("day %d: a second HIT came to %v", day, err)
		}
		b.pass(time.Microsecond)
	}
}

// What is due is done though nobody looks.
func TestDueWithoutLooking(t *testing.T) {
	b := openOffice(t, "10", DeskOptions{})
	h := b.create(100, 3)
	work := b.work(h.ID, "A1")
	b.pass(7 * 24 * time.Hour) // it is approved, and the HIT expires
	must(t, b.Ledger.ActDue(t.Context()))
	bal, err := b.Ledger.Balance(t.Context(), b.r.Account)
	must(t, err)
	if bal.Available != Cents(8_80).steps(1, 6) || !bal.Held.IsZero() {
		t.Errorf("left are %v, on hold %v", bal.Available, bal.Held)
	}
	rec, err := b.r.record(t.Context(), kindAssignment, work)
	must(t, err)
	if a, err := unpackAssignment(work, rec.Version, rec.Data); err != nil || a.status != Approved {
		t.Errorf("the assignment is %+v, %v", a, err)
	}
}

// An account that cannot be paid keeps nobody from anything else.
func TestPaymentThatCannotBe(t *testing.T) {
	b := openOffice(t, "10", DeskOptions{})
	h := b.create(100, 2)
	work := b.work(h.ID, "A1")
	id, err := b.desk.Worker(t.Context(), b.r.book, "A1")
	must(t, err)
	set := func(st ledger.Status) {
		_, err := b.Ledger.Post(t.Context(), &ledger.Command{Tenant: b.r.tenant, Book: b.r.book, ID: b.ID("set"), Ops: []ledger.Op{&ledger.SetAccount{Account: id, Status: &st}}})
		must(t, err)
	}
	set(ledger.StatusClosed)
	code(t, b.r.Approve(t.Context(), work, "", false), codePermissionDenied)
	b.pass(3 * 24 * time.Hour)
	b.has("it is due, and cannot be", "7.60", "2.40")
	set(ledger.StatusOpen)
	b.pass(time.Hour)
	b.has("an hour later it can", "7.60", "1.20")
	b.earned("A1", "1.00")
}

// Many do the same at once: it is done once, and each of others' work too.
func TestAtOnce(t *testing.T) {
	w := dialecttest.Open(t)
	b := &office{World: w, desk: NewDesk(w.Ledger, DeskOptions{})}
	b.r = b.requester(w.Account("USD", "10"))
	h := b.create(10, 9)
	var group sync.WaitGroup
	var work sync.Map
	for n := range 9 {
		group.Go(func() { work.Store(n, b.work(h.ID, fmt.Sprint("A", n))) })
	}
	group.Wait()
	var done atomic.Int32
	for n := range 9 {
		id, _ := work.Load(n)
		for range 5 {
			group.Go(func() {
				r := b.requester(b.r.Account)
				if err := r.Approve(t.Context(), id.(string), "", false); err == nil {
					done.Add(1)
				} else {
					code(t, err, codeAssignmentState)
				}
			})
		}
	}
	group.Wait()
	b.has("approved", "8.92", "0.00")
	if done.Load() != 9 {
		t.Errorf("%d were told that they approved", done.Load())
	}
	var made sync.Map
	for range 20 { // one token, or one call of an SDK
		group.Go(func() {
			r, err := b.desk.Requester(t.Context(), b.r.Account, Call{ID: "one-call", Asked: []byte("x")})
			must(t, err)
			h, err := r.CreateHIT(t.Context(), NewHIT{Type: aType(10), Content: Content{Question: question}, MaxAssignments: 1, Lifetime: time.Hour, Token: "one"})
			if err != nil {
				t.Error(err)
				return
			}
			made.Store(h.ID, true)
		})
	}
	group.Wait()
	ids := 0
	made.Range(func(any, any) bool { ids++; return true })
	b.has("created", "8.80", "0.12")
	if ids != 1 {
		t.Errorf("one call made %d HITs", ids)
	}
}

// A HIT with a lot of work is disabled in steps.
func TestDisable(t *testing.T) {
	b := openOffice(t, "100", DeskOptions{})
	const n = disableStep + 5
	h := b.create(10, n)
	for i := range n - 2 {
		b.pass(time.Millisecond) // the chance of this world repeats itself
		b.work(h.ID, fmt.Sprint("A", i))
	}
	a, err := b.desk.Accept(t.Context(), b.Tenant.Number, h.ID, "ALATE")
	must(t, err)
	must(t, b.r.DisableHIT(t.Context(), h.ID))
	b.status(h.ID, Disposed)
	b.has("the first hundred are paid", "85.44", "0.56") // 104 × 0.14 of 105
	b.pass(disableEvery)
	b.has("the others too", "85.44", "0.14")
	_, err = b.desk.Submit(t.Context(), b.Tenant.Number, a.ID, "ALATE", "")
	must(t, err)
	b.has("and what comes in later", "85.44", "0.00")
	b.earned("ALATE", "0.10")
	code(t, b.r.DisableHIT(t.Context(), h.ID), codeInvalidHITState)
	if hits, _, err := b.r.ListHITs(t.Context(), Page{Limit: 1}); err != nil || len(hits) > 0 {
		t.Errorf("listed are %v, %v", hits, err)
	}
}

// Lists of bonuses and of work go page by page, and nobody sees another's, of a
// HIT with few assignments and of one with more.
func TestPages(t *testing.T) {
	t.Run("few", func(t *testing.T) { testPages(t, fewAssignments-1) })
	t.Run("more", func(t *testing.T) { testPages(t, fewAssignments) })
}

func testPages(t *testing.T, assignments int64) {
	b := openOffice(t, "100", DeskOptions{})
	h := b.create(1, assignments)
	var work []string
	for i := range 9 {
		work = append(work, b.work(h.ID, fmt.Sprint("A", i)))
	}
	for i, id := range work {
		switch i % 3 {
		case 0:
			must(t, b.r.Approve(t.Context(), id, "", false))
		case 1:
			must(t, b.r.Reject(t.Context(), id, "no"))
		}
		must(t, b.r.SendBonus(t.Context(), Bonus{WorkerID: fmt.Sprint("A", i), AssignmentID: id, Amount: 1, Reason: "r"}, ""))
	}
	for status, want := range map[AssignmentStatus]int{0: 9, Submitted: 3, Approved: 3, Rejected: 3} {
		seen := map[string]bool{}
		for p := (Page{Limit: 2}); ; {
			list, next, err := b.r.ListAssignments(t.Context(), h.ID, status, p)
			must(t, err)
			for _, a := range list {
				if seen[a.ID] || status != 0 && a.Status != status {
					t.Errorf("of %v it lists %+v", status, a)
				}
				seen[a.ID] = true
			}
			if p.After = next; next == "" {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("of %v it lists %d, want %d", status, len(seen), want)
		}
	}
	bonuses, next, err := b.r.ListBonuses(t.Context(), h.ID, "", Page{Skip: 4, Limit: 3})
	if err != nil || len(bonuses) != 3 || next == "" || bonuses[0].WorkerID == "" {
		t.Errorf("bonuses are %v, %q, %v", bonuses, next, err)
	}
	other := b.requester(b.Account("USD", "1"))
	_, err = other.GetHIT(t.Context(), h.ID)
	code(t, err, codeHITDoesNotExist)
	code(t, other.Approve(t.Context(), work[2], "", false), codeAssignmentMissing)
	_, _, err = other.ListBonuses(t.Context(), "", work[0], Page{Limit: 1})
	code(t, err, codeAssignmentMissing)
	_, err = other.hitType(t.Context(), h.Type.ID)
	code(t, err, codeHITTypeDoesNotExist)
	if hits, _, err := other.ListHITs(t.Context(), Page{Limit: 1}); err != nil || len(hits) > 0 {
		t.Errorf("another lists %v, %v", hits, err)
	}
}

// Ids are of the form that the model has, sort as they have to, and say where
// they are.
func TestIDs(t *testing.T) {
	chance := func() (id ledger.AccountID) {
		for i := range id {
			id[i] = byte(rand.Uint32())
		}
		return id
	}
	now := ledger.TimeOf(exampleAt)
	one, two := newID(chance(), now, 7, true), newID(chance(), now+1, 7, true)
	three, four := newID(chance(), now, 1<<32-1, false), newID(chance(), now+1, 0, false)
	if two >= one || four <= three || !isID(one) || !alphanumeric(three) {
		t.Errorf("ids are %s %s %s %s", one, two, three, four)
	}
	for id, want := range map[string]ledger.BookID{one: 7, three: 1<<32 - 1, four: 0} {
		if book, ok := bookOf(id); !ok || book != want {
			t.Errorf("%s is in %d, %v, want %d", id, book, ok, want)
		}
	}
	for _, id := range []string{"", "3", one[:29], "4" + one[1:], one[:29] + "W", "3" + "00000000000" + "VVVVVVV" + "00000000000"} {
		if book, ok := bookOf(id); ok {
			t.Errorf("%q is in %d", id, book)
		}
	}
}

// Records survive being read again, and damaged ones are told.
func FuzzRecords(f *testing.F) {
	h := &hit{typeID: "3T", hold: "mturk:create:3X", max: 3, first: 3, reward: 5, fee: 1, content: true}
	f.Add(h.pack())
	f.Add((&assignment{hit: "3X", worker: "A1", status: Submitted, feedback: "f"}).pack())
	f.Add(aType(5).pack(ledger.AccountID{1}))
	f.Add((&Bonus{WorkerID: "A1", Amount: 5}).pack(7))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := unpackHIT("3X", 1, data); err == nil {
			if again, err := unpackHIT("3X", 1, h.pack()); err != nil || *again != *h {
				t.Errorf("%+v came back as %+v, %v", h, again, err)
			}
		}
		if a, err := unpackAssignment("3X", 1, data); err == nil {
			if again, err := unpackAssignment("3X", 1, a.pack()); err != nil || *again != *a {
				t.Errorf("%+v came back as %+v, %v", a, again, err)
			}
		}
		if ty, of, err := unpackHITType("3X", data); err == nil {
			if again, of2, err := unpackHITType("3X", ty.pack(of)); err != nil || of != of2 || fmt.Sprint(again.Title, again.Reward) != fmt.Sprint(ty.Title, ty.Reward) {
				t.Errorf("%+v came back as %+v, %v", ty, again, err)
			}
		}
		_, _ = unpackBonus(data)
		_, _ = unpackContent(data)
	})
}

// A question is one of three documents, and well-formed.
func TestQuestions(t *testing.T) {
	for q, ok := range map[string]bool{
		"": true, question: true, "<?xml version=\"1.0\"?>\n" + question: true, "<QuestionForm><a/><b x='1'>é &amp; &#233;</b></QuestionForm>": true,
		"<HTMLQuestion><HTMLContent><![CDATA[<p>]]></HTMLContent></HTMLQuestion>": true, "<x:QuestionForm xmlns:x='u'></x:QuestionForm>": true,
		"<a/>": false, "text": false, "<QuestionForm>": false, "</QuestionForm>": false, "<QuestionForm><a></b></QuestionForm>": false,
		"<QuestionForm><a><b></a></b></QuestionForm>": false, "<x:QuestionForm></QuestionForm>": false, "<QuestionForm/></a>": false,
		"<QuestionForm>&nbsp;</QuestionForm>": false, "<QuestionForm a=b/>": false, "<QuestionForm><![CDATA[</QuestionForm>": false,
	} {
		if err := checkQuestion(q); (err == nil) != ok {
			t.Errorf("%q comes to %v", q, err)
		}
	}
}

// The members of a request are those that encoding/json finds.
func FuzzInput(f *testing.F) {
	f.Add([]byte(exampleHIT))
	f.Add([]byte(`{"a": [1, {"b]": "}\\\""}], "c" :null,"d":-1.5e3 , "e":{"f":[]}}`))
	f.Add([]byte(` { } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]json.RawMessage
		if !utf8.Valid(body) || !isObject(body) || json.Unmarshal(body, &want) != nil {
			return
		}
		in := read(body)
		if !bytes.Contains(body, []byte(`\`)) { // names that are spelled otherwise may be one
			got := map[string]bool{}
			for _, m := range in.members {
				got[m.name] = true
			}
			if len(got) != len(want) {
				t.Errorf("%q has %v", body, got)
			}
		}
		for name, raw := range want {
			var text string
			if json.Unmarshal(raw, &text) == nil && in.text(name) != text {
				t.Errorf("%q has the text %q: %q", body, name, in.text(name))
			}
			if got := in.get(name); string(raw) != "null" && !bytes.Equal(bytes.TrimSpace(raw), got) {
				t.Errorf("%q has %q: %q, want %q", body, name, got, raw)
			}
		}
		read(body).hitTypeOf()
	})
}

// hitTypeOf reads all there is to read.
func (in input) hitTypeOf() {
	_ = in.hitType()
	in.needTime("ExpireAt")
	in.results()
	if err := in.err(); err != nil && !errors.As(err, new(*refusal)) {
		panic(err)
	}
}
