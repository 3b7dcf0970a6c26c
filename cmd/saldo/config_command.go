package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"saldo/auth"
)

// configCommand is saldo config: what a server would be told, and by whom.
func (a *app) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and show what a server is told"}
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the settings, and print them with secrets masked",
		Example: `  saldo config check
  saldo config check --config /etc/saldo/saldo.toml
  SALDO_LISTEN=0.0.0.0:7400 saldo config check   # refused: beyond loopback without TLS`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(a.getenv, c.Flags())
			if err != nil {
				return err
			}
			if cfg.TLSCert != "" {
				if _, err := loadCertificate(cfg.TLSCert, cfg.TLSKey); err != nil {
					return err
				}
			}
			if cfg.MasterKey != "" || cfg.MasterKeyFile != "" {
				if _, err := auth.LoadMasterKeys("", cfg.MasterKeyFile, cfg.MasterKey); err != nil {
					return err
				}
			}
			rows := []object{}
			for _, s := range settings {
				value := strings.Trim(fmt.Sprint(cfg.k.Get(s.key)), "[]")
				value = withoutSecret(value)
				if s.secret && value != "" {
					value = "(secret)"
				}
				from := cfg.from[s.key]
				if from == "file" {
					from = cfg.File
				}
				rows = append(rows, object{"setting": s.key, "value": value, "from": from})
			}
			return a.showList(rows, "setting", "value", "from")
		},
	}
	configFlags(check.Flags())
	all := &cobra.Command{
		Use:   "list",
		Short: "List every setting: its flag, its variable, its default, what it is for",
		RunE: func(*cobra.Command, []string) error {
			rows := []object{}
			for _, s := range settings {
				flag := "--" + s.key
				if s.secret {
					flag = ""
				}
				rows = append(rows, object{"setting": s.key, "flag": flag, "variable": s.env(), "default": s.value, "usage": s.usage})
			}
			return a.showList(rows, "setting", "variable", "default", "usage")
		},
	}
	c.AddCommand(check, all)
	return c
}
