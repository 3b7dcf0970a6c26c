package gateway360

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"saldo/dialect"
	"saldo/ledger"
	"saldo/money"
)

// The calls, by their paths.
const (
	pathBalance           = "/api/3.0/account/get-balance"
	pathCountryPricing    = "/api/3.0/account/pricing/sms/get-country-pricing"
	pathPrefixPricing     = "/api/3.0/account/pricing/sms/get-prefix-pricing"
	pathSubaccountBalance = "/api/3.0/subaccount/get-balance"
	pathSubaccountInfo    = "/api/3.0/subaccount/get-info"
	pathSubaccountAdd     = "/api/3.0/subaccount/add-balance"
	pathSubaccountDeduct  = "/api/3.0/subaccount/deduct-balance"
	pathSubaccountCreate  = "/api/3.0/subaccount/create"
	pathSubaccountDelete  = "/api/3.0/subaccount/delete"
	pathSend              = "/api/3.0/sms/send"
)

// The decimals of an amount (manual, "Get balance": 155.2493).
const decimals = 4

// The identifiers of refusals. Those of the second block are of messages alone;
// those of the third are ours, for what the manual does not speak of.
const (
	idJSON        = "JSON_PARSE_ERROR"
	idContentType = "INVALID_CONTENT_TYPE"
	idMissing     = "MISSING_PARAMS"
	idBad         = "BAD_PARAMS"
	idKey         = "UNAUTHORIZED"
	idFunds       = "NOT_ENOUGH_BALANCE"

	idSender      = "INVALID_SENDER"
	idDestination = "INVALID_DESTINATION"
	idDateTime    = "INVALID_DATETIME"

	idForbidden = "FORBIDDEN"
	idNoSink    = "SENDING_DISABLED"
	idPath      = "NOT_FOUND"
	idMethod    = "METHOD_NOT_ALLOWED"
	idTooLarge  = "REQUEST_TOO_LARGE"
	idThrottled = "TOO_MANY_REQUESTS"
	idInternal  = "INTERNAL_ERROR"
	idBusy      = "SERVICE_UNAVAILABLE"
)

// A fault is a kind of refusal.
type fault struct {
	id      string // error_id
	status  int
	reason  dialect.Reason
	message string        // error_msg
	codes   []ledger.Code // of the ledger, for which it stands
}

// faults is the catalogue of refusals. The server takes the row that it names,
// or that of the ledger's code; the client finds the row by its id.
var faults = []fault{
	{idJSON, 400, dialect.Refused, "Your JSON was formatted incorrectly.", nil},
	{idContentType, 400, dialect.Refused, "The content type must be: Content-Type: application/json", nil},
	{idMissing, 400, dialect.Refused, "Your request is incomplete and missing some mandatory parameters.", nil},
	{idBad, 400, dialect.Refused, "Your request has a parameter that cannot be used.", []ledger.Code{
		ledger.Invalid, ledger.NotFound, ledger.IDTaken, ledger.Changed, ledger.Exists, ledger.HoldClosed,
		ledger.HoldExpired, ledger.NotEmpty, ledger.OverRefund, ledger.Overflow, ledger.TooMany}},
	{idKey, 401, dialect.Unauthorized, "Your API key may be invalid or your IP is blocked.", nil},
	{idFunds, 402, dialect.Refused, "Your account has no funds.", []ledger.Code{ledger.Insufficient}},

	{idForbidden, 403, dialect.Forbidden, "Your API key or the state of the account does not allow this.", []ledger.Code{
		ledger.Denied, ledger.Frozen, ledger.Closed}},
	{idNoSink, 403, dialect.Refused, "This server sends no messages: only `fake`: 1 is possible.", nil},
	{idPath, 404, dialect.NotFound, "There is no such function here.", nil},
	{idMethod, 405, dialect.Refused, "The method must be: POST", nil},
	{idTooLarge, 413, dialect.Refused, "Your request is too large.", nil},
	{idThrottled, 429, dialect.Throttled, "Too many requests with an API key that is invalid. Try again later.", nil},
	{idInternal, 500, dialect.Unavailable, "An internal error has occurred.", []ledger.Code{ledger.Internal}},
	{idBusy, 503, dialect.Unavailable, "The service is not available. Try again later.", []ledger.Code{
		ledger.Busy, ledger.Unavailable, ledger.Timeout, ledger.Contention, ledger.ClockJump}},
}

