package embedded

import "encoding/binary"

// The words of an account's profile, sorted:
//
//	01 | u words | of each: str
func appendWords(dst []byte, words []string) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), uint64(len(words)))
	for _, w := range words {
		dst = appendBytes(dst, w)
	}
	return dst
}

func decodeWords(b []byte) ([]string, error) {
	r := readRow(b, rowVersion)
	words := make([]string, r.count())
	for i := range words {
		words[i] = r.string()
	}
	return words, r.end()
}
