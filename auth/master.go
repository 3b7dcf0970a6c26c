package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// MasterKeys seal secrets: what is new under Current, what is old under the one
// that it names. A file of them has a line for each, the number and 32 bytes in
// base64; the greatest number is current. Lines that begin with # are notes.
type MasterKeys struct {
	Current uint32
	Keys    map[uint32][32]byte
}

// MasterKeyFile is the name of the file of master keys in a data directory.
const MasterKeyFile = "master.key"

// String names the keys without telling them.
func (k MasterKeys) String() string {
	var numbers []string
	for n := range k.Keys {
		numbers = append(numbers, strconv.Itoa(int(n)))
	}
	slices.Sort(numbers)
	return fmt.Sprintf("master keys %s, current %d", strings.Join(numbers, " "), k.Current)
}

// GoString is String.
func (k MasterKeys) GoString() string { return k.String() }

// LogValue is String.
func (k MasterKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// LoadMasterKeys returns the keys that fromEnv spells or, without it, those of
// the file fromFile or, without that, of the file master.key in dir, which is
// made there on the first start. In fromEnv a comma or semicolon may stand for
// the end of a line.
func LoadMasterKeys(dir, fromFile, fromEnv string) (MasterKeys, error) {
	if fromEnv != "" {
		keys, err := ParseMasterKeys([]byte(strings.NewReplacer(",", "\n", ";", "\n").Replace(fromEnv)))
		if err != nil {
			return MasterKeys{}, fmt.Errorf("auth: the master keys that were given: %w", err)
		}
		return keys, nil
	}
	if fromFile != "" {
		// Orchestrators mount secrets with a group of their own choice.
		return readMasterKeys(fromFile, 0o007)
	}
	path := filepath.Join(dir, MasterKeyFile)
	keys, err := readMasterKeys(path, 0o077)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	keys, err = MasterKeys{}.Add(rand.Reader)
	if err != nil {
		return MasterKeys{}, err
	}
	if err := writeMasterKeys(path, keys, placeNew); err != nil && !errors.Is(err, fs.ErrExist) {
		return MasterKeys{}, fmt.Errorf("auth: making the master key: %w", err)
	}
	return readMasterKeys(path, 0o077) // the one that was there first
}

func readMasterKeys(path string, forbidden fs.FileMode) (MasterKeys, error) {
	file, err := os.Open(path)
	if err != nil {
		return MasterKeys{}, fmt.Errorf("auth: the master keys: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return MasterKeys{}, fmt.Errorf("auth: the master keys: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&forbidden != 0 {
		return MasterKeys{}, fmt.Errorf("auth: others may read or change %s (its mode is %#o); "+
			"find out who did, then: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(file, 1<<20))
	if err != nil {
		return MasterKeys{}, fmt.Errorf("auth: the master keys: %w", err)
	}
	keys, err := ParseMasterKeys(text)
	if err != nil {
		return MasterKeys{}, fmt.Errorf("auth: %s: %w", path, err)
	}
	return keys, nil
}

// ParseMasterKeys reads the text of a file of master keys. Its errors name
// lines and never quote them.
func ParseMasterKeys(text []byte) (MasterKeys, error) {
	k := MasterKeys{Keys: map[uint32][32]byte{}}
	for i, line := range bytes.Split(text, []byte("\n")) {
		fields := bytes.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) != 2 {
			return MasterKeys{}, fmt.Errorf("line %d is not a number, a space and a key in base64", i+1)
		}
		n, err := strconv.ParseUint(string(fields[0]), 10, 32)
		if err != nil || n == 0 {
			return MasterKeys{}, fmt.Errorf("line %d does not begin with a number from 1", i+1)
		}
		key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(string(fields[1]), "="))
		switch _, twice := k.Keys[uint32(n)]; {
		case err != nil || len(key) != 32:
			return MasterKeys{}, fmt.Errorf("the key in line %d is not 32 bytes in base64", i+1)
		case twice:
			return MasterKeys{}, fmt.Errorf("line %d has the number of an earlier one", i+1)
		case bytes.Equal(key, make([]byte, 32)):
			return MasterKeys{}, fmt.Errorf("the key in line %d is all zeros", i+1)
		}
		k.Keys[uint32(n)] = [32]byte(key)
		k.Current = max(k.Current, uint32(n))
	}
	if len(k.Keys) == 0 {
		return MasterKeys{}, errors.New("there is no key; write a line with 1, a space and 32 random bytes in base64")
	}
	return k, nil
}

// AppendText appends k as a file has it.
func (k MasterKeys) AppendText(dst []byte) []byte {
	dst = append(dst, "# Seals the secrets in this store. Without it they are lost; with it they are open.\n"...)
	var numbers []uint32
	for n := range k.Keys {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		key := k.Keys[n]
		dst = strconv.AppendUint(dst, uint64(n), 10)
		dst = append(dst, ' ')
		dst = base64.StdEncoding.AppendEncode(dst, key[:])
		dst = append(dst, '\n')
	}
	return dst
}

// Add returns k with a new key, which is current. To change the master key:
// write this to the file, restart every node, [Auth.Rekey], take the old line out.
func (k MasterKeys) Add(random io.Reader) (MasterKeys, error) {
	var key [32]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return MasterKeys{}, fmt.Errorf("auth: no random numbers: %w", err)
	}
	more := MasterKeys{Current: k.Current + 1, Keys: map[uint32][32]byte{k.Current + 1: key}}
	for n, old := range k.Keys {
		more.Keys[n] = old
	}
	return more, nil
}

// WriteMasterKeys writes a file of master keys in place of the one at path.
func WriteMasterKeys(path string, k MasterKeys) error {
	if err := writeMasterKeys(path, k, os.Rename); err != nil {
		return fmt.Errorf("auth: writing the master keys: %w", err)
	}
	return nil
}

// writeMasterKeys writes a file beside path, durably, and has place put it there:
// [placeNew] refuses where there is one, os.Rename takes its place.
func writeMasterKeys(path string, k MasterKeys, place func(from, to string) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".master-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(k.AppendText(nil))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // it has no directories to sync
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// placeNew gives a file a name that none has yet. Where files cannot have two
// names, it looks first; two servers cannot start in one directory anyway.
func placeNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}
