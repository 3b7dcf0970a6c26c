package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"saldo/auth"
	"saldo/dialect/mturk"
	"saldo/dialect/native"
	"saldo/ledger"
)

// A workAPI is the worker's side of MTurk's HITs as calls of the native API.
type workAPI struct{ desk *mturk.Desk }

// endpoints returns the calls. The service had no API for them: workers had a web
// site. They are for whoever opens the whole tenant, for a worker is nobody's
// sub-account.
func (w workAPI) endpoints() []native.Endpoint {
	all := []native.Endpoint{
		{Method: http.MethodPost, Path: "/v1/mturk/hits/{id}/assignments", Operation: "acceptHIT", Scope: auth.Charge, Status: http.StatusCreated, Serve: w.accept,
			Doc: documentOf("mturk", "Accept an assignment of a HIT, as a worker", "WorkerRequest", "WorkerAssignment", false, "id")},
		{Method: http.MethodPost, Path: "/v1/mturk/assignments/{id}/submit", Operation: "submitAssignment", Scope: auth.Charge, Serve: w.submit,
			Doc: documentOf("mturk", "Submit an assignment, as the worker who accepted it", "WorkerRequest", "WorkerAssignment", false, "id")},
		{Method: http.MethodPost, Path: "/v1/mturk/assignments/{id}/return", Operation: "returnAssignment", Scope: auth.Charge, Serve: w.giveBack,
			Doc: documentOf("mturk", "Give an assignment back, as the worker who accepted it", "WorkerRequest", "WorkerAssignment", false, "id")},
		{Method: http.MethodGet, Path: "/v1/mturk/workers/{id}", Operation: "readWorker", Scope: auth.Read, Serve: w.worker,
			Doc: documentOf("mturk", "What a worker has earned, in each book", "", "Worker", false, "id")},
	}
	for i := range all {
		serve := all[i].Serve
		all[i].Tenant = true
		all[i].Serve = func(c *native.Call) (any, error) {
			if !c.Credential.Root.IsZero() {
				return nil, native.Refuse(native.CodeForbidden, "The credential opens one account; this is for one of the whole tenant")
			}
			data, err := serve(c)
			return data, workError(err)
		}
	}
	return all
}

