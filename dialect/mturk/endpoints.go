package mturk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
)

// Endpoints returns the worker's side as calls of the native API. The service had
// no API for it: workers had a web site. They are for whoever opens the whole
// tenant, for a worker is nobody's sub-account.
func (d *Desk) Endpoints() []native.Endpoint {
	call := func(method, path, operation string, scope auth.Scope, status int, doc string, serve func(*native.Call) (any, error)) native.Endpoint {
		return native.Endpoint{Method: method, Path: path, Operation: operation, Scope: scope, Tenant: true, Status: status, Doc: json.RawMessage(doc),
			Serve: func(c *native.Call) (any, error) {
				if !c.Credential.Root.IsZero() {
					return nil, native.Refuse(native.CodeForbidden, "The credential opens one account; this is for one of the whole tenant")
				}
				data, err := serve(c)
				return data, nativeError(err)
			}}
	}
	return []native.Endpoint{
		call(http.MethodPost, "/v1/mturk/hits/{id}/assignments", "acceptHIT", auth.Charge, http.StatusCreated, docOf("Accept an assignment of a HIT, as a worker", "WorkerRequest", "WorkerAssignment"), d.acceptCall),
		call(http.MethodPost, "/v1/mturk/assignments/{id}/submit", "submitAssignment", auth.Charge, 0, docOf("Submit an assignment, as the worker who accepted it", "WorkerRequest", "WorkerAssignment"), d.submitCall),
		call(http.MethodPost, "/v1/mturk/assignments/{id}/return", "returnAssignment", auth.Charge, 0, docOf("Give an assignment back, as the worker who accepted it", "WorkerRequest", "WorkerAssignment"), d.returnCall),
		call(http.MethodGet, "/v1/mturk/workers/{id}", "readWorker", auth.Read, 0, docOf("Read what a worker has earned, in each book", "", "Worker"), d.workerCall),
	}
}

// docOf returns the OpenAPI operation of a call.
func docOf(summary, in, out string) string {
	body := ""
	if in != "" {
		body = `"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/` + in + `"}}}},`
	}
	return `{"summary":"` + summary + `","tags":["mturk"],` + body + `"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},` +
		`{"name":"Saldo-Tenant","in":"header","description":"Which tenant, by name or UUID, for credentials that open all.","schema":{"type":"string"}}],` +
		`"responses":{"2XX":{"description":"It was done.","content":{"application/json":{"schema":{"type":"object","required":["success","data"],` +
		`"properties":{"success":{"const":true},"data":{"$ref":"#/components/schemas/` + out + `"}}}}}},"default":{"$ref":"#/components/responses/Error"}}}`
}

// Schemas returns what the documents of the endpoints refer to.
func Schemas() map[string]json.RawMessage {
	const moment = `{"type":"string","format":"date-time"}`
	return map[string]json.RawMessage{
		"WorkerRequest": json.RawMessage(`{"type":"object","additionalProperties":false,"properties":{` +
			`"worker_id":{"type":"string","pattern":"^A[A-Z0-9]{1,63}$","description":"Needed to accept; otherwise it has to be who accepted."},` +
			`"answer":{"type":"string","description":"To submit: a QuestionFormAnswers document."}}}`),
		"WorkerAssignment": json.RawMessage(`{"type":"object","required":["id","created_at","hit_id","worker_id","account","status"],"properties":{` +
			`"id":{"type":"string"},"created_at":` + moment + `,"hit_id":{"type":"string"},"worker_id":{"type":"string"},` +
			`"account":{"type":"string","description":"Gets what the worker earns."},"status":{"enum":["Accepted","Submitted","Approved","Rejected","Returned"]},` +
			`"deadline":` + moment + `,"submitted_at":` + moment + `,"auto_approval_at":` + moment + `}}`),
		"Worker": json.RawMessage(`{"type":"object","required":["id","created_at","accounts"],"properties":{"id":{"type":"string"},"created_at":` + moment + `,` +
			`"accounts":{"type":"array","items":{"type":"object","required":["id","created_at","book","unit","available"],"properties":{` +
			`"id":{"type":"string"},"created_at":` + moment + `,"book":{"type":"string"},"unit":{"type":"string"},"available":{"type":"string"}}}}}}`),
	}
}

