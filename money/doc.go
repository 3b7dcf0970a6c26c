// Package money counts whole steps of a unit: what Saldo adds, compares,
// reads and shows wherever it says how much.
//
// # Range
//
// An [Amount] is a signed whole number of steps, 128 bits wide: from -2^127 to
// 2^127-1. At the default scale of currencies, 6 decimals, that is some 170
// million million million million million dollars. Its zero value is 0, and
// two amounts are equal when == says so.
//
// # Units
//
// An Amount does not know what it counts. A [Unit] does: its scale says how
// many decimals one whole is cut into. USD with scale 6 has a million steps to
// the dollar. A [Value] is the two together. Only amounts of one unit may meet;
// the ledger sees to that.
//
// # Rounding
//
// Sums, differences, products and [Parse] are exact and never round. Text with
// more decimals than its unit keeps is refused. [Amount.Rescale] to fewer
// decimals rounds toward minus infinity, so that nobody is shown more than
// there is. [Amount.MulRatio] and [Amount.Percent] round the exact result
// once, as the caller says. No floating point is used anywhere.
//
// # Errors
//
// Arithmetic that can leave the range returns a second value, false, and then
// the amount is 0: never a wrapped or a saturated number. Reading text returns
// an error that wraps [ErrSyntax], [ErrDecimals] or [ErrRange] and says what to
// write instead. A scale outside 0 to [MaxScale] is a mistake in the program
// and panics; [Unit.Validate] keeps such units out.
//
// # Storage
//
// [Amount.AppendVarint] is the stored form. It has one encoding for each
// amount, so that bytes can be hashed and compared; [Varint] refuses others.
package money
