package mturk

import (
	"math"
	"testing"

	"saldo/ledger"
	"saldo/money"
)

func TestAvailable(t *testing.T) {
	highest := money.FromParts(math.MaxInt64, math.MaxUint64)
	for _, tt := range []struct {
		name             string
		available, limit string
		want             string
	}{
		{"nothing", "0", "0", "0.00"},
		{"whole", "10000", "0", "10000.00"},
		{"rounded down", "12.999999", "0", "12.99"},
		{"less than a cent", "0.009999", "0", "0.00"},
		{"a negative balance", "-0.000001", "0", "0.00"},
		{"far below zero", "-5", "0", "0.00"},
		{"what must stay is still prepaid", "7", "-5", "7.00"},
		{"billed, nothing used", "0", "100", "100.00"},
		{"billed, some used", "-30.5", "100", "69.50"},
		{"billed, leftover prepaid money", "42", "100", "100.00"},
		{"billed, all used", "-100", "100", "0.00"},
		{"billed, beyond by force", "-100.01", "100", "0.00"},
		{"billed, a part of a cent used", "-0.000001", "100", "99.99"},
		{"billed by less than a cent", "0", "0.009", "0.00"},
	} {
		b := balance(parse(t, tt.available), parse(t, tt.limit), 6)
		if got := Available(b).Text(centScale); got != tt.want {
			t.Errorf("%s: %s with a limit of %s shows %s, want %s", tt.name, tt.available, tt.limit, got, tt.want)
		}
	}
	for _, tt := range []struct {
		available money.Amount
		scale     uint8
		want      money.Amount
	}{
		{money.New(7), 0, money.New(700)},
		{money.New(7), 1, money.New(70)},
		{money.New(7), 2, money.New(7)},
		{money.New(19_999), 5, money.New(19)},
		{highest, 2, highest},
		{highest, 1, highest},
		{highest, 0, highest},
		{money.FromParts(math.MinInt64, 0), 0, money.Amount{}},
	} {
		if got := Available(balance(tt.available, money.Amount{}, tt.scale)); got != tt.want {
			t.Errorf("%v at scale %d shows %v, want %v", tt.available, tt.scale, got, tt.want)
		}
	}
	extremes := balance(money.FromParts(math.MinInt64, 0), highest, 6)
	if got := Available(extremes); !got.IsZero() {
		t.Errorf("a limit that is used up shows %v", got)
	}
}

func TestAvailableOfDrawing(t *testing.T) {
	b := balance(money.Amount{}, money.Amount{}, 6)
	b.DrawnFrom, b.Spendable = ledger.AccountID{1}, money.New(2_345_678)
	if got := Available(b); got != money.New(234) {
		t.Errorf("an account that can spend 2.345678 shows %v cents", got)
	}
}

func balance(available, limit money.Amount, scale uint8) *ledger.Balance {
	spendable, _ := available.Add(limit)
	return &ledger.Balance{Unit: money.Unit{Code: "USD", Scale: scale}, Available: available, Limit: limit, Spendable: spendable}
}

func parse(t *testing.T, text string) money.Amount {
	t.Helper()
	a, err := money.Parse(text, 6)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
