package frontier

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"saldo/dialect"
	"saldo/ledger"
)

// A note is the free text of a transfer: JSON with the members that the native
// API has too, and one that is Frontier's.
type note struct {
	Reason   string          `json:"reason,omitempty"` // Frontier's description
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Frontier transferNote    `json:"frontier,omitzero"`
}

// A transferNote is what only Frontier has to say of a transfer.
type transferNote struct {
	Source string `json:"source,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

// compose writes a note as it is stored, or nil if it says nothing.
func (n *note) compose() *ledger.Text {
	if n.Reason == "" && len(n.Metadata) == 0 && n.Frontier == (transferNote{}) {
		return nil
	}
	b := make([]byte, 0, 80+len(n.Reason)+len(n.Metadata)+len(n.Frontier.Source)+len(n.Frontier.UserID))
	open := byte('{')
	member := func(name string) {
		b = append(append(append(b, open, '"'), name...), `":`...)
		open = ','
	}
	if n.Reason != "" {
		member("reason")
		b = appendQuoted(b, n.Reason)
	}
	if len(n.Metadata) > 0 {
		member("metadata")
		b = append(b, n.Metadata...)
	}
	if n.Frontier != (transferNote{}) {
		member("frontier")
		open = '{'
		if n.Frontier.Source != "" {
			member("source")
			b = appendQuoted(b, n.Frontier.Source)
		}
		if n.Frontier.UserID != "" {
			member("user_id")
			b = appendQuoted(b, n.Frontier.UserID)
		}
		b = append(b, '}')
	}
	return &ledger.Text{Data: append(b, '}')}
}

// revert makes of a usage's note that of its revert.
func (n *note) revert(of string) {
	source := n.Frontier.Source
	if source == "" {
		source = systemSource
	}
	n.Frontier.Source = revertSource + "." + source
	n.Reason = "Revert: " + n.Reason
	meta := map[string]json.RawMessage{}
	_ = json.Unmarshal(n.Metadata, &meta) // there may be none
	meta["revert_request_using"] = appendQuoted(nil, of)
	n.Metadata, _ = plainJSON(meta) // texts that were JSON
}

// revertRoom is more than the note of a revert is longer than its usage's, so that
// what was taken can be given back.
const revertRoom = 256

// plainJSON is json.Marshal without the escapes that are for HTML, with which a text
// that is read and written again might not fit any more.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// note returns the note of a posting. One that another dialect wrote has what it
// shares with these; one that was erased, nothing.
func (q *request) note(book ledger.BookID, e *ledger.Event, p *ledger.Posting) (n note, err error) {
	if p.Text == 0 {
		return n, nil
	}
	var data []byte
	if int(p.Text) <= len(e.Beside) {
		data = e.Beside[p.Text-1].Data
	} else if data, err = q.s.ledger.Text(q.ctx, book, ledger.TextAt{Seq: e.Seq, N: p.Text}); err != nil {
		return n, err
	}
	if json.Unmarshal(data, &n) != nil {
		n = note{}
	}
	return n, nil
}

// A profile is the free text of an account, in the same way.
type profile struct {
	Name     string          `json:"name,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Frontier accountNote     `json:"frontier,omitzero"`
	stored   []byte          // all of it, with what other dialects keep there
}

// An accountNote is what only Frontier has to say of an account.
type accountNote struct {
	Email     string    `json:"email,omitempty"`
	Phone     string    `json:"phone,omitempty"`
	Currency  string    `json:"currency,omitempty"`
	Address   address   `json:"address,omitzero"`
	Taxes     []taxNote `json:"tax_data,omitempty"`
	DueInDays *int64    `json:"due_in_days,omitempty"` // nil: nothing was said
}

type address struct {
	Line1      string `json:"line1,omitempty"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city,omitempty"`
	State      string `json:"state,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"`
}

type taxNote struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
}

func (p *profile) compose() (*ledger.Text, error) {
	members := map[string]json.RawMessage{"name": nil, "metadata": nil, "frontier": nil}
	b, err := plainJSON(p)
	if err == nil {
		err = json.Unmarshal(b, &members)
	}
	return &ledger.Text{Data: dialect.SetMembers(p.stored, members)}, err
}

// profile returns the profile of an account.
func (q *request) profile(a *ledger.Account) (p profile, err error) {
	data, err := q.s.ledger.Text(q.ctx, a.Book, a.Profile)
	if err == nil && json.Unmarshal(data, &p) != nil {
		p = profile{}
	}
	p.stored = data
	return p, err
}

// metadataJSON returns metadata as it is stored: nil if there is none.
func metadataJSON(m *structpb.Struct) (json.RawMessage, error) {
	if len(m.GetFields()) == 0 {
		return nil, nil
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, badRequest // a number that JSON has not, or text that is not UTF-8
	}
	var out bytes.Buffer
	err = json.Compact(&out, b)
	return out.Bytes(), err
}

// metadataOf reads metadata. It is an empty object where there is none.
func metadataOf(data json.RawMessage) *structpb.Struct {
	m := new(structpb.Struct)
	if len(data) == 0 || protojson.Unmarshal(data, m) != nil {
		return new(structpb.Struct)
	}
	return m
}
