package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"saldo/dialect/gateway360"
	"saldo/dialect/mturk"
	"saldo/dialect/mturklegacy"
	"saldo/money"
)

// A config is what a server is told: flags over environment over the file over
// defaults.
type config struct {
	Data                 string
	Store                string // a database's URL; "": the data directory
	Listen               string
	AdminListen          string
	TLSCert, TLSKey      string
	PlaintextBehindProxy bool
	TrustedProxies       []netip.Prefix
	MasterKey            string // secret
	MasterKeyFile        string
	Backups              string
	LogFormat            string // auto, text, json
	LogLevel             string
	Cache                int64 // bytes
	DiskReserve          int64 // bytes
	Memory               int64 // bytes
	Rate                 int64 // requests a minute
	Drain                time.Duration
	WriteContext         bool

	Dialects          []string            // beside native
	DialectListen     map[string]string   // addresses of dialects that have one of their own
	DialectHost       map[string]string   // host names, the same
	LegacyRetired     mturklegacy.Retired // versions of the legacy MTurk API
	MTurkFees         mturk.Fees
	MTurkTokens       time.Duration // how long they are remembered; 0: for ever
	MTurkCurrency     string
	MTurkShowHeld     bool
	MTurkPlain        bool // messages without the time
	FrontierUpdatedAt bool
	FrontierUnit      string        // of accounts that are created by its API
	TwilioConcurrent  int           // 0: any number
	TwilioSubAccounts int           // 0: none
	TwilioTriggers    time.Duration // how often they are looked at
	Gateway360Prices  []gateway360.Price
	Gateway360Sink    string // a URL, or sinkLog; "": no messages are sent
	Gateway360SinkKey string // secret

	Watch  *watchConfig // of the file alone; nil: nothing
	Traces bool         // by the OTEL_ variables alone

	File string            // the file that was read; "": none
	from map[string]string // where each setting came from
	// again reads everything once more.
	again func() (*config, error)
	k     *koanf.Koanf
}

// A kind says how a setting is read.
type kind uint8

const (
	kindText kind = iota
	kindYesNo
	kindDuration
	kindSize
	kindList
)

// A setting is one thing that a server can be told: --key, SALDO_KEY, key in
// the file.
type setting struct {
	key    string
	kind   kind
	value  string // by default
	usage  string
	secret bool // no flag takes it, and it is not shown
}

// settings is everything that a server can be told.
var settings = []setting{
	{"data", kindText, "", "directory of the books (default: $XDG_STATE_HOME/saldo)", false},
	{"store", kindText, "", "PostgreSQL that has the books in place of the directory, for any number of nodes: postgres://USER@HOST/DATABASE", false},
	{"listen", kindText, "127.0.0.1:7400", "address to listen on", false},
	{"dialects", kindList, "twilio,mturk,gateway360,frontier", "vendors' APIs that are served beside the native one; mturk-legacy is the further one that there is", false},
	{"dialect-listen", kindList, "", "addresses that vendors' APIs have for themselves, as twilio=127.0.0.1:7402", false},
	{"dialect-host", kindList, "", "host names that vendors' APIs have for themselves, as mturk=mturk.example.com", false},
	{"mturk-legacy-retired", kindList, "", "versions of the legacy MTurk API, as 2014-08-15, that are answered as after their end in 2019; or all", false},
	{"mturk-fees", kindList, "20,20,5,0.01", "what MTurk's HITs cost beside their rewards: percent; percent more of ten assignments and up; percent more of Masters; the least of a payment in dollars", false},
	{"mturk-tokens", kindDuration, "24h", "how long MTurk's UniqueRequestTokens are remembered; 0: for ever", false},
	{"mturk-currency", kindText, "USD", "unit of the accounts of MTurk's requesters: a currency of two decimals or more", false},
	{"mturk-show-held", kindYesNo, "false", "tell in MTurk's OnHoldBalance what is on hold, which MTurk itself never did", false},
	{"mturk-plain-messages", kindYesNo, "false", "leave out the time that MTurk's messages end with", false},
	{"twilio-concurrent", kindSize, "0", "requests for one account that Twilio's API answers at once; more get 429. 0: any number", false},
	{"twilio-sub-accounts", kindSize, "1000", "sub-accounts that are not closed which an account may have for Twilio's API to make more. 0: it makes none", false},
	{"twilio-triggers", kindDuration, "15s", "how often Twilio's usage triggers are looked at, from 1s", false},
	{"gateway360-prices", kindList, "", "what a message costs by Gateway360's API: country, prefix, price and unit of each, as ES:34:0.0450:EUR", false},
	{"gateway360-sink", kindText, "", "where messages go that are sent by Gateway360's API: the URL of a server with the same API, or log; empty: none are sent", false},
	{"gateway360-sink-key", kindText, "", "the api_key for that server", true},
	{"frontier-updated-at", kindYesNo, "false", "tell in frontier's balances when they changed, which Frontier itself never does", false},
	{"frontier-unit", kindText, "CREDITS", "unit of the accounts that are created by Frontier's API; a tenant that has none of that code gets it, of 4 decimals", false},
	{"admin-listen", kindText, "", "another address for metrics, backups and tenants; the first one then has none of them", false},
	{"tls-cert", kindText, "", "file of the TLS certificate chain, PEM; read again on SIGHUP", false},
	{"tls-key", kindText, "", "file of the certificate's key, PEM", false},
	{"plaintext-behind-proxy", kindYesNo, "false", "listen beyond loopback without TLS, because a proxy before the server speaks it", false},
	{"trusted-proxies", kindList, "", "addresses and ranges whose X-Forwarded-For is believed", false},
	{"master-key", kindText, "", "the master keys themselves, as the file has them, a comma for each line's end", true},
	{"master-key-file", kindText, "", "file of the master keys (default: master.key in the data directory)", false},
	{"backups", kindText, "", "directory that backups of the running server go to (default: backups in the data directory)", false},
	{"log-format", kindText, "auto", "auto (text on a terminal), text or json", false},
	{"log-level", kindText, "info", "debug, info, warn or error", false},
	{"cache", kindSize, "64MB", "memory for blocks that were read from the disk", false},
	{"disk-reserve", kindSize, "256MB", "room on the disk that writes leave alone", false},
	{"memory", kindSize, "320MB", "what the garbage collector tries to keep the process below; 0: it does not (GOMEMLIMIT wins)", false},
	{"rate", kindSize, "1200000", "requests a minute that one credential may make, through all APIs together; 0: no bound", false},
	{"drain", kindDuration, "15s", "how long requests may take to finish when the server is told to stop", false},
	{"write-context", kindYesNo, "true", "write a context, so that the other commands find this server", false},
}

