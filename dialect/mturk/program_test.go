package mturk

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
)

// A program is a requester's, in another language, at a server of its own.
type program struct {
	*dialecttest.World
	client  *dialecttest.Client
	desk    *Desk
	account ledger.AccountID
	lose    atomic.Int32 // answers that will not arrive
	hits    [4]string
	jobs    map[string]string // assignment of a worker
}

func newProgram(t *testing.T, c *dialecttest.Client) *program {
	w := dialecttest.Open(t)
	p := &program{World: w, client: c, desk: NewDesk(w.Ledger, DeskOptions{}), account: w.Account("USD", ""), jobs: map[string]string{}}
	key := w.Issue(auth.MTurk, p.account, auth.Read|auth.Charge)
	server := New(w.Ledger, w.Auth, Options{Options: dialect.Options{}, Desk: p.desk})
	url := w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if p.lose.Add(-1) >= 0 { // it is done, and the connection breaks
			server.ServeHTTP(&lost{}, r)
			panic(http.ErrAbortHandler)
		}
		server.ServeHTTP(out, r)
	}))
	c.Returns(new(any), "open", url, key.Credential.ID, key.Secret)
	return p
}

// lost is an answer that nobody gets.
type lost struct{ h http.Header }

func (l *lost) Header() http.Header {
	if l.h == nil {
		l.h = http.Header{}
	}
	return l.h
}
func (l *lost) Write(b []byte) (int, error) { return len(b), nil }
func (l *lost) WriteHeader(int)             {}

// call makes a call, and returns what it came to.
func (p *program) call(name string, params map[string]any) map[string]any {
	p.T.Helper()
	var out map[string]any
	p.client.Returns(&out, "call", name, params)
	return out
}

// does makes a call that has to succeed.
func (p *program) does(name string, params map[string]any) map[string]any {
	p.T.Helper()
	out := p.call(name, params)
	if out["caught"] != nil {
		p.T.Fatalf("%s raised %v", name, out)
	}
	return out
}

// raises makes a call that has to fail, with a code and the start of a message.
func (p *program) raises(code, message, name string, params map[string]any) {
	p.T.Helper()
	out := p.call(name, params)
	got, _ := out["code"].(string)
	text, _ := out["message"].(string)
	if out["caught"] != "RequestError" || got != code || !strings.HasPrefix(text, message) {
		p.T.Errorf("%s came to %v, want %s: %s", name, out, code, message)
	}
}

// works accepts an assignment of a HIT as a worker and, unless told otherwise,
// submits it.
func (p *program) works(hit int, worker string, submit bool) {
	p.T.Helper()
	a, err := p.desk.Accept(p.T.Context(), p.Tenant.Number, p.hits[hit], worker)
	must(p.T, err)
	p.jobs[worker] = a.ID
	if submit {
		_, err = p.desk.Submit(p.T.Context(), p.Tenant.Number, a.ID, worker, "<QuestionFormAnswers/>")
		must(p.T, err)
	}
}

func (p *program) create(hit int, reward string, assignments int, more map[string]any) map[string]any {
	p.T.Helper()
	in := map[string]any{"Title": "Compare", "Description": "Compare two pictures", "Reward": reward, "AssignmentDurationInSeconds": 600,
		"LifetimeInSeconds": 3600, "Question": question}
	if assignments > 0 {
		in["MaxAssignments"] = assignments
	}
	for k, v := range more {
		in[k] = v
	}
	out := p.does("CreateHIT", in)["HIT"].(map[string]any)
	p.hits[hit] = out["HITId"].(string)
	return out
}

func TestProgramPython(t *testing.T) { story(newProgram(t, dialecttest.Python(t, "program.py"))) }
func TestProgramNode(t *testing.T)   { story(newProgram(t, dialecttest.Node(t, "program.mjs"))) }

