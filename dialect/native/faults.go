package native

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"saldo/auth"
	"saldo/ledger"
	"saldo/money"
)

// The codes of refusals: a closed list. A caller may depend on them.
const (
	CodeValidation       = "VALIDATION_ERROR"
	CodeMalformedJSON    = "MALFORMED_JSON"
	CodeBodyIncomplete   = "BODY_INCOMPLETE"
	CodeIDRequired       = "ID_REQUIRED"
	CodeKeyDisagrees     = "IDEMPOTENCY_KEY_DISAGREES"
	CodeCursor           = "CURSOR_MISMATCH"
	CodeTenantRequired   = "TENANT_REQUIRED"
	CodeUnauthorized     = "UNAUTHORIZED"
	CodeInsufficient     = "INSUFFICIENT_FUNDS"
	CodeForbidden        = "FORBIDDEN"
	CodeHeaderRequired   = "CSRF_HEADER_REQUIRED"
	CodeNotFound         = "NOT_FOUND"
	CodeMethod           = "METHOD_NOT_ALLOWED"
	CodeRequestTimeout   = "REQUEST_TIMEOUT"
	CodeExists           = "ALREADY_EXISTS"
	CodeFrozen           = "ACCOUNT_FROZEN"
	CodeClosed           = "ACCOUNT_CLOSED"
	CodeNotEmpty         = "ACCOUNT_NOT_EMPTY"
	CodeHoldClosed       = "HOLD_CLOSED"
	CodeHoldExpired      = "HOLD_EXPIRED"
	CodeOverRefund       = "REFUND_EXCEEDS_TRANSFER"
	CodeOverflow         = "AMOUNT_TOO_LARGE"
	CodeTooMany          = "LIMIT_EXCEEDED"
	CodePrecondition     = "PRECONDITION_FAILED"
	CodeBodyTooLarge     = "BODY_TOO_LARGE"
	CodeMediaType        = "UNSUPPORTED_MEDIA_TYPE"
	CodeMismatch         = "IDEMPOTENCY_MISMATCH"
	CodeRateLimited      = "RATE_LIMITED"
	CodeInternal         = "INTERNAL_ERROR"
	CodeBusy             = "BUSY"
	CodeUnavailable      = "UNAVAILABLE"
	CodeTimeout          = "TIMEOUT"
	CodeContention       = "CONTENTION"
	CodeClockJump        = "CLOCK_JUMP"
	validationMessage    = "Invalid request parameters"
	defaultRetryAfter    = time.Second
	statusClientIsBehind = http.StatusRequestTimeout
)

// A fault is a kind of refusal.
type fault struct {
	code    string
	status  int
	ledger  ledger.Code
	message string
}

// faults is the catalogue of refusals. The server takes the row that it names,
// or the first row of the ledger's code; the client finds the row by its code.
var faults = []fault{
	{CodeValidation, 400, ledger.Invalid, validationMessage},
	{CodeMalformedJSON, 400, ledger.Invalid, "The body is not valid JSON"},
	{CodeBodyIncomplete, 400, ledger.Invalid, "The body ended before it was complete"},
	{CodeIDRequired, 400, ledger.Invalid, "A call that moves money needs an id, so that repeating it cannot move the money twice: give id in the body or the header Idempotency-Key"},
	{CodeKeyDisagrees, 400, ledger.Invalid, "The header Idempotency-Key and id in the body are the same thing and have to agree"},
	{CodeCursor, 400, ledger.Invalid, "The cursor belongs to other filters; repeat them, or begin without a cursor"},
	{CodeTenantRequired, 400, ledger.Invalid, "The credential opens every tenant: name one in the header Saldo-Tenant"},
	{CodeUnauthorized, 401, ledger.Denied, "The credential is missing or wrong"},
	{CodeInsufficient, 402, ledger.Insufficient, "Less is spendable than required"},
	{CodeForbidden, 403, ledger.Denied, "The credential does not allow this"},
	{CodeHeaderRequired, 403, ledger.Denied, "A write by session needs the header Saldo-CSRF"},
	{CodeNotFound, 404, ledger.NotFound, "There is no such thing, or the credential does not open it"},
	{CodeMethod, 405, ledger.Invalid, "The method is not allowed here"},
	{CodeRequestTimeout, 408, ledger.Invalid, "The body did not arrive in time"},
	{CodeExists, 409, ledger.Exists, "It exists already"},
	{CodeFrozen, 409, ledger.Frozen, "The account is frozen"},
	{CodeClosed, 409, ledger.Closed, "The account is closed"},
	{CodeNotEmpty, 409, ledger.NotEmpty, "Closing an account needs a zero balance, no open holds and closed sub-accounts"},
	{CodeHoldClosed, 409, ledger.HoldClosed, "The hold was captured or released before"},
	{CodeHoldExpired, 409, ledger.HoldExpired, "The hold has expired"},
	{CodeOverRefund, 409, ledger.OverRefund, "More than what is left of the transfer"},
	{CodeOverflow, 409, ledger.Overflow, "An amount or a sum does not fit"},
	{CodeTooMany, 409, ledger.TooMany, "A bound would be passed"},
	{CodePrecondition, 412, ledger.Changed, "It was changed since you read it; read it again"},
	{CodeBodyTooLarge, 413, ledger.TooMany, "The body is too large"},
	{CodeMediaType, 415, ledger.Invalid, "The body has to be application/json, in UTF-8 and not compressed"},
	{CodeMismatch, 422, ledger.IDTaken, "The id was used by another call; nothing was done"},
	{CodeRateLimited, 429, ledger.Busy, "Too many requests"},
	{CodeInternal, 500, ledger.Internal, "A fault of the server; it was noted"},
	{CodeBusy, 503, ledger.Busy, "Too much is waiting; try again"},
	{CodeUnavailable, 503, ledger.Unavailable, "Nothing can be written now; try again"},
	{CodeTimeout, 503, ledger.Timeout, "It took too long and may have been done or not; repeat it under the same id"},
	{CodeContention, 503, ledger.Contention, "Others changed the same book first; try again"},
	{CodeClockJump, 503, ledger.ClockJump, "The server's clock jumped; try again"},
}