func (s *setting) env() string {
	return "SALDO_" + strings.ToUpper(strings.ReplaceAll(s.key, "-", "_"))
}

// configFlags adds the flags of settings to a command.
func configFlags(f *pflag.FlagSet, but ...string) {
	f.String("config", "", "file of settings, TOML (default: $XDG_CONFIG_HOME/saldo/saldo.toml, /etc/saldo/saldo.toml)")
	for _, s := range settings {
		switch {
		case s.secret, slices.Contains(but, s.key):
		case s.kind == kindYesNo:
			f.Bool(s.key, s.value == "true", s.usage)
		case s.kind == kindList:
			f.StringSlice(s.key, nil, s.usage)
		default:
			f.String(s.key, s.value, s.usage)
		}
	}
}

// fixed is a koanf provider of a map.
type fixed map[string]any

func (f fixed) Read() (map[string]any, error) { return f, nil }
func (f fixed) ReadBytes() ([]byte, error)    { return nil, errors.New("not bytes") }

// readConfig reads the settings from everywhere and checks them.
func readConfig(getenv func(string) string, flags *pflag.FlagSet) (*config, error) {
	c := &config{k: koanf.New("."), from: map[string]string{}, again: func() (*config, error) { return readConfig(getenv, flags) }}
	layers := []struct {
		name string
		load func() (koanf.Provider, error)
	}{
		{"default", func() (koanf.Provider, error) { return defaults(getenv), nil }},
		{"file", func() (koanf.Provider, error) { return c.readFile(getenv, flags) }},
		{"environment", func() (koanf.Provider, error) { return environment(getenv) }},
		{"flag", func() (koanf.Provider, error) {
			return posflag.ProviderWithFlag(flags, ".", c.k, changed(flags)), nil
		}},
	}
	for _, layer := range layers {
		p, err := layer.load()
		if err != nil {
			return nil, err
		}
		given := koanf.New(".")
		if err := given.Load(p, nil); err != nil {
			return nil, fmt.Errorf("settings by %s: %w", layer.name, err)
		}
		for _, key := range given.Keys() {
			c.from[key] = layer.name
		}
		if err := c.k.Merge(given); err != nil {
			return nil, err
		}
	}
	var err error
	if c.Traces, err = wantsTraces(getenv); err != nil {
		return nil, err
	}
	return c, c.fill()
}

