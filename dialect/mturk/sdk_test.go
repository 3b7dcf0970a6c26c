package mturk

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	vendor "github.com/aws/aws-sdk-go-v2/service/mturk"
	"github.com/aws/aws-sdk-go-v2/service/mturk/types"
	"github.com/aws/smithy-go"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
)

// A served is a server for vendors' clients. It can be made to say something
// else, and to have another time.
type served struct {
	*dialecttest.World
	url     string
	account ledger.AccountID
	key     auth.Issued
	say     atomic.Pointer[refusal] // in place of what is true
	skew    atomic.Int64            // of the server's clock
	asked   atomic.Int64
}

func serve(t *testing.T) *served {
	w := dialecttest.Open(t)
	s := &served{World: w, account: w.Account("USD", "100")}
	s.key = w.Issue(auth.MTurk, s.account, auth.Read)
	now := func() time.Time { return time.Now().Add(time.Duration(s.skew.Load())) }
	o := dialect.Options{Now: now}
	real := New(w.Ledger, w.Auth, Options{Options: o})
	server := &server{o: Options{Options: o.Filled()}}
	said := dialect.NewHandler(o, o.Metrics.Operation(auth.MTurk, "said"), func(x *dialect.Exchange) {
		head(x)
		server.refuse(x, s.say.Load())
	}, nil)
	s.url = w.Serve(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		out.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		if s.say.Load() != nil {
			said.ServeHTTP(out, r)
			return
		}
		real.ServeHTTP(out, r)
	}))
	return s
}

// attempts makes call, and returns how often the server was asked.
func (s *served) attempts(call func()) int64 {
	before := s.asked.Load()
	call()
	return s.asked.Load() - before
}

// What everybody's clients are made to meet.
var (
	insufficient = refusalOf(ledger.Errorf(ledger.Insufficient, "no"))
	fails        = refusalOf(ledger.Errorf(ledger.Internal, "no"))
	unavailable  = refusalOf(ledger.Errorf(ledger.Unavailable, "no"))
	throttled    = refusalOf(auth.ErrThrottled{})
)

func TestJavaScript(t *testing.T) {
	s := serve(t)
	c := dialecttest.Node(t, "sdk.mjs")
	open := func(secret string, options map[string]any) {
		c.Returns(new(any), "open", s.url, s.key.Credential.ID, secret, options)
	}
	open(s.key.Secret, map[string]any{})
	var got struct {
		AvailableBalance, OnHoldBalance, RequestID string
		Attempts                                   int
	}
	c.Returns(&got, "balance")
	if got.AvailableBalance != "100.00" || got.OnHoldBalance != "0.00" || !requestID.MatchString(got.RequestID) {
		t.Errorf("read %+v", got)
	}
	s.Charge(s.account, "12.345")
	c.Returns(&got, "balance")
	if got.AvailableBalance != "87.65" {
		t.Errorf("after a charge: %+v", got)
	}
	c.Raises(map[string]any{"name": "RequestError", "TurkErrorCode": codeNotServed}, "blocks")
	for _, tt := range []struct {
		say      *refusal
		want     map[string]any
		attempts int64
	}{
		{insufficient, map[string]any{"name": "RequestError", "type": "RequestError", "TurkErrorCode": "AWS.MechanicalTurk.InsufficientFunds", "$fault": "client"}, 1},
		{fails, map[string]any{"name": "ServiceFault", "type": "ServiceFault", "$fault": "server"}, 3},
		{unavailable, map[string]any{"name": "ServiceUnavailableException"}, 3},
		{throttled, map[string]any{"name": "ThrottlingException", "message": "Rate exceeded"}, 3},
	} {
		say := *tt.say
		say.retryAfter = 0 // the client would wait so long
		s.say.Store(&say)
		if n := s.attempts(func() { c.Raises(tt.want, "balance") }); n != tt.attempts {
			t.Errorf("%v was asked for %d times, want %d", tt.want, n, tt.attempts)
		}
	}
	s.say.Store(nil)
	open(strings.Repeat("x", 40), map[string]any{})
	c.Raises(map[string]any{"name": "InvalidSignatureException", "message": faults[faultSignature].message}, "balance")
	open(s.key.Secret, map[string]any{"sessionToken": "session"})
	c.Raises(map[string]any{"name": "UnrecognizedClientException"}, "balance")
	open(s.key.Secret, map[string]any{"region": "sandbox"})
	c.Returns(&got, "balance")

	s.skew.Store(int64(time.Hour)) // an hour late, the client learns the time from the first answer
	open(s.key.Secret, map[string]any{})
	c.Returns(&got, "balance")
	if got.AvailableBalance != "87.65" || got.Attempts != 2 {
		t.Errorf("with a wrong clock: %+v", got)
	}
	c.Returns(&got, "balance")
	if got.Attempts != 1 {
		t.Errorf("the clock was not set: %+v", got)
	}
}

