package main

import (
	"fmt"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/dialect/mturk"
	"saldo/dialect/native"
)

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The worker's side, as the native API has it.
func TestWorkerCalls(t *testing.T) {
	w := dialecttest.Open(t)
	desk := mturk.NewDesk(w.Ledger, mturk.DeskOptions{})
	api := *w.Native
	api.URL = w.Serve(native.New(w.Ledger, w.Auth, native.Options{Endpoints: workAPI{desk}.endpoints(), Schemas: workSchemas}))
	r, err := desk.Requester(t.Context(), w.Account("USD", "1"), mturk.Call{})
	mustBe(t, err)
	h, err := r.CreateHIT(t.Context(), mturk.NewHIT{MaxAssignments: 1, Lifetime: time.Hour,
		Type:    &mturk.HITType{Title: "t", Description: "d", Reward: 10, AssignmentDuration: time.Minute, AutoApprovalDelay: time.Hour},
		Content: mturk.Content{Question: "<ExternalQuestion/>"}})
	mustBe(t, err)
	do := func(method, path string, in any, want string) map[string]any {
		t.Helper()
		var out map[string]any
		err := api.Do(t.Context(), method, path, in, &out)
		got := ""
		if e, ok := err.(*native.Error); ok {
			got = e.Code
		} else if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s %s %v came to %v, want %q", method, path, in, err, want)
		}
		return out
	}
	worker := map[string]string{"worker_id": "A1EXAMPLE"}
	hits := "/v1/mturk/hits/" + h.ID + "/assignments"
	do("GET", "/v1/mturk/workers/A1EXAMPLE", nil, "NOT_FOUND")
	do("POST", hits, nil, "VALIDATION_ERROR")
	do("POST", hits, map[string]string{"worker_id": "1"}, "VALIDATION_ERROR")
	do("POST", hits, map[string]string{"worker_id": "A1", "answer": "x"}, "VALIDATION_ERROR")
	do("POST", hits, map[string]string{"worker": "A1"}, "VALIDATION_ERROR")
	do("POST", "/v1/mturk/hits/3X/assignments", worker, "NOT_FOUND")
	back := do("POST", hits, worker, "")
	do("POST", hits, worker, "PRECONDITION_FAILED") // there was one
	do("POST", fmt.Sprintf("/v1/mturk/assignments/%v/return", back["id"]), map[string]string{"worker_id": "A2"}, "NOT_FOUND")
	if got := do("POST", fmt.Sprintf("/v1/mturk/assignments/%v/return", back["id"]), worker, ""); got["status"] != "Returned" {
		t.Errorf("what was given back is %v", got)
	}
	a := do("POST", hits, worker, "")
	work := fmt.Sprintf("/v1/mturk/assignments/%v/", a["id"])
	if got := do("POST", work+"submit", map[string]string{"answer": "<QuestionFormAnswers/>"}, ""); got["status"] != "Submitted" || got["account"] != a["account"] {
		t.Errorf("what was submitted is %v", got)
	}
	do("POST", work+"submit", worker, "PRECONDITION_FAILED")
	mustBe(t, r.Approve(t.Context(), a["id"].(string), "", false))
	if got := do("GET", "/v1/mturk/workers/A1EXAMPLE", nil, "")["accounts"].([]any); len(got) != 1 || got[0].(map[string]any)["available"] != "0.100000" || got[0].(map[string]any)["id"] != a["account"] {
		t.Errorf("the worker has %v", got)
	}
	if b, err := api.Balance(t.Context(), a["account"].(string)); err != nil || b.Available != "0.100000" {
		t.Errorf("the worker's account has %+v, %v", b, err)
	}
	// Who opens one account is not everybody.
	issued, err := w.Auth.Issue(t.Context(), 0, "", auth.Spec{Dialect: auth.Native, Tenant: w.Tenant.Number, Root: r.Account, Scopes: auth.Read | auth.Charge})
	mustBe(t, err)
	api.Token = issued.Secret
	do("GET", "/v1/mturk/workers/A1EXAMPLE", nil, "FORBIDDEN")
}