func defaults(getenv func(string) string) koanf.Provider {
	m := fixed{}
	for _, s := range settings {
		m[s.key] = s.value
	}
	m["data"] = firstOf(getenv("STATE_DIRECTORY"), filepath.Join(xdg(getenv, "XDG_STATE_HOME", ".local/state"), "saldo"))
	return m
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// xdg returns one of the XDG base directories.
func xdg(getenv func(string) string, name, below string) string {
	return firstOf(getenv(name), filepath.Join(firstOf(getenv("HOME"), "."), below))
}

// changed gives the flags that stand on the command line and are settings.
func changed(flags *pflag.FlagSet) func(*pflag.Flag) (string, any) {
	return func(f *pflag.Flag) (string, any) {
		if !f.Changed || !slices.ContainsFunc(settings, func(s setting) bool { return s.key == f.Name }) {
			return "", nil
		}
		return f.Name, posflag.FlagVal(flags, f)
	}
}

// environment gives SALDO_X, or what the file says that SALDO_X_FILE names.
func environment(getenv func(string) string) (koanf.Provider, error) {
	var given []string
	for _, s := range settings {
		value, file := getenv(s.env()), getenv(s.env()+"_FILE")
		if s.key == "master-key" { // master-key-file is a setting itself, and no twin
			file = ""
		}
		if file != "" {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("%s_FILE: %w", s.env(), err)
			}
			value = strings.TrimRight(string(b), "\r\n")
		}
		if value != "" {
			given = append(given, s.env()+"="+value)
		}
	}
	return env.Provider("", env.Opt{Prefix: "SALDO_", EnvironFunc: func() []string { return given },
		TransformFunc: func(k, v string) (string, any) {
			return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(k, "SALDO_")), "_", "-"), v
		}}), nil
}

// readFile reads the one file of settings, if there is one.
func (c *config) readFile(getenv func(string) string, flags *pflag.FlagSet) (koanf.Provider, error) {
	named := getenv("SALDO_CONFIG")
	if f := flags.Lookup("config"); f != nil && f.Changed {
		named = f.Value.String()
	}
	places := []string{named}
	if named == "" {
		places = []string{filepath.Join(xdg(getenv, "XDG_CONFIG_HOME", ".config"), "saldo", "saldo.toml"), "/etc/saldo/saldo.toml"}
	}
	for _, place := range places {
		b, err := os.ReadFile(place)
		if errors.Is(err, fs.ErrNotExist) && named == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the file of settings: %w", err)
		}
		c.File = place
		m, err := toml.Parser().Unmarshal(b)
		if err != nil {
			var at interface{ Position() (row, column int) }
			if errors.As(err, &at) {
				row, column := at.Position()
				return nil, usagef("%s:%d:%d: %v", place, row, column, err)
			}
			return nil, usagef("%s: %v", place, err)
		}
		if table, ok := m["watch"].(map[string]any); ok {
			delete(m, "watch")
			if c.Watch, err = readWatch(place, getenv, table); err != nil {
				return nil, err
			}
		}
		return fixed(m), knownKeys(place, string(b), m)
	}
	return fixed{}, nil
}

// knownKeys refuses a key of the file that is no setting.
func knownKeys(file, content string, m map[string]any) error {
	for key := range m {
		if slices.ContainsFunc(settings, func(s setting) bool { return s.key == key }) {
			continue
		}
		place := file
		for i, line := range strings.Split(content, "\n") {
			line = strings.TrimLeft(line, " \t[\"'")
			if rest, ok := strings.CutPrefix(line, key); ok && strings.IndexAny(rest, " \t=.]\"'") == 0 {
				place += ":" + strconv.Itoa(i+1)
				break
			}
		}
		hint := ""
		if s := nearest(key); s != "" {
			hint = "; did you mean " + s + "?"
		}
		return usagef("%s: there is no setting %q%s ('saldo config list' has them all)", place, key, hint)
	}
	return nil
}

// nearest returns the setting that begins or ends as a key does, or has its letters.
func nearest(key string) string {
	plain := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(key))
	for _, s := range settings {
		if s.key == plain || strings.ReplaceAll(s.key, "-", "") == strings.ReplaceAll(plain, "-", "") {
			return s.key
		}
	}
	for _, s := range settings {
		same := 0
		for same < min(len(plain), len(s.key)) && plain[same] == s.key[same] {
			same++
		}
		if same >= max(3, len(plain)-3) {
			return s.key
		}
	}
	return ""
}

