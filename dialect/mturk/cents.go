package mturk

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"saldo/money"
)

// Cents is an amount of this API and of the older ones: hundredths of a dollar.
type Cents int64

// MostCents is the largest reward or bonus: a HIT of the most assignments at
// this reward, with its fees, still counts exactly.
const MostCents Cents = 1e15

// ParseDollars reads an amount as requests of 2017 have it: digits, and after a
// point up to two more (the pattern of the model, ^[0-9]+(\.)?[0-9]{0,2}$). An
// amount beyond [MostCents] comes as one above it.
func ParseDollars(s string) (Cents, bool) {
	var c Cents
	decimals := -1 // after the point; none yet
	for i := range len(s) {
		switch d := s[i]; {
		case d == '.' && decimals < 0 && i > 0:
			decimals = 0
			continue
		case d < '0' || d > '9':
			return 0, false
		case decimals >= 0:
			if decimals++; decimals > 2 {
				return 0, false
			}
		}
		c = min(c*10+Cents(s[i]-'0'), MostCents+1)
	}
	for n := max(decimals, 0); n < centScale; n++ {
		c = min(c*10, MostCents+1)
	}
	return c, s != ""
}

// AppendText appends the amount in dollars, with two decimals.
func (c Cents) AppendText(dst []byte) []byte { return money.New(int64(c)).AppendText(dst, centScale) }

// String returns the amount in dollars, with two decimals.
func (c Cents) String() string { return string(c.AppendText(nil)) }

// steps returns the amount in steps of a unit of at least two decimals, n times.
func (c Cents) steps(n int64, scale uint8) money.Amount {
	a, ok := money.New(int64(c)).Mul(n)
	if ok {
		a, ok = a.Rescale(centScale, int(scale))
	}
	if !ok {
		return mostSteps // the ledger refuses it
	}
	return a
}

// mostSteps stands for what does not fit into 128 bits.
var mostSteps = money.FromParts(math.MaxInt64, math.MaxUint64)

// Fees is what the service takes on top of what workers get. Percentages of one
// payment are added first; the fee is rounded half up to the cent, and then the
// least of a payment applies (https://www.mturk.com/pricing, read 2026-09; the
// rounding as its questions and answers had it in 2016).
type Fees struct {
	Percent        int   // of rewards and bonuses
	LargePercent   int   // of rewards too, where a HIT has at least Large assignments
	MastersPercent int   // of rewards too, where only Masters may work
	Large          int   // assignments
	Least          Cents // of an assignment or a bonus
}

// StandardFees is the service's own since 2015-07-22.
var StandardFees = Fees{Percent: 20, LargePercent: 20, MastersPercent: 5, Large: 10, Least: 1}

// ofReward returns the fee of one assignment.
func (f Fees) ofReward(reward Cents, assignments int64, masters bool) Cents {
	percent := f.Percent
	if assignments >= int64(f.Large) {
		percent += f.LargePercent
	}
	if masters {
		percent += f.MastersPercent
	}
	return f.of(reward, percent)
}

// ofBonus returns the fee of a bonus.
func (f Fees) ofBonus(bonus Cents) Cents { return f.of(bonus, f.Percent) }

func (f Fees) of(c Cents, percent int) Cents {
	return max(f.Least, (c*Cents(percent)+50)/100)
}

// ParseFees reads fees as settings have them: the percentage of every payment,
// what a HIT of ten or more assignments adds, what Masters add, and the least of
// a payment, as 20, 20, 5, 0.01.
func ParseFees(words []string) (Fees, error) {
	if len(words) != 4 {
		return Fees{}, errors.New("write four: percent, percent of large HITs, percent of Masters, the least in dollars")
	}
	f := Fees{Large: StandardFees.Large}
	for i, to := range []*int{&f.Percent, &f.LargePercent, &f.MastersPercent} {
		n, err := strconv.ParseUint(words[i], 10, 10)
		if err != nil || n > 1000 {
			return Fees{}, fmt.Errorf("%q is not a whole percentage up to 1000", words[i])
		}
		*to = int(n)
	}
	least, ok := ParseDollars(words[3])
	if !ok || least > 100_00 {
		return Fees{}, fmt.Errorf("%q is not an amount of dollars up to 100.00", words[3])
	}
	f.Least = least
	return f, nil
}
