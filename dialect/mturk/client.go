package mturk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"saldo/auth"
	"saldo/dialect"
)

// Where the service was, and what its requests are signed for.
const (
	DefaultURL    = "https://mturk-requester.us-east-1.amazonaws.com"
	DefaultRegion = "us-east-1"
)

// A Client reads the balance of the requester that an access key is for. It
// works with this server and with whatever else speaks the API.
type Client struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string       // "" for keys that are for long
	Region          string       // DefaultRegion if ""
	URL             string       // DefaultURL if ""
	HTTP            *http.Client // nil: see [dialect.Ask]
}

// skewed is how far apart clocks are when the other one is signed with: what the
// SDKs take.
const skewed = 4 * time.Minute

// Read asks for the balance. A server that finds the signature too old or too
// new is asked again by its own clock, as the SDKs do.
func (r *Client) Read(ctx context.Context) (dialect.Reading, error) {
	now := time.Now()
	reading, reply, err := r.read(ctx, now)
	if err == nil || reply == nil || codeOf(err) != faults[faultSignature].kind {
		return reading, err
	}
	theirs, bad := http.ParseTime(reply.Header.Get("Date"))
	if bad != nil || theirs.Sub(now).Abs() < skewed {
		return reading, err
	}
	reading, _, err = r.read(ctx, theirs)
	return reading, err
}

func codeOf(err error) string {
	if e, ok := err.(*dialect.Error); ok {
		return e.Code
	}
	return ""
}

// read asks once, with a signature of that time.
func (r *Client) read(ctx context.Context, at time.Time) (dialect.Reading, *dialect.Reply, error) {
	request, err := r.request(ctx, at)
	if err != nil {
		return dialect.Reading{}, nil, err
	}
	reply, err := dialect.Ask(r.HTTP, auth.MTurk, request)
	if err != nil {
		return dialect.Reading{}, nil, err
	}
	if reply.Status != http.StatusOK {
		return dialect.Reading{}, reply, refused(reply)
	}
	reading, err := decodeBalance(reply.Body)
	if err != nil {
		return reading, reply, &dialect.Error{Dialect: auth.MTurk, Reason: dialect.Unreadable, Status: reply.Status, Message: err.Error()}
	}
	reading.Time = reply.Time
	return reading, reply, nil
}

func (r *Client) request(ctx context.Context, at time.Time) (*http.Request, error) {
	url, region, body := r.URL, r.Region, []byte("{}")
	if url == "" {
		url = DefaultURL
	}
	if region == "" {
		region = DefaultRegion
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", typeJSON)
	request.Header.Set("X-Amz-Target", targetPrefix+"GetAccountBalance")
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey, SessionToken: r.SessionToken}
	return request, v4.NewSigner().SignHTTP(ctx, keys, request, hex.EncodeToString(sum[:]), service, region, at)
}

// decodeBalance reads what GetAccountBalance returns. The amounts are strings;
// numbers, which the reference prints, are taken too.
func decodeBalance(body []byte) (r dialect.Reading, err error) {
	var b struct{ AvailableBalance, OnHoldBalance amount }
	if err := json.Unmarshal(body, &b); err != nil {
		return r, err
	}
	if b.AvailableBalance == "" {
		return r, fmt.Errorf("there is no AvailableBalance in %.200q", body)
	}
	r.Unit, r.OnHold = dollars, string(b.OnHoldBalance)
	return r, r.ReadAmount(string(b.AvailableBalance))
}

// An amount is the text of a JSON string or number.
type amount string

func (a *amount) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(a))
	}
	var n json.Number
	err := json.Unmarshal(b, &n)
	*a = amount(n)
	return err
}

// refused reads a refusal.
func refused(reply *dialect.Reply) error {
	e := reply.Refusal(auth.MTurk)
	var body struct {
		Type    string `json:"__type"`
		Message string // or message: names are matched in any case
		Turk    string `json:"TurkErrorCode"`
	}
	_ = json.Unmarshal(reply.Body, &body) // of what is not JSON the status has to do
	kind := body.Type
	if kind == "" {
		kind, _, _ = strings.Cut(reply.Header.Get("X-Amzn-Errortype"), ":")
	}
	kind = kind[strings.LastIndexByte(kind, '#')+1:]
	e.Code, e.Message = kind, body.Message
	if body.Turk != "" {
		e.Code = body.Turk
	}
	for i := range faults {
		if f := &faults[i]; f.kind == kind && (!f.modelled() || f.turk == body.Turk) {
			e.Reason = f.reason
			break
		}
	}
	return e
}
