package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Numbers are given out by records of kind "number": of each sort one, whose
// counter "last" is the number that was given out last.
const (
	kindNumber = "number"
	lastNumber = "last"
)

// NextNumber returns the number that follows the last one given out of some
// sort, and the write that takes it: it is refused if another is faster.
func (l *Ledger) NextNumber(ctx context.Context, sort string) (uint64, RecordWrite, error) {
	r, err := l.Record(ctx, RecordKey{Kind: kindNumber, Key: sort})
	if err != nil {
		return 0, RecordWrite{}, err
	}
	w := RecordWrite{Kind: kindNumber, Key: sort, Counters: []Counter{{lastNumber, 1}}}
	if r == nil {
		return 1, w, nil
	}
	w.Expect, w.Keep = r.Version, true
	for _, c := range r.Counters {
		if c.Name == lastNumber && c.Value >= 0 && c.Value < 1<<32-1 {
			return uint64(c.Value) + 1, w, nil
		}
	}
	return 0, w, Errorf(Internal, "no %s can be numbered any more", sort)
}

// An Amendment is a change of the operator's records that may be repeated.
type Amendment struct {
	Actor  uint64
	Tenant TenantID // whose id it is. Ids of amendments are apart from those of money
	ID     string   // "": it is never repeated
	Asked  []string // what was asked, to tell apart two amendments with one id
}

// Amend writes records of the operator's book, all or none. It asks write for
// the writes until they find the versions that they expect; none is no change.
// The answer is kept under the id: a repeat gets it again, and true.
func (l *Ledger) Amend(ctx context.Context, a Amendment, write func() (w []RecordWrite, answer []byte, err error)) ([]byte, bool, error) {
	if a.ID != "" && !ValidID(a.ID) {
		return nil, false, Errorf(Invalid, "an id is 1 to 255 printable ASCII characters")
	}
	if err := l.EnsureSystem(ctx); err != nil {
		return nil, false, err
	}
	if answer, found, err := l.amended(ctx, &a); found || err != nil {
		return answer, found, err
	}
	const tries = 32
	for range tries {
		writes, answer, err := write()
		if err != nil {
			// What stands in the way may be what the same request did just now.
			if answer, found, err := l.amended(ctx, &a); found || err != nil {
				return answer, found, err
			}
			return nil, false, err
		}
		c := a.command()
		if c.Records = writes; len(writes) == 0 {
			if a.ID == "" {
				return answer, false, nil
			}
			// Nothing changes, but the id is used up all the same.
			c.Records = []RecordWrite{{Kind: kindNumber, Key: "unchanged", Expect: AnyVersion, Counters: []Counter{{lastNumber, 1}}}}
		}
		if a.ID != "" && len(answer) > 0 {
			c.Answer = &Text{Data: answer}
		}
		r, err := l.Post(ctx, c)
		switch {
		case err == nil && r.Replayed:
			return l.amended(ctx, &a)
		case err == nil:
			return answer, false, nil
		case CodeOf(err) != Changed && CodeOf(err) != Exists:
			return nil, false, err
		}
	}
	return nil, false, Errorf(Contention, "others changed the same records %d times; try again", tries)
}

// amended answers a repeat with what its id's event answered.
func (l *Ledger) amended(ctx context.Context, a *Amendment) (answer []byte, found bool, err error) {
	if a.ID == "" {
		return nil, false, nil
	}
	c := a.command()
	_, e, _, err := l.Find(ctx, 0, c.ID)
	switch {
	case CodeOf(err) == NotFound:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case e.Print != c.Print():
		return nil, false, Errorf(IDTaken, "the id %s was used for another command; nothing was changed", quote(a.ID))
	case e.Answer == 0:
		return nil, true, nil
	}
	answer, err = l.Text(ctx, 0, TextAt{Seq: e.Seq, N: e.Answer})
	return answer, err == nil, err
}

// command returns the command of an amendment, without what it writes.
func (a *Amendment) command() *Command {
	asked, err := json.Marshal(a.Asked)
	if err != nil {
		panic(err) // strings always marshal
	}
	return &Command{ID: a.scopedID(), Actor: a.Actor, Asked: asked}
}

// scopedID is the id under which the operator's book keeps an amendment.
func (a *Amendment) scopedID() string {
	if a.ID == "" {
		return ""
	}
	n := strconv.FormatUint(uint64(a.Tenant), 10)
	if id := n + "/" + a.ID; len(id) <= MaxID {
		return id
	}
	return fmt.Sprintf("%s#%x", n, sha256.Sum256([]byte(a.ID)))
}

// A rowVersion begins every row. A field that older versions can do without is
// no new version.
type rowVersion struct {
	V int `json:"v"`
}

func (v rowVersion) version() int { return v.V }

func encodeRow(row any) []byte {
	data, err := json.Marshal(row)
	if err != nil {
		panic(err) // rows are structs of strings and numbers
	}
	return data
}

// decodeRow reads a record's JSON. What it does not know was written by a newer
// version, and is not guessed at.
func decodeRow[T interface{ version() int }](r *Record) (row T, err error) {
	d := json.NewDecoder(bytes.NewReader(r.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&row); err != nil {
		return row, errRow(r, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return row, errRow(r, errors.New("something follows it"))
	}
	if v := row.version(); v != 1 {
		return row, errRow(r, fmt.Errorf("it is of version %d", v))
	}
	return row, nil
}

func errRow(r *Record, err error) error {
	return fmt.Errorf("ledger: the record %s %q cannot be read (was it written by a newer version?): %w", r.Kind, r.Key, err)
}
