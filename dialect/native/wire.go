package native

import (
	"encoding/json"
	"time"
)

// These types are what the replies say, for whoever reads them. The server
// writes the same members without them (see encode.go); a test holds the two
// together.

// A Balance is what an account has at a moment. Amounts have all of the unit's
// decimals.
type Balance struct {
	ID          string    `json:"id"` // the account's
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Unit        string    `json:"unit"`
	Posted      string    `json:"posted"`
	Held        string    `json:"held"`
	Available   string    `json:"available"`
	CreditLimit string    `json:"credit_limit"`
	Spendable   string    `json:"spendable"`
	DrawnFrom   string    `json:"drawn_from,omitempty"` // whose money a drawing account spends
	Spent       string    `json:"spent,omitempty"`
	Cap         string    `json:"cap,omitempty"`
	AsOf        time.Time `json:"as_of"`
	Seq         uint64    `json:"seq"`
}

// A Usage is what a charge was for.
type Usage struct {
	Category  string `json:"category,omitempty"`
	Count     string `json:"count,omitempty"` // a whole number
	UsageUnit string `json:"usage_unit,omitempty"`
}

// A Transfer is an amount that went from one account to another. System
// accounts are @cash, @revenue and @fees.
type Transfer struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Kind      string    `json:"kind"` // topup, charge, capture, refund, adjustment, move
	From      string    `json:"from"`
	To        string    `json:"to"`
	Via       string    `json:"via,omitempty"` // the drawing sub-account that spent
	Amount    string    `json:"amount"`
	Unit      string    `json:"unit"`
	Asked     string    `json:"asked,omitempty"` // of a charge up to an amount
	Forced    bool      `json:"forced,omitempty"`
	// BetweenBooks: it was set aside in one book, arrived in another and was captured.
	BetweenBooks bool `json:"between_books,omitempty"`
	Usage
	Seq      uint64          `json:"seq"`
	Hold     string          `json:"hold,omitempty"` // of a capture: what it was paid from
	Of       string          `json:"of,omitempty"`   // of a refund: the transfer that it gives back
	Reason   string          `json:"reason,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Balance  *Balance        `json:"balance,omitempty"` // in the reply that made it
}

// A Batch is transfers that were made together.
type Batch struct {
	ID        string     `json:"id"`
	CreatedAt time.Time  `json:"created_at"`
	Seq       uint64     `json:"seq"`
	Balances  []Balance  `json:"balances,omitempty"`
	Transfers []Transfer `json:"transfers"`
}

// A Hold is an amount that an account has set aside.
type Hold struct {
	ID        string          `json:"id"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Account   string          `json:"account"`
	DrawnFrom string          `json:"drawn_from,omitempty"`
	Unit      string          `json:"unit"`
	Amount    string          `json:"amount"`
	Remaining string          `json:"remaining"`
	Captured  string          `json:"captured"`
	State     string          `json:"state"`      // open, captured, released, expired
	ExpiresAt *time.Time      `json:"expires_at"` // nil: never
	Seq       uint64          `json:"seq"`
	Reason    string          `json:"reason,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Balance   *Balance        `json:"balance,omitempty"`
}

// A Capture is what was paid from a hold.
type Capture struct {
	ID        string     `json:"id"`
	CreatedAt time.Time  `json:"created_at"`
	Seq       uint64     `json:"seq"`
	Transfers []Transfer `json:"transfers"`
	Hold      Hold       `json:"hold"`
	Balance   Balance    `json:"balance"`
}

// An Account is an account with its settings.
type Account struct {
	ID              string          `json:"id"`
	CreatedAt       time.Time       `json:"created_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
	Book            string          `json:"book"`
	Parent          string          `json:"parent,omitempty"`
	Unit            string          `json:"unit"`
	Mode            string          `json:"mode"`   // own, drawing
	Status          string          `json:"status"` // open, frozen, closed
	CreditLimit     string          `json:"credit_limit"`
	Cap             string          `json:"cap,omitempty"`
	EffectiveStatus string          `json:"effective_status,omitempty"` // its ancestors counted in
	Children        int             `json:"children,omitempty"`
	OpenHolds       int             `json:"open_holds,omitempty"`
	Version         uint64          `json:"version"` // its ETag
	Name            string          `json:"name,omitempty"`
	Metadata        json.RawMessage `json:"metadata,omitempty"`
	Balance         *Balance        `json:"balance,omitempty"`
}

// A Line is one line of a statement.
type Line struct {
	ID           string    `json:"id"`
	CreatedAt    time.Time `json:"created_at"`
	Kind         string    `json:"kind"`
	Amount       string    `json:"amount"` // below zero: it went out
	Unit         string    `json:"unit"`
	Posted       string    `json:"posted"` // after it
	Held         string    `json:"held"`
	Counterparty string    `json:"counterparty"`
	Via          string    `json:"via,omitempty"`
	Asked        string    `json:"asked,omitempty"`
	Forced       bool      `json:"forced,omitempty"`
	Usage
	Seq      uint64          `json:"seq"`
	Hold     string          `json:"hold,omitempty"`
	Of       string          `json:"of,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// A Page is a page of a list. Next is where the next one begins, "" at the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// A TransferRequest asks for a transfer. From and To are for [Client.Transfer]
// only; other calls have the account in their path.
type TransferRequest struct {
	ID     string `json:"id,omitempty"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Amount string `json:"amount,omitempty"`
	Kind   string `json:"kind,omitempty"`
	UpTo   bool   `json:"up_to,omitempty"`
	Force  bool   `json:"force,omitempty"`
	Reason string `json:"reason,omitempty"`
	Usage
	Metadata map[string]any `json:"metadata,omitempty"`
}

// A HoldRequest asks for a hold. Without either lifetime it lives 7 days.
type HoldRequest struct {
	ID         string         `json:"id,omitempty"`
	Amount     string         `json:"amount,omitempty"`
	ExpiresAt  string         `json:"expires_at,omitempty"` // a time, or never
	TTLSeconds int64          `json:"ttl_seconds,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
}

// A CaptureRequest asks for a payment from a hold: without amount or payees of
// all that remains.
type CaptureRequest struct {
	ID     string  `json:"id,omitempty"`
	Amount string  `json:"amount,omitempty"`
	To     []Payee `json:"to,omitempty"`
	Final  bool    `json:"final,omitempty"` // release what is left
	Reason string  `json:"reason,omitempty"`
	Usage
	Metadata map[string]any `json:"metadata,omitempty"`
}

// A Payee is whom a capture pays.
type Payee struct {
	Account string `json:"account"`
	Amount  string `json:"amount"`
}

// An AccountRequest asks for an account.
type AccountRequest struct {
	ID          string         `json:"id,omitempty"`         // of the call
	AccountID   string         `json:"account_id,omitempty"` // a UUID; "": the server picks one
	Parent      string         `json:"parent,omitempty"`
	Unit        string         `json:"unit,omitempty"` // "": the parent's
	Mode        string         `json:"mode,omitempty"` // own, if not said
	Book        string         `json:"book,omitempty"` // main, if not said
	CreditLimit string         `json:"credit_limit,omitempty"`
	Cap         string         `json:"cap,omitempty"`
	Name        string         `json:"name,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
}
