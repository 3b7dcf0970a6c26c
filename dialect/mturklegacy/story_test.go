package mturklegacy

import (
	"fmt"
	"strings"
	"testing"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

// A story is a requester's program, in another language, at a server of its own.
type story struct {
	*dialecttest.World
	client  *dialecttest.Client
	desk    *mturk.Desk
	account ledger.AccountID
	hits    [4]string
	jobs    map[string]string // assignment of a worker
}

func newStory(t *testing.T, module, pkg, script string) *story {
	w := dialecttest.Open(t)
	s := &story{World: w, desk: mturk.NewDesk(w.Ledger, mturk.DeskOptions{}), account: w.Account("USD", ""), jobs: map[string]string{}}
	key := w.Issue(auth.MTurkLegacy, s.account, auth.Read|auth.Charge)
	url := w.Serve(New(w.Ledger, w.Auth, Options{Desk: s.desk}))
	s.client = dialecttest.PythonWith(t, module, pkg, script, "URL="+url, "KEY="+key.Credential.ID, "SECRET="+key.Secret)
	return s
}

// what is the parameters of a call.
type what = map[string]any

func (s *story) call(name string, params what) map[string]any {
	s.T.Helper()
	if params == nil {
		params = what{}
	}
	var out map[string]any
	s.client.Returns(&out, "call", name, params)
	return out
}

// does makes a call that has to succeed.
func (s *story) does(name string, params what) map[string]any {
	s.T.Helper()
	out := s.call(name, params)
	if out["caught"] != nil {
		s.T.Fatalf("%s was refused: %v", name, out)
	}
	return out
}

// fails makes a call that has to be refused, with the start of a message.
func (s *story) fails(code, message, name string, params what) map[string]any {
	s.T.Helper()
	out := s.call(name, params)
	if text, _ := out["message"].(string); out["caught"] != code || !strings.HasPrefix(text, message) || out["status"] != 200.0 {
		s.T.Errorf("%s came to %v, want %s: %s", name, out, code, message)
	}
	return out
}

// works accepts an assignment of a HIT as a worker.
func (s *story) works(hit int, worker string) {
	s.T.Helper()
	a, err := s.desk.Accept(s.T.Context(), s.Tenant.Number, s.hits[hit], worker)
	if err != nil {
		s.T.Fatal(err)
	}
	s.jobs[worker] = a.ID
}

const answered1 = `<?xml version="1.0" encoding="UTF-8"?><QuestionFormAnswers xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionFormAnswers.xsd"><Answer><QuestionIdentifier>q</QuestionIdentifier><FreeText>a &amp; b</FreeText></Answer></QuestionFormAnswers>`

func (s *story) submits(worker string) {
	s.T.Helper()
	if _, err := s.desk.Submit(s.T.Context(), s.Tenant.Number, s.jobs[worker], worker, answered1); err != nil {
		s.T.Fatal(err)
	}
}

// list returns how many there are said to be, and a field of each.
func (s *story) list(name, field string, params what) string {
	s.T.Helper()
	out := s.does(name, params)
	var fields []string
	for _, item := range out["Items"].([]any) {
		fields = append(fields, fmt.Sprint(item.(map[string]any)[field]))
	}
	return fmt.Sprint(out["TotalNumResults"], " ", strings.Join(fields, " "))
}

func (s *story) is(what, got, want string) {
	s.T.Helper()
	if got != want {
		s.T.Errorf("%s is %q, want %q", what, got, want)
	}
}

func TestStoryOfBoto(t *testing.T) { newStory(t, "boto", "python3-boto", "story_boto.py").tell() }

// TestStoryOfSOAP needs no more of SOAP than the WSDL.
func TestStoryOfSOAP(t *testing.T) {
	s := newStory(t, "zeep", "python3-zeep", "story_zeep.py")
	s.tell()
	// A refusal belongs to its Request, and the others are done.
	hit := func() string {
		return s.does("CreateHIT", what{"Title": "t", "Description": "d", "Reward": "0.10", "AssignmentDurationInSeconds": 600, "LifetimeInSeconds": 3600})["HITId"].(string)
	}
	one, two := hit(), hit()
	s.is("the balance", s.does("GetAccountBalance", nil)["Amount"].(string), "6.34")
	var got [][]string
	s.client.Returns(&got, "batch", "ForceExpireHIT", []what{{"HITId": one}, {"HITId": "3NOBODY"}, {"HITId": ""}, {"HITId": two}})
	s.is("a batch", fmt.Sprint(got), "[[True ] [False AWS.MechanicalTurk.HITDoesNotExist] [False AWS.MissingParameters] [True ]]")
	s.is("the balance", s.does("GetAccountBalance", nil)["Amount"].(string), "6.58")
}

// tell runs from the first dollar to the last payment. What is left is worked out
// by hand.
func (s *story) tell() {
	t := s.T
	const funds = "This Requester has insufficient funds in their account to complete this transaction. ("
	kind := what{"Title": "Draw", "Description": "Draw a house & a tree", "Keywords": "draw, house", "Reward": "0.25", "AssignmentDurationInSeconds": 600,
		"AutoApprovalDelayInSeconds": 86400, "Qualifications": []any{what{"Type": "00000000000000000071", "Comparator": "In", "Locales": []any{[]string{"US", "NY"}, []string{"US", "NJ"}}}}}
	inline := func(reward string, more what) what {
		in := what{"Title": "Compare", "Description": "Compare two pictures", "Reward": reward, "AssignmentDurationInSeconds": 600, "LifetimeInSeconds": 3600}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	var typeID, other, dearer string
	for _, step := range []struct {
		what string
		do   func()
		left string
	}{
		{"nothing is there", func() {}, "0.00"},
		{"10.00 come in", func() { s.TopUp(s.account, "10") }, "10.00"},
		{"a type costs nothing", func() {
			typeID = s.does("RegisterHITType", kind)["HITTypeId"].(string)
			s.is("the same type", s.does("RegisterHITType", kind)["HITTypeId"].(string), typeID)
		}, "10.00"},
		{"a HIT: 3 × (0.25 + 0.05)", func() {
			h := s.does("CreateHIT", what{"HITTypeId": typeID, "LifetimeInSeconds": 3600, "MaxAssignments": 3, "RequesterAnnotation": "first"})
			s.hits[1] = h["HITId"].(string)
			if h["Title"] != nil || h["HITTypeId"] != typeID {
				t.Errorf("of a new HIT the ids alone are sent, and not %v", h)
			}
			h = s.does("GetHIT", what{"HITId": s.hits[1]})
			if h["HITStatus"] != "Assignable" || h["RequesterAnnotation"] != "first" || h["Keywords"] != "draw, house" || h["Description"] != "Draw a house & a tree" ||
				h["NumberOfAssignmentsAvailable"] != nil || !strings.Contains(h["Question"].(string), "?a=1&amp;b=2</ExternalURL>") {
				t.Errorf("the HIT is %v", h)
			}
			h = s.does("GetHIT", what{"HITId": s.hits[1], "ResponseGroup": []string{"HITAssignmentSummary"}})
			if h["HITStatus"] != nil || h["NumberOfAssignmentsAvailable"] != "3" || h["NumberOfAssignmentsPending"] != "0" {
				t.Errorf("its counts are %v", h)
			}
		}, "9.10"},
		{"a HIT of ten pays 40 %: 10 × (0.05 + 0.02)", func() {
			h := s.does("CreateHIT", inline("0.05", what{"MaxAssignments": 10, "ResponseGroup": []string{"Minimal", "HITDetail", "HITQuestion", "HITAssignmentSummary"}}))
			s.hits[2] = h["HITId"].(string)
			if h["MaxAssignments"] != "10" || h["NumberOfAssignmentsAvailable"] != "10" || h["AutoApprovalDelayInSeconds"] != "2592000" {
				t.Errorf("the HIT is %v", h)
			}
		}, "8.40"},
		{"a HIT of Masters pays 25 %: 1.00 + 0.25", func() {
			s.hits[3] = s.does("CreateHIT", inline("1.00", what{"Qualifications": []any{what{"Type": "2F1QJWKUDD8XADTFD2Q0G6UTO95ALH", "Comparator": "Exists"}}}))["HITId"].(string)
			s.is("the HITs", s.list("SearchHITs", "HITId", nil), "3 "+s.hits[1]+" "+s.hits[2]+" "+s.hits[3])
			s.is("a page of them", s.list("SearchHITs", "HITId", what{"PageSize": 2, "PageNumber": 2}), "3 "+s.hits[3])
		}, "7.15"},
		{"what it cannot pay it is refused", func() {
			s.fails("AWS.MechanicalTurk.InsufficientFunds", funds, "CreateHIT", inline("5.97", nil)) // 5.97 + 1.19
		}, "7.15"},
		{"work costs nothing yet", func() {
			s.works(1, "A1")
			s.works(1, "A2")
			s.works(2, "A1B")
			s.works(3, "A3")
			s.submits("A1")
			s.submits("A2")
			s.submits("A1B")
			s.is("work", s.list("GetAssignmentsForHIT", "WorkerId", what{"HITId": s.hits[1], "AssignmentStatus": "Submitted"}), "2 A1 A2")
			s.is("of A3 nothing yet", s.list("GetAssignmentsForHIT", "WorkerId", what{"HITId": s.hits[3]}), "0 ")
			s.fails("AWS.MechanicalTurk.AssignmentDoesNotExist", "Assignment "+s.jobs["A3"]+" does not exist.", "ApproveAssignment", what{"AssignmentId": s.jobs["A3"]})
		}, "7.15"},
		{"approved: out of what was on hold", func() {
			s.does("ApproveAssignment", what{"AssignmentId": s.jobs["A1"], "RequesterFeedback": "Thank you"})
			out := s.fails("AWS.MechanicalTurk.InvalidAssignmentState", "This operation can be called with a status of: Submitted (", "ApproveAssignment", what{"AssignmentId": s.jobs["A1"]})
			if out["data"] != true {
				t.Errorf("the state that it is in is not said: %v", out)
			}
			s.is("status", s.does("GetAssignment", what{"AssignmentId": s.jobs["A1"]})["AssignmentStatus"].(string), "Approved")
		}, "7.15"},
		{"rejected: 0.25 + 0.05 are free", func() {
			s.fails("AWS.MechanicalTurk.InvalidAssignmentState", "This operation can be called with a status of: Rejected", "ApproveRejectedAssignment", what{"AssignmentId": s.jobs["A2"]})
			s.does("RejectAssignment", what{"AssignmentId": s.jobs["A2"]})
			s.is("work", s.list("GetAssignmentsForHIT", "AssignmentStatus", what{"HITId": s.hits[1]}), "2 Approved Rejected")
		}, "7.45"},
		{"overridden: a new payment of 0.30", func() {
			s.does("ApproveRejectedAssignment", what{"AssignmentId": s.jobs["A2"]})
		}, "7.15"},
		{"a bonus of 1.25, and 0.25", func() {
			s.fails("AWS.MechanicalTurk.InvalidAssignmentState", "This operation can be called with a status of: Approved,Rejected", "GrantBonus",
				what{"WorkerId": "A1B", "AssignmentId": s.jobs["A1B"], "BonusAmount": "1.25", "Reason": "early"})
			s.does("GrantBonus", what{"WorkerId": "A1", "AssignmentId": s.jobs["A1"], "BonusAmount": "1.25", "Reason": "Great work"})
			s.is("bonuses", s.list("GetBonusPayments", "Reason", what{"HITId": s.hits[1]}), "1 Great work")
			s.is("bonuses of A2", s.list("GetBonusPayments", "Reason", what{"AssignmentId": s.jobs["A2"]}), "0 ")
		}, "5.65"},
		{"extended: 2 × 0.30", func() {
			s.does("ExtendHIT", what{"HITId": s.hits[1], "MaxAssignmentsIncrement": 2})
			s.fails("AWS.MechanicalTurk.InvalidMaximumAssignmentsIncrease", "The HIT was created with 3", "ExtendHIT", what{"HITId": s.hits[1], "MaxAssignmentsIncrement": 5})
			s.does("ExtendHIT", what{"HITId": s.hits[1], "ExpirationIncrementInSeconds": 3600})
		}, "5.05"},
		{"expired: 3 × 0.30 are free", func() {
			s.does("ForceExpireHIT", what{"HITId": s.hits[1]})
			s.is("to be reviewed", s.list("GetReviewableHITs", "HITId", nil), "1 "+s.hits[1])
			s.does("SetHITAsReviewing", what{"HITId": s.hits[1]})
			s.is("to be reviewed", s.list("GetReviewableHITs", "HITId", nil), "0 ")
			s.is("reviewed", s.list("GetReviewableHITs", "HITId", what{"Status": "Reviewing"}), "1 "+s.hits[1])
		}, "5.95"},
		{"expired: 9 × 0.07 are free", func() {
			s.does("ForceExpireHIT", what{"HITId": s.hits[2]})
			out := s.fails("AWS.MechanicalTurk.InvalidHITState", "This HIT is currently in the state 'Reviewable'.", "DisposeHIT", what{"HITId": s.hits[2]})
			if out["data"] != true {
				t.Errorf("the state that it is in is not said: %v", out)
			}
		}, "6.58"},
		{"disabled, but A3 works on it", func() { s.does("DisableHIT", what{"HITId": s.hits[3]}) }, "6.58"},
		{"A3 is paid 1.00 of what is on hold", func() { s.submits("A3") }, "6.58"},
		{"disabled with work that is paid 0.05", func() {
			s.does("DisableHIT", what{"HITId": s.hits[2]})
			s.fails("AWS.MechanicalTurk.InvalidHITState", "This HIT is currently in the state 'Disposed'.", "DisposeHIT", what{"HITId": s.hits[2]})
		}, "6.58"},
		{"another type: 0.02 + 0.01", func() {
			kind["Title"], kind["Reward"] = "Paint", "0.02"
			other = s.does("RegisterHITType", kind)["HITTypeId"].(string)
			kind["Reward"] = "0.03"
			dearer = s.does("RegisterHITType", kind)["HITTypeId"].(string)
			s.hits[0] = s.does("CreateHIT", inline("0.02", nil))["HITId"].(string)
			s.does("ChangeHITTypeOfHIT", what{"HITId": s.hits[0], "HITTypeId": other})
			s.fails("AWS.MechanicalTurk.InvalidParameterValue", "The reward", "ChangeHITTypeOfHIT", what{"HITId": s.hits[0], "HITTypeId": dearer})
			s.is("title", s.does("GetHIT", what{"HITId": s.hits[0]})["Title"].(string), "Paint")
		}, "6.55"},
		{"disposed of", func() {
			s.does("DisposeHIT", what{"HITId": s.hits[1]})
			s.is("the HITs", s.list("SearchHITs", "HITId", nil), "1 "+s.hits[0])
		}, "6.55"},
		{"the last one", func() { s.does("DisableHIT", what{"HITId": s.hits[0]}) }, "6.58"},
	} {
		step.do()
		if got := s.does("GetAccountBalance", nil); got["Amount"] != step.left || got["Formatted"] != "$"+step.left {
			t.Fatalf("%s: the balance is %v, want %s", step.what, got, step.left)
		}
	}
	for worker, amount := range map[string]string{"A1": "1.500000", "A2": "0.250000", "A1B": "0.050000", "A3": "1.000000"} {
		earned, err := s.desk.Earned(t.Context(), s.Tenant.Number, worker)
		if err != nil || len(earned) != 1 || earned[0].Unit.Text(earned[0].Available) != amount {
			t.Errorf("worker %s has %v, %v, want %s", worker, earned, err, amount)
		}
	}
}
