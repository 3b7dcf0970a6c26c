package mturklegacy

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

const question = `<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"><ExternalURL>https://example.com/q</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>`

// A counter is an office of the API: a server at the time of the vectors, and
// workers.
type counter struct {
	*dialecttest.World
	t    *testing.T
	desk *mturk.Desk
	h    http.Handler
}

func openCounter(t *testing.T, amount string) *counter {
	w, _ := example(t, "USD", amount, auth.Read|auth.Charge)
	desk := mturk.NewDesk(w.Ledger, mturk.DeskOptions{})
	return &counter{w, t, desk, handler(w, Options{Desk: desk})}
}

// openNow is openCounter with the real time, and what asks then.
func openNow(t *testing.T, amount string) (c *counter, ask func(operation string, pairs ...string) string) {
	w := dialecttest.Open(t)
	importExample(w, w.Account("USD", amount), auth.Read|auth.Charge)
	desk := mturk.NewDesk(w.Ledger, mturk.DeskOptions{})
	return &counter{w, t, desk, New(w.Ledger, w.Auth, Options{Desk: desk})}, func(operation string, pairs ...string) string {
		return askAt(time.Now().UTC().Format(time.RFC3339), operation, pairs...)
	}
}

// account is the requester's.
func (c *counter) account() ledger.AccountID {
	c.t.Helper()
	key, err := c.Auth.ByID(c.t.Context(), exampleKey)
	if err != nil {
		c.t.Fatal(err)
	}
	return key.Root
}

// ask returns a request by query: pairs of names and values.
func ask(operation string, pairs ...string) string {
	return askAt(exampleTime, operation, pairs...)
}

func askAt(at, operation string, pairs ...string) string {
	q := "GET /?Service=AWSMechanicalTurkRequester&AWSAccessKeyId=" + exampleKey + "&Version=2014-08-15&Operation=" + operation + "&Signature=" +
		url.QueryEscape(signature(exampleSecret, operation, at)) + "&Timestamp=" + url.QueryEscape(at)
	for i := 0; i < len(pairs); i += 2 {
		q += "&" + pairs[i] + "=" + url.QueryEscape(pairs[i+1])
	}
	return q + " HTTP/1.1\nHost: mechanicalturk.amazonaws.com\n\n"
}

// askSOAP returns a request by SOAP.
func askSOAP(operation string, requests ...string) string {
	body := `<` + operation + ` xmlns="http://requester.mturk.amazonaws.com/doc/2012-03-25"><AWSAccessKeyId>` + exampleKey +
		`</AWSAccessKeyId><Timestamp>` + exampleTime + `</Timestamp><Signature>` + signature(exampleSecret, operation, exampleTime) + `</Signature>`
	for _, r := range requests {
		body += "<Request>" + r + "</Request>"
	}
	return envelope(body + "</" + operation + ">")
}

// says makes a call, and returns the text of an element of the answer.
func (c *counter) says(request, element string) string {
	c.t.Helper()
	resp, body := do(c.t, c.h, request)
	_, after, found := strings.Cut(body, "<"+element+">")
	text, _, _ := strings.Cut(after, "<")
	if resp.StatusCode != 200 || !found {
		c.t.Fatalf("%s\nis answered %d %s", request, resp.StatusCode, body)
	}
	return text
}

// fails makes a call that has to be refused.
func (c *counter) fails(request, code string) {
	c.t.Helper()
	if got := c.says(request, "Code"); got != code {
		c.t.Errorf("%s\nis refused with %s, want %s", request, got, code)
	}
}

func (c *counter) accept(hit, worker string) string {
	c.t.Helper()
	a, err := c.desk.Accept(c.t.Context(), c.Tenant.Number, hit, worker)
	if err != nil {
		c.t.Fatal(err)
	}
	return a.ID
}

func (c *counter) work(hit, worker string) string {
	c.t.Helper()
	id := c.accept(hit, worker)
	if _, err := c.desk.Submit(c.t.Context(), c.Tenant.Number, id, worker, answered1); err != nil {
		c.t.Fatal(err)
	}
	return id
}

// newHIT is the parameters of a HIT with a type of its own.
func newHIT(reward string, more ...string) []string {
	return append([]string{"Title", "Location and Photograph Identification", "Description", "Select the image", "Reward.1.Amount", reward, "Reward.1.CurrencyCode", "USD",
		"Question", question, "AssignmentDurationInSeconds", "600", "LifetimeInSeconds", "604800"}, more...)
}

// replaced returns pairs with another value of a name, without it if that is "".
func replaced(pairs []string, name, value string) (out []string) {
	for i := 0; i < len(pairs); i += 2 {
		switch {
		case pairs[i] != name:
			out = append(out, pairs[i], pairs[i+1])
		case value != "":
			out = append(out, name, value)
		}
	}
	return out
}

