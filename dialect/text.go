package dialect

import (
	"bytes"
	"encoding/json"
)

// SetMembers returns the free text of an account with some of its members set; one
// that is nil goes. All dialects share that text, a JSON object: name and metadata
// are everybody's, and what only one of them knows is under the dialect's own name.
// So what is not named here stays as it is. A text that is no object, as one that
// was erased, counts as empty.
func SetMembers(text []byte, members map[string]json.RawMessage) []byte {
	all := make(map[string]json.RawMessage)
	if json.Unmarshal(text, &all) != nil || all == nil {
		all = make(map[string]json.RawMessage)
	}
	for name, value := range members {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(all); err != nil {
		panic(err) // a member that is not JSON: the dialect's fault
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