// nativeError says a refusal with the codes of the native API.
func nativeError(err error) error {
	var r *Refused
	if !errors.As(err, &r) {
		return err
	}
	kind := native.CodeValidation
	switch r.Code {
	case codeHITDoesNotExist, codeAssignmentMissing, codeHITTypeDoesNotExist:
		kind = native.CodeNotFound
	case codeAssignmentExists:
		kind = native.CodeExists
	case codeInvalidHITState, codeAssignmentState:
		kind = native.CodePrecondition
	case codePermissionDenied:
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
	if in.WorkerID != "" && !ValidWorker(in.WorkerID) {
		return in, native.Invalid("worker_id", "is an A and up to 63 of A-Z and 0-9")
	}
	return in, nil
}

func (d *Desk) acceptCall(c *native.Call) (any, error) {
	in, err := readWork(c)
	switch {
	case err != nil:
		return nil, err
	case in.WorkerID == "":
		return nil, native.Invalid("worker_id", "has to be given")
	case in.Answer != "":
		return nil, native.Invalid("answer", "is for submitting")
	}
	return shownWork(d.Accept(c.Context, c.Tenant, c.Params[0], in.WorkerID))
}

func (d *Desk) submitCall(c *native.Call) (any, error) {
	in, err := readWork(c)
	if err != nil {
		return nil, err
	}
	return shownWork(d.Submit(c.Context, c.Tenant, c.Params[0], in.WorkerID, in.Answer))
}

func (d *Desk) returnCall(c *native.Call) (any, error) {
	in, err := readWork(c)
	switch {
	case err != nil:
		return nil, err
	case in.Answer != "":
		return nil, native.Invalid("answer", "is for submitting")
	}
	a, err := d.Return(c.Context, c.Tenant, c.Params[0], in.WorkerID)
	if err != nil {
		return nil, err
	}
	shown := workOf(a)
	shown["status"] = "Returned"
	return shown, nil
}

func shownWork(a *Assignment, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return workOf(a), nil
}

// workOf returns an assignment as the calls show it.
func workOf(a *Assignment) map[string]any {
	shown := map[string]any{"id": a.ID, "created_at": a.Accepted.String(), "hit_id": a.HITID, "worker_id": a.WorkerID,
		"account": a.WorkerAccount.String(), "status": a.Status.String(), "deadline": a.Deadline.String()}
	if a.Submitted != 0 {
		shown["submitted_at"], shown["auto_approval_at"] = a.Submitted.String(), a.AutoApproval.String()
	}
	return shown
}

func (d *Desk) workerCall(c *native.Call) (any, error) {
	worker := c.Params[0]
	if !ValidWorker(worker) {
		return nil, native.Refuse(native.CodeNotFound, "")
	}
	earned, err := d.Earned(c.Context, c.Tenant, worker)
	if err != nil {
		return nil, err
	}
	if len(earned) == 0 {
		return nil, native.Refuse(native.CodeNotFound, "")
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

// An Earning is what a worker has earned in a book, and not been paid out.
type Earning struct {
	Book string
	ledger.Balance
}

// Earned returns what a worker has earned in the books of a tenant.
func (d *Desk) Earned(ctx context.Context, tenant ledger.TenantID, worker string) (earned []Earning, err error) {
	if _, err := d.settle(ctx); err != nil {
		return nil, err
	}
	books, err := d.l.Books(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, b := range books {
		id, err := d.Worker(ctx, b.Number, worker)
		if err != nil {
			return nil, err
		}
		if id.IsZero() {
			continue
		}
		balance, err := d.l.Balance(ctx, id)
		if err != nil {
			return nil, err
		}
		earned = append(earned, Earning{b.Name, balance})
	}
	return earned, nil
}
