package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"saldo/auth"
	"saldo/dialect/mturk"
	"saldo/dialect/native"
)

const (
	hitQuestion = `<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">` +
		`<ExternalURL>https://example.com/q</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>`
	hitTitle, hitDescription = "Compare two photographs", "Look at two pictures and say which is sharper"
)

// CreateHIT measures HITs that are made, one a request, each with a question and
// money on hold; beside native charges of one account of the same server.
func CreateHIT(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	k, err := w.requesterKey(ctx, w.account)
	if err != nil {
		return nil, err
	}
	request, err := w.createHIT(k)
	if err != nil {
		return nil, err
	}
	r = &Report{Scenario: "create-hit", What: "MTurk: CreateHIT with Signature V4, made beforehand, all of one requester, over HTTP",
		Baseline: "native charges of one account of the same server", Unit: "HITs/s", Clients: o.Clients}
	load := Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}
	return r, w.beside(ctx, r, load, w.host, w.charges(func() string { return w.account }))
}

// createHIT returns a request that makes another HIT each time: without a
// UniqueRequestToken and the id that SDKs give a call it is not a repeat.
func (w *world) createHIT(k key) ([]byte, error) {
	body := fmt.Sprintf(`{"Title":%q,"Description":%q,"Reward":"0.05","AssignmentDurationInSeconds":600,"LifetimeInSeconds":604800,"MaxAssignments":1,"Question":%q}`,
		hitTitle, hitDescription, hitQuestion)
	signed, err := w.sign(k, "CreateHIT", body)
	return onWire(signed, body), err
}

// mostApprovals is more than are approved in a second.
const mostApprovals = 15_000

// ApproveAssignment measures work that is approved and paid, one a request, each
// of a HIT of its own that was made and worked on right before; beside native
// charges of another account of the same server.
func ApproveAssignment(ctx context.Context, o Options) (r *Report, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	requester, err := w.client.Open(ctx, native.AccountRequest{Unit: "USD"})
	if err != nil {
		return nil, err
	}
	if _, err := w.client.TopUp(ctx, requester.ID, native.TransferRequest{ID: "bench-" + requester.ID, Amount: "1000000"}); err != nil {
		return nil, err
	}
	k, err := w.requesterKey(ctx, requester.ID)
	if err != nil {
		return nil, err
	}
	a := approvals{w: w, k: k}
	load := Load{Request: a.next, Before: func(ctx context.Context) error {
		return a.prepare(ctx, int(o.For.Seconds()*mostApprovals))
	}}
	return a.report(ctx, "approve", "of HITs that were made right before", load, w.account)
}

// ApproveCold is ApproveAssignment of HITs that the server, freshly started, has
// to read.
func ApproveCold(ctx context.Context, o Options) (r *Report, err error) {
	e, err := newEngine(ctx, o, 2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	work, err := e.submitted(ctx, o, int(float64(o.Pairs)*o.For.Seconds()*mostApprovals))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(e.settle(ctx), e.quiet(ctx), e.stop()); err != nil {
		return nil, err
	}
	w := &world{o: o}
	if w.server, w.client, err = startSaldo(ctx, filepath.Join(e.dir, "data")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.server.stop()) }()
	w.host = w.server.address
	k, err := w.requesterKey(ctx, e.accounts[0].String())
	if err != nil {
		return nil, err
	}
	a := approvals{w: w, k: k}
	if err := a.sign(work); err != nil {
		return nil, err
	}
	return a.report(ctx, "approve-cold", "of HITs that the server, freshly started, has to read", Load{Request: a.next}, e.accounts[1].String())
}

// approvals are requests that approve, each another assignment.
type approvals struct {
	w        *world
	k        key
	requests [][]byte
	asked    atomic.Int64
}

func (a *approvals) next(dst []byte, _, _ int) []byte {
	if n := int(a.asked.Add(1)); n <= len(a.requests) {
		return append(dst, a.requests[n-1]...)
	}
	return nil
}

func (a *approvals) sign(work []string) error {
	for _, id := range work {
		body := `{"AssignmentId":"` + id + `"}`
		signed, err := a.w.sign(a.k, "ApproveAssignment", body)
		if err != nil {
			return err
		}
		a.requests = append(a.requests, onWire(signed, body))
	}
	return nil
}

func (a *approvals) report(ctx context.Context, scenario, of string, load Load, charged string) (*Report, error) {
	r := &Report{Scenario: scenario, What: "MTurk: ApproveAssignment with Signature V4, made beforehand, all of one requester, " + of + ", over HTTP",
		Baseline: "native charges of one account of the same server", Unit: "approvals/s", Clients: a.w.o.Clients}
	return r, a.w.beside(ctx, r, load, a.w.host, a.w.charges(func() string { return charged }))
}

