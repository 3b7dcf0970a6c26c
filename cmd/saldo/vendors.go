package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/frontier"
	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/dialect/twilio"
)

// A vendor is how saldo balance asks in a vendor's language: the vendor itself,
// or whoever speaks its API, as this server does.
type vendor struct {
	name    string
	short   string
	example string
	options []vendorOption
	secrets []string // variables that may have the secret
	keyed   string   // the option whose secret the last variable has; without it the first has it. "": any
	reader  func(o map[string]string, address, secret string) dialect.Reader
}

// A vendorOption is a flag, or a variable in its place.
type vendorOption struct {
	flag     string
	vars     []string
	usage    string
	required bool
}

var vendorReaders = []vendor{
	{
		name: auth.Twilio, short: "What a Twilio account has",
		example: `  TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=… saldo balance twilio
  saldo balance twilio --account-sid AC… --secret-file token.txt
  saldo balance twilio --account-sid AC… --secret-file token.txt --address http://127.0.0.1:7400`,
		options: []vendorOption{
			{"account-sid", []string{"TWILIO_ACCOUNT_SID"}, "the account", true},
			{"key-sid", []string{"TWILIO_API_KEY"}, "an API key (SK…) whose secret it is, in place of the account's token", false},
		},
		secrets: []string{"TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET"}, keyed: "key-sid",
		reader: func(o map[string]string, address, secret string) dialect.Reader {
			return &twilio.Client{URL: address, AccountSID: o["account-sid"], User: o["key-sid"], Secret: secret}
		},
	},
	{
		name: auth.MTurk, short: "What a Mechanical Turk requester has",
		example: `  AWS_ACCESS_KEY_ID=AKIA… AWS_SECRET_ACCESS_KEY=… saldo balance mturk --address http://127.0.0.1:7400
  saldo balance mturk --access-key-id AKIA… --secret-file secret.txt --legacy 2014-08-15 --address http://127.0.0.1:7400`,
		options: []vendorOption{
			{"access-key-id", []string{"AWS_ACCESS_KEY_ID"}, "the access key", true},
			{"region", []string{"AWS_REGION", "AWS_DEFAULT_REGION"}, "what signatures name (default us-east-1)", false},
			{"legacy", nil, "ask by the API of that version, as 2014-08-15, in place of 2017-01-17", false},
			{"address", []string{"AWS_ENDPOINT_URL_MTURK", "AWS_ENDPOINT_URL"}, "", false},
			{"session-token", []string{"AWS_SESSION_TOKEN"}, "", false},
		},
		secrets: []string{"AWS_SECRET_ACCESS_KEY"},
		reader: func(o map[string]string, address, secret string) dialect.Reader {
			if v := o["legacy"]; v != "" {
				return &mturklegacy.Client{URL: address, AccessKeyID: o["access-key-id"], SecretAccessKey: secret, Version: v}
			}
			return &mturk.Client{URL: address, AccessKeyID: o["access-key-id"], SecretAccessKey: secret, SessionToken: o["session-token"], Region: o["region"]}
		},
	},
	{
		name: auth.Gateway360, short: "What a Gateway360 account has",
		example: `  GATEWAY360_API_KEY=… saldo balance gateway360
  saldo balance gateway360 --secret-file key.txt --user-name shop1`,
		options: []vendorOption{{"user-name", nil, "a sub-account of the key's account", false}},
		secrets: []string{"GATEWAY360_API_KEY"},
		reader: func(o map[string]string, address, secret string) dialect.Reader {
			return &gateway360.Client{URL: address, APIKey: secret, UserName: o["user-name"]}
		},
	},
	{
		name: auth.Frontier, short: "What a Raystack Frontier billing account has",
		example: `  FRONTIER_CLIENT_SECRET=… saldo balance frontier --address http://127.0.0.1:7400 --org-id … --billing-id … --client-id …`,
		options: []vendorOption{
			{"org-id", []string{"FRONTIER_ORG_ID"}, "the organization", true},
			{"billing-id", []string{"FRONTIER_BILLING_ID"}, "the billing account", true},
			{"client-id", []string{"FRONTIER_CLIENT_ID"}, "whose secret it is; without one the secret is a token", false},
			{"address", []string{"FRONTIER_URL"}, "", true},
		},
		secrets: []string{"FRONTIER_TOKEN", "FRONTIER_CLIENT_SECRET"}, keyed: "client-id",
		reader: func(o map[string]string, address, secret string) dialect.Reader {
			c := &frontier.Client{URL: address, OrgID: o["org-id"], BillingID: o["billing-id"], ClientID: o["client-id"], ClientSecret: secret}
			if c.ClientID == "" {
				c.ClientSecret, c.Token = "", secret
			}
			return c
		},
	},
}

