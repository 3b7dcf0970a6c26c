package frontier

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

const (
	service         = "raystack.frontier.v1beta1.FrontierService"
	balanceCall     = "/" + service + "/GetBillingBalance"
	organizations   = "/v1beta1/organizations/"
	pingPath        = "/ping"
	currency        = "VC" // of every balance of every release
	contentTypeJSON = "application/json"
)

// A code is what refusals of one sort have in common: the status of the reply in
// both eras (grpc-gateway and connect-go agree), and what that means to a reader.
// REST names it by its number, Connect by its name, gRPC by the number again.
type code struct {
	status int
	reason dialect.Reason
}

var codes = [...]code{
	connect.CodeCanceled:           {499, dialect.Unavailable},
	connect.CodeUnknown:            {500, dialect.Unavailable},
	connect.CodeInvalidArgument:    {400, dialect.Refused},
	connect.CodeDeadlineExceeded:   {504, dialect.Unavailable},
	connect.CodeNotFound:           {404, dialect.NotFound},
	connect.CodeAlreadyExists:      {409, dialect.Refused},
	connect.CodePermissionDenied:   {403, dialect.Forbidden},
	connect.CodeResourceExhausted:  {429, dialect.Throttled},
	connect.CodeFailedPrecondition: {400, dialect.Refused},
	connect.CodeAborted:            {409, dialect.Unavailable},
	connect.CodeOutOfRange:         {400, dialect.Refused},
	connect.CodeUnimplemented:      {501, dialect.Refused},
	connect.CodeInternal:           {500, dialect.Unavailable},
	connect.CodeUnavailable:        {503, dialect.Unavailable},
	connect.CodeDataLoss:           {500, dialect.Unavailable},
	connect.CodeUnauthenticated:    {401, dialect.Unauthorized},
}

// A fault is one of the refusals: a row of faults.
type fault uint8

const (
	unauthenticated fault = iota
	throttled
	forbidden
	otherOrg
	notUUID
	noID
	unknownAccount
	unknownPath
	wrongMethod
	notServing
	canceled
	tooLarge
	insufficient
	applied
	overReverted
	frozen
	closed
	notEmpty
	holdClosed
	holdExpired
	changed
	exists
	tooMany
	busy
	unavailable
	timedOut
	contention
	clockJumped
	internal
)

// faults is the catalogue of refusals. The server takes the row that it names,
// or the row of the ledger's code; the client finds what one means by its code.
// Texts of REST hold nothing that JSON escapes.
var faults = [...]struct {
	code   connect.Code
	ledger ledger.Code // 0: the server names it
	rest   string      // the message in REST
	rpc    string      // the message in Connect and gRPC
}{
	unauthenticated: {connect.CodeUnauthenticated, 0, "not authenticated", "not authenticated"},
	throttled:       {connect.CodeResourceExhausted, 0, "too many failed attempts", "too many failed attempts"},
	forbidden:       {connect.CodePermissionDenied, ledger.Denied, "not authorized", "not authorized"},
	otherOrg:        {connect.CodePermissionDenied, 0, "invalid arguments", "not authorized"},
	notUUID: {connect.CodeInvalidArgument, ledger.Invalid,
		"invalid GetBillingBalanceRequest.Id: value must be a valid UUID | caused by: invalid uuid format",
		"value must be a valid UUID"},
	noID:           {connect.CodeInvalidArgument, 0, "Not Found", "value is empty, which is not a valid UUID"},
	unknownAccount: {connect.CodeNotFound, ledger.NotFound, "customer doesn't exist", "not found"},
	unknownPath:    {connect.CodeNotFound, 0, "Not Found", "not found"},
	wrongMethod:    {connect.CodeUnimplemented, 0, "Method Not Allowed", "this call is not served"},
	notServing:     {connect.CodeUnavailable, 0, "status:NOT_SERVING", "not serving"},
	canceled:       {connect.CodeCanceled, 0, "context canceled", "context canceled"},
	tooLarge:       {connect.CodeOutOfRange, ledger.Overflow, "the balance does not fit into 64 bits", "the balance does not fit into 64 bits"},
	insufficient:   {connect.CodeInvalidArgument, ledger.Insufficient, "failed to deduct usage: insufficient credits", "insufficient credits"},
	applied:        {connect.CodeAlreadyExists, ledger.IDTaken, "credits already applied", "credits already applied"},
	overReverted:   {connect.CodeInvalidArgument, ledger.OverRefund, "revert amount is greater than the usage amount", "revert amount is greater than the usage amount"},
	frozen:         {connect.CodeFailedPrecondition, ledger.Frozen, "the account is frozen", "the account is frozen"},
	closed:         {connect.CodeFailedPrecondition, ledger.Closed, "the account is closed", "the account is closed"},
	notEmpty:       {connect.CodeFailedPrecondition, ledger.NotEmpty, "the account is not empty", "the account is not empty"},
	holdClosed:     {connect.CodeFailedPrecondition, ledger.HoldClosed, "the hold has ended", "the hold has ended"},
	holdExpired:    {connect.CodeFailedPrecondition, ledger.HoldExpired, "the hold has expired", "the hold has expired"},
	changed:        {connect.CodeAborted, ledger.Changed, "it was changed meanwhile", "it was changed meanwhile"},
	exists:         {connect.CodeAlreadyExists, ledger.Exists, "it exists already", "it exists already"},
	tooMany:        {connect.CodeOutOfRange, ledger.TooMany, "a bound would be passed", "a bound would be passed"},
	busy:           {connect.CodeUnavailable, ledger.Busy, "busy: try again", "busy: try again"},
	unavailable:    {connect.CodeUnavailable, ledger.Unavailable, "unavailable: try again", "unavailable: try again"},
	timedOut:       {connect.CodeDeadlineExceeded, ledger.Timeout, "context deadline exceeded", "context deadline exceeded"},
	contention:     {connect.CodeUnavailable, ledger.Contention, "contention: try again", "contention: try again"},
	clockJumped:    {connect.CodeUnavailable, ledger.ClockJump, "the clock jumped: try again", "the clock jumped: try again"},
	internal:       {connect.CodeInternal, ledger.Internal, "internal server error", "internal server error"},
}