// TestOperations holds every operation, and what it is refused with, to files.
func TestOperations(t *testing.T) {
	c := openCounter(t, "10")
	sample := func(name, request string) {
		t.Run(name, func(t *testing.T) {
			checked(t, dialecttest.Sample(t, c.h, name, request, masks), 200)
		})
	}
	kind := replaced(newHIT("0.32", "Keywords", "photograph, opinion", "AutoApprovalDelayInSeconds", "86400",
		"QualificationRequirement.1.QualificationTypeId", "000000000000000000L0", "QualificationRequirement.1.Comparator", "GreaterThan", "QualificationRequirement.1.IntegerValue", "90",
		"QualificationRequirement.2.QualificationTypeId", "00000000000000000071", "QualificationRequirement.2.Comparator", "In",
		"QualificationRequirement.2.LocaleValue.1.Country", "US", "QualificationRequirement.2.LocaleValue.1.Subdivision", "NY",
		"QualificationRequirement.2.LocaleValue.2.Country", "CA", "QualificationRequirement.2.RequiredToPreview", "true"), "LifetimeInSeconds", "")
	sample("register-hit-type", ask("RegisterHITType", kind...))
	typeID := c.says(ask("RegisterHITType", kind...), "HITTypeId")

	sample("create-hit", ask("CreateHIT", newHIT("0.32", "MaxAssignments", "1")...))
	sample("create-hit-with-type", ask("CreateHIT", "HITTypeId", typeID, "LifetimeInSeconds", "3600", "MaxAssignments", "3", "Question", question, "RequesterAnnotation", "a & b",
		"UniqueRequestToken", "hit-0001", "ResponseGroup.0", "Minimal", "ResponseGroup.1", "HITDetail", "ResponseGroup.2", "HITQuestion", "ResponseGroup.3", "HITAssignmentSummary"))
	sample("create-hit-layout", ask("CreateHIT", append(replaced(newHIT("0.05"), "Question", ""), "HITLayoutId", "3LAYOUT", "HITLayoutParameter.1.Name", "image", "HITLayoutParameter.1.Value", "<a>", "ResponseGroup", "HITDetail")...))
	sample("create-hit-token-used", ask("CreateHIT", newHIT("0.32", "UniqueRequestToken", "hit-0001")...))
	sample("create-hit-no-funds", ask("CreateHIT", newHIT("1000")...))
	refused := map[string][]string{
		"missing":         replaced(newHIT("1"), "Title", ""),
		"no-reward":       replaced(replaced(newHIT("1"), "Reward.1.Amount", ""), "Reward.1.CurrencyCode", ""),
		"no-currency":     replaced(newHIT("1"), "Reward.1.CurrencyCode", ""),
		"other-currency":  replaced(newHIT("1"), "Reward.1.CurrencyCode", "EUR"),
		"part-of-a-cent":  newHIT("0.325"),
		"negative":        newHIT("-1"),
		"exponent":        newHIT("1e-2"),
		"number":          newHIT("1", "MaxAssignments", "green"),
		"out-of-range":    newHIT("1", "MaxAssignments", "-1"),
		"lifetime":        replaced(newHIT("1"), "LifetimeInSeconds", "29"),
		"no-question":     replaced(newHIT("1"), "Question", ""),
		"bad-question":    replaced(newHIT("1"), "Question", "who what?"),
		"bad-type":        {"HITTypeId", "asfd", "LifetimeInSeconds", "3600", "Question", question},
		"bad-comparator":  newHIT("1", "QualificationRequirement.1.QualificationTypeId", "1", "QualificationRequirement.1.Comparator", "Like"),
		"bad-group":       newHIT("1", "ResponseGroup.1", "Everything"),
		"review-policies": newHIT("1", "HITReviewPolicy.1.PolicyName", "SimplePlurality/2011-09-01"),
		"repeated-title":  newHIT("1", "Title", "another"),
		"title-length":    replaced(newHIT("1"), "Title", strings.Repeat("x", 129)),
		"layout-and-both": newHIT("1", "HITLayoutId", "3LAYOUT"),
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		sample("create-hit-"+name, ask("CreateHIT", refused[name]...))
	}
	hit := c.says(ask("CreateHIT", "HITTypeId", typeID, "LifetimeInSeconds", "3600", "MaxAssignments", "4", "Question", question), "HITId")
	one, two, three := c.work(hit, "A1"), c.work(hit, "A2"), c.work(hit, "A3")
	four := c.accept(hit, "A4")

	sample("get-hit", ask("GetHIT", "HITId", hit))
	sample("get-hit-summary", ask("GetHIT", "HITId", hit, "ResponseGroup", "Minimal,HITAssignmentSummary"))
	sample("get-hit-2008", with(t, ask("GetHIT", "HITId", hit), "Version=2014-08-15", "Version=2008-08-02"))
	sample("get-hit-unknown", ask("GetHIT", "HITId", "3NOBODY"))
	sample("search-hits", ask("SearchHITs", "PageSize", "2", "SortDirection", "Descending"))
	sample("search-hits-page-size", ask("SearchHITs", "PageSize", "101"))
	sample("search-hits-sort", ask("SearchHITs", "SortProperty", "Color"))

	sample("approve-assignment", ask("ApproveAssignment", "AssignmentId", one, "RequesterFeedback", "Thank you & good bye"))
	sample("approve-assignment-again", ask("ApproveAssignment", "AssignmentId", one))
	sample("approve-assignment-unknown", ask("ApproveAssignment", "AssignmentId", four))
	sample("reject-assignment", ask("RejectAssignment", "AssignmentId", two))
	sample("reject-assignment-feedback", ask("RejectAssignment", "AssignmentId", three, "RequesterFeedback", strings.Repeat("x", 1025)))
	sample("approve-rejected-submitted", ask("ApproveRejectedAssignment", "AssignmentId", three))
	sample("approve-rejected-assignment", ask("ApproveRejectedAssignment", "AssignmentId", two, "RequesterFeedback", "Sorry"))
	sample("get-assignment", ask("GetAssignment", "AssignmentId", one, "ResponseGroup.1", "Minimal", "ResponseGroup.2", "AssignmentFeedback"))
	sample("assignments-for-hit", ask("GetAssignmentsForHIT", "HITId", hit, "PageSize", "2"))
	sample("assignments-for-hit-status", ask("GetAssignmentsForHIT", "HITId", hit, "AssignmentStatus", "Approved,Rejected", "ResponseGroup", "AssignmentFeedback", "SortDirection", "Descending"))
	sample("assignments-for-hit-bad-status", ask("GetAssignmentsForHIT", "HITId", hit, "AssignmentStatus", "Accepted"))

	bonus := []string{"WorkerId", "A1", "AssignmentId", one, "BonusAmount.1.Amount", "1.25", "BonusAmount.1.CurrencyCode", "USD", "Reason", "Great work", "UniqueRequestToken", "bonus-0001"}
	sample("grant-bonus", ask("GrantBonus", bonus...))
	sample("grant-bonus-token-used", ask("GrantBonus", bonus...))
	sample("grant-bonus-worker", ask("GrantBonus", replaced(replaced(bonus, "WorkerId", "A2"), "UniqueRequestToken", "")...))
	sample("grant-bonus-submitted", ask("GrantBonus", replaced(replaced(bonus, "AssignmentId", three), "UniqueRequestToken", "")...))
	sample("grant-bonus-nothing", ask("GrantBonus", replaced(replaced(bonus, "BonusAmount.1.Amount", "0.00"), "UniqueRequestToken", "")...))
	sample("bonus-payments", ask("GetBonusPayments", "HITId", hit))
	sample("bonus-payments-of-work", ask("GetBonusPayments", "AssignmentId", two))
	sample("bonus-payments-of-nothing", ask("GetBonusPayments"))
	sample("bonus-payments-of-both", ask("GetBonusPayments", "HITId", hit, "AssignmentId", two))

	sample("extend-hit", ask("ExtendHIT", "HITId", hit, "MaxAssignmentsIncrement", "2", "ExpirationIncrementInSeconds", "3600", "UniqueRequestToken", "add-0001"))
	sample("extend-hit-token-used", ask("ExtendHIT", "HITId", hit, "MaxAssignmentsIncrement", "2", "UniqueRequestToken", "add-0001"))
	sample("extend-hit-to-ten", ask("ExtendHIT", "HITId", hit, "MaxAssignmentsIncrement", "4"))
	sample("extend-hit-by-nothing", ask("ExtendHIT", "HITId", hit))
	sample("extend-hit-too-long", ask("ExtendHIT", "HITId", hit, "ExpirationIncrementInSeconds", "31536000"))
	sample("force-expire-hit", ask("ForceExpireHIT", "HITId", hit))
	sample("set-reviewing-too-early", ask("SetHITAsReviewing", "HITId", hit))
	if _, err := c.desk.Return(t.Context(), c.Tenant.Number, four, "A4"); err != nil {
		t.Fatal(err)
	}
	sample("reviewable-hits", ask("GetReviewableHITs", "HITTypeId", typeID))
	sample("reviewable-hits-detail", ask("GetReviewableHITs", "ResponseGroup", "HITDetail"))
	sample("set-reviewing", ask("SetHITAsReviewing", "HITId", hit))
	sample("change-hit-type", ask("ChangeHITTypeOfHIT", "HITId", hit, "HITTypeId", typeID))
	dearer := c.says(ask("RegisterHITType", replaced(kind, "Reward.1.Amount", "0.33")...), "HITTypeId")
	sample("change-hit-type-dearer", ask("ChangeHITTypeOfHIT", "HITId", hit, "HITTypeId", dearer))
	sample("dispose-hit-submitted", ask("DisposeHIT", "HITId", hit))
	sample("disable-hit", ask("DisableHIT", "HITId", hit))
	sample("disable-hit-again", ask("DisableHIT", "HITId", hit))
	hit = c.says(ask("CreateHIT", newHIT("0.05")...), "HITId")
	c.says(ask("ForceExpireHIT", "HITId", hit), "IsValid")
	sample("dispose-hit", ask("DisposeHIT", "HITId", hit))

	price := "<Reward><Amount>0.05</Amount><CurrencyCode>USD</CurrencyCode><FormattedPrice>$9</FormattedPrice></Reward>"
	escaped := strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(question)
	sample("soap-create-hit", askSOAP("CreateHIT",
		"<AssignmentDurationInSeconds>600</AssignmentDurationInSeconds><LifetimeInSeconds>3600</LifetimeInSeconds>"+price+"<Title>One</Title><Description>d</Description><Question>"+escaped+"</Question>"+
			`<QualificationRequirement><QualificationTypeId>2F1QJWKUDD8XADTFD2Q0G6UTO95ALH</QualificationTypeId><Comparator>Exists</Comparator><IntegerValue xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></QualificationRequirement>`+
			"<ResponseGroup>HITDetail</ResponseGroup><ResponseGroup>HITQuestion</ResponseGroup>",
		price+"<Title>Two</Title>",
		"<AssignmentDurationInSeconds>600</AssignmentDurationInSeconds><LifetimeInSeconds>3600</LifetimeInSeconds>"+price+"<Title>Three</Title><Description>d</Description><Question><![CDATA["+question+"]]></Question>"))
	sample("soap-search-hits", askSOAP("SearchHITs", "<PageSize>2</PageSize><SortProperty>Title</SortProperty><SortDirection>Descending</SortDirection>"))
	sample("soap-bonus-payments", askSOAP("GetBonusPayments", "<AssignmentId>"+one+"</AssignmentId>"))
	sample("soap-extend-hit", askSOAP("ExtendHIT", "<HITId>3NOBODY</HITId><MaxAssignmentsIncrement>1</MaxAssignmentsIncrement>"))

	t.Run("before 2008", func(t *testing.T) {
		resp := dialecttest.Sample(t, c.h, "create-hit-2007", with(t, ask("CreateHIT", newHIT("1")...), "Version=2014-08-15", "Version=2007-06-21"), masks)
		checked(t, resp, 400)
	})
}