// faultOf returns the row of an identifier, or nil.
func faultOf(id string) *fault {
	for i := range faults {
		if faults[i].id == id {
			return &faults[i]
		}
	}
	return nil
}

// faultOfLedger returns the row of a code of the ledger.
func faultOfLedger(code ledger.Code) *fault {
	for i := range faults {
		if slices.Contains(faults[i].codes, code) {
			return &faults[i]
		}
	}
	return faultOf(idInternal)
}

// A refusal is what is answered in place of a result.
type refusal struct {
	*fault
	message string // in place of the fault's; plain words, nothing of the request
}

func (r *refusal) Error() string { return r.id + ": " + r.text() }

func (r *refusal) text() string {
	if r.message != "" {
		return r.message
	}
	return r.fault.message
}

// refuse returns a refusal with a text of its own or, if that is "", the fault's.
func refuse(id, message string) error { return &refusal{faultOf(id), message} }

// appendRefusal appends the body of a refusal.
func appendRefusal(dst []byte, id, message string) []byte {
	dst = append(dst, `{"status":"error","error_id":"`...)
	dst = append(dst, id...)
	dst = append(dst, `","error_msg":"`...)
	dst = append(dst, message...)
	return append(dst, `"}`...)
}

// appendBalance appends the body that says what can be spent.
func appendBalance(dst []byte, spendable money.Amount, unit money.Unit) []byte {
	dst = append(dst, `{"status":"ok","result":{`...)
	dst = appendFigures(dst, spendable, unit)
	return append(dst, `}}`...)
}

// appendFigures appends the two members that say what can be spent.
func appendFigures(dst []byte, spendable money.Amount, unit money.Unit) []byte {
	dst = append(dst, `"balance":"`...)
	dst = appendAmount(dst, spendable, int(unit.Scale))
	dst = append(dst, `","currency":"`...)
	dst = append(dst, unit.Code...) // capitals, digits, _ and -
	return append(dst, '"')
}

// appendText appends a string's JSON.
func appendText(dst []byte, text string) []byte {
	b, _ := json.Marshal(text) // a string always has one
	return append(dst, b...)
}

// appendAmount appends an amount of a scale with four decimals, rounded toward
// minus infinity.
func appendAmount(dst []byte, a money.Amount, scale int) []byte {
	if scale > decimals {
		a, _ = a.Rescale(scale, decimals) // to fewer decimals it always fits
		scale = decimals
	}
	dst = a.AppendText(dst, scale)
	if scale == 0 {
		dst = append(dst, '.')
	}
	for ; scale < decimals; scale++ {
		dst = append(dst, '0')
	}
	return dst
}

// params are the members of a request that every call knows.
type params struct {
	apiKey   param
	userName param
}

// named returns where the member of a name belongs, or nil.
func (p *params) named(name []byte) *param {
	switch string(name) {
	case "api_key":
		return &p.apiKey
	case "user_name":
		return &p.userName
	}
	return nil
}

// A wanted is a member that a call knows, and where its value is put.
type wanted struct {
	name string
	*param
}

// read puts the members of an object, which is valid JSON, where they are wanted.
func read(object []byte, all ...wanted) {
	for quoted, value := range members(object) {
		name := unquoted(quoted)
		for _, w := range all {
			if w.name == string(name) {
				*w.param = param{value, w.json != nil}
			}
		}
	}
}

// A param is the value of a member, as it was written.
type param struct {
	json  []byte // nil: there is none
	twice bool
}

// text returns a value that has to be a string. It is "" where there is none,
// and for null.
func (p *param) text(name string) (string, error) {
	switch {
	case p.twice:
		return "", refuse(idBad, "Parameter `"+name+"` must be given once.")
	case p.json == nil || p.json[0] == 'n':
		return "", nil
	case p.json[0] != '"':
		return "", refuse(idBad, "Parameter `"+name+"` must be a string.")
	}
	return string(unquoted(p.json)), nil
}

// required returns a value that has to be a string and may not be empty.
func (p *param) required(name string) (string, error) {
	s, err := p.text(name)
	if err == nil && s == "" {
		err = refuse(idMissing, "")
	}
	return s, err
}