func TestPython(t *testing.T) {
	s := serve(t)
	c := dialecttest.Python(t, "sdk.py")
	open := func(secret string, options map[string]any) {
		c.Returns(new(any), "reopen", s.url, s.key.Credential.ID, secret, options)
	}
	open(s.key.Secret, map[string]any{})
	var got struct {
		AvailableBalance, OnHoldBalance string
		ResponseMetadata                struct{ RequestID string }
	}
	c.Returns(&got, "balance")
	if got.AvailableBalance != "100.00" || got.OnHoldBalance != "0.00" || !requestID.MatchString(got.ResponseMetadata.RequestID) {
		t.Errorf("read %+v", got)
	}
	s.Charge(s.account, "12.345")
	c.Returns(&got, "balance")
	if got.AvailableBalance != "87.65" {
		t.Errorf("after a charge: %+v", got)
	}
	var caught struct {
		Caught, TurkErrorCode string
		Error                 struct{ Code, Message string }
	}
	for _, tt := range []struct {
		say               *refusal
		class, code, turk string
		attempts          int64
	}{
		{insufficient, "RequestError", "RequestError", "AWS.MechanicalTurk.InsufficientFunds", 1},
		{fails, "ServiceFault", "ServiceFault", "", 2},
		{unavailable, "ClientError", "ServiceUnavailableException", "", 2},
		{throttled, "ClientError", "ThrottlingException", "", 2},
	} {
		s.say.Store(tt.say)
		caught.TurkErrorCode = ""
		n := s.attempts(func() { c.Returns(&caught, "caught", "get_account_balance") })
		if caught.Caught != tt.class || caught.Error.Code != tt.code || caught.TurkErrorCode != tt.turk || !strings.HasPrefix(caught.Error.Message, tt.say.message) || n != tt.attempts {
			t.Errorf("caught %+v after %d attempts, want %+v", caught, n, tt)
		}
	}
	s.say.Store(nil)
	for code, tt := range map[string]struct {
		secret  string
		options map[string]any
		skew    time.Duration
	}{
		"InvalidSignatureException":   {secret: strings.Repeat("x", 40)},
		"UnrecognizedClientException": {secret: s.key.Secret, options: map[string]any{"token": "session"}},
	} {
		if tt.options == nil {
			tt.options = map[string]any{}
		}
		open(tt.secret, tt.options)
		if c.Returns(&caught, "caught", "get_account_balance"); caught.Caught != "ClientError" || caught.Error.Code != code {
			t.Errorf("caught %+v, want %s", caught, code)
		}
	}
	open(s.key.Secret, map[string]any{"region": "sandbox"})
	c.Returns(&got, "balance")
	if c.Returns(&caught, "caught", "list_worker_blocks"); caught.Caught != "RequestError" || caught.TurkErrorCode != codeNotServed {
		t.Errorf("caught %+v", caught)
	}
	s.skew.Store(int64(time.Hour)) // this client does not set its clock
	if c.Returns(&caught, "caught", "get_account_balance"); caught.Error.Code != "InvalidSignatureException" || !strings.HasPrefix(caught.Error.Message, "Signature expired: ") {
		t.Errorf("with a wrong clock it caught %+v", caught)
	}
}

