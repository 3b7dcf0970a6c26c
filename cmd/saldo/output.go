package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/itchyny/gojq"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// An object is a JSON object on its way to be shown.
type object = map[string]any

// globalFlags adds the flags that every command has.
func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "", "table, json, yaml or csv")
	f.StringSliceVar(&a.fields, "json", nil, "print these fields as JSON, separated by commas")
	f.StringVar(&a.jq, "jq", "", "print what this jq expression makes of the JSON")
	f.BoolVar(&a.noInput, "no-input", false, "never ask")
	f.StringVar(&a.to.address, "address", "", "the server's address, as http://127.0.0.1:7400")
	f.StringVar(&a.to.tokenFile, "token-file", "", "file with the token to show to the server; - is stdin")
	f.StringVar(&a.to.tenant, "tenant", "", "which tenant, for a token that opens several (default: main)")
	f.StringVar(&a.to.context, "context", "", "which context to use (see 'saldo context')")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.output != "" && !slices.Contains(outputs, a.output) {
			return usagef("-o %s is not known; it is one of %s", a.output, strings.Join(outputs, ", "))
		}
		return nil
	}
}

var outputs = []string{"table", "json", "yaml", "csv"}

// isTerminal reports whether a person sees what is written to w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// plain reports whether no colour and no animation goes to w.
func (a *app) plain(w any) bool {
	return !isTerminal(w) || a.getenv("NO_COLOR") != "" || a.getenv("TERM") == "dumb"
}

// structured reports whether stdout is for a program.
func (a *app) structured() bool {
	return a.jq != "" || len(a.fields) > 0 || a.output != "" && a.output != "table"
}

// whole reports whether stdout gets all that the server said, and not the columns
// of a table or of CSV.
func (a *app) whole() bool {
	return a.structured() && (a.output != "csv" || a.jq != "" || len(a.fields) > 0)
}

// show prints one thing: v is an object, or JSON of one.
func (a *app) show(v any, columns ...string) error {
	return a.print(v, func() error {
		o, err := asObject(v)
		if err != nil {
			return err
		}
		if a.output == "csv" {
			return a.writeCSV([]object{o}, columns)
		}
		t := a.table()
		for _, c := range columns {
			if text := legible(field(o, c)); text != "" {
				t.AppendRow(table.Row{title(c), text})
			}
		}
		t.Render()
		return nil
	})
}

// showList prints many things: list is objects, or JSON of an array of them.
func (a *app) showList(list any, columns ...string) error {
	return a.print(list, func() error {
		rows, err := asObjects(list)
		if err != nil {
			return err
		}
		if a.output == "csv" {
			return a.writeCSV(rows, columns)
		}
		t := a.table()
		head := table.Row{}
		for _, c := range columns {
			head = append(head, title(c))
		}
		t.AppendHeader(head)
		var configs []table.ColumnConfig
		for i, c := range columns {
			if isFigure(c) {
				configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
			}
		}
		t.SetColumnConfigs(configs)
		for _, o := range rows {
			row := table.Row{}
			for _, c := range columns {
				row = append(row, legible(field(o, c)))
			}
			t.AppendRow(row)
		}
		t.Render()
		return nil
	})
}

// print prints v as a program wants it, or calls people.
func (a *app) print(v any, people func() error) error {
	if !a.whole() {
		return people()
	}
	plain, err := decoded(v)
	if err != nil {
		return err
	}
	if len(a.fields) > 0 {
		plain = selected(plain, a.fields)
	}
	if a.jq != "" {
		return a.query(plain)
	}
	if a.output == "yaml" {
		e := yaml.NewEncoder(a.stdout)
		e.SetIndent(2)
		return errors.Join(e.Encode(asYAML(plain)), e.Close())
	}
	if raw, ok := v.(json.RawMessage); ok && len(a.fields) == 0 { // in the server's order
		var out bytes.Buffer
		if err := json.Indent(&out, raw, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
		_, err := a.stdout.Write(out.Bytes())
		return err
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(plain)
}

// query prints what --jq makes of v: text as it is, the rest as JSON.
func (a *app) query(v any) error {
	q, err := gojq.Parse(a.jq)
	if err != nil {
		return usagef("--jq: %v", err)
	}
	for results := q.Run(v); ; {
		r, ok := results.Next()
		if !ok {
			return nil
		}
		switch r := r.(type) {
		case error:
			return usagef("--jq: %v", r)
		case string:
			_, err = fmt.Fprintln(a.stdout, r)
		default:
			var line []byte
			if line, err = gojq.Marshal(r); err == nil {
				_, err = fmt.Fprintf(a.stdout, "%s\n", line)
			}
		}
		if err != nil {
			return err
		}
	}
}

// decoded returns v as encoding/json has it in any, with numbers as they are
// written: those of metadata are somebody else's ids.
func decoded(v any) (out any, err error) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		if raw, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something after the JSON")
	}
	return out, nil
}