// faultOf returns the row of a code of this API.
func faultOf(code string) *fault {
	for i := range faults {
		if faults[i].code == code {
			return &faults[i]
		}
	}
	return nil
}

// preferred are the rows for codes of the ledger whose first row says something
// more special.
var preferred = map[ledger.Code]string{
	ledger.Denied: CodeForbidden, ledger.Busy: CodeBusy,
}

// faultOfLedger returns the row of a code of the ledger.
func faultOfLedger(code ledger.Code) *fault {
	if special := preferred[code]; special != "" {
		return faultOf(special)
	}
	for i := range faults {
		if faults[i].ledger == code {
			return &faults[i]
		}
	}
	return faultOf(CodeInternal)
}

// An Error is a refusal, as the server makes it and as the client reads it.
type Error struct {
	Status    int      `json:"-"`
	Code      string   `json:"code"`
	Message   string   `json:"message"`
	Details   []Detail `json:"details,omitempty"`
	Retryable bool     `json:"retryable"`

	// What there was, when it was not enough.
	Required    string `json:"required,omitempty"`
	Spendable   string `json:"spendable,omitempty"`
	Unit        string `json:"unit,omitempty"`
	Account     string `json:"account,omitempty"`
	LimitSource string `json:"limit_source,omitempty"` // funds, credit_limit or cap

	RetryAfter time.Duration `json:"-"`
	Replayed   bool          `json:"-"` // the refusal is an earlier one, remembered under the id

	allow string        // methods, for 405
	op    int           // which operation of the command was refused,
	ofOp  bool          // if one was
	left  *ledger.Error // of a refund that is too large: how much is left
	cause error         // of an internal error: for the log only
}

// A Detail says what is wrong with one field.
type Detail struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

func (e *Error) Error() string {
	text := e.Code + ": " + e.Message
	for i, d := range e.Details {
		text += [...]string{": ", "; "}[min(i, 1)] + strings.TrimSpace(d.Field+" "+d.Reason)
	}
	return text
}

func (e *Error) Unwrap() error { return e.cause }

// LedgerCode returns what the refusal is to the ledger.
func (e *Error) LedgerCode() ledger.Code {
	if f := faultOf(e.Code); f != nil {
		return f.ledger
	}
	return ledger.Internal
}

func (f *fault) error() *Error {
	e := &Error{Status: f.status, Code: f.code, Message: f.message}
	if f.status == 503 || f.status == 429 {
		e.Retryable, e.RetryAfter = true, defaultRetryAfter
	}
	e.Retryable = e.Retryable || f.code == CodeBodyIncomplete || f.code == CodeRequestTimeout
	return e
}

// refuse returns a refusal with a text of its own, or the table's if there is none.
func refuse(code, format string, args ...any) *Error {
	e := faultOf(code).error()
	if format != "" {
		e.Message = fmt.Sprintf(format, args...)
	}
	return e
}

// invalid refuses a field of the request.
func invalid(field, format string, args ...any) *Error {
	e := faultOf(CodeValidation).error()
	e.Details = []Detail{{field, fmt.Sprintf(format, args...)}}
	return e
}

// asError makes a refusal of whatever went wrong.
func asError(err error) *Error {
	var own *Error
	var refused *ledger.Error
	var throttled auth.ErrThrottled
	var forbidden auth.ErrForbidden
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refused):
		return ofLedger(refused)
	case errors.As(err, &throttled):
		e := refuse(CodeRateLimited, "")
		if !throttled.Rate {
			e.Message = "Too many failed attempts"
		}
		e.RetryAfter = throttled.RetryAfter
		return e
	case errors.Is(err, auth.ErrUnauthorized):
		return refuse(CodeUnauthorized, "")
	case errors.As(err, &forbidden):
		return refuse(CodeForbidden, "The credential lacks the scope %s", forbidden.Missing)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return refuse(CodeTimeout, "")
	}
	e := refuse(CodeInternal, "")
	e.cause = err
	return e
}

// ofLedger puts a refusal of the ledger into this API's words.
func ofLedger(r *ledger.Error) *Error {
	e := faultOfLedger(r.Code).error()
	e.op, e.ofOp = r.Op, !r.Code.Retryable()
	if r.Code == ledger.Internal {
		e.cause = r
		return e
	}
	if r.Detail != "" && r.Code == ledger.Invalid {
		e.Details = []Detail{{"", r.Detail}}
	} else if r.Detail != "" {
		e.Message = r.Detail
	}
	if !r.Account.IsZero() {
		e.Account = accountName(r.Account)
	}
	switch r.Code {
	case ledger.Insufficient:
		e.figures(r, r.Unit)
		e.LimitSource = r.By.String()
	case ledger.OverRefund: // says so once the unit is known
		e.left = r
	}
	return e
}

// figures says what there was, when it was not enough.
func (e *Error) figures(r *ledger.Error, unit money.Unit) {
	e.Required, e.Spendable, e.Unit = unit.Text(r.Required), unit.Text(r.Spendable), unit.Code
}
