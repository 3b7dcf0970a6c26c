package postgres

import "context"

// SetFar sets how many events a node reads to follow others, until undone.
func SetFar(n int) (undo func()) {
	was := farEvents
	farEvents = n
	return func() { farEvents = was }
}

// Setting is what the database has for a connection of the store.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.read(ctx, func(ctx context.Context, conn querier) error {
		return conn.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value)
	})
	return value, err
}