// TestWSDL has the description of a version, and who may ask for it.
func TestWSDL(t *testing.T) {
	c := openCounter(t, "10")
	get := func(query string) string {
		return "GET /?" + query + " HTTP/1.1\nHost: mechanicalturk.amazonaws.com\n\n"
	}
	resp := dialecttest.Sample(t, c.h, "wsdl", get("WSDL"), masks)
	if resp.StatusCode != 200 {
		t.Errorf("the status is %d", resp.StatusCode)
	}
	dialecttest.Sample(t, c.h, "wsdl-2007", get("Version=2007-06-21&wsdl="), masks)
	for _, version := range versions {
		resp, body := do(t, c.h, get("wsdl&Version="+version.name))
		if err := scan([]byte(body), nil, nil); resp.StatusCode != 200 || err != nil || strings.Count(body, bodySpace+version.name) != 3 || strings.Contains(body, addressHere) {
			t.Errorf("%s: %d %v %s", version.name, resp.StatusCode, err, body)
		}
	}
	if resp, body := do(t, c.h, get("WSDL&Version=2017-01-17")); resp.StatusCode != 400 || !strings.Contains(body, codeVersion) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	gone := handler(c.World, Options{Desk: c.desk, Retired: retired(t, "2014-08-15")})
	if resp, _ := do(t, gone, get("WSDL")); resp.StatusCode != 403 {
		t.Errorf("of a retired version it is answered %d", resp.StatusCode)
	}
	if _, body := do(t, c.h, strings.Replace(get("WSDL"), "mechanicalturk.amazonaws.com", `a"b`, 1)); strings.Contains(body, `a"b`) {
		t.Errorf("the host is not escaped: %s", body)
	}
	// Every type that something is of is there.
	known := map[string]bool{}
	for _, s := range shapes {
		known[s.name] = true
	}
	for _, op := range operations {
		if !known[op.name+"Request"] || !known[op.result] {
			t.Errorf("%s is not described", op.name)
		}
	}
}
