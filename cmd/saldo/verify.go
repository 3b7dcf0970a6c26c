package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

// verifyCommand is saldo verify.
func (a *app) verifyCommand() *cobra.Command {
	var expect []string
	var base string
	var online, incremental bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove the books: fold every journal again and compare everything",
		Long: `Fold every journal again and compare every balance, hold, record, id, text,
index and sum with what the store has, and the hash chain with its head. It
changes nothing, but for indexes that are behind, which catch up before.

With --data the server has to be stopped, or DIR is a backup. With --online the
running server makes a copy and proves that. --expect takes heads that were kept
elsewhere, BOOK:SEQ:HASH, or a file of them (HEADS of a backup, lines of "BOOK
SEQ HASH"): only that shows a journal that was cut off.

--incremental folds only what came after the last proof that was made with it:
it keeps a copy of what was proved (links, where the file system has them). --base
does the same with an earlier backup that was verified.`,
		Example: `  saldo verify --data ./data
  saldo verify --store postgres://saldo@db.example.com/saldo
  saldo verify --online --expect ./kept/HEADS
  saldo verify --online --incremental
  saldo verify --data ./data --expect 1:1042:9f2c…
  saldo verify --data ./tuesday --base ./monday`,
	}
	c.Flags().String("data", "", "data directory, or a backup")
	c.Flags().String("store", "", "postgres://…: the books in a database, as they are now; nodes may go on")
	c.Flags().StringSliceVar(&expect, "expect", nil, "BOOK:SEQ:HASH, or a file of such; may be given often")
	c.Flags().StringVar(&base, "base", "", "an earlier backup that was verified")
	c.Flags().BoolVar(&incremental, "incremental", false, "fold only what came after the last proof made with --incremental")
	c.Flags().BoolVar(&online, "online", false, "let the running server prove a copy")
	c.RunE = func(c *cobra.Command, _ []string) error {
		heads, err := readExpected(expect)
		if err != nil {
			return err
		}
		data, _ := c.Flags().GetString("data")
		place, _ := c.Flags().GetString("store")
		if (data != "") == (place != "") && !online || online && data+place != "" {
			return usagef("give one of --data, --store and --online")
		}
		if place != "" {
			if base != "" || incremental {
				return usagef("--store goes with --expect alone")
			}
			o := ledger.VerifyOptions{Expect: heads}
			p := a.progress("folding")
			o.Progress = p.events
			report, err := verifyDatabase(c.Context(), place, o)
			p.end()
			if err != nil {
				return err
			}
			return a.showReport(reportObject(report))
		}
		if base != "" && (online || incremental) {
			return usagef("--base goes with --data, and not with --incremental")
		}
		if online {
			return a.verifyOnline(c.Context(), heads, incremental)
		}
		if incremental {
			base = provedIn(data)
		}
		o := ledger.VerifyOptions{Expect: heads}
		p := a.progress("folding")
		o.Progress = p.events
		report, err := verifyDir(c.Context(), data, base, o)
		p.end()
		if err == nil && incremental {
			err = keepProved(c.Context(), data)
		}
		if err != nil {
			return err
		}
		return a.showReport(reportObject(report))
	}
	return c
}

// verifyDir proves the store in a directory. Its indexes, if they are behind,
// catch up before; nothing else is changed.
func verifyDir(ctx context.Context, dir, base string, o ledger.VerifyOptions) (r ledger.Report, err error) {
	if err := catchUp(ctx, dir); err != nil {
		return r, err
	}
	store, err := openToRead(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if base != "" {
		earlier, err := openToRead(base)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, earlier.Close()) }()
		o.Base = earlier
	}
	if r, err = ledger.Verify(ctx, store, o); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the books are NOT proved: %w", err)
	}
	return r, err
}

// provedDir is where, in a data directory or beside backups, the copy is kept of
// what was proved last by verify --incremental.
const provedDir = "proved"

// provedIn returns the copy of what was proved last, or "" if there is none.
func provedIn(dir string) string {
	if proved := filepath.Join(dir, provedDir); isThere(filepath.Join(proved, "FORMAT")) {
		return proved
	}
	return ""
}