// fill reads the typed fields out of what was loaded, and checks them.
func (c *config) fill() error {
	r := reader{c: c}
	c.Data = r.directory("data", "")
	c.Store = r.text("store")
	c.Listen = r.address("listen")
	c.AdminListen = r.address("admin-listen")
	c.TLSCert, c.TLSKey = r.text("tls-cert"), r.text("tls-key")
	c.PlaintextBehindProxy = r.yesNo("plaintext-behind-proxy")
	c.TrustedProxies = r.prefixes("trusted-proxies")
	c.MasterKey, c.MasterKeyFile = r.text("master-key"), r.text("master-key-file")
	c.Backups = r.directory("backups", filepath.Join(c.Data, "backups"))
	c.LogFormat = r.oneOf("log-format", "auto", "text", "json")
	c.LogLevel = r.oneOf("log-level", "debug", "info", "warn", "error")
	c.Cache, c.DiskReserve, c.Memory = r.size("cache"), r.size("disk-reserve"), r.size("memory")
	c.Rate = r.count("rate")
	c.Drain = r.duration("drain")
	c.WriteContext = r.yesNo("write-context")
	c.checkStore(&r)
	c.fillDialects(&r)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		r.fail("tls-cert", "and tls-key belong together: give both or none")
	}
	r.safe("listen", c.Listen)
	r.safe("admin-listen", c.AdminListen)
	for _, address := range c.DialectListen {
		r.safe("dialect-listen", address)
	}
	return r.err
}

// fillDialects reads which vendors' APIs are served, and where.
func (c *config) fillDialects(r *reader) {
	c.Dialects = r.list("dialects")
	for _, name := range c.Dialects {
		if !slices.Contains(vendors, name) {
			r.fail("dialects", "has %q; there are %s (the native API is always served)", name, strings.Join(vendors, ", "))
		}
	}
	c.DialectListen, c.DialectHost = r.ofDialects("dialect-listen"), r.ofDialects("dialect-host")
	for name, address := range c.DialectListen {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			r.fail("dialect-listen", "has %q for %s; write HOST:PORT, or :PORT for every address of the machine", address, name)
		}
	}
	taken := map[string]string{}
	for name, host := range c.DialectHost {
		if hostname(host) == "" || strings.ContainsAny(host, ":/ ") {
			r.fail("dialect-host", "has %q for %s; write the name alone, without a port", host, name)
		}
		if c.DialectListen[name] != "" {
			r.fail("dialect-host", "has %s, which has an address of its own in dialect-listen: give one of the two", name)
		}
		host = hostname(host)
		if taken[host] != "" {
			r.fail("dialect-host", "has %s for two: a name is for one dialect", host)
		}
		c.DialectHost[name], taken[host] = host, name
	}
	retired, err := mturklegacy.ParseRetired(strings.Join(r.list("mturk-legacy-retired"), ","))
	if err != nil {
		r.fail("mturk-legacy-retired", "is wrong: %v", err)
	}
	c.LegacyRetired = retired
	if c.MTurkFees, err = mturk.ParseFees(r.list("mturk-fees")); err != nil {
		r.fail("mturk-fees", "is wrong: %v", err)
	}
	c.MTurkTokens, c.MTurkCurrency = r.duration("mturk-tokens"), r.text("mturk-currency")
	if err := (money.Unit{Code: c.MTurkCurrency, Scale: money.DefaultCurrencyScale, Kind: money.Credit}).Validate(); err != nil {
		r.fail("mturk-currency", "is wrong: %v", err)
	}
	c.MTurkShowHeld, c.MTurkPlain = r.yesNo("mturk-show-held"), r.yesNo("mturk-plain-messages")
	c.FrontierUpdatedAt = r.yesNo("frontier-updated-at")
	c.FrontierUnit = r.text("frontier-unit")
	if err := (money.Unit{Code: c.FrontierUnit, Scale: money.DefaultCreditScale, Kind: money.Credit}).Validate(); err != nil {
		r.fail("frontier-unit", "is wrong: %v", err)
	}
	c.TwilioConcurrent, c.TwilioSubAccounts = int(r.count("twilio-concurrent")), int(r.count("twilio-sub-accounts"))
	if c.TwilioTriggers = r.duration("twilio-triggers"); c.TwilioTriggers < time.Second {
		r.fail("twilio-triggers", "is %v; they are looked at at most once a second", c.TwilioTriggers)
	}
	c.fillSink(r)
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// A reader reads settings one by one and keeps the first error.
type reader struct {
	c   *config
	err error
}

func (r *reader) fail(key, format string, args ...any) {
	if r.err != nil {
		return
	}
	from := r.c.from[key]
	if from == "file" {
		from = r.c.File
	}
	r.err = usagef("setting %s (by %s) %s", key, from, fmt.Sprintf(format, args...))
}