// vendorCommands are the commands below saldo balance.
func (a *app) vendorCommands() (all []*cobra.Command) {
	for _, v := range vendorReaders {
		all = append(all, a.vendorCommand(v))
	}
	return append(all, a.saldoBalance())
}

func (a *app) vendorCommand(v vendor) *cobra.Command {
	var secretFile string
	c := &cobra.Command{
		Use:   v.name,
		Short: v.short,
		Long: v.short + `, asked in its own language: of the vendor, or of the server that
--address names. The secret comes from --secret-file or from ` + strings.Join(v.secrets, " or ") + `.`,
		Example: v.example,
		Args:    cobra.NoArgs,
	}
	for _, o := range v.options {
		if o.usage == "" { // no flag of its own
			continue
		}
		usage := o.usage
		if len(o.vars) > 0 {
			usage += " (or " + o.vars[0] + ")"
		}
		c.Flags().String(o.flag, "", usage)
	}
	c.Flags().StringVar(&secretFile, "secret-file", "", "file with the secret; - is stdin")
	c.RunE = func(c *cobra.Command, _ []string) error {
		given := map[string]string{}
		for _, o := range v.options {
			value := ""
			if f := c.Flags().Lookup(o.flag); f != nil {
				value = f.Value.String()
			}
			for _, name := range o.vars {
				value = firstOf(value, a.getenv(name))
			}
			if value == "" && o.required {
				return usagef("say --%s, or set %s", o.flag, o.vars[0])
			}
			given[o.flag] = value
		}
		secret, err := a.vendorSecret(secretFile, v.secretVars(given))
		if err != nil {
			return err
		}
		address := firstOf(a.to.address, given["address"])
		if address != "" && !strings.Contains(address, "://") {
			address = "https://" + address
		}
		r, err := v.reader(given, address, secret).Read(c.Context())
		if err != nil {
			return err
		}
		return a.showReading(v.name, &r)
	}
	return c
}

// secretVars returns the variables that may have the secret of what was given:
// that of a key is no account's, and must not be shown to a vendor as if it were.
func (v *vendor) secretVars(given map[string]string) []string {
	switch {
	case v.keyed == "":
		return v.secrets
	case given[v.keyed] == "":
		return v.secrets[:1]
	}
	return v.secrets[len(v.secrets)-1:]
}

// vendorSecret reads a secret from where it may be.
func (a *app) vendorSecret(file string, vars []string) (string, error) {
	if file == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, 1<<16))
		return strings.TrimSpace(string(b)), err
	}
	if file != "" {
		secret, err := readSecret(file)
		if err != nil {
			return "", fmt.Errorf("the secret: %w", err)
		}
		return secret, nil
	}
	for _, name := range vars {
		if secret := a.getenv(name); secret != "" {
			return secret, nil
		}
	}
	return "", usagef("no secret: give --secret-file, or set %s", strings.Join(vars, " or "))
}

// saldoBalance is saldo balance saldo: the same, of a server of this API.
func (a *app) saldoBalance() *cobra.Command {
	return &cobra.Command{
		Use:     "saldo ACCOUNT",
		Short:   "What an account of a Saldo has, in the same form as the vendors'",
		Example: "  saldo balance saldo ann --address https://saldo.example --token-file token",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.asker()
			if err != nil {
				return err
			}
			id, err := s.account(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := (&nativeReader{s.Client, id}).Read(c.Context())
			if err != nil {
				return s.explained(err)
			}
			return a.showReading("saldo", &r)
		},
	}
}

func (a *app) showReading(kind string, r *dialect.Reading) error {
	out := object{"vendor": kind, "balance": r.Text, "unit": r.Unit, "as_of": r.Time.UTC().Format(time.RFC3339)}
	if r.Account != "" {
		out["account"] = r.Account
	}
	if r.OnHold != "" {
		out["on_hold"] = r.OnHold
	}
	return a.show(out, "vendor", "account", "balance", "unit", "on_hold", "as_of")
}