// keepProved makes a copy of a store that was just proved, for the next time.
func keepProved(ctx context.Context, dir string) error {
	next := filepath.Join(dir, provedDir+".new")
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	store, err := embedded.Open(dir, embedded.Options{DiskReserve: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = store.Backup(ctx, next, nil)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	return replaceProved(next, filepath.Join(dir, provedDir))
}

// replaceProved puts a new copy in the last one's place. If it is cut off there
// is none, and the next proof is a whole one.
func replaceProved(next, proved string) error {
	if err := os.RemoveAll(proved); err != nil {
		return err
	}
	return os.Rename(next, proved)
}

// catchUp lets the indexes of a store have everything: a server that was killed
// leaves them behind, and so does a copy of one that runs.
func catchUp(ctx context.Context, dir string) error {
	if !isThere(filepath.Join(dir, "FORMAT")) {
		return fmt.Errorf("%s holds no books", dir)
	}
	store, err := embedded.Open(dir, embedded.Options{DiskReserve: -1, Logger: slog.New(slog.DiscardHandler)})
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil // it is read as it is
	}
	if err != nil {
		return err
	}
	return errors.Join(store.WaitIndexes(ctx), store.Close())
}

func openToRead(dir string) (*embedded.Store, error) {
	if !isThere(filepath.Join(dir, "FORMAT")) {
		return nil, fmt.Errorf("%s holds no books", dir)
	}
	return embedded.Open(dir, embedded.Options{ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
}

// readExpected reads heads: BOOK:SEQ:HASH, or files of them.
func readExpected(given []string) (heads []ledger.Head, err error) {
	for _, text := range given {
		if h, ok := parseHead(text); ok {
			heads = append(heads, h)
			continue
		}
		of, err := readHeads(text)
		if err != nil {
			return nil, err
		}
		heads = append(heads, of...)
	}
	return heads, nil
}

// readHeads reads a file of heads. One that has none would prove nothing.
func readHeads(file string) (heads []ledger.Head, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usagef("--expect %s is neither BOOK:SEQ:HASH nor a file: %v", file, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		h, ok := parseHead(line)
		if !ok {
			return nil, usagef("%s: %q is no head; write BOOK SEQ HASH", file, line)
		}
		heads = append(heads, h)
	}
	if err := lines.Err(); err != nil {
		return nil, usagef("--expect %s cannot be read: %v", file, err)
	}
	if len(heads) == 0 {
		return nil, usagef("--expect %s has no head; write lines of BOOK SEQ HASH", file)
	}
	return heads, nil
}

func parseHead(text string) (h ledger.Head, ok bool) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ' ' || r == '\t' })
	if len(parts) != 3 {
		return h, false
	}
	book, err1 := strconv.ParseUint(parts[0], 10, 32)
	seq, err2 := strconv.ParseUint(parts[1], 10, 64)
	hash, err3 := hex.DecodeString(parts[2])
	if err := errors.Join(err1, err2, err3); err != nil || len(hash) != len(h.Hash) {
		return h, false
	}
	h.Book, h.Seq, h.Hash = ledger.BookID(book), seq, [32]byte(hash)
	return h, true
}

func reportObject(r ledger.Report) object {
	heads := []object{}
	for _, h := range r.Heads {
		heads = append(heads, headObject(h))
	}
	return object{"proved": true, "heads": heads, "events": r.Events, "accounts": r.Accounts, "holds": r.Holds, "records": r.Records,
		"ids": r.IDs, "texts": r.Texts, "erased": r.Erased}
}

func (a *app) showReport(v any) error {
	if a.whole() {
		return a.show(v)
	}
	o, err := asObject(v)
	if err != nil {
		return err
	}
	if err := a.show(o, "events", "accounts", "holds", "records", "ids", "texts", "erased"); err != nil || a.output == "csv" {
		return err
	}
	fmt.Fprintln(a.stdout)
	plain, err := decoded(o["heads"])
	if err != nil {
		return err
	}
	rows, err := asObjects(plain)
	if err != nil {
		return err
	}
	if err := a.showList(rows, "book", "seq", "hash"); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "\nThe books are proved.")
	return nil
}

func (a *app) verifyOnline(ctx context.Context, expect []ledger.Head, incremental bool) error {
	s, err := a.asker()
	if err != nil {
		return err
	}
	s.HTTP.Timeout = 0
	s.Tries = 1
	heads := []string{}
	for _, h := range expect {
		heads = append(heads, fmt.Sprintf("%d:%d:%x", h.Book, h.Seq, h.Hash))
	}
	data, err := s.call(ctx, http.MethodPost, "/v1/verifications", object{"expect": heads, "incremental": incremental})
	if err != nil {
		return err
	}
	return a.showReport(data)
}

// verify serves POST /v1/verifications: it copies the store and proves the copy.
func (m *administration) verify(c *native.Call) (any, error) {
	ask, err := watchBody[struct {
		Expect      []string `json:"expect"`
		Incremental bool     `json:"incremental"`
	}](c)
	if err != nil {
		return nil, err
	}
	var o ledger.VerifyOptions
	for _, text := range ask.Expect {
		h, ok := parseHead(text)
		if !ok {
			return nil, native.Invalid("expect", "has to be BOOK:SEQ:HASH")
		}
		o.Expect = append(o.Expect, h)
	}
	if !m.verifying.TryLock() {
		return nil, native.Refuse(native.CodeBusy, "A verification is under way")
	}
	defer m.verifying.Unlock()
	if err := os.MkdirAll(m.node.config.Backups, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(m.node.config.Backups, ".verifying-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			m.node.log.Error("a copy for verifying is left over", "path", dir, "error", err)
		}
	}()
	if m.node.store == nil {
		return nil, errInDatabase
	}
	if _, err := m.node.store.Backup(c.Context, dir, nil); err != nil {
		return nil, err
	}
	base := ""
	if ask.Incremental {
		base = provedIn(m.node.config.Backups)
	}
	report, err := verifyDir(c.Context, dir, base, o)
	if err != nil {
		m.node.log.Error("the books are not proved", "error", err)
		return nil, native.Refuse(native.CodeInternal, "%v", err)
	}
	if ask.Incremental {
		if err := replaceProved(dir, filepath.Join(m.node.config.Backups, provedDir)); err != nil {
			return nil, err
		}
	}
	return reportObject(report), nil
}