// prepare makes HITs, has a hundred workers work on them, and waits until the
// server rests, so that n approvals can be asked for.
func (a *approvals) prepare(ctx context.Context, n int) error {
	w := a.w
	left := a.requests[min(int(a.asked.Load()), len(a.requests)):]
	a.requests = append([][]byte(nil), left...)
	a.asked.Store(0)
	create, err := w.createHIT(a.k)
	if err != nil {
		return err
	}
	hits, err := w.each(ctx, n-len(left), `"HITId":"`, func(dst []byte, _ int) []byte { return append(dst, create...) })
	if err != nil {
		return err
	}
	post := func(dst []byte, path, body string) []byte {
		return append(w.head(dst, http.MethodPost, path, len(body)), body...)
	}
	worker := func(i int) string { return "A" + strconv.Itoa(i%100) }
	work, err := w.each(ctx, len(hits), `"id":"`, func(dst []byte, i int) []byte {
		return post(dst, "/v1/mturk/hits/"+hits[i]+"/assignments", `{"worker_id":"`+worker(i)+`"}`)
	})
	if err != nil {
		return err
	}
	work, err = w.each(ctx, len(work), `"id":"`, func(dst []byte, i int) []byte {
		return post(dst, "/v1/mturk/assignments/"+work[i]+"/submit", `{"answer":"<QuestionFormAnswers/>"}`)
	})
	if err != nil {
		return err
	}
	if err := a.sign(work); err != nil {
		return err
	}
	const watch = 200 * time.Millisecond
	for used := time.Duration(watch); used > watch/10; {
		before := w.server.cpu()
		time.Sleep(watch)
		used = w.server.cpu() - before
	}
	return nil
}

// each makes n requests and returns what each answer has behind the first of a member.
func (w *world) each(ctx context.Context, n int, member string, request func(dst []byte, i int) []byte) ([]string, error) {
	var asked atomic.Int64
	var mu sync.Mutex
	var found []string
	load := Load{Address: w.host, Clients: w.o.Clients, For: time.Hour,
		Request: func(dst []byte, _, _ int) []byte {
			if i := int(asked.Add(1)) - 1; i < n {
				return request(dst, i)
			}
			return nil
		},
		Check: func(_, _, status int, body []byte) error {
			_, rest, ok := bytes.Cut(body, []byte(member))
			value, _, closed := bytes.Cut(rest, []byte(`"`))
			if status/100 != 2 || !ok || !closed {
				return fmt.Errorf("bench: answered %d: %.300s", status, body)
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, string(value))
			return nil
		}}
	if load.Clients == 0 {
		load.Clients = 64
	}
	_, err := load.Run(ctx)
	return found, err
}

// submitted makes HITs of the first account, has a hundred workers work on
// them, and returns the ids of n assignments that wait for approval.
func (e *engine) submitted(ctx context.Context, o Options, n int) ([]string, error) {
	o.say("approve: making %d HITs and their work", n)
	desk := mturk.NewDesk(e.ledger, mturk.DeskOptions{})
	hit := mturk.NewHIT{
		Type:           &mturk.HITType{Title: hitTitle, Description: hitDescription, Reward: 5, AssignmentDuration: 10 * time.Minute, AutoApprovalDelay: mturk.DefaultAutoApproval},
		Content:        mturk.Content{Question: hitQuestion},
		MaxAssignments: 1, Lifetime: 7 * 24 * time.Hour,
	}
	work := make([]string, n)
	one := func(worker string) (string, error) {
		r, err := desk.Requester(ctx, e.accounts[0], mturk.Call{})
		if err != nil {
			return "", err
		}
		h, err := r.CreateHIT(ctx, hit)
		if err != nil {
			return "", err
		}
		a, err := desk.Accept(ctx, e.tenant, h.ID, worker)
		if err != nil {
			return "", err
		}
		_, err = desk.Submit(ctx, e.tenant, a.ID, worker, "<QuestionFormAnswers/>")
		return a.ID, err
	}
	const atOnce, workers = 500, 100
	errs := make([]error, atOnce)
	var wg sync.WaitGroup
	for k := range atOnce {
		wg.Go(func() {
			for i := k; i < n && errs[k] == nil; i += atOnce {
				work[i], errs[k] = one("A" + strconv.Itoa(k%workers))
			}
		})
	}
	wg.Wait()
	return work, errors.Join(errs...)
}

// requesterKey makes a key for an account's HITs.
func (w *world) requesterKey(ctx context.Context, account string) (k key, err error) {
	spec := map[string]any{"dialect": auth.MTurk, "account": account, "scopes": []string{"read", "charge"}}
	return k, w.client.Do(ctx, http.MethodPost, "/v1/credentials", spec, &k)
}

// sign makes a signed call of MTurk.
func (w *world) sign(k key, operation, body string) (*http.Request, error) {
	r, err := w.ask(http.MethodPost, "/", body, "Content-Type", "application/x-amz-json-1.1",
		"X-Amz-Target", "MTurkRequesterServiceV20170117."+operation)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(body))
	return r, v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, r,
		hex.EncodeToString(sum[:]), "mturk-requester", "us-east-1", time.Now())
}
