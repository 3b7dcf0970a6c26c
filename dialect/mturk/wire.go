package mturk

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"saldo/dialect"
	"saldo/ledger"
)

const (
	targetPrefix = "MTurkRequesterServiceV20170117."
	typeJSON     = "application/x-amz-json-1.1"
	dollars      = "USD"
	noneOnHold   = "0.00"
	maxBody      = 1 << 20
)

// A fault is a kind of refusal: how this API says it, and how the plain form
// does.
type fault struct {
	kind    string // __type
	turk    string // TurkErrorCode, of the model's errors
	status  int
	ledger  ledger.Code // whose row it is; 0: of none
	reason  dialect.Reason
	plain   plainFault
	message string
}

// A plainFault is a refusal in the envelope, as the native API has it. Without a
// message it has that of its fault.
type plainFault struct {
	code    string
	status  int
	message string
}

var (
	plainInvalid      = plainFault{"VALIDATION_ERROR", 400, ""}
	plainMalformed    = plainFault{"MALFORMED_JSON", 400, "The body is not a JSON object"}
	plainUnauthorized = plainFault{"UNAUTHORIZED", 401, "The credential is missing or wrong"}
	plainForbidden    = plainFault{"FORBIDDEN", 403, "The credential does not allow this"}
	plainNotFound     = plainFault{"NOT_FOUND", 404, "There is no such thing, or the credential does not open it"}
	plainSlow         = plainFault{"REQUEST_TIMEOUT", 408, "The body did not arrive"}
	plainTooLarge     = plainFault{"BODY_TOO_LARGE", 413, "The body is too large"}
	plainThrottled    = plainFault{"RATE_LIMITED", 429, "Too many failed attempts"}
	plainInternal     = plainFault{"INTERNAL_ERROR", 500, "A fault of the server; it was noted"}
)

// The two errors that the model declares, on every operation, and one that it
// does not.
const (
	requestError   = "RequestError"
	serviceFault   = "ServiceFault"
	parameterError = "ParameterValidationError"
)

// modelled reports whether the row is an error of the model, which has its own
// members.
func (f *fault) modelled() bool { return f.kind == requestError || f.kind == serviceFault }

// The rows of faults that are told by name.
const (
	faultAccessDenied = iota
	faultUnknownOperation
	faultMissingToken
	faultIncomplete
	faultUnrecognized
	faultSignature
	faultExpiredToken
	faultThrottled
	faultValidation
	faultSerialization
	faultTooLarge
	faultSlow
	faultNotLinked
	faultCurrency
	faultRule
	faultInternal
	namedFaults
)

