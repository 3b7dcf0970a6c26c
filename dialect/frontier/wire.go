package frontier

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

const (
	service         = "raystack.frontier.v1beta1.FrontierService"
	adminService    = "raystack.frontier.v1beta1.AdminService"
	balanceCall     = "/" + service + "/GetBillingBalance"
	organizations   = "/v1beta1/organizations/"
	pingPath        = "/ping"
	currency        = "VC" // of every balance of every release
	contentTypeJSON = "application/json"

	debit, credit = "debit", "credit" // the types of transactions

	systemSource = "system"        // of a transaction that says no other
	revertSource = "system.revert" // a dot and the source of what was reverted follow
)

// revertSpace is the namespace of the UUIDs of reverts, as billing/credit of
// Frontier has it.
var revertSpace = uuid.MustParse("967416d0-716e-4308-b58f-2468ac14f20a")

// revertID returns the id of the first revert of a usage.
func revertID(usage, account string) string {
	return uuid.NewSHA1(revertSpace, []byte(usage+":"+account)).String()
}

// Prefixes returns how the paths begin that are this dialect's.
func Prefixes() []string {
	return []string{"/v1beta1/", pingPath, "/raystack.frontier.v1beta1.", "/grpc.health.v1.Health/", "/grpc.reflection."}
}

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
	badRequest
	unknownAccount
	unknownOrg
	unknownProject
	unknownUser
	unknownSecret
	unknownUsage
	unknownPath
	wrongMethod
	noProvider
	notServing
	canceled
	tooLarge
	tooLong
	tooLongList
	insufficient
	hasLess
	applied
	overReverted
	revertedRevert
	noFeature
	orgExists
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
	notUUID: {connect.CodeInvalidArgument, 0,
		"invalid GetBillingBalanceRequest.Id: value must be a valid UUID | caused by: invalid uuid format",
		"value must be a valid UUID"},
	badRequest:     {connect.CodeInvalidArgument, ledger.Invalid, "invalid syntax in body", "invalid syntax in body"},
	unknownAccount: {connect.CodeNotFound, ledger.NotFound, "customer doesn't exist", "not found"},
	unknownOrg:     {connect.CodeNotFound, 0, "org doesn't exist", "not found"},
	unknownProject: {connect.CodeNotFound, 0, "project doesn't exist", "not found"},
	unknownUser:    {connect.CodeNotFound, 0, "service user doesn't exist", "service user doesn't exist"},
	unknownSecret:  {connect.CodeNotFound, 0, "service user credential doesn't exist", "service user credential doesn't exist"},
	unknownUsage:   {connect.CodeInvalidArgument, 0, "creditService.GetByID: transaction not found", "creditService.GetByID: transaction not found"},
	unknownPath:    {connect.CodeNotFound, 0, "Not Found", "not found"},
	wrongMethod:    {connect.CodeUnimplemented, 0, "Method Not Allowed", "this call is not served"},
	noProvider: {connect.CodeUnimplemented, 0, "this needs a payment provider, and this server has none",
		"this needs a payment provider, and this server has none"},
	notServing: {connect.CodeUnavailable, 0, "status:NOT_SERVING", "not serving"},
	canceled:   {connect.CodeCanceled, 0, "context canceled", "context canceled"},
	tooLarge:   {connect.CodeOutOfRange, ledger.Overflow, "the balance does not fit into 64 bits", "the balance does not fit into 64 bits"},
	tooLong:    {connect.CodeResourceExhausted, 0, "a request is limited to 1048576 bytes", "a request is limited to 1048576 bytes"},
	tooLongList: {connect.CodeResourceExhausted, 0, "the list is too long for one message",
		"the list is too long for one message: ask for part of it, or by Connect"},
	insufficient:   {connect.CodeInvalidArgument, ledger.Insufficient, "failed to deduct usage: insufficient credits", "insufficient credits"},
	hasLess:        {connect.CodeFailedPrecondition, 0, "the account has less than has to stay", "the account has less than has to stay"},
	applied:        {connect.CodeAlreadyExists, ledger.IDTaken, "credits already applied", "credits already applied"},
	overReverted:   {connect.CodeInvalidArgument, ledger.OverRefund, "revert amount is greater than the usage amount", "revert amount is greater than the usage amount"},
	revertedRevert: {connect.CodeAlreadyExists, 0, "a reverted usage cannot be reverted again", "a reverted usage cannot be reverted again"},
	noFeature:      {connect.CodeInvalidArgument, 0, "unsupported usage type: only credit is", "unsupported usage type: only credit is"},
	orgExists:      {connect.CodeAlreadyExists, 0, "already exist", "already exist"},
	frozen:         {connect.CodeFailedPrecondition, ledger.Frozen, "billing customer is disabled", "billing customer is disabled"},
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

// A refusal is what a caller is told.
type refusal struct {
	fault
	rest, rpc string        // the messages, where they are not those of the fault
	field     *violation    // of the request, if that is what is wrong
	wait      time.Duration // 0: nothing is said
}

func (r *refusal) Error() string { return "frontier: " + r.rest }

// refusalOf returns what an error is to a caller.
func refusalOf(err error) *refusal {
	var r *refusal
	var f fault
	var wait auth.ErrThrottled
	var scope auth.ErrForbidden
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &f):
		return refuse(f)
	case errors.As(err, &wait):
		r = refuse(throttled)
		if r.wait = wait.RetryAfter; wait.Rate {
			r.rest, r.rpc = "too many requests", "too many requests"
		}
		return r
	case errors.Is(err, auth.ErrUnauthorized):
		return refuse(unauthenticated)
	case errors.As(err, &scope):
		return refuse(forbidden)
	}
	code := ledger.CodeOf(err)
	for f := range faults {
		if faults[f].ledger == code {
			return refuse(fault(f))
		}
	}
	return refuse(internal)
}

func refuse(f fault) *refusal { return &refusal{fault: f, rest: faults[f].rest, rpc: faults[f].rpc} }

// balancePath takes the path of a balance apart. No part is empty.
func balancePath(path string) (org, id string, ok bool) {
	path, ok = strings.CutPrefix(path, organizations)
	org, path, _ = strings.Cut(path, "/")
	path, in := strings.CutPrefix(path, "billing/")
	id, path, _ = strings.Cut(path, "/")
	return org, id, ok && in && path == "balance" && org != "" && id != ""
}

// parseUUID reads a UUID as Frontier does: with its hyphens, in either case.
func parseUUID(s string) (ledger.AccountID, bool) {
	if len(s) != 36 {
		return ledger.AccountID{}, false
	}
	return ledger.ParseAccountID(s)
}

// credits returns how many whole credits an account has that are free.
func credits(b *ledger.Balance) (int64, error) { return wholeCredits(b.Available, b.Unit) }

// wholeCredits returns an amount in whole credits, rounded toward minus infinity,
// or the refusal of what an int64 cannot hold.
func wholeCredits(a money.Amount, unit money.Unit) (int64, error) {
	n, ok := a.Rescale(int(unit.Scale), 0)
	credits, fits := n.Int64()
	if !ok || !fits {
		return 0, tooLarge
	}
	return credits, nil
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

// appendRefusal appends the body that REST answers a refusal with.
func appendRefusal(dst []byte, r *refusal) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendUint(dst, uint64(faults[r.fault].code), 10)
	dst = append(dst, `, "message":`...)
	dst = appendQuoted(dst, r.rest)
	return append(dst, `, "details":[]}`...)
}
