package mturk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
)

// hitRequest is a call as the published examples have it, not signed yet.
func hitRequest(operation, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\nHost: %s\nContent-Type: application/x-amz-json-1.1\nX-Amz-Target: MTurkRequesterServiceV20170117.%s\n\n%s", exampleHost, operation, body)
}

// A counter is an example whose requester may spend.
type counter struct {
	*example
	desk *Desk
}

func openCounter(t testing.TB, amount string) *counter {
	w := dialecttest.OpenAt(t, exampleAt)
	e := &example{World: w, account: w.Account("USD", amount)}
	e.importKey(t, auth.Spec{Root: e.account, Scopes: auth.Read | auth.Charge}, exampleKey, exampleSecret)
	c := &counter{e, NewDesk(w.Ledger, DeskOptions{})}
	e.server = New(w.Ledger, w.Auth, Options{Options: dialect.Options{Now: w.Clock.Now}, Desk: c.desk})
	return c
}

// sample makes a call, holds it to testdata/NAME.http, and returns the answer.
func (c *counter) sample(t *testing.T, name, operation, body string) map[string]any {
	t.Helper()
	request := sign(t, hitRequest(operation, body), exampleKey, exampleSecret, c.Clock.Now())
	resp := dialecttest.Sample(t, c.server, name, request, masks)
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if resp.StatusCode != http.StatusOK {
		if err := checkAnswer(resp, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return out
}

// The HIT and the bonus of the published examples.
const (
	exampleHIT = `{"Title":"Compare two photographs","Description":"Compare two pictures and pick one","Keywords":"photograph, opinion","Reward":"0.05","MaxAssignments":3,"AssignmentDurationInSeconds":600,"LifetimeInSeconds":604800,"AutoApprovalDelayInSeconds":259200,"Question":"<ExternalQuestion xmlns=\"http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd\"><ExternalURL>https://example.com/q</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>","UniqueRequestToken":"hit-0001"}`
	exampleQ   = `"Question":"<ExternalQuestion/>"`
)

// Every operation that touches money, and every refusal of theirs, as whole
// exchanges.
func TestHITSamples(t *testing.T) {
	c := openCounter(t, "10")
	hit := func(out map[string]any) string { return out["HIT"].(map[string]any)["HITId"].(string) }
	ctx := context.Background()

	// Of HITs and types.
	one := hit(c.sample(t, "create-hit", "CreateHIT", exampleHIT))
	c.sample(t, "create-hit-token-used", "CreateHIT", exampleHIT)
	c.sample(t, "create-hit-no-funds", "CreateHIT", strings.NewReplacer(`"0.05"`, `"10"`, "hit-0001", "hit-0002").Replace(exampleHIT))
	aType := c.sample(t, "create-hit-type", "CreateHITType", `{"Title":"Draw","Description":"Draw a house","Reward":"5.","AssignmentDurationInSeconds":60,"QualificationRequirements":[{"QualificationTypeId":"00000000000000000071","Comparator":"In","LocaleValues":[{"Country":"US","Subdivision":"NY"},{"Country":"DE"}],"ActionsGuarded":"Accept"},{"QualificationTypeId":"000000000000000000L0","Comparator":"GreaterThan","IntegerValues":[95],"RequiredToPreview":true}]}`)["HITTypeId"].(string)
	c.Clock.Set(exampleAt.Add(1500 * time.Millisecond))
	two := hit(c.sample(t, "create-hit-with-type", "CreateHITWithHITType", `{"HITTypeId":"`+aType+`","LifetimeInSeconds":3600,"RequesterAnnotation":"Ä \"b\"","HITLayoutId":"3LAYOUT","HITLayoutParameters":[{"Name":"a","Value":"b"}]}`))
	c.sample(t, "get-hit", "GetHIT", `{"HITId":"`+two+`"}`)
	next := c.sample(t, "list-hits", "ListHITs", `{"MaxResults":1}`)["NextToken"].(string)
	c.sample(t, "list-hits-next", "ListHITs", `{"MaxResults":1,"NextToken":"`+next+`"}`)
	c.sample(t, "list-other-token", "ListReviewableHITs", `{"NextToken":"`+next+`"}`)
	c.sample(t, "list-empty-token", "ListHITs", `{"NextToken":""}`)
	c.sample(t, "list-too-many", "ListHITs", `{"MaxResults":101}`)
	c.sample(t, "list-none", "ListHITs", `{"MaxResults":0}`)
	c.sample(t, "list-for-qualification", "ListHITsForQualificationType", `{"QualificationTypeId":"3QUALIFICATION"}`)
	c.sample(t, "hit-missing", "GetHIT", `{"HITId":"36818Z1KV5CDQ807J1UQ45304AOA3Z"}`)
	c.sample(t, "hit-type-missing", "CreateHITWithHITType", `{"HITTypeId":"3NONE","LifetimeInSeconds":3600,`+exampleQ+`}`)
	c.sample(t, "hit-type-of-other-price", "UpdateHITTypeOfHIT", `{"HITId":"`+one+`","HITTypeId":"`+aType+`"}`)
	c.sample(t, "create-hit-bad-question", "CreateHIT", strings.NewReplacer(`</ExternalQuestion>`, ``, "hit-0001", "hit-0003").Replace(exampleHIT))
	c.sample(t, "create-hit-review-policy", "CreateHITWithHITType", `{"HITTypeId":"`+aType+`","LifetimeInSeconds":3600,`+exampleQ+`,"HITReviewPolicy":{"PolicyName":"SimplePlurality/2011-09-01"}}`)
	c.sample(t, "create-hit-too-short", "CreateHITWithHITType", `{"HITTypeId":"`+aType+`","LifetimeInSeconds":29,`+exampleQ+`}`)

	// Of members.
	c.sample(t, "member-missing", "RejectAssignment", `{"AssignmentId":"3ASSIGNMENTEXAMPLE"}`)
	c.sample(t, "members-missing", "CreateHITType", `{"Title":null}`)
	c.sample(t, "member-pattern", "GetHIT", `{"HITId":"3hit"}`)
	c.sample(t, "member-too-long", "CreateAdditionalAssignmentsForHIT", `{"HITId":"3X","NumberOfAdditionalAssignments":1,"UniqueRequestToken":"`+strings.Repeat("x", 65)+`"}`)
	c.sample(t, "member-enum", "CreateHITType", `{"Title":"t","Description":"d","Reward":"1","AssignmentDurationInSeconds":60,"QualificationRequirements":[{"QualificationTypeId":"3Q","Comparator":"Is"}]}`)
	c.sample(t, "member-type", "GetHIT", `{"HITId":3}`)
	c.sample(t, "member-number", "CreateAdditionalAssignmentsForHIT", `{"HITId":"3X","NumberOfAdditionalAssignments":1.5}`)

	// Of work.
	work := func(hit, worker string) string {
		a, err := c.desk.Accept(ctx, c.Tenant.Number, hit, worker)
		must(t, err)
		_, err = c.desk.Submit(ctx, c.Tenant.Number, a.ID, worker, "<QuestionFormAnswers/>")
		must(t, err)
		return a.ID
	}
	good, bad := work(one, "A1EXAMPLEWORKER"), work(one, "A2")
	c.Clock.Set(exampleAt.Add(time.Minute))
	c.sample(t, "list-assignments", "ListAssignmentsForHIT", `{"HITId":"`+one+`","AssignmentStatuses":["Submitted"]}`)
	c.sample(t, "get-assignment", "GetAssignment", `{"AssignmentId":"`+good+`"}`)
	c.sample(t, "delete-unreviewed", "DeleteHIT", `{"HITId":"`+one+`"}`)
	c.sample(t, "approve", "ApproveAssignment", `{"AssignmentId":"`+good+`","RequesterFeedback":"Thank you"}`)
	c.sample(t, "approve-again", "ApproveAssignment", `{"AssignmentId":"`+good+`","RequesterFeedback":"Thank you"}`)
	c.sample(t, "feedback-control", "RejectAssignment", `{"AssignmentId":"`+bad+`","RequesterFeedback":"a\u0001"}`)
	c.sample(t, "reject", "RejectAssignment", `{"AssignmentId":"`+bad+`","RequesterFeedback":"no"}`)
	c.sample(t, "override", "ApproveAssignment", `{"AssignmentId":"`+bad+`","OverrideRejection":true}`)
	c.sample(t, "assignment-missing", "GetAssignment", `{"AssignmentId":"3ASSIGNMENTEXAMPLE"}`)
	c.sample(t, "list-assignments-done", "ListAssignmentsForHIT", `{"HITId":"`+one+`","AssignmentStatuses":["Approved","Rejected"]}`)

	// Of bonuses.
	bonus := `{"WorkerId":"A1EXAMPLEWORKER","AssignmentId":"` + good + `","BonusAmount":"1.25","Reason":"Great work","UniqueRequestToken":"bonus-0001"}`
	c.sample(t, "send-bonus", "SendBonus", bonus)
	c.sample(t, "send-bonus-again", "SendBonus", bonus)
	c.sample(t, "send-bonus-decimals", "SendBonus", `{"WorkerId":"A1EXAMPLEWORKER","AssignmentId":"3ASSIGNMENTEXAMPLE","BonusAmount":"0.9752","Reason":"r"}`)
	c.sample(t, "send-bonus-other-worker", "SendBonus", strings.NewReplacer("A1EXAMPLEWORKER", "A2", "bonus-0001", "bonus-0002").Replace(bonus))
	c.sample(t, "send-bonus-nothing", "SendBonus", strings.NewReplacer("1.25", "0.00", "bonus-0001", "bonus-0002").Replace(bonus))
	c.sample(t, "send-bonus-no-assignment", "SendBonus", strings.NewReplacer(good, "3ASSIGNMENTEXAMPLE", "bonus-0001", "bonus-0002").Replace(bonus))
	c.sample(t, "list-bonuses", "ListBonusPayments", `{"AssignmentId":"`+good+`","MaxResults":10}`)
	c.sample(t, "list-bonuses-of-what", "ListBonusPayments", `{}`)

	// Of the end.
	c.sample(t, "add-assignments", "CreateAdditionalAssignmentsForHIT", `{"HITId":"`+one+`","NumberOfAdditionalAssignments":1,"UniqueRequestToken":"add-0001"}`)
	c.sample(t, "add-assignments-token-used", "CreateAdditionalAssignmentsForHIT", `{"HITId":"`+one+`","NumberOfAdditionalAssignments":1,"UniqueRequestToken":"add-0001"}`)
	c.sample(t, "add-assignments-to-ten", "CreateAdditionalAssignmentsForHIT", `{"HITId":"`+one+`","NumberOfAdditionalAssignments":6}`)
	c.sample(t, "review-assignable", "UpdateHITReviewStatus", `{"HITId":"`+one+`"}`)
	c.sample(t, "expire", "UpdateExpirationForHIT", `{"HITId":"`+one+`","ExpireAt":-6795364578.871}`)
	c.sample(t, "list-reviewable", "ListReviewableHITs", `{"Status":"Reviewable"}`)
	c.sample(t, "review", "UpdateHITReviewStatus", `{"HITId":"`+one+`","Revert":false}`)
	c.sample(t, "delete", "DeleteHIT", `{"HITId":"`+one+`"}`)
	c.sample(t, "delete-again", "DeleteHIT", `{"HITId":"`+one+`"}`)
	c.sample(t, "balance-after", "GetAccountBalance", `{}`)
	status := ledger.StatusFrozen
	a, err := c.Ledger.Account(ctx, c.account)
	must(t, err)
	_, err = c.Ledger.Post(ctx, &ledger.Command{Tenant: a.Tenant, Book: a.Book, ID: "freeze", Ops: []ledger.Op{&ledger.SetAccount{Account: a.ID, Status: &status}}})
	must(t, err)
	c.sample(t, "create-hit-frozen", "CreateHIT", strings.Replace(exampleHIT, "hit-0001", "hit-0004", 1))

	// As an operator may have it.
	c.server = New(c.Ledger, c.Auth, Options{Options: dialect.Options{Now: c.Clock.Now}, Desk: c.desk, ShowHeld: true, PlainMessages: true})
	c.sample(t, "balance-held", "GetAccountBalance", `{}`)
	c.sample(t, "message-plain", "GetHIT", `{"HITId":"36818Z1KV5CDQ807J1UQ45304AOA3Z"}`)
}

// The published HIT is taken with its published signature, and answered to the
// byte but for the ids.
func TestPublishedHIT(t *testing.T) {
	c := openCounter(t, "10")
	request := sign(t, hitRequest("CreateHIT", exampleHIT), exampleKey, exampleSecret, exampleAt)
	const signature = "97ab594feb85b3369ee9fea39ac229d29401b0679b2d64a79d5b6ebe80bb603c"
	if !strings.Contains(request, signature) {
		t.Fatalf("the request is not the published one:\n%s", request)
	}
	resp, body := answer(t, c.server, request)
	h := struct {
		HIT struct{ HITId, HITTypeId, HITGroupId string }
	}{}
	must(t, json.Unmarshal([]byte(body), &h))
	body = strings.NewReplacer(h.HIT.HITId, "3EXAMPLEHITID00000000000000001", h.HIT.HITTypeId, "3EXAMPLEHITTYPE000000000000001", h.HIT.HITGroupId, "3EXAMPLEGROUP00000000000000001").Replace(body)
	const want = `{"HIT":{"HITId":"3EXAMPLEHITID00000000000000001","HITTypeId":"3EXAMPLEHITTYPE000000000000001","HITGroupId":"3EXAMPLEGROUP00000000000000001","CreationTime":1788264000.0,"Title":"Compare two photographs","Description":"Compare two pictures and pick one","Question":"<ExternalQuestion xmlns=\"http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd\"><ExternalURL>https://example.com/q</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>","Keywords":"photograph, opinion","HITStatus":"Assignable","MaxAssignments":3,"Reward":"0.05","AutoApprovalDelayInSeconds":259200,"Expiration":1788868800.0,"AssignmentDurationInSeconds":600,"QualificationRequirements":[],"HITReviewStatus":"NotReviewed","NumberOfAssignmentsPending":0,"NumberOfAssignmentsAvailable":3,"NumberOfAssignmentsCompleted":0}}`
	if resp.StatusCode != 200 || body != want {
		t.Errorf("it is answered %d\n%s, want\n%s", resp.StatusCode, body, want)
	}
	if bal, err := c.desk.Balance(t.Context(), c.account); err != nil || bal.Held != Cents(18).steps(1, 6) {
		t.Errorf("on hold is %v, %v", bal.Held, err)
	}
}