func TestGo(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	client := func(secret, token string) *vendor.Client {
		return vendor.New(vendor.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(s.url),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: s.key.Credential.ID, SecretAccessKey: secret, SessionToken: token}, nil
			}),
		})
	}
	c := client(s.key.Secret, "")
	reads := func(want string) {
		t.Helper()
		got, err := c.GetAccountBalance(ctx, &vendor.GetAccountBalanceInput{})
		must(t, err)
		if aws.ToString(got.AvailableBalance) != want || aws.ToString(got.OnHoldBalance) != "0.00" {
			t.Errorf("read %q, want %q", aws.ToString(got.AvailableBalance), want)
		}
	}
	reads("100.00")
	s.Charge(s.account, "12.345")
	reads("87.65")
	raises := func(c *vendor.Client, code string) (err error) {
		t.Helper()
		_, err = c.GetAccountBalance(ctx, &vendor.GetAccountBalanceInput{})
		if e := smithy.APIError(nil); !errors.As(err, &e) || e.ErrorCode() != code {
			t.Errorf("raised %v, want %s", err, code)
		}
		return err
	}
	s.say.Store(insufficient)
	var wrong *types.RequestError
	if err := raises(c, "RequestError"); !errors.As(err, &wrong) || aws.ToString(wrong.TurkErrorCode) != "AWS.MechanicalTurk.InsufficientFunds" || !strings.HasPrefix(wrong.ErrorMessage(), insufficient.message) {
		t.Errorf("raised %+v", wrong)
	}
	s.say.Store(fails)
	var fault *types.ServiceFault
	var err error
	if n := s.attempts(func() { err = raises(c, "ServiceFault") }); !errors.As(err, &fault) || n != 3 {
		t.Errorf("raised %v after %d attempts", err, n)
	}
	s.say.Store(unavailable)
	if n := s.attempts(func() { raises(c, "ServiceUnavailableException") }); n != 3 {
		t.Errorf("asked %d times of a server that is unavailable", n)
	}
	s.say.Store(throttled)
	if n := s.attempts(func() { raises(c, "ThrottlingException") }); n != 3 {
		t.Errorf("asked %d times of a server that throttles", n)
	}
	s.say.Store(nil)
	raises(client(strings.Repeat("x", 40), ""), "InvalidSignatureException")
	raises(client(s.key.Secret, "session"), "UnrecognizedClientException")
	if _, err := c.ListWorkerBlocks(ctx, &vendor.ListWorkerBlocksInput{}); !errors.As(err, &wrong) || aws.ToString(wrong.TurkErrorCode) != codeNotServed {
		t.Errorf("an operation that is not served: %v", err)
	}
	// With a clock that is an hour ahead each call is made twice: this version of
	// the service's package does not hand on to the next what the core learned.
	s.skew.Store(int64(-time.Hour))
	c = client(s.key.Secret, "")
	for range 2 {
		if n := s.attempts(func() { reads("87.65") }); n != 2 {
			t.Errorf("asked %d times with a wrong clock", n)
		}
	}
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	s := serve(t)
	plain := s.Serve(NewRequester(s.Ledger, s.Auth, Options{}))
	run := func(arguments ...string) string {
		t.Helper()
		var failed bytes.Buffer
		c := exec.CommandContext(t.Context(), curl, append([]string{"-sS"}, arguments...)...)
		c.Stderr = &failed
		out, err := c.Output()
		if err != nil {
			t.Errorf("%v: %s", err, failed.String())
		}
		return string(out)
	}
	user := s.key.Credential.ID + ":" + s.key.Secret
	signed := []string{"--aws-sigv4", "aws:amz:us-east-1:mturk-requester", "--user"}
	target := []string{"-H", "Content-Type: application/x-amz-json-1.1", "-H", "X-Amz-Target: MTurkRequesterServiceV20170117.GetAccountBalance", "-d", "{}"}
	json := []string{"--request", "POST", "--header", "accept: application/json", "--header", "content-type: application/json"}
	fragment := "#X-Amz-Target=MTurkRequesterServiceV20170117.GetAccountBalance"
	for _, tt := range []struct {
		arguments []string
		want      string
	}{
		{append(append([]string{s.url + "/"}, append(signed, user)...), target...), `{"AvailableBalance":"100.00","OnHoldBalance":"0.00"}`},
		{append(append([]string{s.url + "/"}, append(signed, user+"x")...), target...), `"InvalidSignatureException"`},
		{append([]string{s.url}, target...), `"MissingAuthenticationTokenException"`},
		{append(json, "--url", plain+"/"+fragment), `"UNAUTHORIZED"`},
		{append(json, "--url", plain+"/"+fragment, "--user", user), `"AvailableBalance":"100.00"`},
		{append(json, "--url", plain+"/"+fragment, "--user", user+"x"), `"UNAUTHORIZED"`},
		{append(json, append([]string{"--url", plain + "/" + fragment}, append(signed, user)...)...), `"AvailableBalance":"100.00"`},
	} {
		if got := run(tt.arguments...); !strings.Contains(got, tt.want) {
			t.Errorf("curl %v: %s, want %s", tt.arguments, got, tt.want)
		}
	}
}
