package ledger

import (
	"time"

	"saldo/money"
)

// A Command is what a caller asks: operations that happen together or not at all.
type Command struct {
	Tenant TenantID
	Book   BookID
	// ID is the caller's, unique in the tenant across its books, for ever. A
	// repeat with the same ID and the same content gets the first event again.
	// "" is for the ledger's own commands, which are never repeated.
	ID    string
	Actor uint64 // number of the credential that asked; 0: the server itself
	// Remember makes a refusal for funds or state final under ID, so that a
	// late duplicate cannot spend what its caller believes declined.
	Remember bool
	Ops      []Op
	Records  []RecordWrite
	Answer   *Text // a dialect's reply, kept where a repeat must equal it
	// Asked tells commands with one ID apart, in a dialect's own words, where
	// Ops and Records carry what was made up for this try (new ids, times,
	// replies). Empty: they are compared themselves, free text included.
	Asked []byte

	own bool // a step of the ledger's own, whose ID no caller could use
}

// A Text is free text that stands beside the journal. The event carries the
// SHA-256 of salt and data, so the text can be erased and the chain still holds.
type Text struct {
	Salt [16]byte // given by [Ledger.Post]
	Data []byte
}

// An Op is one operation of a command: one of the pointer types below.
type Op interface{ op() }

// OpenBook makes the command's book. It is the first operation of a book's first event.
type OpenBook struct{}

// AddUnit makes a unit known to the book. A unit that is known with the same
// scale and kind is no change; with others it is refused.
type AddUnit struct{ Unit money.Unit }

// OpenAccount makes an account.
type OpenAccount struct {
	ID      AccountID
	Named   bool // the caller chose ID, so it counts for telling repeats apart
	Parent  AccountID
	Unit    string // code of a unit of the book; "": the parent's
	Mode    Mode   // Own or Drawing
	Limit   money.Amount
	Cap     *money.Amount
	Profile *Text
}

// SetAccount changes an account's settings. Nil leaves a setting as it is.
type SetAccount struct {
	Account AccountID
	Expect  uint64 // the Version that the caller saw; 0: any
	Status  *Status
	Limit   *money.Amount
	Cap     *money.Amount
	NoCap   bool // take the cap away
	Profile *Text
	Force   bool // the limit may leave spendable below zero; needs a Reason
	Reason  *Text
}

// A TransferKind says why money moves. The numbers are stored.
type TransferKind uint8

const (
	TopUp TransferKind = 1 + iota
	Charge
	Capturing // of a hold
	Refunding // of an earlier transfer
	Adjustment
	Move
)

var kindNames = [...]string{"", "topup", "charge", "capture", "refund", "adjustment", "move"}

func (k TransferKind) String() string { return kindNames[k] }

// ParseTransferKind returns the kind that a word names.
func ParseTransferKind(s string) (TransferKind, bool) {
	for k := TopUp; k <= Move; k++ {
		if kindNames[k] == s {
			return k, true
		}
	}
	return 0, false
}

// Transfer moves an amount. From may be a drawing sub-account: its payer pays.
type Transfer struct {
	ID       string // its own id in a batch; "": the command's id, "#" and its number
	Kind     TransferKind
	From, To AccountID
	Amount   money.Amount // above zero
	UpTo     bool         // take what there is, if less
	Force    bool         // spendable may fall below zero; needs a Text
	Usage    Usage
	Text     *Text // reason and metadata
}

// Usage says what a charge was for, where a dialect sums such things up.
type Usage struct {
	Category string // up to 64 bytes
	Count    money.Amount
	Unit     string // up to 32 bytes
}

// IsZero reports whether nothing was said.
func (u Usage) IsZero() bool { return u == Usage{} }

// Refund gives back of an earlier transfer what is left of it, or part of it.
type Refund struct {
	ID     string
	Of     string // id of the transfer: its own, or a command's id, "#" and its number
	Amount *money.Amount
	Force  bool // the payee may fall below zero; needs a Text
	Text   *Text
}

// PlaceHold sets an amount aside.
type PlaceHold struct {
	ID      string // its own id in a batch; "": the command's id
	Account AccountID
	Amount  money.Amount
	Expires Lifetime
	Text    *Text
}

// A Lifetime says when a hold ends: For a while, or At a time, or Never. The
// zero value is 7 days.
type Lifetime struct {
	For   time.Duration
	At    Time
	Never bool
}

// DefaultHoldLife is how long a hold lives whose maker said nothing.
const DefaultHoldLife = 7 * 24 * time.Hour

// Payee is one that a capture pays.
type Payee struct {
	To     AccountID
	Amount money.Amount
}

// Capture pays from a hold. What the hold does not have is raised first, which
// may be refused for funds; what it has never is.
type Capture struct {
	ID     string
	Hold   string
	NoMove bool    // the caller knows that the hold is no move's between books: nobody looks whether it is
	To     []Payee // every amount above zero; empty: all that remains, to @revenue
	Final  bool    // release what is left
	Usage  Usage
	Text   *Text
}

// Release ends a hold.
type Release struct {
	Hold   string
	NoMove bool // as of [Capture]
	Text   *Text
}

// Extend gives a hold a new deadline.
type Extend struct {
	Hold    string
	Expires Lifetime
}

// Raise sets more aside.
type Raise struct {
	Hold   string
	Amount money.Amount
}

// Expire ends holds whose deadline has passed. Only the ledger itself asks for it.
type Expire struct{ Holds []Ref }

// Erase removes the free text of an account: its profile, and the texts of
// every event that touched it, but for those of others (see [Event.TextIsOf]).
type Erase struct{ Account AccountID }

// A RecordWrite creates, replaces, changes or deletes a record.
type RecordWrite struct {
	Kind, Key string
	// Expect is the version that the writer saw; 0: the record must not exist;
	// AnyVersion: whatever it is.
	Expect uint64
	// Fresh says that Key was made up for this record, of enough chance that there
	// can be no other: nobody looks whether there is. Expect is 0.
	Fresh bool
	// Cold says that nobody is expected to ask for the record soon: it takes no room
	// in memory, where the store finds it quickly.
	Cold     bool
	Delete   bool
	Keep     bool // leave data, index and deadline as they are: only counters change
	Data     []byte
	Salt     [16]byte // of data that stands beside the journal; given by Post
	Index    []IndexEntry
	Counters []Counter // added to the record's; one that would pass 63 bits is refused
	Deadline Time
}

// AnyVersion is a RecordWrite's Expect that matches whatever there is.
const AnyVersion = ^uint64(0)

// inlineRecord is the most data that an event carries itself. Larger data
// stands beside the journal, written once.
const inlineRecord = 1 << 10

func (*OpenBook) op()    {}
func (*AddUnit) op()     {}
func (*OpenAccount) op() {}
func (*SetAccount) op()  {}
func (*Transfer) op()    {}
func (*Refund) op()      {}
func (*PlaceHold) op()   {}
func (*Capture) op()     {}
func (*Release) op()     {}
func (*Extend) op()      {}
func (*Raise) op()       {}
func (*Expire) op()      {}
func (*Erase) op()       {}