// story runs from the first dollar to the last payment. What is left is worked
// out by hand.
func story(p *program) {
	t := p.T
	var typeID string
	steps := []struct {
		what string
		do   func()
		left string
	}{
		{"nothing is there", func() {}, "0.00"},
		{"10.00 come in", func() { p.TopUp(p.account, "10") }, "10.00"},
		{"a type costs nothing", func() {
			in := map[string]any{"Title": "Draw", "Description": "Draw a house", "Keywords": "draw, house", "Reward": "0.25",
				"AssignmentDurationInSeconds": 600, "AutoApprovalDelayInSeconds": 86400,
				"QualificationRequirements": []any{map[string]any{"QualificationTypeId": "00000000000000000071", "Comparator": "In",
					"LocaleValues": []any{map[string]any{"Country": "US", "Subdivision": "NY"}}, "ActionsGuarded": "Accept"}}}
			typeID = p.does("CreateHITType", in)["HITTypeId"].(string)
			if again := p.does("CreateHITType", in)["HITTypeId"]; again != typeID {
				t.Errorf("the same type is %v, then %v", typeID, again)
			}
		}, "10.00"},
		{"a HIT: 3 × (0.25 + 0.05)", func() {
			h := p.does("CreateHITWithHITType", map[string]any{"HITTypeId": typeID, "LifetimeInSeconds": 3600, "MaxAssignments": 3, "Question": question, "RequesterAnnotation": "first"})["HIT"].(map[string]any)
			p.hits[1] = h["HITId"].(string)
			if h["Reward"] != "0.25" || h["HITStatus"] != "Assignable" || h["RequesterAnnotation"] != "first" || h["Keywords"] != "draw, house" {
				t.Errorf("the HIT is %v", h)
			}
		}, "9.10"},
		{"a HIT of ten pays 40 %: 10 × (0.05 + 0.02)", func() { p.create(2, "0.05", 10, nil) }, "8.40"},
		{"a HIT of Masters pays 25 %: 1.00 + 0.25", func() {
			p.create(3, "1.00", 0, map[string]any{"QualificationRequirements": []any{map[string]any{"QualificationTypeId": masters, "Comparator": "Exists"}}})
		}, "7.15"},
		{"what it cannot pay it is refused", func() {
			p.raises("AWS.MechanicalTurk.InsufficientFunds", textInsufficientFunds, "CreateHIT", map[string]any{"Title": "t", "Description": "d", "Reward": "5.97",
				"AssignmentDurationInSeconds": 600, "LifetimeInSeconds": 3600, "Question": question}) // 5.97 + 1.19
			p.create(0, "5.95", 1, nil) // 5.95 + 1.19
			p.does("UpdateExpirationForHIT", map[string]any{"HITId": p.hits[0], "ExpireAt": 0})
			p.does("DeleteHIT", map[string]any{"HITId": p.hits[0]})
		}, "7.15"},
		{"work costs nothing yet", func() {
			p.works(1, "A1", true)
			p.works(1, "A2", true)
			p.works(2, "A1B", true)
			p.works(3, "A3", false)
			if got := p.does("ListAssignmentsForHIT", map[string]any{"HITId": p.hits[1], "AssignmentStatuses": []string{"Submitted"}})["Assignments"].([]any); len(got) != 2 {
				t.Errorf("%d assignments were submitted", len(got))
			}
		}, "7.15"},
		{"approved: out of what was on hold", func() {
			p.does("ApproveAssignment", map[string]any{"AssignmentId": p.jobs["A1"], "RequesterFeedback": "Thank you"})
			p.raises("AWS.MechanicalTurk.InvalidAssignmentState", "This operation can be called with a status of: Submitted", "ApproveAssignment", map[string]any{"AssignmentId": p.jobs["A1"]})
		}, "7.15"},
		{"rejected: 0.25 + 0.05 are free", func() {
			p.does("RejectAssignment", map[string]any{"AssignmentId": p.jobs["A2"], "RequesterFeedback": "no house"})
		}, "7.45"},
		{"overridden: a new payment of 0.30", func() {
			p.does("ApproveAssignment", map[string]any{"AssignmentId": p.jobs["A2"], "OverrideRejection": true})
			a := p.does("GetAssignment", map[string]any{"AssignmentId": p.jobs["A2"]})
			if got := a["Assignment"].(map[string]any); got["AssignmentStatus"] != "Approved" || got["Answer"] != "<QuestionFormAnswers/>" || a["HIT"].(map[string]any)["HITId"] != p.hits[1] {
				t.Errorf("the assignment is %v", a)
			}
		}, "7.15"},
		{"a bonus of 1.25, and 0.25", func() {
			in := map[string]any{"WorkerId": "A1", "AssignmentId": p.jobs["A1"], "BonusAmount": "1.25", "Reason": "Great work", "UniqueRequestToken": "bonus-0001"}
			p.does("SendBonus", in)
			p.raises("", `The idempotency token "bonus-0001" has already been processed.`, "SendBonus", in)
			paid := p.does("ListBonusPayments", map[string]any{"AssignmentId": p.jobs["A1"]})["BonusPayments"].([]any)
			if len(paid) != 1 || paid[0].(map[string]any)["BonusAmount"] != "1.25" {
				t.Errorf("bonuses are %v", paid)
			}
		}, "5.65"},
		{"a bonus whose answer is lost is paid once: 0.10 and 0.02", func() {
			p.lose.Store(1)
			p.does("SendBonus", map[string]any{"WorkerId": "A1", "AssignmentId": p.jobs["A1"], "BonusAmount": "0.10", "Reason": "more", "UniqueRequestToken": "bonus-0002"})
			p.lose.Store(1)
			p.does("ApproveAssignment", map[string]any{"AssignmentId": p.jobs["A1B"]})
		}, "5.53"},
		{"a HIT whose answer is lost is made once: 0.02 + 0.01", func() {
			p.lose.Store(1)
			p.create(0, "0.02", 1, map[string]any{"UniqueRequestToken": "hit-0001"})
			p.raises("AWS.MechanicalTurk.HitAlreadyExists", `The HIT with the idempotency token "hit-0001" already exists: `+p.hits[0], "CreateHIT", map[string]any{
				"Title": "t", "Description": "d", "Reward": "0.02", "AssignmentDurationInSeconds": 600, "LifetimeInSeconds": 3600, "Question": question, "UniqueRequestToken": "hit-0001"})
		}, "5.50"},
		{"extended: 2 × 0.30", func() {
			p.does("CreateAdditionalAssignmentsForHIT", map[string]any{"HITId": p.hits[1], "NumberOfAdditionalAssignments": 2})
			p.raises("AWS.MechanicalTurk.InvalidMaximumAssignmentsIncrease", "The HIT was created with 3", "CreateAdditionalAssignmentsForHIT", map[string]any{"HITId": p.hits[1], "NumberOfAdditionalAssignments": 5})
		}, "4.90"},
		{"expired: 3 × 0.30 are free", func() {
			p.does("UpdateExpirationForHIT", map[string]any{"HITId": p.hits[1], "ExpireAt": 0})
		}, "5.80"},
		{"expired: 9 × 0.07 are free", func() {
			p.does("UpdateExpirationForHIT", map[string]any{"HITId": p.hits[2], "ExpireAt": time.Now().Unix() - 1})
		}, "6.43"},
		{"expired, but A3 works on it", func() {
			p.does("UpdateExpirationForHIT", map[string]any{"HITId": p.hits[3], "ExpireAt": 0})
			p.raises("AWS.MechanicalTurk.InvalidHITState", "This HIT is currently in the state 'Unassignable'.  This operation can be called with a status of: Reviewing, Reviewable", "DeleteHIT", map[string]any{"HITId": p.hits[3]})
		}, "6.43"},
		{"A3 is paid 1.00 of what is on hold", func() {
			_, err := p.desk.Submit(t.Context(), p.Tenant.Number, p.jobs["A3"], "A3", "")
			must(t, err)
			p.raises("AWS.MechanicalTurk.InvalidHITState", "This HIT is currently in the state 'Reviewable'.  This", "DeleteHIT", map[string]any{"HITId": p.hits[3]})
			p.does("ApproveAssignment", map[string]any{"AssignmentId": p.jobs["A3"]})
		}, "6.43"},
		{"reviewed", func() {
			ids := p.does("ListReviewableHITs", map[string]any{})["HITs"].([]any)
			p.does("UpdateHITReviewStatus", map[string]any{"HITId": p.hits[3]})
			left := p.does("ListReviewableHITs", map[string]any{"Status": "Reviewable"})["HITs"].([]any)
			if len(ids) != 3 || len(left) != 2 || p.does("GetHIT", map[string]any{"HITId": p.hits[3]})["HIT"].(map[string]any)["HITStatus"] != "Reviewing" {
				t.Errorf("to be reviewed were %v, then %v", ids, left)
			}
		}, "6.43"},
		{"deleted", func() {
			for _, hit := range p.hits[1:] {
				p.does("DeleteHIT", map[string]any{"HITId": hit})
			}
			if got := p.does("ListHITs", map[string]any{})["HITs"].([]any); len(got) != 1 {
				t.Errorf("left are %v", got)
			}
		}, "6.43"},
		{"the last one", func() {
			p.does("UpdateExpirationForHIT", map[string]any{"HITId": p.hits[0], "ExpireAt": 0})
			p.does("DeleteHIT", map[string]any{"HITId": p.hits[0]})
		}, "6.46"},
	}
	for _, step := range steps {
		step.do()
		if got := p.does("GetAccountBalance", map[string]any{}); got["AvailableBalance"] != step.left || got["OnHoldBalance"] != "0.00" {
			t.Fatalf("%s: the balance is %v, want %s", step.what, got, step.left)
		}
	}
	p.earned(map[string]string{"A1": "1.600000", "A2": "0.250000", "A1B": "0.050000", "A3": "1.000000"})
}

// earned holds what workers have to amounts, by the native API.
func (p *program) earned(want map[string]string) {
	p.T.Helper()
	for worker, amount := range want {
		earned, err := p.desk.Earned(p.T.Context(), p.Tenant.Number, worker)
		must(p.T, err)
		if len(earned) != 1 {
			p.T.Fatalf("worker %s has %d accounts", worker, len(earned))
		}
		b, err := p.Native.Balance(p.T.Context(), earned[0].Account.ID.String())
		must(p.T, err)
		if b.Available != amount {
			text, _ := json.Marshal(b)
			p.T.Errorf("worker %s has %s, want %s", worker, text, amount)
		}
	}
}