// faults is the catalogue of refusals. The server takes the row that it names,
// or the one of the ledger's code; the client finds the row by the kind and, of
// the model's errors, the TurkErrorCode. Texts are the service's own
// where one was captured.
var faults = [...]fault{
	faultAccessDenied: {"AccessDeniedException", "", 400, ledger.Denied, dialect.Forbidden, plainForbidden,
		"The credential does not allow this."},
	faultUnknownOperation: {"UnknownOperationException", "", 400, 0, dialect.Refused, plainNotFound, ""},
	faultMissingToken: {"MissingAuthenticationTokenException", "", 400, 0, dialect.Unauthorized, plainUnauthorized,
		"Missing Authentication Token"},
	faultIncomplete: {"IncompleteSignatureException", "", 400, 0, dialect.Unauthorized, plainUnauthorized,
		"The request signature does not conform to AWS standards."},
	faultUnrecognized: {"UnrecognizedClientException", "", 400, 0, dialect.Unauthorized, plainUnauthorized,
		"The security token included in the request is invalid."},
	faultSignature: {"InvalidSignatureException", "", 400, 0, dialect.Unauthorized, plainUnauthorized,
		"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
	faultExpiredToken: {"ExpiredTokenException", "", 400, 0, dialect.Unauthorized, plainUnauthorized,
		"The security token included in the request is expired"},
	faultThrottled: {"ThrottlingException", "", 400, 0, dialect.Throttled, plainThrottled, "Rate exceeded"},
	faultValidation: {"ValidationException", "", 400, ledger.Invalid, dialect.Refused, plainInvalid,
		"The input fails to satisfy the constraints specified by the service."},
	faultSerialization: {"SerializationException", "", 400, 0, dialect.Refused, plainMalformed, ""},
	faultTooLarge: {"RequestEntityTooLargeException", "", 413, 0, dialect.Refused, plainTooLarge,
		"The body is larger than 1 MiB."},
	faultSlow: {"RequestTimeoutException", "", 400, 0, dialect.Unavailable, plainSlow,
		"Your socket connection to the server was not read from or written to within the timeout period."},
	faultNotLinked: {requestError, "AWS.AccountNotLinked", 400, ledger.NotFound, dialect.NotFound, plainNotFound,
		"To use the MTurk API, you will need an Amazon Web Services (AWS) Account. Your AWS account must be linked to your Amazon Mechanical Turk Account. Visit https://requestersandbox.mturk.com/developer to get started."},
	faultCurrency: {requestError, "AWS.MechanicalTurk.UnsupportedCurrency", 400, 0, dialect.Refused, plainInvalid,
		"The balance of this account is not in US dollars, the only currency of this API."},
	faultRule: {requestError, "", 400, 0, dialect.Refused, plainInvalid, "There was an error with this request."},
	faultInternal: {"InternalFailure", "", 500, 0, dialect.Unavailable, plainInternal,
		"The request processing has failed because of an unknown error, exception or failure."},

	namedFaults: {requestError, "AWS.MechanicalTurk.InsufficientFunds", 400, ledger.Insufficient, dialect.Refused, plainFault{"INSUFFICIENT_FUNDS", 402, ""},
		"This Requester has insufficient funds in their account to complete this transaction. Please visit https://requester.mturk.com/prepayments/new to purchase Prepaid HITs."},
	{requestError, "AWS.MechanicalTurk.PermissionDenied", 400, ledger.Frozen, dialect.Forbidden, plainFault{"ACCOUNT_FROZEN", 409, ""},
		"This user is not authorized to perform the requested operation."},
	{requestError, "AWS.MechanicalTurk.PermissionDenied", 400, ledger.Closed, dialect.Forbidden, plainFault{"ACCOUNT_CLOSED", 409, ""},
		"This user is not authorized to perform the requested operation."},
	{requestError, "", 400, ledger.IDTaken, dialect.Refused, plainFault{"IDEMPOTENCY_MISMATCH", 422, ""},
		"The idempotency token has already been processed."},
	{requestError, "AWS.MechanicalTurk.InvalidHITState", 400, ledger.Changed, dialect.Refused, plainFault{"PRECONDITION_FAILED", 412, ""},
		"This HIT was changed by another request."},
	{requestError, "AWS.MechanicalTurk.HitAlreadyExists", 400, ledger.Exists, dialect.Refused, plainFault{"ALREADY_EXISTS", 409, ""},
		"It exists already."},
	{requestError, "AWS.MechanicalTurk.InvalidHITState", 400, ledger.HoldClosed, dialect.Refused, plainFault{"HOLD_CLOSED", 409, ""},
		"The money for this HIT was paid or released before."},
	{requestError, "AWS.MechanicalTurk.InvalidHITState", 400, ledger.HoldExpired, dialect.Refused, plainFault{"HOLD_EXPIRED", 409, ""},
		"The money for this HIT is not held any more."},
	{requestError, "AWS.MechanicalTurk.InvalidParameterValue", 400, ledger.NotEmpty, dialect.Refused, plainFault{"ACCOUNT_NOT_EMPTY", 409, ""},
		"The account is not empty."},
	{requestError, "AWS.MechanicalTurk.InvalidParameterValue", 400, ledger.OverRefund, dialect.Refused, plainFault{"REFUND_EXCEEDS_TRANSFER", 409, ""},
		"That is more than what is left of the payment."},
	{requestError, "AWS.MechanicalTurk.InvalidParameterValue", 400, ledger.Overflow, dialect.Refused, plainFault{"AMOUNT_TOO_LARGE", 409, ""},
		"The amount is too large."},
	{requestError, "AWS.MechanicalTurk.InvalidParameterValue", 400, ledger.TooMany, dialect.Refused, plainFault{"LIMIT_EXCEEDED", 409, ""},
		"That would pass a limit."},
	{serviceFault, "", 500, ledger.Internal, dialect.Unavailable, plainInternal,
		"The service failed; it was noted. Try again."},
	{"ServiceUnavailableException", "", 503, ledger.Busy, dialect.Unavailable, plainFault{"BUSY", 503, ""},
		"Too much is waiting. Try again."},
	{"ServiceUnavailableException", "", 503, ledger.Unavailable, dialect.Unavailable, plainFault{"UNAVAILABLE", 503, ""},
		"The service is unavailable. Try again."},
	{"ServiceUnavailableException", "", 503, ledger.Timeout, dialect.Unavailable, plainFault{"TIMEOUT", 503, ""},
		"It took too long. Try again."},
	{"ServiceUnavailableException", "", 503, ledger.Contention, dialect.Unavailable, plainFault{"CONTENTION", 503, ""},
		"Others changed the same first. Try again."},
	{"ServiceUnavailableException", "", 503, ledger.ClockJump, dialect.Unavailable, plainFault{"CLOCK_JUMP", 503, ""},
		"The server's clock jumped. Try again."},
}

// faultOf returns the row of a code of the ledger.
func faultOf(code ledger.Code) *fault {
	for i := range faults {
		if faults[i].ledger == code {
			return &faults[i]
		}
	}
	return &faults[faultInternal]
}

// A refusal is a fault, and what there is to say about this case.
type refusal struct {
	*fault
	text       string        // in place of the row's message
	retryAfter time.Duration // 0: not said
	cause      error         // for the log
}

func (r *refusal) Error() string { return r.kind + ": " + r.said() }

func (r *refusal) said() string {
	if r.text != "" {
		return r.text
	}
	return r.message
}

// refuse returns a refusal with the text of its row.
func refuse(row int) *refusal { return &refusal{fault: &faults[row]} }

// refusef returns a refusal with a text of its own.
func refusef(row int, format string, args ...any) *refusal {
	return &refusal{fault: &faults[row], text: fmt.Sprintf(format, args...)}
}

// refusalBy makes a refusal of what the rules of HITs say. A value that could not
// be used has an error of its own, which is not of the model
// (https://github.com/boto/boto3/issues/2355).
func refusalBy(r *Refused) *refusal {
	f := faults[faultRule]
	if f.turk = r.Code; r.Parameter != "" {
		f.kind, f.turk = parameterError, ""
	}
	return &refusal{fault: &f, text: r.Text}
}

// append writes the refusal as JSON 1.1 has it. The model's errors end with the
// milliseconds since 1970, as the service's did; plain leaves them out.
func (r *refusal) append(dst []byte, now time.Time, plain bool) []byte {
	text, member := r.said(), `,"message":`
	dst = appendString(append(dst, `{"__type":`...), r.kind)
	switch {
	case r.modelled():
		member = `,"Message":`
		fallthrough
	case r.kind == parameterError:
		if !plain {
			text = fmt.Sprintf("%s (%d)", text, now.UnixMilli())
		}
	case r.fault == &faults[faultAccessDenied]:
		member = `,"Message":`
	}
	if text != "" {
		dst = appendString(append(dst, member...), text)
	}
	if r.turk != "" {
		dst = appendString(append(dst, `,"TurkErrorCode":`...), r.turk)
	}
	return append(dst, '}')
}

// appendBalance appends what GetAccountBalance returns, without the braces.
func appendBalance(dst []byte, b *ledger.Balance, showHeld bool) []byte {
	dst = append(dst, `"AvailableBalance":"`...)
	dst = Available(b).AppendText(dst, centScale)
	dst = append(dst, `","OnHoldBalance":"`...)
	if showHeld {
		dst = OnHold(b).AppendText(dst, centScale)
	} else {
		dst = append(dst, noneOnHold...)
	}
	return append(dst, '"')
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s { // what is no UTF-8 comes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// appendUUID appends 16 random bytes as a UUID of version 4.
func appendUUID(dst []byte, b [16]byte) []byte {
	const digits = "0123456789abcdef"
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// isAmazonJSON reports whether a content type is one of AWS JSON 1.x.
func isAmazonJSON(h http.Header) bool {
	const prefix = "application/x-amz-json-"
	kind := first(h, "Content-Type")
	return len(kind) > len(prefix) && strings.EqualFold(kind[:len(prefix)], prefix)
}

// first returns the value of a header that was sent once, else "".
func first(h http.Header, canonical string) string {
	if values := h[canonical]; len(values) == 1 {
		return values[0]
	}
	return ""
}
