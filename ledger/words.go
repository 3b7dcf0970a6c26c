package ledger

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxWords is how many words of one profile search keeps.
const MaxWords = 32

const maxWord = 64 // bytes of one

// ProfileWords returns what an account can be found by: the words of its
// profile's name and of the texts in its metadata, sorted. A profile that
// cannot be read has none.
func ProfileWords(data []byte) []string {
	var p struct {
		Name     string         `json:"name"`
		Metadata map[string]any `json:"metadata"`
	}
	if json.Unmarshal(data, &p) != nil {
		return nil
	}
	words := addWords(nil, p.Name)
	keys := make([]string, 0, len(p.Metadata))
	for k := range p.Metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys) // so that the bound takes the same ones every time
	for _, k := range keys {
		if text, ok := p.Metadata[k].(string); ok {
			words = addWords(words, text)
		}
	}
	slices.Sort(words)
	return words
}

// addWords adds the words of a text: its runs of letters and digits in lower
// case, and what looks like an e-mail address as a whole too.
func addWords(words []string, text string) []string {
	add := func(w string) {
		w = cutWord(w)
		if w != "" && len(words) < MaxWords && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	text = strings.ToLower(strings.ToValidUTF8(text, " "))
	for _, field := range strings.Fields(text) {
		if strings.Contains(field, "@") {
			add(strings.TrimFunc(field, func(r rune) bool { return !isWord(r) }))
		}
		for _, w := range strings.FieldsFunc(field, func(r rune) bool { return !isWord(r) }) {
			add(w)
		}
	}
	return words
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// cutWord cuts a word to the bytes that search keeps, between two runes. It
// holds no zero byte: that ends a word in a key.
func cutWord(w string) string {
	w = strings.ReplaceAll(w, "\x00", "")
	if len(w) <= maxWord {
		return w
	}
	n := maxWord
	for !utf8.RuneStart(w[n]) {
		n--
	}
	return w[:n]
}
