package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"saldo/auth"
	"saldo/dialect/native"
	"saldo/ledger"
	"saldo/store/embedded"
)

// backupName is what a backup may be called: a plain name in the directory of
// backups, so that no request can write elsewhere.
var backupName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$`)

// backupCommand is saldo backup.
func (a *app) backupCommand() *cobra.Command {
	var withKey bool
	c := &cobra.Command{
		Use:   "backup [NAME]",
		Short: "Copy the books while the server runs, or with it stopped",
		Long: `Copy the books as they are now. A running server is asked to do it, and writes
the copy into its directory of backups (the setting "backups"; by default
DIR/backups). With --data and no server running, this command does it itself,
and then NAME may be a path.

The copy is a data directory without the master key: keep that apart, or say
--with-master-key. Its file HEADS has the end of every book: keep it elsewhere
and 'saldo verify --expect' proves later that nothing was cut off.`,
		Example: `  saldo backup
  saldo backup monday
  saldo backup --data /var/lib/saldo /mnt/backup/monday --with-master-key`,
		Args: cobra.MaximumNArgs(1),
	}
	configFlags(c.Flags(), "write-context")
	c.Flags().BoolVar(&withKey, "with-master-key", false, "copy the master key too: who has the copy can then read its secrets")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := time.Now().UTC().Format("20060102T150405Z")
		if len(args) > 0 {
			name = args[0]
		}
		if c.Flags().Changed("data") {
			cfg, err := readConfig(a.getenv, c.Flags())
			if err != nil {
				return err
			}
			made, err := a.backupOffline(c.Context(), cfg, name, withKey)
			if !errors.Is(err, embedded.ErrLocked) {
				return errorOr(err, func() error { return a.showBackup(made) })
			}
		}
		s, err := a.asker()
		if err != nil {
			return err
		}
		s.HTTP.Timeout = 0
		data, err := s.call(c.Context(), http.MethodPost, "/v1/backups", object{"name": name, "with_master_key": withKey})
		if err != nil {
			return err
		}
		return a.showBackup(data)
	}
	return c
}

func (a *app) showBackup(v any) error {
	if a.whole() {
		return a.show(v)
	}
	o, err := asObject(v)
	if err != nil {
		return err
	}
	a.say("The copy is in %s. Its heads, to be kept elsewhere:", field(o, "path"))
	heads, err := json.Marshal(o["heads"])
	if err != nil {
		return err
	}
	return a.showList(json.RawMessage(heads), "book", "seq", "hash")
}

// backupOffline copies a store that no server has open.
func (a *app) backupOffline(ctx context.Context, cfg *config, name string, withKey bool) (object, error) {
	if !isThere(filepath.Join(cfg.Data, "FORMAT")) {
		return nil, fmt.Errorf("%s holds no books", cfg.Data)
	}
	store, err := embedded.Open(cfg.Data, embedded.Options{Logger: a.logger(a.stderr, cfg.LogFormat, "warn"), DiskReserve: -1})
	if err != nil {
		return nil, err
	}
	dest := name
	if backupName.MatchString(name) {
		dest = filepath.Join(cfg.Backups, name)
	}
	p := a.progress("copying")
	made, err := backupTo(ctx, store, cfg, dest, withKey, p.bytes)
	p.end()
	return made, errors.Join(err, store.Close())
}

// backupTo copies a store that is open, and what belongs to it.
func backupTo(ctx context.Context, store *embedded.Store, cfg *config, dest string, withKey bool, progress func(done, total int64)) (object, error) {
	if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
		return nil, err
	}
	heads, err := store.Backup(ctx, dest, progress)
	if err != nil {
		return nil, err
	}
	if withKey {
		from := firstOf(cfg.MasterKeyFile, filepath.Join(cfg.Data, auth.MasterKeyFile))
		if err := copySecret(from, filepath.Join(dest, auth.MasterKeyFile)); err != nil {
			return nil, fmt.Errorf("the master key was not copied: %w", err)
		}
	}
	list := []object{}
	for _, h := range heads {
		list = append(list, headObject(h))
	}
	return object{"id": filepath.Base(dest), "created_at": time.Now().UTC().Format(time.RFC3339), "path": dest, "heads": list,
		"with_master_key": withKey}, nil
}

func copySecret(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func headObject(h ledger.Head) object {
	return object{"book": h.Book, "seq": h.Seq, "hash": hex.EncodeToString(h.Hash[:]), "time": h.Time.String()}
}

// heads serves GET /v1/heads.
func (m *administration) heads(c *native.Call) (any, error) {
	items := []object{}
	for row, err := range m.node.ledger.Scan(c.Context, ledger.Query{List: ledger.ListHeads}) {
		if err != nil {
			return nil, err
		}
		items = append(items, headObject(*row.Head))
	}
	return object{"items": items}, nil
}

// backup serves POST /v1/backups.
func (m *administration) backup(c *native.Call) (any, error) {
	ask, err := watchBody[struct {
		Name          string `json:"name"`
		WithMasterKey bool   `json:"with_master_key"`
	}](c)
	if err != nil {
		return nil, err
	}
	if !backupName.MatchString(ask.Name) {
		return nil, native.Invalid("name", "has to be a plain name of letters, digits, '.', '_' and '-': backups of a running server go to its directory of backups")
	}
	dest := filepath.Join(m.node.config.Backups, ask.Name)
	if isThere(dest) {
		return nil, native.Refuse(native.CodeExists, "%s exists already; choose another name", dest)
	}
	if m.node.store == nil {
		return nil, errInDatabase
	}
	made, err := backupTo(c.Context, m.node.store, m.node.config, dest, ask.WithMasterKey, nil)
	if err == nil {
		m.node.log.Info("backed up", "path", dest, "heads", made["heads"])
	}
	return made, err
}

// restoreCommand is saldo restore.
func (a *app) restoreCommand() *cobra.Command {
	var masterKey string
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Make a data directory of a backup",
		Long: `Make a data directory of a backup, in a directory that does not exist or is
empty. The master key comes from the backup, if it has one, or from
--master-key-file; without it the server starts only when master.key was put
back by hand.`,
		Example: `  saldo restore /mnt/backup/monday --data /var/lib/saldo
  saldo restore /mnt/backup/monday --data ./copy --master-key-file ./master.key`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().String("data", "", "the directory to make")
	c.Flags().StringVar(&masterKey, "master-key-file", "", "file of the master keys, to be copied")
	c.RunE = func(c *cobra.Command, args []string) error {
		dest, _ := c.Flags().GetString("data")
		if dest == "" {
			return usagef("give --data, the directory to make")
		}
		if masterKey != "" { // looked at before anything is copied
			if _, err := auth.LoadMasterKeys("", masterKey, ""); err != nil {
				return err
			}
		}
		p := a.progress("copying")
		heads, err := embedded.Restore(c.Context(), args[0], dest, p.bytes)
		p.end()
		if err != nil {
			return err
		}
		from := masterKey
		if own := filepath.Join(args[0], auth.MasterKeyFile); from == "" && isThere(own) {
			from = own
		}
		if from != "" {
			err = copySecret(from, filepath.Join(dest, auth.MasterKeyFile))
		} else {
			a.say("The backup has no master key: put back %s before the server starts.", filepath.Join(dest, auth.MasterKeyFile))
		}
		if err != nil {
			return err
		}
		list := []object{}
		for _, h := range heads {
			list = append(list, headObject(h))
		}
		return a.showList(list, "book", "seq", "hash")
	}
	return c
}
