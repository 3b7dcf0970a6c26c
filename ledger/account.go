package ledger

import "saldo/money"

// Bounds of what the ledger takes. Each has its refusal.
const (
	MaxID        = 255       // bytes of a caller's id
	MaxOps       = 8192      // operations a command
	MaxDepth     = 8         // accounts on a path from root to leaf
	MaxOpenHolds = 1_000_000 // open holds an account
	MaxRecords   = 64        // record writes a command
	MaxRecord    = 256 << 10 // bytes of a record, or of an answer
	MaxEntries   = 64        // index entries of a record, and counters
	MaxText      = 24 << 10  // bytes of free text of one operation
	MaxPayees    = 64        // payees of one capture
)

// A Mode is where an account's money is.
type Mode uint8

const (
	Own     Mode = 1 + iota // it has a balance of its own
	Drawing                 // the nearest ancestor with money pays; it keeps counters
	System                  // @cash, @revenue, @fees: no limit applies
)

func (m Mode) String() string { return [...]string{"", "own", "drawing", "system"}[m] }

// A Status is how open an account is. Greater is less open.
type Status uint8

const (
	StatusOpen   Status = iota // everything goes
	StatusFrozen               // no new charges or holds
	StatusClosed               // reads, and refunds out
)

func (s Status) String() string { return [...]string{"open", "frozen", "closed"}[s] }

// ParseStatus returns the status that a word names.
func ParseStatus(s string) (Status, bool) {
	for _, st := range []Status{StatusOpen, StatusFrozen, StatusClosed} {
		if st.String() == s {
			return st, true
		}
	}
	return 0, false
}

// An Account is a row of state: what folding the journal has made of it. Rows
// that were published are never changed; a new row takes their place.
type Account struct {
	ID     AccountID
	Parent AccountID // zero: a root
	Tenant TenantID
	Book   BookID
	Unit   uint32 // index in the book's units
	Mode   Mode
	Status Status // its own; see [Ledger.Status] for what its ancestors make of it
	Depth  uint8  // 1: a root
	HasCap bool

	// Posted is what was paid in minus what was paid out. For a drawing account
	// it is minus what it has spent of its payer's money.
	Posted money.Amount
	Held   money.Amount // the sum of its open holds; drawing: of those made through it
	Limit  money.Amount // credit limit; negative: what must stay
	Cap    money.Amount // drawing, when HasCap: spent + held never passes it

	Children  uint32 // sub-accounts that are not closed
	OpenHolds uint32
	Created   Time
	Updated   Time   // of the last event that touched it
	Seq       uint64 // of the last event that touched it
	Version   uint64 // seq of the last event that changed its settings
	Erased    uint64 // seq of the last erasure: free text up to there may be gone
	Profile   TextAt // where its free text is; zero: it has none
}

// A TextAt says where a free text stands: number N (from 1) of event Seq of the
// account's book. The zero value is no text.
type TextAt struct {
	Seq uint64
	N   uint32
}

// Available is own money that is free: posted - held.
func (a *Account) Available() money.Amount { return saturate(a.Posted.Sub(a.Held)) }

// Spendable is what a charge may take of the account's own money:
// posted - held + limit. It is never refused for size: sums that would not fit
// are refused when they are made.
func (a *Account) Spendable() money.Amount { return saturate(a.Available().Add(a.Limit)) }

// Spent is what a drawing account has taken of its payer's money.
func (a *Account) Spent() money.Amount { return saturate(a.Posted.Neg()) }

// Room is what a drawing account's cap leaves: cap - spent - held.
func (a *Account) Room() money.Amount {
	return saturate(saturate(a.Cap.Add(a.Posted)).Sub(a.Held))
}

// saturate drops the ok of a sum that the rules keep within bounds (see
// [fits]): every balance, limit and cap stays below 2^124, so that sums of a
// few of them cannot overflow.
func saturate(a money.Amount, ok bool) money.Amount {
	if !ok {
		panic("ledger: a sum of bounded amounts overflowed")
	}
	return a
}

// fits reports whether an amount may be stored: its magnitude is below 2^124.
func fits(a money.Amount) bool {
	hi, _ := a.Parts()
	return hi>>60 == 0 || hi>>60 == -1
}

// A HoldState is what became of a hold.
type HoldState uint8

const (
	HoldOpen HoldState = 1 + iota
	HoldCaptured
	HoldReleased
	HoldGone // expired
)

func (s HoldState) String() string {
	return [...]string{"", "open", "captured", "released", "expired"}[s]
}

// A Hold is a row of state: an amount that an account has set aside.
type Hold struct {
	Ref       Ref
	ID        string // the caller's
	Tenant    TenantID
	Book      BookID
	Account   AccountID    // the payer
	Via       AccountID    // the drawing sub-account it was made through, or zero
	Amount    money.Amount // what was set aside, raises included
	Remaining money.Amount // what still is, while open
	Captured  money.Amount
	Expires   Time // 0: never
	State     HoldState
	Created   Time
	Updated   Time
	Seq       uint64 // of the last event that touched it
	Opened    uint64 // seq of the event that made it
	Text      TextAt
}

// Owner is the account that its maker named: the sub-account or the payer.
func (h *Hold) Owner() AccountID {
	if !h.Via.IsZero() {
		return h.Via
	}
	return h.Account
}

// OpenAt reports whether the hold counts at a time.
func (h *Hold) OpenAt(t Time) bool {
	return h.State == HoldOpen && (h.Expires == 0 || t < h.Expires)
}

// A RecordKey names a record of a book.
type RecordKey struct {
	Book BookID
	Kind string // the dialect's word, 1-32 bytes
	Key  string // 1-255 bytes
}

// A Record is an object that a dialect keeps. The ledger orders and stores
// records and never reads them.
type Record struct {
	RecordKey
	Version  uint64       // seq of the event that wrote it, so that no other writing has it
	Data     []byte       // nil when At says where it stands
	At       TextAt       // large data stands beside the journal, once
	Index    []IndexEntry // sorted by name, then value
	Counters []Counter    // sorted by name
	Deadline Time         // 0: none
	Seq      uint64       // of the last event that wrote it
	Created  Time
	Updated  Time
}

// An IndexEntry makes a record findable: ScanRecords lists the records of a
// kind by an index's values.
type IndexEntry struct{ Name, Value string }

// A Counter is a named number of a record that commands add to.
type Counter struct {
	Name  string
	Value int64
}

// A Past is a transfer that a refund names, with what was refunded of it so far.
type Past struct {
	At       TransferAt
	Posting  Posting
	Refunded money.Amount
}

// A TransferAt says where a transfer stands: number N (from 0) of event Seq.
type TransferAt struct {
	Book BookID
	Seq  uint64
	N    uint32
}

// A Head is the end of a book's journal and what holds for the whole book.
type Head struct {
	Book   BookID
	Tenant TenantID
	Seq    uint64   // of the last event; 0: the book does not exist yet
	Time   Time     // of the last event
	Hash   [32]byte // of the chain up to there
	Units  []money.Unit
}

// UnitIndex returns the index of the unit with a code.
func (h *Head) UnitIndex(code string) (uint32, bool) {
	for i, u := range h.Units {
		if u.Code == code {
			return uint32(i), true
		}
	}
	return 0, false
}
