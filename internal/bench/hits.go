package bench

import (
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
	// Without a UniqueRequestToken and the id that SDKs give a call, the same
	// request makes another HIT each time.
	body := fmt.Sprintf(`{"Title":%q,"Description":%q,"Reward":"0.05","AssignmentDurationInSeconds":600,"LifetimeInSeconds":604800,"MaxAssignments":1,"Question":%q}`,
		hitTitle, hitDescription, hitQuestion)
	signed, err := w.sign(k, "CreateHIT", body)
	if err != nil {
		return nil, err
	}
	request := onWire(signed, body)
	r = &Report{Scenario: "create-hit", What: "MTurk: CreateHIT with Signature V4, made beforehand, all of one requester, over HTTP",
		Baseline: "native charges of one account of the same server", Unit: "HITs/s", Clients: o.Clients}
	load := Load{Request: func(dst []byte, _, _ int) []byte { return append(dst, request...) }}
	return r, w.beside(ctx, r, load, w.host, w.charges(func() string { return w.account }))
}

// mostApprovals is more than are approved in a second.
const mostApprovals = 15_000

// ApproveAssignment measures work that is approved and paid, one a request, each
// of a HIT of its own; beside native charges of another account of the same server.
func ApproveAssignment(ctx context.Context, o Options) (r *Report, err error) {
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
	requests := make([][]byte, len(work))
	for i, id := range work {
		body := `{"AssignmentId":"` + id + `"}`
		signed, err := w.sign(k, "ApproveAssignment", body)
		if err != nil {
			return nil, err
		}
		requests[i] = onWire(signed, body)
	}
	var next atomic.Int64
	load := Load{Request: func(dst []byte, _, _ int) []byte {
		if n := int(next.Add(1)); n <= len(requests) {
			return append(dst, requests[n-1]...)
		}
		return nil
	}}
	r = &Report{Scenario: "approve", What: "MTurk: ApproveAssignment with Signature V4, made beforehand, all of one requester, over HTTP",
		Baseline: "native charges of one account of the same server", Unit: "approvals/s", Clients: o.Clients}
	return r, w.beside(ctx, r, load, w.host, w.charges(func() string { return e.accounts[1].String() }))
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
