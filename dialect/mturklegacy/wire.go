package mturklegacy

import (
	"fmt"
	"strings"
	"time"

	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

const (
	serviceName   = "AWSMechanicalTurkRequester"
	centScale     = 2
	latestVersion = "2014-08-15"

	soapSpace   = "http://schemas.xmlsoap.org/soap/envelope/"
	bodySpace   = "http://requester.mturk.amazonaws.com/doc/" // and the version
	faultSpace  = "http://webservices.amazon.com/AWSFault/2005-15-09"
	soapAction  = "http://soap.amazon.com" // of every operation; nobody looks at it
	xmlType     = "text/xml"
	formType    = "application/x-www-form-urlencoded"
	queryHeader = "<?xml version=\"1.0\"?>\n"
	soapHeader  = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
)

// Bounds of what is taken. Each has its refusal.
const (
	maxBody       = 1 << 20
	maxParameters = 1000     // of a query and a form together
	maxRequests   = 100      // of a SOAP body: each is answered by itself
	maxAnswer     = 16 << 20 // of a SOAP body, after which nothing more is asked for it
	maxDepth      = 32       // of elements in elements
	maxElements   = 10_000
	window        = 15 * time.Minute
)

// A version of the API.
type version struct {
	name string
	// onHold says that GetAccountBalance answers with an OnHoldBalance: money on
	// its way into the account. Versions from 2007 call it unused and leave it out.
	onHold bool
	// layouts says that it has layouts and groups of HITs.
	layouts bool
}

// v2008 is the first version in which more than a balance is served: before, it
// is not known what an amount was counted in.
const v2008 = 5

// versions is every version that the service had, oldest first.
var versions = [...]version{
	{"2005-10-01", false, false},
	{"2006-06-20", false, false},
	{"2006-08-23", true, false},
	{"2006-10-31", true, false},
	{"2007-06-21", false, false},
	{"2008-08-02", false, false},
	{"2012-03-25", false, true},
	{latestVersion, false, true},
}

// versionOf returns the index of a version, or -1.
func versionOf(name string) int {
	for i := range versions {
		if versions[i].name == name {
			return i
		}
	}
	return -1
}

// Retired is a set of versions that are answered as Amazon answered from
// 2019-06-01 on: 403, Forbidden, "This Requester API is no longer supported."
// The zero value has none.
type Retired struct {
	all      bool
	versions [len(versions)]bool
}

// ParseRetired reads a set of versions: "" is none, "all" whatever a request
// says, and "2005-10-01,2008-08-02" those two.
func ParseRetired(text string) (Retired, error) {
	var r Retired
	switch strings.TrimSpace(text) {
	case "":
		return r, nil
	case "all":
		r.all = true
		return r, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		i := versionOf(strings.TrimSpace(name))
		if i < 0 {
			return Retired{}, fmt.Errorf("there is no version %.32q of MTurk's older API; write all, or some of %s", name, versionNames())
		}
		r.versions[i] = true
	}
	return r, nil
}

// String returns what [ParseRetired] reads.
func (r Retired) String() string {
	if r.all {
		return "all"
	}
	var names []string
	for i, retired := range r.versions {
		if retired {
			names = append(names, versions[i].name)
		}
	}
	return strings.Join(names, ",")
}

func versionNames() string {
	names := make([]string, len(versions))
	for i, v := range versions {
		names[i] = v.name
	}
	return strings.Join(names, ", ")
}

// A place is where in an answer an error stands.
type place uint8

const (
	// atDoor: the request was not understood, or cannot be served now. The
	// answer is a <Response>, by SOAP a Fault, with the status.
	atDoor place = iota
	// atDoorAlways is atDoor, and a <Response> even by SOAP.
	atDoorAlways
	// inRequest: who asks may not. Errors in OperationRequest, and no result.
	inRequest
	// inResult: the operation did not succeed. Errors in the result's Request,
	// with IsValid False.
	inResult
)

// A fault is a kind of refusal.
type fault struct {
	code   string
	status int
	place  place
	ledger ledger.Code // whose row it is; 0: of none
	reason dialect.Reason
	text   string // with %s for what only the request tells
}

// The codes that the server names. The others are found by a ledger's code, or
// only read by the client.
const (
	codeDenied          = "AWS.MechanicalTurk.PermissionDenied"
	codeUnknownKey      = "AWS.NotAuthorized"
	codeBadClaims       = "AWS.BadClaimsSupplied"
	codeNoAccount       = "AWS.MechanicalTurk.MustRegister"
	codeCurrency        = "AWS.MechanicalTurk.UnsupportedCurrency"
	codeBadValue        = "AWS.MechanicalTurk.InvalidParameterValue"
	codeFunds           = "AWS.MechanicalTurk.InsufficientFunds"
	codeHITExists       = "AWS.MechanicalTurk.HITAlreadyExists"
	codeAssignmentState = "AWS.MechanicalTurk.InvalidAssignmentState"
	codeHITState        = "AWS.MechanicalTurk.InvalidHITState"
	codeProcessed       = "AWS.MechanicalTurk.AlreadyProcessed"
	codeNotServed       = "AWS.MechanicalTurk.NotServed"
	codeOtherCurrency   = "AWS.MechanicalTurk.InvalidCurrency"
	codeMissingAny      = "AWS.MissingParameters"
	codeOutOfRange      = "AWS.ParameterOutOfRange"
	codeEnumeration     = "AWS.InvalidEnumeratedParameter"
	codeTooLong         = "AWS.MechanicalTurk.AnswerTooLong"
	codeTooFar          = "AWS.MechanicalTurk.PageTooFar"
	codeRetired         = "Forbidden"
	codeParameter       = "InvalidParameterValue"
	codeMissing         = "MissingParameter"
	codeRepeated        = "InvalidQueryParameter"
	codeQuery           = "MalformedQueryString"
	codeXML             = "MalformedXML"
	codeEnvelope        = "VersionMismatch"
	codeHeader          = "MustUnderstand"
	codeOperation       = "InvalidAction"
	codeVersion         = "NoSuchVersion"
	codeMethod          = "UnsupportedHttpVerb"
	codeIncomplete      = "IncompleteBody"
	codeTooLarge        = "RequestEntityTooLarge"
	codeUnavailable     = "ServiceUnavailable"
	codeInternal        = "InternalError"
)

// faults is the catalogue of refusals. The server takes the row of a code that
// it names, or the first row of the ledger's code; the client finds the row by
// its code.
var faults = []fault{
	{codeDenied, 200, inResult, ledger.Denied, dialect.Forbidden, "This user is not authorized to perform the requested operation."},
	{codeUnknownKey, 200, inRequest, ledger.Denied, dialect.Unauthorized, "The identity contained in the request is not authorized to use this AWSAccessKeyId"},
	{codeBadClaims, 200, inRequest, ledger.Denied, dialect.Unauthorized, "The specified claims are invalid.   Based on your request, your signature should be generated using the following string: %s.  " +
		"Check to make sure your system clock and timezone is not incorrect.  Our current system time: %s. "},
	{"AWS.BadCredentialSupplied", 200, inRequest, ledger.Denied, dialect.Unauthorized, ""},
	{"RequestExpired", 400, atDoor, ledger.Denied, dialect.Unauthorized, "Request has expired. Timestamp date is %s"},
	{codeRetired, 403, atDoorAlways, ledger.Denied, dialect.Refused, "This Requester API is no longer supported. " +
		"Please use the latest API using the official AWS SDK. https://aws.amazon.com/getting-started/tools-sdks"},
	{codeNoAccount, 200, inResult, ledger.NotFound, dialect.NotFound, "This access key belongs to no requester's account."},
	{"AWS.AccountNotLinked", 200, inResult, ledger.NotFound, dialect.NotFound, ""},
	{codeBadValue, 200, inResult, 0, dialect.Refused, "The value \"%v\" is not valid for the parameter %s."},
	{codeBadValue, 200, inResult, ledger.Invalid, dialect.Refused, "A parameter is not valid."},
	{codeCurrency, 200, inResult, ledger.Invalid, dialect.Refused, "The balance of this account is not in the only currency of this API."},
	{codeFunds, 200, inResult, ledger.Insufficient, dialect.Refused, "This Requester has insufficient funds in their account to complete this transaction."},
	{"AWS.MechanicalTurk.PermissionDeniedException", 200, inResult, ledger.Frozen, dialect.Forbidden, "This requester's account is suspended."},
	{"AWS.MechanicalTurk.PermissionDeniedException", 200, inResult, ledger.Closed, dialect.Forbidden, "This requester's account is closed."},
	{codeHITExists, 200, inResult, ledger.IDTaken, dialect.Refused, "This request was made before, with other parameters."},
	{codeHITExists, 200, inResult, ledger.Exists, dialect.Refused, "This exists already."},
	{codeAssignmentState, 200, inResult, ledger.Changed, dialect.Refused, "The state was changed meanwhile."},
	{codeHITState, 200, inResult, ledger.HoldClosed, dialect.Refused, "What was reserved for this is used up."},
	{codeHITState, 200, inResult, ledger.HoldExpired, dialect.Refused, "What was reserved for this has expired."},
	{codeHITState, 200, inResult, ledger.NotEmpty, dialect.Refused, "Something is still open."},
	{codeBadValue, 200, inResult, ledger.OverRefund, dialect.Refused, "More than was paid cannot be given back."},
	{codeBadValue, 200, inResult, ledger.Overflow, dialect.Refused, "The amount is too large."},
	{codeBadValue, 200, inResult, ledger.TooMany, dialect.Refused, "There are too many."},

	// What HITs and their work are refused with. The texts of the rules stand in
	// for those here that have them.
	{codeMissingAny, 200, inResult, 0, dialect.Refused, "Your request is missing required parameters. Required parameters include %s."},
	{codeOutOfRange, 200, inResult, 0, dialect.Refused, "The value you specified for %s is invalid. Valid values must be between %d and %d."},
	{codeEnumeration, 200, inResult, 0, dialect.Refused, "The value \"%s\" you specified for enumeration is invalid."},
	{codeOtherCurrency, 200, inResult, 0, dialect.Refused, "The value \"%s\" is not valid for the parameter %s. Expected values %s."},
	{codeTooFar, 200, inResult, 0, dialect.Refused, "Page %d of this list is more than %d entries from any that was read lately. Read the pages from the first one on."},
	{codeTooLong, 200, inResult, 0, dialect.Refused, "The answer has more than %d MiB already. Send fewer Requests at once."},
	{codeProcessed, 200, inResult, 0, dialect.Refused, "The idempotency token has already been processed."},
	{codeNotServed, 200, inResult, 0, dialect.Refused, "%s is not served here."},
	{"AWS.MechanicalTurk.HITDoesNotExist", 200, inResult, 0, dialect.NotFound, "This HIT does not exist."},
	{"AWS.MechanicalTurk.AssignmentDoesNotExist", 200, inResult, 0, dialect.NotFound, "This assignment does not exist."},
	{"AWS.MechanicalTurk.InvalidMaximumAssignmentsIncrease", 200, inResult, 0, dialect.Refused, "The HIT cannot be extended by so many."},
	{"AWS.MechanicalTurk.XMLParseError", 200, inResult, 0, dialect.Refused, "There was an error parsing the XML."},

	{codeParameter, 400, atDoor, ledger.Invalid, dialect.Refused, "Value (%s) for parameter %s is invalid. %s"},
	{codeMissing, 400, atDoor, ledger.Invalid, dialect.Refused, "The request must contain the parameter %s"},
	{codeRepeated, 400, atDoor, ledger.Invalid, dialect.Refused, "The parameter %s appears more than once"},
	{codeQuery, 400, atDoor, ledger.Invalid, dialect.Refused, "The parameters cannot be read: %s"},
	{codeXML, 400, atDoor, ledger.Invalid, dialect.Refused, "The message cannot be read: %s"},
	{codeEnvelope, 400, atDoor, ledger.Invalid, dialect.Refused, "The message is not an envelope of SOAP 1.1"},
	{codeHeader, 400, atDoor, ledger.Invalid, dialect.Refused, "No header is understood here: send none that must be"},
	{codeOperation, 400, atDoor, ledger.Invalid, dialect.Refused, "The action %s is not valid for this web service, which serves %s"},
	{codeVersion, 400, atDoor, ledger.Invalid, dialect.Refused, "The requested version (%s) is not valid; there are %s"},
	{codeMethod, 405, atDoor, ledger.Invalid, dialect.Refused, "The requested HTTP verb is not supported: %s"},
	{codeIncomplete, 400, atDoor, ledger.Invalid, dialect.Unavailable, "The request body terminated unexpectedly"},
	{codeTooLarge, 413, atDoor, ledger.TooMany, dialect.Refused, "The request is longer than 1 MiB"},

	{codeUnavailable, 503, atDoor, ledger.Busy, dialect.Unavailable, unavailable},
	{codeUnavailable, 503, atDoor, ledger.Unavailable, dialect.Unavailable, unavailable},
	{codeUnavailable, 503, atDoor, ledger.Timeout, dialect.Unavailable, unavailable},
	{codeUnavailable, 503, atDoor, ledger.Contention, dialect.Unavailable, unavailable},
	{codeUnavailable, 503, atDoor, ledger.ClockJump, dialect.Unavailable, unavailable},
	{codeInternal, 500, atDoor, ledger.Internal, dialect.Unavailable, "An internal error has occurred"},
}

const unavailable = "Service AWSMechanicalTurkRequester is currently unavailable. Please try again later"

// faultOf returns the first row of a code, or nil.
func faultOf(code string) *fault {
	for i := range faults {
		if faults[i].code == code {
			return &faults[i]
		}
	}
	return nil
}

// faultOfLedger returns the first row of a ledger's code.
func faultOfLedger(code ledger.Code) *fault {
	for i := range faults {
		if faults[i].ledger == code {
			return &faults[i]
		}
	}
	return faultOf(codeInternal)
}

// A refusal is a fault of one request.
type refusal struct {
	*fault
	message string
	// state is what the HIT or the assignment is in, if that is why.
	state string
	// retryAfter is when who was throttled may ask again; 0: it was not.
	retryAfter time.Duration
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

// refuse returns a refusal with the table's text, in which more stands for %s.
func refuse(code string, more ...any) *refusal {
	f := faultOf(code)
	return &refusal{fault: f, message: fmt.Sprintf(f.text, more...)}
}

// renamed are parameters that have other names in the API of 2017, whose rules
// these are.
var renamed = map[string]string{
	"NumberOfAdditionalAssignments": "MaxAssignmentsIncrement",
	"ExpireAt":                      "ExpirationIncrementInSeconds",
	"QualificationRequirements":     "QualificationRequirement",
	"HITLayoutParameters":           "HITLayoutParameter",
}

// recoded are codes that the older API did not have, or spelled in another way,
// and what it said in their place.
var recoded = map[string]string{
	"":                                       codeProcessed, // the token of anything but a HIT was used
	"AWS.MechanicalTurk.HitAlreadyExists":    codeHITExists,
	"AWS.MechanicalTurk.HITTypeDoesNotExist": codeBadValue,
}

// refusalBy makes a refusal of what the rules of HITs say.
func refusalBy(r *mturk.Refused) *refusal {
	code, text := r.Code, r.Text
	if other, found := recoded[code]; found {
		code = other
	}
	if name, found := renamed[r.Parameter]; found {
		text = strings.Replace(text, r.Parameter, name, 1)
	}
	f := faultOf(code)
	switch {
	case f == nil:
		f = &fault{code, 200, inResult, ledger.Invalid, dialect.Refused, text}
	case code == codeFunds, code == codeCurrency: // the older text, and one that names no currency
		text = f.text
	}
	return &refusal{fault: f, message: text, state: r.State}
}

// shortened returns what a message may repeat of what was sent.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
