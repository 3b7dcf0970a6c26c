package native

// SetExamined sets how many rows a page may look at, until undone.
func SetExamined(n int) (undo func()) {
	was := examined
	examined = n
	return func() { examined = was }
}
