// Command saldo keeps prepaid balances and answers "how much is left?": a
// server, and the commands that ask it.
//
// What always holds: data goes to stdout and everything else to stderr; no flag
// takes a secret; whatever moves money has an id, which is printed, and repeating
// the command under it moves nothing twice; the exit codes are those of [exitCode].
//
// The files: main.go has the tree of commands, config.go is the one place that
// reads flags, environment and files. node.go and serve.go are the server,
// demo.go is a server with sample accounts. client.go and output.go are what
// the commands share that ask a server; each of these has a file named after
// its noun.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once; not one that comes together with
	// the first, as timeout(1) and terminals send them.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var quiet silent
	if !errors.As(err, &quiet) {
		fmt.Fprintln(stderr, "saldo: "+legible(explain(err)))
		var usage *usageError
		if errors.As(err, &usage) && ran != nil {
			fmt.Fprintf(stderr, "Try '%s --help'.\n", ran.CommandPath())
		}
	}
	return code
}

// An app is one run of the program: what it was given, and the flags that every
// command has.
type app struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer

	output  string // table, json, yaml, csv; "": table
	fields  []string
	jq      string
	noInput bool
	to      connection
}

const exitHelp = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused (funds, state, conflict),
4 not authorized, 5 worth a retry.`

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "saldo",
		Short: "Keep prepaid balances, and answer how much is left",
		Long: `Saldo keeps prepaid balances and answers "how much is left?".

  saldo demo                                   try it: a server with sample accounts
  saldo serve --data DIR                       run a server
  saldo account create --unit USD --name Ann   open an account
  saldo topup ACCOUNT 20.00                    money in
  saldo charge ACCOUNT 0.35                    money out, never below what there is
  saldo balance ACCOUNT                        what is left
  saldo watch                                  what you hold at vendors
  saldo verify --data DIR                      prove the books

` + exitHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if number := negative.FindString(err.Error()); number != "" {
			return usagef("%v; a number below zero comes after --, which ends the flags: %s … -- %s", err, c.CommandPath(), number)
		}
		return usagef("%v", err)
	})
	root.SuggestionsMinimumDistance = 2
	root.SetUsageTemplate(examplesFirst(root.UsageTemplate()))
	a.globalFlags(root)
	root.AddGroup(
		&cobra.Group{ID: "server", Title: "Servers and their data:"},
		&cobra.Group{ID: "money", Title: "Money:"},
		&cobra.Group{ID: "watch", Title: "Balances elsewhere, and who is told:"},
		&cobra.Group{ID: "things", Title: "Accounts and access:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("server", a.serveCommand(), a.demoCommand(), a.verifyCommand(), a.migrateCommand(), a.copyCommand(), a.backupCommand(), a.restoreCommand(), a.benchCommand(),
		a.configCommand(), a.contextCommand(), a.versionCommand())
	add("watch", a.watchCommand(), a.checkCommand(), a.ruleCommand(), a.webhookCommand(), a.deliveryCommand(), a.alertCommand())
	add("money", a.balanceCommand(), a.topUpCommand(), a.chargeCommand(), a.adjustCommand(), a.holdCommand(), a.transferCommand(),
		a.statementCommand(), a.eventsCommand(), a.hitCommand())
	add("things", a.accountCommand(), a.unitCommand(), a.keyCommand(), a.tenantCommand(), a.bookCommand(), a.eraseCommand())
	needArguments(root)
	return root
}

// negative finds a number below zero at the end of what the flags' parser says
// of it: it takes it for flags of one letter.
var negative = regexp.MustCompile(`-[.0-9]+$`)

// examplesFirst moves the examples of help before all else.
func examplesFirst(template string) string {
	const begin, end = "{{if .HasExample}}", "{{end}}"
	i := strings.Index(template, begin)
	if i < 0 {
		return template
	}
	n := i + strings.Index(template[i:], end) + len(end)
	block := "{{if .HasExample}}Examples:\n{{.Example}}\n\n{{end}}"
	return block + template[:i] + template[n:]
}

// needArguments makes every command that has neither a say about its arguments
// nor something to do by itself refuse what it does not know, with suggestions.
func needArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		needArguments(sub)
	}
	if c.Args == nil && c.Runnable() {
		c.Args = cobra.NoArgs
	}
	if c.HasSubCommands() && !c.Runnable() && c.HasParent() {
		c.SuggestionsMinimumDistance = 2
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q%s", args[0], c.CommandPath(), suggestions(c, args[0]))
			}
			return nil
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				var own *usageError
				if errors.As(err, &own) {
					return err
				}
				if text := err.Error(); strings.HasPrefix(text, "accepts ") || strings.HasPrefix(text, "requires ") { // as "accepts 1 arg(s), received 0"
					return usagef("it is written as: %s", c.UseLine())
				}
				return usagef("%v", err)
			}
			return nil
		}
	}
}

func suggestions(c *cobra.Command, typed string) string {
	text := ""
	for _, s := range c.SuggestionsFor(typed) {
		text += "\n\t" + s
	}
	if text != "" {
		text = "\n\nDid you mean this?" + text + "\n"
	}
	return text
}
