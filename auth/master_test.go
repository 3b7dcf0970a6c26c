package auth

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"saldo/ledger"
	"saldo/store/embedded"
)

func TestMasterKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MasterKeyFile)
	made, err := LoadMasterKeys(dir, "", "")
	if err != nil || made.Current != 1 || len(made.Keys) != 1 {
		t.Fatal(made, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if again, err := LoadMasterKeys(dir, "", ""); err != nil || again.Keys[1] != made.Keys[1] {
		t.Errorf("read back: %v, %v", again, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	more, err := made.Add(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteMasterKeys(path, more); err != nil {
		t.Fatal(err)
	}
	got, err := LoadMasterKeys("/nowhere", path, "")
	if err != nil || got.Current != 2 || got.Keys[1] != made.Keys[1] || got.Keys[2] != more.Keys[2] || got.Keys[1] == got.Keys[2] {
		t.Errorf("%v, %v", got, err)
	}
	text := strings.TrimSpace(string(more.AppendText(nil)))
	_, text, _ = strings.Cut(text, "\n")
	if got, err = LoadMasterKeys("/nowhere", "/nowhere", strings.ReplaceAll(text, "\n", ",")); err != nil || got.Current != 2 {
		t.Errorf("from the environment: %v, %v", got, err)
	}
	for mode, refused := range map[os.FileMode][2]bool{0o600: {false, false}, 0o400: {false, false}, 0o640: {true, false}, 0o644: {true, true}} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, own := LoadMasterKeys(dir, "", "")
		_, given := LoadMasterKeys(dir, path, "")
		if (own != nil) != refused[0] || (given != nil) != refused[1] {
			t.Errorf("mode %o: own %v, given %v", mode, own, given)
		}
		if own != nil && !strings.Contains(own.Error(), "chmod 600") {
			t.Errorf("it does not say what to do: %v", own)
		}
	}
	if _, err := LoadMasterKeys(dir, filepath.Join(dir, "none"), ""); err == nil {
		t.Error("a file that was named and is not there was made")
	}
}

func TestParseMasterKeys(t *testing.T) {
	const a, b = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "/wIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
	good, err := ParseMasterKeys([]byte("# note\n\n  2 " + b + "\r\n1\t" + a + "\n"))
	if err != nil || good.Current != 2 || good.Keys[1][0] != 1 || good.Keys[2][0] != 0xff {
		t.Errorf("%v, %v", good, err)
	}
	for _, text := range []string{"", "# only a note", a, "0 " + a, "-1 " + a, "x " + a, "4294967296 " + a, "1 " + a[:40],
		"1 " + a + " more", "1 " + a + "\n1 " + b, "1 " + a + a, "1 " + strings.Repeat("A", 43) + "="} {
		keys, err := ParseMasterKeys([]byte(text))
		if err == nil {
			t.Errorf("%q is read as %v", text, keys)
		} else if strings.Contains(err.Error(), a[:8]) {
			t.Errorf("an error shows a key: %v", err)
		}
	}
}

func FuzzParseMasterKeys(f *testing.F) {
	f.Add([]byte("1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n"))
	f.Add([]byte("# x\n2 /wIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseMasterKeys(text)
		if err != nil {
			return
		}
		again, err := ParseMasterKeys(keys.AppendText(nil))
		if err != nil || again.Current != keys.Current || len(again.Keys) != len(keys.Keys) || again.Keys[keys.Current] != keys.Keys[keys.Current] {
			t.Errorf("%v, written and read: %v, %v", keys, again, err)
		}
	})
}

func TestSeal(t *testing.T) {
	keys := MasterKeys{Current: 1, Keys: map[uint32][32]byte{1: {1}}}
	s, err := newSealer(keys, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := s.seal([]byte("secret"), []byte("me"))
	if err != nil || bytes.Contains(blob, []byte("secret")) {
		t.Fatalf("%x, %v", blob, err)
	}
	if twin, _ := s.seal([]byte("secret"), []byte("me")); bytes.Equal(twin, blob) {
		t.Error("sealed twice, it is the same")
	}
	if text, err := s.open(blob, []byte("me")); err != nil || string(text) != "secret" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.open(blob, []byte("you")); err == nil {
		t.Error("it opens for another owner")
	}
	for i := range blob {
		changed := bytes.Clone(blob)
		changed[i] ^= 1
		if _, err := s.open(changed, []byte("me")); err == nil {
			t.Errorf("with byte %d changed it opens", i)
		}
		if _, err := s.open(blob[:i], []byte("me")); err == nil {
			t.Errorf("cut to %d bytes it opens", i)
		}
	}
	more, _ := keys.Add(rand.Reader)
	s, _ = newSealer(more, rand.Reader)
	if text, err := s.open(blob, []byte("me")); err != nil || string(text) != "secret" {
		t.Errorf("under more keys: %q, %v", text, err)
	}
	delete(more.Keys, 1)
	s, _ = newSealer(more, rand.Reader)
	if _, err := s.open(blob, []byte("me")); err == nil || !strings.Contains(err.Error(), "master key 1") {
		t.Errorf("without its key: %v", err)
	}
	if _, err := newSealer(MasterKeys{Current: 2, Keys: keys.Keys}, rand.Reader); err == nil {
		t.Error("the current key is not there")
	}
}

// TestMasterKeyIsWatched opens a store with other master keys than it was used
// with, and changes the master key.
func TestMasterKeyIsWatched(t *testing.T) {
	b, ctx := newBench(t), t.Context()
	token := b.issue(t, Spec{Dialect: Native, Scopes: Read})
	key := b.issue(t, Spec{Dialect: MTurk, Root: b.top, Scopes: Read})
	if _, err := b.Rotate(ctx, 0, "", key.Credential.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.start(t, keysOf(2)); err == nil || !strings.Contains(err.Error(), MasterKeyFile) {
		t.Errorf("another key 1: %v", err)
	}
	old := keysOf(1)
	second, err := old.Add(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	alone := MasterKeys{Current: 2, Keys: map[uint32][32]byte{2: second.Keys[2]}}
	if err := b.start(t, alone); err == nil || !strings.Contains(err.Error(), "master key 1") {
		t.Errorf("key 2 alone: %v", err)
	}

	works := func(what string) {
		t.Helper()
		if _, err := b.Bearer(ctx, token.Secret, home); err != nil {
			t.Errorf("%s: the token: %v", what, err)
		}
		if _, secrets, err := b.Sealed(ctx, MTurk, key.Credential.ID, home); err != nil || len(secrets) != 2 || string(secrets[1]) != key.Secret {
			t.Errorf("%s: the key: %q, %v", what, secrets, err)
		}
	}
	b.reopen(t, second)
	works("with both keys")
	if err := b.start(t, old); err == nil || !strings.Contains(err.Error(), "master key 2") {
		t.Errorf("back to key 1, after key 2 was in use: %v", err)
	}
	b.reopen(t, second)
	done := 0
	if err := b.Rekey(ctx, func(n int) { done = n }); err != nil || done != 2 {
		t.Fatal(done, err)
	}
	works("sealed anew")
	if err := b.Rekey(ctx, nil); err != nil {
		t.Errorf("once more: %v", err)
	}
	b.reopen(t, alone)
	works("with key 2 alone")
}

// TestTwoMasterKeysAtOnce sets up one store from two sides with two keys: one
// side has to notice, and its secrets must not get in.
func TestTwoMasterKeysAtOnce(t *testing.T) {
	store, err := embedded.Open(t.TempDir(), embedded.Options{DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), store, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); store.Close() })
	var wait sync.WaitGroup
	var failed atomic.Int64
	for i := range 8 {
		wait.Go(func() {
			a, err := Open(t.Context(), l, keysOf(byte(1+i%2)), Options{})
			if err != nil {
				failed.Add(1)
				return
			}
			if _, _, err := a.FirstOperator(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if failed.Load() != 4 {
		t.Errorf("%d of 8 noticed, want the 4 with the key that lost", failed.Load())
	}
}
