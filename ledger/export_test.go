package ledger

// Waiting returns how many commands are in the queue.
func (l *Ledger) Waiting() int { return l.queue.len() }

// SetWindow bounds the deadlines that are read into memory at once, until
// restore is called.
func SetWindow(n int) (restore func()) {
	was := windowDeadlines
	windowDeadlines = n
	return func() { windowDeadlines = was }
}

// Deadlines returns how many deadlines of holds are in memory. Nothing may be
// going on.
func (l *Ledger) Deadlines() int { return len(l.due.queue) }

// Before returns a command as it could be posted before some ids were reserved.
func Before(c Command) *Command {
	c.own = true
	return &c
}
