package ledger

import (
	"fmt"

	"saldo/money"
)

// A Code says what a caller can do about a refusal. Its number is stored in
// events and never changes meaning.
type Code uint8

const (
	OK           Code = 0
	Invalid      Code = 1  // the command makes no sense as it stands
	NotFound     Code = 2  // an account, hold, transfer, book or record does not exist
	Denied       Code = 3  // the caller may not
	Insufficient Code = 4  // less is spendable than required; only ever said when true
	Frozen       Code = 5  // the account, or one above it, is frozen
	Closed       Code = 6  // the account, or one above it, is closed
	IDTaken      Code = 7  // the id was used by another command
	Changed      Code = 8  // the object is not at the version that the caller expected
	Exists       Code = 9  // the object exists already
	HoldClosed   Code = 10 // the hold was captured or released
	HoldExpired  Code = 11 // the hold's deadline has passed
	NotEmpty     Code = 12 // closing needs a zero balance, no open holds, closed children
	OverRefund   Code = 13 // more than what is left of the transfer
	Overflow     Code = 14 // a sum would not fit into 128 bits
	TooMany      Code = 15 // a bound would be passed: open holds, tree depth, records

	Busy        Code = 100 // the queue is full
	Unavailable Code = 101 // the store cannot take writes now: disk reserve, shutdown, lost connection
	Timeout     Code = 102 // the caller's deadline passed; the outcome is unknown until the id is repeated
	Contention  Code = 103 // others changed the same book first, too often
	ClockJump   Code = 104 // the clock moved implausibly
	Internal    Code = 255 // a fault of ours
)

var codeNames = map[Code]string{
	OK: "ok", Invalid: "invalid", NotFound: "not found", Denied: "denied",
	Insufficient: "insufficient funds", Frozen: "frozen", Closed: "closed",
	IDTaken: "id taken", Changed: "changed", Exists: "exists",
	HoldClosed: "hold closed", HoldExpired: "hold expired", NotEmpty: "not empty",
	OverRefund: "refund exceeds transfer", Overflow: "amount too large", TooMany: "too many",
	Busy: "busy", Unavailable: "unavailable", Timeout: "timed out",
	Contention: "contention", ClockJump: "clock jumped", Internal: "internal error",
}

func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Codes returns every code but OK, in order of number.
func Codes() []Code {
	return []Code{Invalid, NotFound, Denied, Insufficient, Frozen, Closed, IDTaken, Changed, Exists,
		HoldClosed, HoldExpired, NotEmpty, OverRefund, Overflow, TooMany,
		Busy, Unavailable, Timeout, Contention, ClockJump, Internal}
}

// Retryable reports whether the same command may succeed later without anyone
// changing anything.
func (c Code) Retryable() bool { return c >= Busy && c < Internal }

// A Limit names what stood in the way of a refused amount.
type Limit uint8

const (
	NoLimit     Limit = iota
	Funds             // the paying account's own money
	CreditLimit       // the paying account's credit limit, or the amount that must stay
	Cap               // a drawing sub-account's cap
)

func (l Limit) String() string { return [...]string{"", "funds", "credit_limit", "cap"}[l] }

// A Refusal is a decision against a command, in values: it is part of the event
// when it is remembered.
type Refusal struct {
	Code      Code
	Op        int          // which operation of the command, from 0
	Account   AccountID    // the account that refused, if one did
	By        Limit        // for Insufficient
	Required  money.Amount // for Insufficient: what was asked for
	Spendable money.Amount // for Insufficient: what there was
	Detail    string       // what was wrong and what to do, without names or free text
}

// An Error is what the ledger returns for everything it will not do.
type Error struct {
	Refusal
	Unit money.Unit // of Required and Spendable

	cause error // what the store said, for the log alone: it names hosts and users
}

func (e *Error) Error() string {
	text := e.Code.String()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns what the store said.
func (e *Error) Unwrap() error { return e.cause }

// Errorf returns an Error with a code and a text for people.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Refusal: Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}}
}
