package ledger

import (
	"context"
	"errors"
	"iter"
	"time"

	"saldo/money"
)

// A Store keeps the books of one ledger.
type Store interface {
	// Append makes a batch durable, all or none, before it returns. Its events
	// follow each book's last one without a gap and take no id that is taken, and
	// its guards hold, or it changes nothing and reports ErrConflict.
	Append(ctx context.Context, batch *Batch) error

	// Load returns what keys name, as far as it is durable. Each list of the
	// answer is as long as the keys' and has nil (or zero) where there is nothing.
	// Rows are the caller's to keep and are never changed.
	Load(ctx context.Context, keys *Keys) (*Snapshot, error)

	// Scan yields what q asks for in order, never beyond what is durable, and
	// nothing less than what was durable when it was called.
	Scan(ctx context.Context, q Query) iter.Seq2[Row, error]
}

// A SharedStore is a Store that other nodes append to as well. What it makes
// durable can be seen by any of them, and its time is the same for all.
type SharedStore interface {
	Store

	// Now returns the store's time: never after it, and behind by little.
	Now() time.Time

	// Look returns what others have appended to books since a node saw them, as
	// of one moment after Look was called.
	Look(ctx context.Context, known []BookEnd) ([]Tail, error)

	// Lock does the same, and lets nobody else append to the books until the
	// lock is used or released. A book that has no event yet is not locked.
	Lock(ctx context.Context, known []BookEnd) (StoreLock, error)
}

// A StoreLock is the right to append next to some books.
type StoreLock interface {
	Tails() []Tail

	// Append is the Store's, and ends the lock whatever comes of it.
	Append(ctx context.Context, batch *Batch) error

	// Release ends the lock. After Append it does nothing.
	Release()
}

// A BookEnd is the end of a book's journal as a node knows it.
type BookEnd struct {
	Book BookID
	Seq  uint64 // 0: the node knows none of its events
	Hash [32]byte
}

// A Tail is the end of a book's journal, and what leads there from the end that
// was known.
type Tail struct {
	BookEnd
	Events []*Event // after the known one
	Bytes  [][]byte // their encodings
	Far    bool     // there are more events than are worth reading: Events is empty
}

// ErrInDoubt says that the store could not find out whether a batch is durable.
// It may be, or become so.
var ErrInDoubt = errors.New("ledger: it is not known whether the store has written")

// ErrConflict says that a batch does not follow the last event of its books, or
// takes an id that is taken.
var ErrConflict = errors.New("ledger: others have written first")

// ErrNoSpace says that the disk has no more room than its reserve. Nothing was
// written; reads go on, and writes do when there is room again.
var ErrNoSpace = errors.New("ledger: the disk reserve is reached")

// A Batch is what one Append makes durable.
type Batch struct {
	Books    []BookEvents
	Accounts []*Account // rows as they are now
	Holds    []HoldRow
	Records  []RecordRow
	Refunds  []RefundRow
	IDs      []IDRow
	Guards   []Guard
}

// A Guard is a condition of a batch: a book that it does not change ends, at some
// moment after Append was called, where its appender knows it to.
type Guard struct {
	Book BookID
	Seq  uint64
}

// BookEvents is what a batch adds to one book.
type BookEvents struct {
	From   uint64 // the seq that they follow: the book's head as it was seen
	Head   Head   // the head after them
	Events []*Event
	Bytes  [][]byte // the encoding of each event
}

// A HoldRow is a hold as it is now and, where there was one, as it was.
type HoldRow struct {
	Now *Hold
	Was *Hold // nil: new
}

// A RecordRow is a record as it is now and, where there was one, as it was, so
// that a store can mend its indexes without reading.
type RecordRow struct {
	Now *Record // nil: deleted
	Was *Record // nil: new
}

// A RefundRow is how much of a transfer was refunded.
type RefundRow struct {
	Of       TransferAt
	Refunded money.Amount
}

// An IDRow says where an id was used: number N of a transfer in a batch.
type IDRow struct {
	Ref Ref
	At  TransferAt
}

// Keys names rows to load.
type Keys struct {
	Heads    []BookID
	Accounts []AccountID
	Holds    []Ref
	Records  []RecordKey
	IDs      []Ref
	Refunds  []TransferAt
	Events   []EventKey
	Texts    []TextKey
}

// An EventKey names an event.
type EventKey struct {
	Book BookID
	Seq  uint64
}

// A TextKey names a free text.
type TextKey struct {
	Book BookID
	TextAt
}

// A Snapshot answers Keys.
type Snapshot struct {
	Heads    []*Head
	Accounts []*Account
	Holds    []*Hold
	Records  []*Record // Data filled in, wherever it stands
	IDs      []*TransferAt
	Refunds  []money.Amount
	Events   []*Event
	Texts    []*Text // nil: erased, or never there
}

// A List says what a Query lists.
type List uint8

const (
	ListEvents    List = 1 + iota // of Book, in order of seq. After, Until
	ListStatement                 // events that touched Account, in order of seq. After, Until, Reverse
	ListAccounts                  // of Tenant (Parent: only its children; Roots: only roots), in order of id. From
	ListHolds                     // of Account, open ones first seq first when Open, else all. From
	ListRecords                   // of Book and Kind: by key, or by Index and its values. From, Reverse (without All)
	ListDeadlines                 // open holds and records whose deadline is not after Until, by time
	ListSearch                    // accounts of Tenant that a Word of their profile begins with. From
	ListHeads                     // heads of every book
	// What the journal's transfers say was used (see Event.EachUse), summed up as
	// they become durable: by account, unit, category and day of the event.
	ListUsage      // of Account in Unit, of the category Value ("": all together), by day. FromDay, ToDay
	ListCategories // of Account in Unit: those that ListUsage has rows of, without "", in order. From
)

// A Query asks for a list. Lists that do not fit a page are continued by asking
// again from where the last row was; Limit bounds what is yielded, 0 does not.
type Query struct {
	List    List
	Book    BookID
	Tenant  TenantID
	Account AccountID
	Parent  AccountID
	Roots   bool
	All     bool // of ListAccounts, ListHolds, ListRecords: every row of the store, in order of key
	Open    bool
	Kind    string
	Index   string
	Value   string // of the index: only entries that equal it; "": all
	Word    string
	After   uint64 // seq, exclusive; with Reverse: below it, 0 being the end
	Until   Time
	Books   []BookID // of ListDeadlines: nil: all
	Below   bool     // of ListUsage, ListCategories: what the accounts below Account used, without its own
	Unit    uint32   // index in the book's units
	FromDay Day      // inclusive, and so is ToDay
	ToDay   Day
	From    string // key after which, or with Reverse before which, to go on: Row.Key of the last row
	Reverse bool
	Limit   int
}

// A Row is one row of a list. Only the fields that the list names are set.
type Row struct {
	Key     string // for Query.From
	Event   *Event
	Bytes   []byte // the event's encoding, valid until the next row
	Account *Account
	Hold    *Hold
	Record  *Record
	Head    *Head
	Due     Deadline
	Usage   *UsageRow // of ListCategories only the category
}

// A Deadline is when something is due: a hold, or a record.
type Deadline struct {
	At     Time
	Book   BookID
	Hold   Ref       // zero: a record's
	Record RecordKey // when Hold is zero
}
