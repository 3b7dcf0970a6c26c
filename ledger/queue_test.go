package ledger

import (
	"slices"
	"testing"
)

// command is a queued command of a tenant with a number of operations.
func command(tenant TenantID, ops int) *prepared {
	return newPrepared(&Command{Tenant: tenant, Ops: make([]Op, ops)}, nil)
}

func put(t *testing.T, q *queue, want Code, p *prepared) {
	t.Helper()
	if err := q.put(p); CodeOf(err) != want {
		t.Fatalf("put: %v, want %v", err, want)
	}
}

func tenants(cmds []*prepared) (ids []TenantID) {
	for _, p := range cmds {
		ids = append(ids, p.c.Tenant)
	}
	return ids
}

func TestQueueGoesRoundTheTenants(t *testing.T) {
	q := newQueue(10_000)
	for range 3 {
		put(t, q, OK, command(1, 1))
	}
	put(t, q, OK, command(2, 1))
	put(t, q, OK, command(3, 1))
	put(t, q, OK, command(2, 1))
	if got := tenants(q.take(1000, maxRoundBytes, nil)); !slices.Equal(got, []TenantID{1, 2, 3, 1, 2, 1}) {
		t.Errorf("order %v", got)
	}
	if q.len() != 0 || len(q.take(1000, maxRoundBytes, nil)) != 0 {
		t.Error("something is left")
	}
}

// TestQueueStarvesNobody lets two tenants always have large commands waiting,
// so that each round has room for two commands. The third has its turn too.
func TestQueueStarvesNobody(t *testing.T) {
	q := newQueue(10_000)
	put(t, q, OK, command(1, MaxOps))
	put(t, q, OK, command(2, MaxOps))
	for range 3 {
		put(t, q, OK, command(3, 1))
	}
	turns := 0
	for range 6 {
		put(t, q, OK, command(1, MaxOps))
		put(t, q, OK, command(2, MaxOps))
		for _, p := range q.take(maxRound, maxRoundBytes, nil) {
			if p.c.Tenant == 3 {
				turns++
			}
		}
	}
	if turns != 3 {
		t.Errorf("the third tenant had %d of 3 turns", turns)
	}
}

// TestRoundsHaveBytes lets many wait who bring much: no round has more than its
// bytes and one command. All of them have their turn, and in order.
func TestRoundsHaveBytes(t *testing.T) {
	large := func(tenant TenantID) *prepared {
		c := &Command{Tenant: tenant, Answer: &Text{Data: make([]byte, MaxRecord)}}
		for range 40 {
			c.Ops = append(c.Ops, &Transfer{Text: &Text{Data: make([]byte, MaxText)}}, &Release{Text: &Text{Data: make([]byte, MaxText)}},
				&SetAccount{Profile: &Text{Data: make([]byte, MaxText)}, Reason: &Text{Data: make([]byte, MaxText)}})
		}
		for range 2 {
			c.Records = append(c.Records, RecordWrite{Data: make([]byte, MaxRecord), Index: make([]IndexEntry, MaxEntries)})
		}
		return newPrepared(c, nil)
	}
	const brings = 160*MaxText + 3*MaxRecord // of each, at least
	q := newQueue(10_000)
	for range 10 {
		put(t, q, OK, large(1))
		put(t, q, OK, large(2))
	}
	taken, rounds := 0, 0
	for q.len() > 0 {
		cmds := q.take(maxRound, maxRoundBytes, nil)
		if n := len(cmds) * brings; n > maxRoundBytes+brings {
			t.Errorf("a round has %d bytes", n)
		}
		for _, p := range cmds {
			if want := TenantID(1 + taken%2); p.c.Tenant != want {
				t.Errorf("turn %d is tenant %d's", taken, p.c.Tenant)
			}
			taken++
		}
		rounds++
	}
	if taken != 20 || rounds < 20*brings/(maxRoundBytes+brings) {
		t.Errorf("%d taken in %d rounds", taken, rounds)
	}
	plain := newPrepared(&Command{Ops: []Op{&Transfer{ID: "order-20260101-000001"}}}, nil)
	put(t, q, OK, plain)
	if q.take(1, 1, nil); plain.bytes*maxRound/2 > maxRoundBytes { // a command and an operation count as one each
		t.Errorf("a charge has %d bytes, which bound rounds of charges", plain.bytes)
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue(8)
	for range 4 {
		put(t, q, OK, command(1, 1))
	}
	put(t, q, Busy, command(1, 1)) // its half
	for range 4 {
		put(t, q, OK, command(2, 1))
	}
	put(t, q, Busy, command(3, 1)) // all
	if got := len(q.take(2, maxRoundBytes, nil)); got != 1 {
		t.Errorf("%d taken", got)
	}
	put(t, q, OK, command(3, 1))
	put(t, q, OK, newPrepared(nil, nil)) // who waits for what is due takes no place
	for len(q.take(1, maxRoundBytes, nil)) > 0 {
	}
	if q.len() != 0 {
		t.Errorf("%d left", q.len())
	}
	one := newQueue(1)
	put(t, one, OK, command(1, 1))
	put(t, one, Busy, command(2, 1))
}

func TestQueueCloses(t *testing.T) {
	q := newQueue(8)
	put(t, q, OK, command(1, 1))
	q.close()
	put(t, q, Unavailable, command(1, 1))
	if q.isClosed() {
		t.Error("closed while a command waits")
	}
	if len(q.take(10, maxRoundBytes, nil)) != 1 || !q.isClosed() {
		t.Error("not closed though empty")
	}
}
