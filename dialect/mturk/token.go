package mturk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"saldo/ledger"
)

// A UniqueRequestToken is remembered as a record, beside what it was used for:
// of an account, for one kind of operation. It is an error to use it again, as
// it was in the service, even for the same.

// The kinds of operations that tokens are for.
const (
	tokenCreateHIT = "hit" // with a type, or without
	tokenAdd       = "add"
	tokenBonus     = "bonus"
)

func tokenKey(account ledger.AccountID, of, token string) string {
	h := sha256.New()
	h.Write(account[:])
	h.Write([]byte(of + "\x00" + token))
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// once refuses a token that was used. Found is given what it was used for.
func (c *change) once(ctx context.Context, of, token string, found func(token, id string) error) error {
	if token == "" {
		return nil
	}
	rec, err := c.r.record(ctx, kindToken, tokenKey(c.r.Account, of, token))
	if err != nil || rec == nil {
		return err
	}
	if rec.Deadline != 0 && rec.Deadline <= c.now {
		return errOverdue()
	}
	u := unpack(rec.Data)
	id := u.text()
	if err := u.err(); err != nil {
		return err
	}
	return found(token, id)
}

// remember adds the writing of a token, for as long as tokens live.
func (c *change) remember(of, token, id string) {
	if token == "" {
		return
	}
	p := pack(64)
	p.text(id)
	w := ledger.RecordWrite{Kind: kindToken, Key: tokenKey(c.r.Account, of, token), Data: p}
	if life := c.r.d.o.TokenLife; life > 0 {
		w.Deadline = c.now.Add(life)
	}
	c.write(w)
}

// alreadyExists refuses the token of a HIT that was made: its id has to be in
// the text.
func alreadyExists(token, id string) error {
	return &Refused{Code: codeHITAlreadyExists,
		Text: fmt.Sprintf("The HIT with the idempotency token \"%s\" already exists: %s.", token, id)}
}

// alreadyProcessed refuses the token of anything else
// (https://github.com/Dallinger/Dallinger/issues/3109).
func alreadyProcessed(token, _ string) error {
	return &Refused{Text: fmt.Sprintf(textTokenUsed, token)}
}
