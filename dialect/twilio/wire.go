package twilio

import (
	"encoding/hex"
	"strconv"
	"strings"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// version begins every path.
const version = "/2010-04-01"

// Decimals of a balance: what is below the last is not shown, rounded toward
// minus infinity, and zeros at the end go, down to the first.
const (
	leastDecimals = 2
	mostDecimals  = 5
)

// amountText returns an amount of a unit with scale decimals as this API has it.
func amountText(a money.Amount, scale int) string {
	if scale > mostDecimals {
		a, _ = a.Rescale(scale, mostDecimals) // to fewer decimals, which always fits
		scale = mostDecimals
	}
	if scale >= leastDecimals {
		return a.TextMin(scale, leastDecimals)
	}
	text := a.Text(scale)
	if scale == 0 {
		text += "."
	}
	return text + "00"[scale:]
}

// parseSID returns the 128 bits of an account's SID: AC and 32 hexadecimal
// digits of either case.
func parseSID(sid string) (id ledger.AccountID, ok bool) {
	if len(sid) != 34 || sid[:2] != "AC" {
		return id, false
	}
	return ledger.ParseAccountID(sid[2:])
}

// ownSID is the SID that an account has of itself.
func ownSID(id ledger.AccountID) string { return "AC" + hex.EncodeToString(id[:]) }

// A form is how a resource is written: the extension of the path says which.
type form uint8

const (
	asXML form = iota // also without an extension
	asJSON
	asCSV
)

// cutForm returns a path without its extension, and the form that it asks for.
func cutForm(path string) (string, form) {
	for f, extension := range [...]string{asXML: ".xml", asJSON: ".json", asCSV: ".csv"} {
		if rest, ok := strings.CutSuffix(path, extension); ok {
			return rest, form(f)
		}
	}
	return path, asXML
}

// A field is one of a resource's. Its name is that of JSON; the other forms have
// it in camel case: account_sid, AccountSid.
type field struct {
	name  string
	value string
	is    sort
	in    []field // of an object
}

// A sort is what a field's value is.
type sort uint8

const (
	text   sort = iota
	number      // in JSON without quotes
	null        // no value: null in JSON, else empty
	object      // fields of its own, which CSV leaves out
)

// optional is a text, or null if that is empty.
func optional(name, value string) field {
	if value == "" {
		return field{name: name, is: null}
	}
	return field{name: name, value: value}
}

// A resource is what an answer is about. Element is its name in XML.
type resource struct {
	element string
	fields  []field
}

const (
	xmlStart = "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse>"
	xmlEnd   = "</TwilioResponse>"
)

// append appends a resource. Compact is JSON as the vendor's edge writes it,
// without spaces.
func (f form) append(b []byte, element string, compact bool, fields ...field) []byte {
	switch f {
	case asJSON:
		return appendJSON(b, compact, fields)
	case asCSV:
		return appendCSVLine(appendCSVNames(b, fields), fields)
	}
	return append(appendXML(append(b, xmlStart...), element, fields), xmlEnd...)
}

func appendXML(b []byte, element string, fields []field) []byte {
	b = append(append(append(b, '<'), element...), '>')
	for i := range fields {
		b = appendXMLField(b, &fields[i])
	}
	return append(append(append(b, "</"...), element...), '>')
}

func appendXMLField(b []byte, f *field) []byte {
	b = appendCamel(append(b, '<'), f.name)
	if f.is == null {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	for i := range f.in {
		b = appendXMLField(b, &f.in[i])
	}
	b = appendXMLText(b, f.value)
	return append(appendCamel(append(b, "</"...), f.name), '>')
}

func appendJSON(b []byte, compact bool, fields []field) []byte {
	comma, colon := `, "`, `": `
	if compact {
		comma, colon = `,"`, `":`
	}
	b = append(b, '{')
	for i := range fields {
		if i == 0 {
			b = append(b, '"')
		} else {
			b = append(b, comma...)
		}
		b = append(append(b, fields[i].name...), colon...)
		switch fields[i].is {
		case text:
			b = appendQuoted(b, fields[i].value)
		case number:
			b = append(b, fields[i].value...)
		case null:
			b = append(b, "null"...)
		case object:
			b = appendJSON(b, compact, fields[i].in)
		}
	}
	return append(b, '}')
}

// appendQuoted appends a JSON string. Only what has to be escaped is.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendXMLText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&quot;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendCSVNames appends the line of names.
func appendCSVNames(b []byte, fields []field) []byte {
	start := len(b)
	for i := range fields {
		if fields[i].is == object {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = appendCamel(b, fields[i].name)
	}
	return append(b, '\n')
}

// appendCSVLine appends the line of values.
func appendCSVLine(b []byte, fields []field) []byte {
	first := true
	for i := range fields {
		if fields[i].is == object {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		if value := fields[i].value; strings.ContainsAny(value, ",\"\r\n") {
			b = append(append(append(b, '"'), strings.ReplaceAll(value, `"`, `""`)...), '"')
		} else {
			b = append(b, value...)
		}
	}
	return append(b, '\n')
}

// appendCamel appends account_sid as AccountSid.
func appendCamel(b []byte, name string) []byte {
	up := true
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '_':
			up = true
			continue
		case up:
			b = append(b, c-'a'+'A')
		default:
			b = append(b, c)
		}
		up = false
	}
	return b
}

// A fault is a kind of refusal.
type fault struct {
	code    int // the vendor's
	status  int
	message string // %s: the path of the request
	detail  string // a further member of the error; "": it has none
	compact bool   // made by the vendor's edge, which writes JSON without spaces
	reason  dialect.Reason
	means   []ledger.Code // of the ledger, that it is the answer to
}

// numbers of faults in the table.
const (
	noCredentials = iota
	wrongUser
	wrongSecret
	wrongMethod
	notActive
	accessDenied
	testCredentials
	noAccess
	notFound
	tooMany
	invalid
	parentSuspended
	alreadyClosed
	manySubAccounts
	internal
	unavailable
)

// faults is the catalogue of refusals. The server takes the row that it names,
// or the one of the ledger's code; the client finds the row by its code. Codes
// are the vendor's (docs/errors); messages are as recorded, or ours where no
// recording is known: those of 20001, 20004, 20429, 20500, 20503 and of what
// becomes of accounts. That of 20001 says which parameter is wrong (see invalidParameter).
var faults = [...]fault{
	noCredentials: {code: 20003, status: 401, message: "Authentication Error - No credentials provided", compact: true, reason: dialect.Unauthorized},
	wrongUser:     {code: 20003, status: 401, message: "Authentication Error - invalid username", compact: true, reason: dialect.Unauthorized},
	wrongSecret:   {code: 20003, status: 401, message: "Authenticate", detail: "Your AccountSid or AuthToken was incorrect.", reason: dialect.Unauthorized},
	wrongMethod:   {code: 20004, status: 405, message: "Method not allowed", reason: dialect.Refused},
	notActive: {code: 20005, status: 403, message: "Account not active", reason: dialect.Forbidden,
		means: []ledger.Code{ledger.Insufficient, ledger.Frozen, ledger.Closed}},
	accessDenied: {code: 20006, status: 403, message: "Access Denied", reason: dialect.Forbidden, means: []ledger.Code{ledger.Denied}},
	// The vendor's alone: Saldo issues no test credentials, and says 20003 of a
	// suspended account.
	testCredentials: {code: 20008, status: 403, message: "Resource not accessible with Test Account Credentials", reason: dialect.Forbidden},
	noAccess:        {code: 20403, status: 403, message: "Forbidden", reason: dialect.Forbidden},
	notFound: {code: 20404, status: 404, message: "The requested resource %s was not found", reason: dialect.NotFound,
		means: []ledger.Code{ledger.NotFound}},
	tooMany: {code: 20429, status: 429, message: "Too Many Requests", reason: dialect.Throttled, means: []ledger.Code{ledger.Busy}},
	invalid: {code: 20001, status: 400, message: "Invalid parameter", reason: dialect.Refused, means: []ledger.Code{ledger.Invalid,
		ledger.IDTaken, ledger.Changed, ledger.Exists, ledger.HoldClosed, ledger.HoldExpired, ledger.NotEmpty, ledger.OverRefund,
		ledger.Overflow, ledger.TooMany}},
	parentSuspended: {code: 21476, status: 400, message: "The status of a subaccount cannot be changed while its parent account is suspended", reason: dialect.Refused},
	alreadyClosed:   {code: 21479, status: 400, message: "The account is closed already, which is for good", reason: dialect.Refused},
	manySubAccounts: {code: 21480, status: 400, message: "The account has as many subaccounts as it may have", reason: dialect.Refused},
	internal:        {code: 20500, status: 500, message: "Internal Server Error", reason: dialect.Unavailable, means: []ledger.Code{ledger.Internal}},
	unavailable: {code: 20503, status: 503, message: "Service Unavailable", reason: dialect.Unavailable,
		means: []ledger.Code{ledger.Unavailable, ledger.Timeout, ledger.Contention, ledger.ClockJump}},
}

// invalidParameter is the fault of a request with a parameter that cannot be.
func invalidParameter(message string) error {
	f := faults[invalid]
	f.message = message
	return &f
}

// Error makes a fault what an endpoint can return.
func (f *fault) Error() string { return strconv.Itoa(f.code) + ": " + f.message }

// faultOf returns the row for a code of the ledger.
func faultOf(code ledger.Code) *fault {
	for i := range faults {
		for _, c := range faults[i].means {
			if c == code {
				return &faults[i]
			}
		}
	}
	return &faults[internal]
}

// append appends the error about a path.
func (f *fault) append(b []byte, as form, path string) []byte {
	code := strconv.Itoa(f.code)
	fields := [5]field{{name: "code", value: code, is: number}}
	n := 1
	if f.detail != "" {
		fields[n] = field{name: "detail", value: f.detail}
		n++
	}
	fields[n] = field{name: "message", value: strings.Replace(f.message, "%s", path, 1)}
	fields[n+1] = field{name: "more_info", value: "https://www.twilio.com/docs/errors/" + code}
	fields[n+2] = field{name: "status", value: strconv.Itoa(f.status), is: number}
	return as.append(b, "RestException", f.compact, fields[:n+3]...)
}
