// Package needs sets up what tests need beyond Go: once for a machine, by one
// process at a time.
package needs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Locked calls do, with the folder of what tests keep, while no other process is
// setting up.
func Locked(do func(home string) error) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	home := filepath.Join(cache, "saldo-tests")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do(home)
}

// Run runs a command that sets something up, and says so.
func Run(dir, name string, args ...string) error {
	fmt.Fprintf(os.Stderr, "tests need %s %s: this takes a while, once\n", name, strings.Join(args, " "))
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
