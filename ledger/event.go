package ledger

import (
	"slices"

	"saldo/money"
)

// An Event is an entry of a book's journal: a command, by its id and
// fingerprint, and what became of it. What it did is spelled out, so that
// folding needs no rule.
type Event struct {
	Seq   uint64 // 1, 2, 3 and so on within the book, without gaps
	Time  Time   // never before the previous event's
	Actor uint64 // number of the credential that asked; 0: the server itself
	ID    string // the caller's; "": the ledger's own command
	Print Print  // of the command; zero when ID is ""

	Refused *Refusal // nil: it took effect. Otherwise all below is empty

	Tenant  TenantID // in a book's first event
	Units   []money.Unit
	Touched []After // every account that it touched, each once, with its balance after

	Opened    []Opened
	Set       []Setting
	Transfers []Posting
	Holds     []HoldChange
	Records   []RecordChange
	Erased    []AccountID

	Texts  []Digest // of free texts, which stand beside the journal as 1, 2, 3 …
	Answer uint32   // which text is a dialect's reply; 0: none

	// Beside holds the texts themselves while the event is on its way to the
	// store. It is no part of the encoding.
	Beside []Text
}

// A Print tells commands with one id apart: the first 16 bytes of the SHA-256 of
// the command as it was asked (see [Command.Print]).
type Print [16]byte

// A Digest is the SHA-256 of a text's salt and data.
type Digest [32]byte

// After is an account's balance after an event.
type After struct {
	Account AccountID
	Posted  money.Amount
	Held    money.Amount
	Limit   money.Amount // the credit limit; of a drawing account with a cap, the cap
	Capped  bool
}

// Opened is a new account. Its limit or cap is in its After.
type Opened struct {
	Account AccountID
	Parent  AccountID
	Unit    uint32
	Mode    Mode
	Profile uint32 // which text; 0: none
}

// Setting is a change of an account's settings. A new limit or cap is in its
// After: HasLimit and HasCap say that it was set.
type Setting struct {
	Account   AccountID
	HasStatus bool
	Status    Status
	HasLimit  bool
	HasCap    bool // the cap was set, or taken away
	Forced    bool
	Profile   uint32 // which text; 0: as it was
	Reason    uint32
}

// Posting is a transfer that was made.
type Posting struct {
	Kind     TransferKind
	From, To AccountID // From pays: never a drawing account. To of a refund likewise
	Via      AccountID // the drawing sub-account that spent or, in a refund, gets back
	Amount   money.Amount
	Asked    money.Amount // of a charge up to an amount; zero otherwise
	Forced   bool
	ID       string // its own id in a batch; "" when the event's id serves
	Of       *TransferAt
	Back     TransferKind // of a refund: what it gives back is of this kind. 0: of events that do not say
	Hold     Ref          // of a capture
	Usage    Usage        // of a capture for several payees: the count stands with the first. Of a refund: without one
	Text     uint32
}

// A HoldAct is what was done to a hold.
type HoldAct uint8

const (
	HoldPlaced HoldAct = 1 + iota
	HoldPaid           // captured in part or whole
	HoldFreed          // released
	HoldExtended
	HoldRaised
	HoldLapsed // expired
)

func (a HoldAct) String() string {
	return [...]string{"", "placed", "captured", "released", "extended", "raised", "expired"}[a]
}

// HoldChange is what an event did to a hold, and how the hold stands after.
type HoldChange struct {
	Act       HoldAct
	Ref       Ref
	Account   AccountID // the payer
	Via       AccountID
	ID        string // when placed in a batch under its own id; "": the event's id
	Amount    money.Amount
	Remaining money.Amount
	Captured  money.Amount
	Expires   Time
	State     HoldState
	Text      uint32
}

// RecordChange is what an event wrote to a record. Version 0 is a deletion.
type RecordChange struct {
	Kind, Key string
	Version   uint64
	Keep      bool
	Data      []byte
	Text      uint32 // where large data stands; 0: Data has it
	Index     []IndexEntry
	Counters  []Counter // as they stand after
	Deadline  Time
}

// TransferID returns the id under which the event's nth transfer can be found.
func (e *Event) TransferID(n int) string {
	if id := e.Transfers[n].ID; id != "" {
		return id
	}
	if n == 0 && !e.manyPayees() {
		return e.ID
	}
	return e.ID + "#" + itoa(n)
}

// manyPayees reports whether the event's id alone names no one transfer: a
// capture paid several.
func (e *Event) manyPayees() bool {
	return len(e.Transfers) > 1 && e.Transfers[0].Kind == Capturing
}

// HoldID returns the caller's id of the hold that the event's nth change placed.
func (e *Event) HoldID(n int) string {
	if id := e.Holds[n].ID; id != "" {
		return id
	}
	return e.ID
}

// EachID calls use with every id that the event has taken, and with the number
// of the transfer or hold change that it names.
func (e *Event) EachID(use func(id string, n uint32)) {
	if e.ID != "" {
		use(e.ID, 0)
	}
	for n := range e.Transfers {
		if id := e.Transfers[n].ID; id != "" {
			use(id, uint32(n))
		}
	}
	for n := range e.Holds {
		if id := e.Holds[n].ID; id != "" {
			use(id, uint32(n))
		}
	}
}

// TextIsOf reports whether the event's nth text (from 1) goes when an account is
// erased that the event touched. What the event says of other accounts alone does
// not: their profiles, why their settings were changed, what they paid each other.
func (e *Event) TextIsOf(id AccountID, n uint32) bool {
	said, mine := false, false
	about := func(text uint32, accounts ...AccountID) {
		if text == n {
			said, mine = true, mine || slices.Contains(accounts, id)
		}
	}
	for i := range e.Opened {
		about(e.Opened[i].Profile, e.Opened[i].Account)
	}
	for i := range e.Set {
		about(e.Set[i].Profile, e.Set[i].Account)
		about(e.Set[i].Reason, e.Set[i].Account)
	}
	through := func(via AccountID) AccountID {
		if via.IsZero() {
			return via
		}
		return id // it may be on the way to who pays, which the event does not say
	}
	for i := range e.Transfers {
		p := &e.Transfers[i]
		about(p.Text, p.From, p.To, through(p.Via))
	}
	for i := range e.Holds {
		h := &e.Holds[i]
		about(h.Text, h.Account, through(h.Via))
	}
	return mine || !said
}

// after returns the balance of an account after the event.
func (e *Event) after(id AccountID) *After {
	for i := range e.Touched {
		if e.Touched[i].Account == id {
			return &e.Touched[i]
		}
	}
	return nil
}

// BalanceAfter returns the balance of an account after the event, if it touched it.
func (e *Event) BalanceAfter(id AccountID) (After, bool) {
	if a := e.after(id); a != nil {
		return *a, true
	}
	return After{}, false
}
