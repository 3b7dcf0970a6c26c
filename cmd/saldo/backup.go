package main

import (
	"encoding/hex"
	"net/http"

	"saldo/ledger"
)

func (m *administration) heads(r *http.Request) (any, error) {
	items := []object{}
	for row, err := range m.node.ledger.Scan(r.Context(), ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			return nil, err
		}
		items = append(items, headObject(*row.Head))
	}
	return object{"items": items}, nil
}

func headObject(h ledger.Head) object {
	return object{"book": h.Book, "seq": h.Seq, "hash": hex.EncodeToString(h.Hash[:]), "time": h.Time.String()}
}

func (m *administration) backup(r *http.Request) (any, error) { return nil, nil }