// asYAML turns the numbers of what was decoded into numbers of YAML.
func asYAML(v any) any {
	switch v := v.(type) {
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case object:
		out := object{}
		for k := range v {
			out[k] = asYAML(v[k])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asYAML(v[i])
		}
		return out
	}
	return v
}

func asObject(v any) (object, error) {
	if o, ok := v.(object); ok {
		return o, nil
	}
	o, err := decoded(v)
	if m, ok := o.(object); ok || err != nil {
		return m, err
	}
	return nil, fmt.Errorf("the server answered something that is no object")
}

func asObjects(v any) ([]object, error) {
	if list, ok := v.([]object); ok {
		return list, nil
	}
	d, err := decoded(v)
	if err != nil {
		return nil, err
	}
	list, _ := d.([]any)
	rows := []object{}
	for _, item := range list {
		if o, ok := item.(object); ok {
			rows = append(rows, o)
		}
	}
	return rows, nil
}

// selected keeps some fields of an object, or of every object of a list.
func selected(v any, fields []string) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = selected(v[i], fields)
		}
		return out
	case object:
		out := object{}
		for _, f := range fields {
			out[f] = dig(v, f)
		}
		return out
	}
	return v
}

// dig returns what stands at a path such as balance.spendable.
func dig(o object, path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	v := o[name]
	if !deeper {
		return v
	}
	inner, _ := v.(object)
	return dig(inner, rest)
}

// field is what a cell says of the value at a path.
func field(o object, path string) string {
	switch v := dig(o, path).(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var parts []string
		for _, p := range v {
			parts = append(parts, fmt.Sprint(p))
		}
		return strings.Join(parts, ",")
	case []string:
		return strings.Join(v, ",")
	case object:
		b, _ := json.Marshal(v)
		return string(b)
	case float64: // float: a time that bench measured, never an amount
		return strings.TrimSuffix(fmt.Sprintf("%.3f", v), ".000")
	default:
		return fmt.Sprint(v)
	}
}

// legible returns a text without what a terminal would do in place of showing it:
// names come from customers, and messages from whatever server was asked.
func legible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, s)
}

func title(column string) string {
	if i := strings.LastIndexByte(column, '.'); i >= 0 {
		column = column[i+1:]
	}
	return strings.ToUpper(strings.ReplaceAll(column, "_", " "))
}

// isFigure reports whether a column's numbers stand one under the other.
func isFigure(column string) bool {
	column = column[strings.LastIndexByte(column, '.')+1:]
	return slices.Contains([]string{"posted", "held", "available", "credit_limit", "spendable", "balance", "on_hold", "amount", "remaining", "captured",
		"spent", "cap", "running", "seq", "scale"}, column)
}

func (a *app) table() table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.stdout)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "   "
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	return t
}

// known is what may begin like a formula: an amount, or a system account.
var known = regexp.MustCompile(`^(-?[0-9]+(\.[0-9]+)?|@(cash|revenue|fees)(:[A-Z0-9]+)?)$`)

// cell keeps a spreadsheet from taking a text, which may be a customer's, for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) && !known.MatchString(s) {
		return "'" + s
	}
	return s
}

func (a *app) writeCSV(rows []object, columns []string) error {
	w := csv.NewWriter(a.stdout)
	w.UseCRLF = false
	if err := w.Write(columns); err != nil {
		return err
	}
	for _, o := range rows {
		var line []string
		for _, c := range columns {
			line = append(line, cell(field(o, c)))
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// say tells a person something beside the data.
func (a *app) say(format string, args ...any) { sayTo(a.stderr, format, args...) }

func sayTo(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
