package pgtest

import (
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// TestServer ends a server in every way and wants what it was told to be there
// when it is started again.
func TestServer(t *testing.T) {
	s := Need(t, Options{})
	if err := s.Exec("postgres", "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{s.Stop, s.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := s.Exec("postgres", "SELECT 1"); err == nil {
			t.Fatal("it answers after its end")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if err := s.Exec("postgres", "INSERT INTO kept VALUES (1)"); err != nil {
			t.Error(err)
		}
	}
}

// TestPair has a replica take over, and its primary come back in both ways.
func TestPair(t *testing.T) {
	p := NeedPair(t, Options{})
	if err := p.Primary().Exec("postgres", "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	if err := p.FailOver(); err != nil {
		t.Fatal(err)
	}
	for _, fenced := range []bool{false, true} {
		if err := p.Return(fenced); err != nil {
			t.Fatal(err)
		}
		old := p.Replica()
		done := make(chan error, 1)
		go func() { done <- old.Exec("postgres", "CREATE TABLE lost (n int)") }()
		if !fenced {
			if err := old.Waiting(); err != nil { // for a replica that it has no more
				t.Error(err)
			}
			if err := old.Kill(); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; err == nil {
			t.Errorf("fenced %v: it acknowledged a write", fenced)
		}
	}
	if err := p.Repair(); err != nil {
		t.Fatal(err)
	}
	if err := p.Primary().Exec("postgres", "INSERT INTO kept VALUES (1)"); err != nil {
		t.Error(err)
	}
}

// TestDatabases wants a database for each test, with nothing in it.
func TestDatabases(t *testing.T) {
	if a, b := New(t), New(t); a == b {
		t.Errorf("twice the same database: %s", a)
	}
}
