package money_test

import (
	"fmt"

	"saldo/money"
)

func Example() {
	usd := money.Unit{Code: "USD", Scale: 6, Kind: money.Currency}
	balance, _ := usd.Parse("12.75")
	price, _ := usd.Parse("0.000125")

	cost, ok := price.Mul(1000)
	if !ok {
		return // does not fit
	}
	left, ok := balance.Sub(cost)
	if !ok {
		return
	}
	fmt.Println(usd.Text(left))
	fmt.Println(money.Value{Amount: left, Unit: usd}.Localized("en-US"))
	fmt.Println(usd.Parse("0.0000001"))
	// Output:
	// 12.625000
	// $12.625
	// 0 "0.0000001" has too many decimals: write at most 6
}

func ExampleAmount_Percent() {
	fee, _ := money.New(999).Percent(20_00, money.Ceil) // 20 % of 9.99
	fmt.Println(fee.Text(2))
	// Output: 2.00
}
