package money

// Localized returns v for people who read locale.
func (v Value) Localized(locale string) string {
	return v.Unit.Text(v.Amount) + "\u00a0" + v.Unit.Code
}