func (f fault) Error() string { return "frontier: " + faults[f].rest }

// faultOf returns the row of an error, and how long to wait where it says so.
func faultOf(err error) (fault, time.Duration) {
	var f fault
	var wait auth.ErrThrottled
	var scope auth.ErrForbidden
	switch {
	case errors.As(err, &f):
		return f, 0
	case errors.As(err, &wait):
		return throttled, wait.RetryAfter
	case errors.Is(err, auth.ErrUnauthorized):
		return unauthenticated, 0
	case errors.As(err, &scope):
		return forbidden, 0
	}
	code := ledger.CodeOf(err)
	for f := range faults {
		if faults[f].ledger == code {
			return fault(f), 0
		}
	}
	return internal, 0
}

// balancePath takes the path of a balance apart. No part is empty.
func balancePath(path string) (org, id string, ok bool) {
	path, ok = strings.CutPrefix(path, organizations)
	org, path, _ = strings.Cut(path, "/")
	path, in := strings.CutPrefix(path, "billing/")
	id, path, _ = strings.Cut(path, "/")
	return org, id, ok && in && path == "balance" && org != "" && id != ""
}

// uuid reads a UUID as Frontier does: with its hyphens, in either case.
func uuid(s string) (ledger.AccountID, bool) {
	if len(s) != 36 {
		return ledger.AccountID{}, false
	}
	return ledger.ParseAccountID(s)
}

// credits returns how many whole credits an account has that are free, rounded
// toward minus infinity, or the refusal of what an int64 cannot hold.
func credits(b *ledger.Balance) (int64, error) {
	whole, ok := b.Available.Rescale(int(b.Unit.Scale), 0)
	n, fits := whole.Int64()
	if !ok || !fits {
		return 0, tooLarge
	}
	return n, nil
}

// appendBalance appends the body that REST answers a balance with, byte for byte
// as v0.22.0 wrote it. A zero time is null.
func appendBalance(dst []byte, amount int64, updated time.Time) []byte {
	dst = append(dst, `{"balance":{"amount":"`...)
	dst = strconv.AppendInt(dst, amount, 10)
	dst = append(dst, `", "currency":"`+currency+`", "updated_at":`...)
	if updated.IsZero() {
		return append(dst, "null}}"...)
	}
	dst = append(dst, '"')
	dst = appendTime(dst, updated)
	return append(dst, `"}}`...)
}

// appendTime appends a time as protobuf's JSON has it: in UTC, with 0, 3 or 6
// decimals, as many as it needs.
func appendTime(dst []byte, t time.Time) []byte {
	layout := "2006-01-02T15:04:05Z"
	switch us := t.Nanosecond() / 1000; {
	case us%1000 != 0:
		layout = "2006-01-02T15:04:05.000000Z"
	case us != 0:
		layout = "2006-01-02T15:04:05.000Z"
	}
	return t.UTC().AppendFormat(dst, layout)
}

// appendFault appends the body that REST answers a refusal with.
func appendFault(dst []byte, f fault) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendUint(dst, uint64(faults[f].code), 10)
	dst = append(dst, `, "message":"`...)
	dst = append(dst, faults[f].rest...)
	return append(dst, `", "details":[]}`...)
}
