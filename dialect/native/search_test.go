package native

import "testing"

// TestRarest: the word that is looked up is the one that narrows most.
func TestRarest(t *testing.T) {
	for text, want := range map[string]string{
		"customer 4711":      "4711",
		"4711 customer":      "4711",
		"customer 12 4711":   "4711",
		"ann of customers":   "customers",
		"ann":                "ann",
		"Bjørn b@example.eu": "b@example.eu",
		"r2 d2c customer":    "d2c",
	} {
		if got := rarest(wordsOf(text)); got != want {
			t.Errorf("of %q %q is looked up, want %q", text, got, want)
		}
	}
}
