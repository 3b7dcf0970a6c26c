package watch

import (
	"context"
	"encoding/json"
	"strings"
	"unicode"

	"saldo/ledger"
)

// Named returns an alert as it is told: with the name of its account beside the
// id, if it has one. A name is free text that can be erased, so it is looked up
// now and kept in no alert.
func (w *Watch) Named(ctx context.Context, a *Alert) *Alert {
	name := w.nameOf(ctx, a.Account)
	if name == "" {
		return a
	}
	told := *a
	told.Name = name
	told.Text = strings.Replace(a.Text, "account "+a.Account, "account "+name+" ("+a.Account+")", 1)
	return &told
}

// nameOf returns the name of an account, or "".
func (w *Watch) nameOf(ctx context.Context, account string) string {
	id, ok := ledger.ParseAccountID(account)
	if !ok {
		return ""
	}
	a, err := w.o.Ledger.Account(ctx, id)
	if err != nil {
		return ""
	}
	text, err := w.o.Ledger.Text(ctx, a.Book, a.Profile)
	var profile struct {
		Name string `json:"name"`
	}
	if err != nil || json.Unmarshal(text, &profile) != nil {
		return ""
	}
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, profile.Name)
	return clip(strings.TrimSpace(printable), 200)
}
