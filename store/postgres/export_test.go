package postgres

// SetFar sets how many events a node reads to follow others, until undone.
func SetFar(n int) (undo func()) {
	was := farEvents
	farEvents = n
	return func() { farEvents = was }
}
