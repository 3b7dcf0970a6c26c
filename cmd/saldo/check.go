package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// What saldo check says and ends with, as plugins of Nagios do, which Icinga,
// Naemon, Sensu, Zabbix and others run, too: their exit code is the index
// (nagios-plugins.org/doc/guidelines.html, "Plugin Return Codes").
var checkStates = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

const (
	checkOK = iota
	checkWarning
	checkCritical
	checkUnknown
)

// checkCommand is saldo check: saldo watch --once for monitoring.
func (a *app) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check [SOURCE...]",
		Short: "The balances that you hold at vendors in one line, as a Nagios plugin",
		Long: `The balances that you hold at vendors, all or those that are named, in one line
and an exit code as Nagios, Icinga, Naemon, Sensu and others take them from a
plugin: 0 OK, 1 WARNING (a balance is low), 2 CRITICAL, 3 UNKNOWN (one could not
be read, or nothing could be asked). The balances follow as performance data.

Whom it asks is as with saldo watch: a server, or the [[watch.sources]] of a file.`,
		Example: `  saldo check
  saldo check twilio deepseek --config /etc/saldo/saldo.toml
  command[check_vendors]=/usr/local/bin/saldo check --address https://saldo.example --token-file /etc/nagios/saldo.token`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, names []string) error { return a.check(c, names) },
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return a.checked(checkUnknown, nil, err.Error()) })
	c.Flags().String("config", "", "file of settings whose [[watch.sources]] are asked, without a server")
	spanFlag(c.Flags(), "timeout", 10*time.Second, "how long to wait for all of them")
	return c
}

func (a *app) check(c *cobra.Command, names []string) error {
	ctx, cancel := context.WithTimeout(c.Context(), spanOf(c, "timeout"))
	defer cancel()
	look, _, err := a.looker(c)
	var rows []object
	if err == nil {
		rows, err = look(ctx)
	}
	if err != nil {
		return a.checked(checkUnknown, nil, explain(err))
	}
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r object) bool { return field(r, "source") == name }) {
			return a.checked(checkUnknown, nil, "there is no source "+name)
		}
	}
	if len(names) > 0 {
		rows = slices.DeleteFunc(rows, func(r object) bool { return !slices.Contains(names, field(r, "source")) })
	}
	if len(rows) == 0 {
		return a.checked(checkUnknown, nil, "no source is watched")
	}
	worst, of := checkOK, make([][]string, len(checkStates))
	for _, r := range rows {
		state, text := judged(r)
		of[state] = append(of[state], text)
		// What is low goes before what is not known.
		if state != checkOK && worst != checkCritical && (state == checkCritical || worst != checkWarning) {
			worst = state
		}
	}
	text := strings.Join(slices.Concat(of[checkCritical], of[checkWarning], of[checkUnknown], of[checkOK]), ", ")
	return a.checked(worst, rows, text)
}

// judged says what a source's state is to a monitoring system, and why.
func judged(r object) (state int, text string) {
	text = field(r, "source") + " " + field(r, "balance") + " " + field(r, "unit")
	switch field(r, "state") {
	case "ok":
		return checkOK, text
	case "low":
		return checkWarning, text + " is low"
	case "critical":
		return checkCritical, text + " is critical"
	}
	why := field(r, "why")
	if why == "" {
		why = "not read yet"
	}
	return checkUnknown, field(r, "source") + ": " + strings.TrimSuffix(why, ".")
}

// checked prints the line, and returns what the exit code is made of.
func (a *app) checked(state int, rows []object, text string) error {
	line := "SALDO " + checkStates[state] + " - " + plainText(text)
	for _, r := range rows {
		if balance := field(r, "balance"); balance != "" {
			if !strings.Contains(line, " |") {
				line += " |"
			}
			line += " " + perfLabel(field(r, "source")) + "=" + balance
		}
	}
	err := a.print(object{"state": checkStates[state], "text": plainText(text), "sources": append([]object{}, rows...)}, func() error {
		_, err := fmt.Fprintln(a.stdout, line)
		return err
	})
	if err != nil || state == checkOK {
		return err
	}
	return silent{foundError{state}}
}

// plainText has no character that ends a plugin's text.
func plainText(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(legible(text), "|", "/")), " ")
}

// perfLabel quotes a label of performance data, which has no = in it.
func perfLabel(name string) string {
	name = strings.ReplaceAll(plainText(name), "=", "-")
	if !strings.ContainsAny(name, " '") {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", "''") + "'"
}