// scalar returns what a string says, or a number's own text. It is "" where
// there is none, and for null.
func (p *param) scalar(name string) (string, error) {
	if p.isNumber() && !p.twice {
		return string(p.json), nil
	}
	s, err := p.text(name)
	if err != nil && !p.twice {
		err = refuse(idBad, "Parameter `"+name+"` must be a string or a number.")
	}
	return s, err
}

func (p *param) isNumber() bool {
	return len(p.json) > 0 && (p.json[0] == '-' || '0' <= p.json[0] && p.json[0] <= '9')
}

// flag returns a value that is 0 or 1: false where there is none.
func (p *param) flag(name string) (bool, error) {
	switch string(p.json) {
	case "", "0", `"0"`, "false", "null":
		if !p.twice {
			return false, nil
		}
	case "1", `"1"`, "true":
		if !p.twice {
			return true, nil
		}
	}
	return false, refuse(idBad, "Parameter `"+name+"` must be 0 or 1, and given once.")
}

// amount returns a value that has to be an amount of a unit above zero: a string
// of decimals, as the manual prints it, or a number.
func (p *param) amount(name string, unit money.Unit) (a money.Amount, err error) {
	text, err := p.scalar(name)
	switch {
	case err != nil:
		return a, err
	case text == "":
		return a, refuse(idMissing, "")
	case p.isNumber():
		a, err = money.ParseNumber(text, int(unit.Scale))
	default:
		a, err = unit.Parse(text)
	}
	switch {
	case errors.Is(err, money.ErrDecimals):
		return a, refuse(idBad, "Parameter `"+name+"` has more decimals than "+unit.Code+" has: "+strconv.Itoa(int(unit.Scale))+".")
	case err != nil || a.Sign() <= 0:
		return a, refuse(idBad, "Parameter `"+name+"` must be an amount above zero, as 12.50.")
	}
	return a, nil
}

// decode reads a request's body: one object in JSON (RFC 8259), in UTF-8, and
// nothing else. What it returns is part of the body.
func decode(body []byte) (p params, err error) {
	if !json.Valid(body) || !utf8.Valid(body) { // the first also bounds the depth, to 10,000
		return p, refuse(idJSON, "")
	}
	object := trimmed(body)
	if object[0] != '{' {
		return p, refuse(idJSON, "")
	}
	for name, value := range members(object) {
		if to := p.named(unquoted(name)); to != nil {
			*to = param{value, to.json != nil}
		}
	}
	return p, nil
}

// members yields the names and values of an object, as they are written. The
// object is valid JSON; what follows it is not looked at.
func members(b []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := space(b, 1); b[i] != '}'; i = space(b, i) {
			if b[i] == ',' {
				i = space(b, i+1)
			}
			name := b[i:stringEnd(b, i)]
			i = space(b, i+len(name))
			i = space(b, i+len(":"))
			value := b[i:valueEnd(b, i)]
			if !yield(name, value) {
				return
			}
			i += len(value)
		}
	}
}

// elements yields the values of an array, as they are written. The array is valid
// JSON; what follows it is not looked at.
func elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := space(b, 1); b[i] != ']'; i = space(b, i) {
			if b[i] == ',' {
				i = space(b, i+1)
			}
			value := b[i:valueEnd(b, i)]
			if !yield(value) {
				return
			}
			i += len(value)
		}
	}
}

// trimmed returns valid JSON without the white space in front.
func trimmed(b []byte) []byte { return b[space(b, 0):] }

// space returns where white space at i ends.
func space(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// stringEnd returns where the string at i ends.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns where the value at i ends, which is inside of an object or array.
func valueEnd(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default: // of a number, true, false or null, or between values
			i++
			if depth == 0 && !endsScalar(b[i]) {
				continue
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// endsScalar reports whether a byte can follow a number, true, false or null of
// an object or array.
func endsScalar(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// unquoted returns what a string of valid JSON says.
func unquoted(quoted []byte) []byte {
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return plain
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return []byte(s)
}

// isJSON reports whether a request says that its body is JSON: parameters and
// case do not count.
func isJSON(h http.Header) bool {
	const want = "application/json"
	types := h["Content-Type"]
	if len(types) != 1 {
		return false
	}
	if types[0] == want {
		return true
	}
	name, _, _ := strings.Cut(types[0], ";")
	return strings.EqualFold(strings.TrimSpace(name), want)
}
