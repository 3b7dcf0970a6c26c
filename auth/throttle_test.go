package auth

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func newThrottle() *throttle { return &throttle{ahead: map[failure]time.Time{}} }

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		told := 0
		th.begins = func(netip.Addr) { told++ }
		fail := func(from netip.Addr) time.Duration { return th.fail("key", from, time.Now()) }
		for i := range failuresAtOnce {
			if wait := fail(home); wait != 0 {
				t.Fatalf("failure %d waits %v", i, wait)
			}
		}
		if wait := fail(home); wait != failureEvery || told != 1 || !th.failing("key", home, time.Now()) {
			t.Errorf("waits %v, told %d times", wait, told)
		}
		if wait := fail(away); wait != 0 {
			t.Errorf("another address waits %v", wait)
		}
		for range 50 { // not so many that the address is throttled as a whole
			if wait := fail(home); wait > throttleMost {
				t.Fatalf("waits %v", wait)
			}
		}
		time.Sleep(throttleMost)
		if th.failing("other", home, time.Now()) {
			t.Error("another key is throttled")
		}
		time.Sleep(failureEvery) // it has waited as it was told, and one more may fail
		if wait := fail(home); wait != 0 || told != 1 {
			t.Errorf("after waiting: %v, told %d times", wait, told)
		}
		time.Sleep(time.Hour)
		for range failuresAtOnce {
			if wait := fail(home); wait != 0 {
				t.Fatalf("after an hour: %v", wait)
			}
		}
		mapped, six, neighbour := netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2%eth0")
		if failureOf("k", mapped) != failureOf("k", home) || failureOf("k", six) != failureOf("k", neighbour) {
			t.Error("one client has two addresses")
		}
	})
}

// TestThrottleByAddress has one address try ever new keys: it is throttled as a
// whole, makes nobody forget another, and is let go like the others.
func TestThrottleByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		var told []netip.Addr
		th.begins = func(from netip.Addr) { told = append(told, from) }
		for range failuresAtOnce + 1 {
			th.fail("known", away, time.Now())
		}
		told = nil
		for i := range 3 * throttleSize {
			wait := th.fail(fmt.Sprint("key ", i), home, time.Now())
			if few := i < int(allowance/addressEvery); few != (wait == 0) {
				t.Fatalf("failure %d waits %v", i, wait)
			}
		}
		if len(told) != 1 || told[0] != home || len(th.ahead) > 200 {
			t.Errorf("told of %v; %d remembered", told, len(th.ahead))
		}
		if !th.failing("known", away, time.Now()) || th.fail("known", away, time.Now()) == 0 {
			t.Error("another address's failures were forgotten")
		}
		if !th.failing("new", home, time.Now()) {
			t.Error("its next key is not throttled")
		}
		time.Sleep(throttleMost + addressEvery)
		if wait := th.fail("new", home, time.Now()); wait != 0 {
			t.Errorf("after waiting: %v", wait)
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for i := range uint32(throttleSize + 1000) {
			var addr [4]byte
			binary.BigEndian.PutUint32(addr[:], i)
			th.fail("key", netip.AddrFrom4(addr), time.Now())
		}
		if len(th.ahead) != throttleSize {
			t.Errorf("%d remembered", len(th.ahead))
		}
		time.Sleep(time.Hour)
		th.fail("key", home, time.Now())
		if len(th.ahead) != 2 { // of the address, and of it with the key
			t.Errorf("%d remembered an hour later", len(th.ahead))
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add(Twilio, "AC0123456789ABCDEF0123456789abcdef")
	f.Add(Frontier, "7C9E6679-7425-40DE-944B-E07FC1F90AE7")
	f.Add(Gateway360, "Shop_1")
	f.Fuzz(func(t *testing.T, dialect, external string) {
		once := fold(dialect, external)
		if twice := fold(dialect, once); twice != once || len(once) != len(external) {
			t.Errorf("%q in %s folds to %q, then %q", external, dialect, once, twice)
		}
		if id := foldID(external); foldID(id) != id {
			t.Errorf("%q folds to %q, then on", external, id)
		}
	})
}