func (r *reader) text(key string) string {
	v := r.c.k.Get(key)
	s, ok := v.(string)
	if !ok {
		r.fail(key, "has to be text in quotes, not %v", v)
	}
	return s
}

// directory makes a path of it that holds wherever it is said.
func (r *reader) directory(key, otherwise string) string {
	named := firstOf(r.text(key), otherwise)
	if named == "" {
		r.fail(key, "is empty; name a directory")
	}
	path, err := filepath.Abs(named)
	if err != nil {
		r.fail(key, "is no directory: %v", err)
	}
	return path
}

func (r *reader) oneOf(key string, words ...string) string {
	s := r.text(key)
	if !slices.Contains(words, s) {
		r.fail(key, "is %q; it has to be one of %s", s, strings.Join(words, ", "))
	}
	return s
}

func (r *reader) address(key string) string {
	s := r.text(key)
	if s == "" {
		return ""
	}
	if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
		r.fail(key, "is %q; write HOST:PORT, or :PORT for every address of the machine", s)
	}
	return s
}

func (r *reader) yesNo(key string) bool {
	switch v := r.c.k.Get(key).(type) {
	case bool:
		return v
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	r.fail(key, "has to be true or false, not %v", r.c.k.Get(key))
	return false
}

func (r *reader) duration(key string) time.Duration {
	s := r.text(key)
	d, err := time.ParseDuration(s)
	if r.err == nil && (err != nil || d < 0) {
		r.fail(key, "is %q; write a time as 15s or 2m", s)
	}
	return d
}

// size reads bytes: 256MB is 256 times 2^20.
func (r *reader) size(key string) int64 {
	if n, ok := r.c.k.Get(key).(int64); ok && n >= 0 {
		return n
	}
	s := r.text(key)
	n, err := parseSize(s)
	if err != nil {
		r.fail(key, "is %q; write bytes, or a size as 256MB or 2GB", s)
	}
	return n
}

// count reads how many.
func (r *reader) count(key string) int64 {
	if n, ok := r.c.k.Get(key).(int64); ok && n >= 0 {
		return n
	}
	s := fmt.Sprint(r.c.k.Get(key))
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		r.fail(key, "is %q; write a whole number from 0", s)
	}
	return n
}

func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGTBkmgtbi")
	shift, ok := map[string]int{"": 0, "B": 0, "K": 10, "KB": 10, "M": 20, "MB": 20, "G": 30, "GB": 30, "T": 40, "TB": 40,
		"KIB": 10, "MIB": 20, "GIB": 30, "TIB": 40}[strings.ToUpper(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || n > 1<<62>>shift {
		return 0, errors.New("not a size")
	}
	return n << shift, nil
}

// safe refuses an address that credentials would go to in the clear.
func (r *reader) safe(key, address string) {
	if address != "" && r.err == nil && !isLoopback(address) && r.c.TLSCert == "" && !r.c.PlaintextBehindProxy {
		r.fail(key, "is %s, beyond loopback, without TLS: credentials could be read on the way. Give tls-cert and tls-key, "+
			"or plaintext-behind-proxy if a proxy before this server speaks TLS", address)
	}
}

// list reads words with commas or spaces between them, or a list of the file.
func (r *reader) list(key string) (texts []string) {
	switch v := r.c.k.Get(key).(type) {
	case string:
		return strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' })
	case []string:
		return slices.DeleteFunc(slices.Clone(v), func(t string) bool { return t == "" })
	case []any:
		for _, t := range v {
			texts = append(texts, fmt.Sprint(t))
		}
	default:
		r.fail(key, "has to be a list, not %v", v)
	}
	return texts
}

// ofDialects reads a list of NAME=VALUE, of dialects that are served.
func (r *reader) ofDialects(key string) map[string]string {
	m := map[string]string{}
	for _, pair := range r.list(key) {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case value == "":
			r.fail(key, "has %q; write a dialect and what it gets, as twilio=…", pair)
		case !slices.Contains(r.c.Dialects, name):
			r.fail(key, "has %q, which is not among the dialects that are served: %s", name, strings.Join(r.c.Dialects, ", "))
		case m[name] != "":
			r.fail(key, "has %s twice", name)
		}
		m[name] = value
	}
	return m
}

func (r *reader) prefixes(key string) (ps []netip.Prefix) {
	for _, t := range r.list(key) {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			a, err := netip.ParseAddr(t)
			if err != nil {
				r.fail(key, "has %q, which is neither an address nor a range as 10.0.0.0/8", t)
				return nil
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		ps = append(ps, p.Masked())
	}
	return ps
}