// workSchemas is what the documents of the calls refer to.
var workSchemas = map[string]json.RawMessage{
	"WorkerRequest": json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{` +
		`"worker_id":{"type":"string","pattern":"^A[A-Z0-9]{1,63}$","description":"Needed to accept; otherwise it has to be who accepted."},` +
		`"answer":{"type":"string","description":"To submit: a QuestionFormAnswers document."}}}`),
	"WorkerAssignment": json.RawMessage(`{"type":"object","required":["id","created_at","hit_id","worker_id","account","status"],"properties":{` +
		`"id":{"type":"string"},"created_at":{"type":"string","format":"date-time"},"hit_id":{"type":"string"},"worker_id":{"type":"string"},` +
		`"account":{"type":"string","description":"Gets what the worker earns."},"status":{"enum":["Accepted","Submitted","Approved","Rejected","Returned"]},` +
		`"deadline":{"type":"string","format":"date-time"},"submitted_at":{"type":"string","format":"date-time"},"auto_approval_at":{"type":"string","format":"date-time"}}}`),
	"Worker": json.RawMessage(`{"type":"object","required":["id","created_at","accounts"],"properties":{"id":{"type":"string"},"created_at":{"type":"string","format":"date-time"},` +
		`"accounts":{"type":"array","items":{"type":"object","required":["id","created_at","book","unit","available"],"properties":{` +
		`"id":{"type":"string"},"created_at":{"type":"string","format":"date-time"},"book":{"type":"string"},"unit":{"type":"string"},"available":{"type":"string"}}}}}}`),
}

// workError says a refusal with the codes of the native API.
func workError(err error) error {
	var r *mturk.Refused
	if !errors.As(err, &r) {
		return err
	}
	kind := native.CodeValidation
	switch r.LedgerCode() {
	case ledger.NotFound:
		kind = native.CodeNotFound
	case ledger.Exists:
		kind = native.CodeExists
	case ledger.Changed:
		kind = native.CodePrecondition
	case ledger.Frozen:
		kind = native.CodeFrozen
	}
	return native.Refuse(kind, "%s", r.Text)
}

// A workerRequest is the body of the calls.
type workerRequest struct {
	WorkerID string `json:"worker_id"`
	Answer   string `json:"answer"`
}

func readWork(c *native.Call) (in workerRequest, err error) {
	if c.Body != nil {
		d := json.NewDecoder(bytes.NewReader(c.Body))
		d.DisallowUnknownFields()
		if d.Decode(&in) != nil {
			return in, native.Refuse(native.CodeValidation, "the body has worker_id and answer, both strings, and nothing else")
		}
	}
	if in.WorkerID != "" && !mturk.ValidWorker(in.WorkerID) {
		return in, native.Invalid("worker_id", "is an A and up to 63 of A-Z and 0-9")
	}
	return in, nil
}

func (w workAPI) accept(c *native.Call) (any, error) {
	in, err := readWork(c)
	switch {
	case err != nil:
		return nil, err
	case in.WorkerID == "":
		return nil, native.Invalid("worker_id", "has to be given")
	case in.Answer != "":
		return nil, native.Invalid("answer", "is for submitting")
	}
	return shownWork(w.desk.Accept(c.Context, c.Tenant, c.Params[0], in.WorkerID))
}

func (w workAPI) submit(c *native.Call) (any, error) {
	in, err := readWork(c)
	if err != nil {
		return nil, err
	}
	return shownWork(w.desk.Submit(c.Context, c.Tenant, c.Params[0], in.WorkerID, in.Answer))
}

func (w workAPI) giveBack(c *native.Call) (any, error) {
	in, err := readWork(c)
	switch {
	case err != nil:
		return nil, err
	case in.Answer != "":
		return nil, native.Invalid("answer", "is for submitting")
	}
	a, err := w.desk.Return(c.Context, c.Tenant, c.Params[0], in.WorkerID)
	if err != nil {
		return nil, err
	}
	shown := workOf(a)
	shown["status"] = "Returned"
	return shown, nil
}

func shownWork(a *mturk.Assignment, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return workOf(a), nil
}

// workOf returns an assignment as the calls show it.
func workOf(a *mturk.Assignment) map[string]any {
	shown := map[string]any{"id": a.ID, "created_at": a.Accepted.String(), "hit_id": a.HITID, "worker_id": a.WorkerID,
		"account": a.WorkerAccount.String(), "status": a.Status.String(), "deadline": a.Deadline.String()}
	if a.Submitted != 0 {
		shown["submitted_at"], shown["auto_approval_at"] = a.Submitted.String(), a.AutoApproval.String()
	}
	return shown
}

func (w workAPI) worker(c *native.Call) (any, error) {
	worker := c.Params[0]
	if !mturk.ValidWorker(worker) {
		return nil, native.Refuse(native.CodeNotFound, "")
	}
	earned, err := w.desk.Earned(c.Context, c.Tenant, worker)
	if err != nil {
		return nil, err
	}
	if len(earned) == 0 {
		return nil, native.Refuse(native.CodeNotFound, "Worker %s has accepted no assignment here.", worker)
	}
	accounts := []any{}
	first := earned[0].Account.Created
	for i := range earned {
		b := &earned[i].Balance
		first = min(first, b.Account.Created)
		accounts = append(accounts, map[string]any{"id": b.Account.ID.String(), "created_at": b.Account.Created.String(), "book": earned[i].Book,
			"unit": b.Unit.Code, "available": b.Unit.Text(b.Available)})
	}
	return map[string]any{"id": worker, "created_at": first.String(), "accounts": accounts}, nil
}
