package tidy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "saldo"

// layers says which packages of this module each part may import. A package of the same part is always allowed; a
// part that is not named here may import anything, and no part named here may import it.
var layers = map[string][]string{
	"money":     {},
	"ledger":    {"money"},
	"store/*":   {"money", "ledger"},
	"auth":      {"money", "ledger"},
	"dialect":   {"money", "ledger", "auth"},
	"dialect/*": {"money", "ledger", "auth", "dialect"},
	// Both requester APIs show the same balance of the same account.
	"dialect/mturklegacy": {"money", "ledger", "auth", "dialect", "dialect/mturk"},
	// It reads by dialect.Reader; which client halves there are is for cmd to say.
	"watch": {"money", "ledger", "auth", "dialect"},
	"dash":  {},
}

// A rule returns what is wrong with the file of that name, one line each.
type rule func(name, text string) []string

var rules = map[string]rule{
	"gofmt":     gofmt,
	"float":     noFloat,
	"imports":   importsOneWay,
	"clock":     noClock,
	"machine":   noMachine,
	"decisions": decisionsNumbered,
}

func TestTrackedFiles(t *testing.T) {
	files := tracked(t)
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			for file, text := range files {
				for _, problem := range rules[name](file, text) {
					t.Errorf("%s: %s", file, problem)
				}
			}
		})
	}
	t.Run("package docs", func(t *testing.T) {
		for _, problem := range undocumented(files) {
			t.Error(problem)
		}
	})
	t.Run("decision numbers", func(t *testing.T) {
		for _, problem := range sameNumber(files) {
			t.Error(problem)
		}
	})
}

// gofmt wants Go files as gofmt writes them.
func gofmt(name, text string) []string {
	if path.Ext(name) != ".go" {
		return nil
	}
	formatted, err := format.Source([]byte(text))
	if err != nil {
		return []string{err.Error()}
	}
	if string(formatted) != text {
		return []string{"is not as gofmt writes it: make format"}
	}
	return nil
}

var (
	floating = regexp.MustCompile(`\b(float32|float64|ParseFloat)\b`)
	reason   = regexp.MustCompile(`// float: \S`)
)

// noFloat wants no floating point where money is, but for lines that say why: `// float: and the reason`.
func noFloat(name, text string) []string {
	if !shipped(name) || !slices.Contains([]string{"money", "ledger", "store", "dialect"}, firstElement(name)) {
		return nil
	}
	return grep(text, func(line string) bool { return floating.MatchString(line) && !reason.MatchString(line) },
		"floating point near money; if it has to be, say why on the line: // float: reason")
}

// importsOneWay holds what ships to layers, and keeps the world out of the ledger. Tests and the packages made for
// them (ledgertest, dialecttest) may import what they test with.
func importsOneWay(name, text string) []string {
	if !shipped(name) || strings.HasSuffix(path.Dir(name), "test") {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
	if err != nil {
		return []string{err.Error()}
	}
	home := part(path.Dir(name))
	allowed, bound := layers[home]
	if !bound {
		allowed, bound = layers[path.Dir(home)+"/*"]
	}
	var problems []string
	for _, spec := range file.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		if home == "ledger" && slices.Contains([]string{"net/http", "database/sql", "os"}, target) {
			problems = append(problems, "the ledger imports "+target+"; it does no I/O")
		}
		own, ok := strings.CutPrefix(target, module+"/")
		if bound && ok && part(own) != home && !slices.Contains(allowed, own) {
			problems = append(problems, fmt.Sprintf("%s imports %s; of this module it may import %q", home, own, allowed))
		}
	}
	return problems
}

var (
	rulesOfLedger = regexp.MustCompile(`^ledger/(decide|fold)[^/]*\.go$`)
	outside       = regexp.MustCompile(`^(time\.(Now|Since|Until|After|AfterFunc|Tick|Sleep|NewTimer|NewTicker)|rand\..*)$`)
)

// noClock keeps time and chance out of deciding and folding: whoever calls them says what time it is.
func noClock(name, text string) []string {
	if !rulesOfLedger.MatchString(name) || !shipped(name) {
		return nil
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, 0)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if used := types.ExprString(selector); outside.MatchString(used) {
			problems = append(problems, fmt.Sprintf("line %d: %s in a function of its arguments", set.Position(n.Pos()).Line, used))
		}
		return true
	})
	return problems
}

// Each pattern holds a character class so that it does not match itself.
var machine = regexp.MustCompile(`/w[o]rk/|/f[a]rm/|/t[m]p/bash_|\.l[i]brary/|\.\./s[h]ared|` +
	`proxy\.g[o]lang|sum\.g[o]lang|registry\.n[p]mjs|deb\.d[e]bian|[^a-z]T[O]DO[^a-z]|[^a-z]F[I]XME[^a-z]`)

// noMachine wants nothing that only means something on the machine where it was written, and no work left over.
func noMachine(name, text string) []string {
	if base := path.Base(name); base == "go.sum" || base == "package-lock.json" || strings.ContainsRune(text, 0) {
		return nil
	}
	return grep(text, machine.MatchString, "names a machine's path, a registry's host or work left over")
}

var decision = regexp.MustCompile(`^docs/decisions/(\d{4})-[a-z0-9-]+\.md$`)

// decisionsNumbered wants docs/decisions/0001-what-was-decided.md.
func decisionsNumbered(name, _ string) []string {
	if strings.HasPrefix(name, "docs/decisions/") && !decision.MatchString(name) {
		return []string{"a decision is named docs/decisions/0001-in-a-few-words.md"}
	}
	return nil
}

// sameNumber finds decisions that share a number.
func sameNumber(files map[string]string) (problems []string) {
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m := decision.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if other, taken := first[m[1]]; taken {
			problems = append(problems, name+" has the number of "+other)
		}
		first[m[1]] = name
	}
	return problems
}

// undocumented finds packages of which no file says, above its package clause, what the package is.
func undocumented(files map[string]string) (problems []string) {
	documented := map[string]bool{}
	for name, text := range files {
		if !shipped(name) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			continue // gofmt reports it
		}
		want := "Package " + file.Name.Name + " "
		if doc := file.Doc.Text(); doc != "" && !strings.HasPrefix(doc, want) && file.Name.Name != "main" {
			problems = append(problems, fmt.Sprintf("%s: the package's comment should begin %q", name, want))
		}
		documented[path.Dir(name)] = documented[path.Dir(name)] || file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			problems = append(problems, dir+": no file says what the package is")
		}
	}
	return problems
}

// TestRulesBite shows each rule something that breaks it, and the nearest thing that does not.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		rule, file, text string
		problems         int
	}{
		{"gofmt", "money/a.go", "package money\nvar  x int\n", 1},
		{"gofmt", "money/a.go", "package money\n\nvar x int\n", 0},
		{"gofmt", "money/a.go", "package\n", 1},
		{"float", "money/a.go", "var x float64\n", 1},
		{"float", "store/embedded/a.go", "strconv.ParseFloat(s, 64)\n", 1},
		{"float", "dialect/twilio/a.go", "var ok float64 // float: seconds\nvar x float32 // float:\n", 1},
		{"float", "money/a_test.go", "var x float64\n", 0},
		{"float", "watch/a.go", "var x float64\n", 0},
		{"imports", "money/a.go", `package money; import "saldo/ledger"`, 1},
		{"imports", "ledger/a.go", `package ledger; import ("os"; "net/http"; "saldo/money"; "saldo/store/embedded")`, 3},
		{"imports", "ledger/a_test.go", `package ledger_test; import ("os"; "saldo/store/embedded")`, 0},
		{"imports", "ledger/ledgertest/a.go", `package ledgertest; import ("os"; "saldo/ledger")`, 0},
		{"imports", "store/embedded/a.go", `package embedded; import ("os"; "saldo/ledger"; "saldo/store/embedded/journal")`, 0},
		{"imports", "store/embedded/a.go", `package embedded; import ("saldo/auth"; "saldo/store/postgres")`, 2},
		{"imports", "auth/a.go", `package auth; import ("saldo/dialect"; "saldo/ledger")`, 1},
		{"imports", "dialect/a.go", `package dialect; import ("saldo/auth"; "saldo/dialect/native")`, 1},
		{"imports", "dialect/twilio/a.go", `package twilio; import ("saldo/dialect"; "saldo/dialect/native"; "saldo/watch")`, 2},
		{"imports", "dialect/mturklegacy/a.go", `package mturklegacy; import ("saldo/dialect/mturk"; "saldo/dialect/twilio")`, 1},
		{"imports", "dialect/mturk/a.go", `package mturk; import "saldo/dialect/mturklegacy"`, 1},
		{"imports", "cmd/saldo/a.go", `package main; import ("os"; "saldo/dialect/native"; "saldo/watch")`, 0},
		{"clock", "ledger/decide.go", "package ledger\n\nvar a, b = time.Now(), time.Second", 1},
		{"clock", "ledger/fold_hold.go", "package ledger\n\nvar a = rand.Int()", 1},
		{"clock", "ledger/loop.go", "package ledger\n\nvar a = time.Now()", 0},
		{"machine", "README.md", "see /wo" + "rk/main\n// TO" + "DO: more\nhttps://proxy.go" + "lang.org\n", 3},
		{"machine", "README.md", "It works on /var/lib/saldo, todo lists and golang.org.\n", 0},
		{"decisions", "docs/decisions/why.md", "", 1},
		{"decisions", "docs/decisions/0001-one-journal-a-book.md", "", 0},
	} {
		if got := rules[c.rule](c.file, c.text); len(got) != c.problems {
			t.Errorf("%s finds %d problems %q in %s, want %d:\n%s", c.rule, len(got), got, c.file, c.problems, c.text)
		}
	}
	if got := undocumented(map[string]string{
		"a/a.go": "package a\n", "a/b.go": "// Package a is fine.\npackage a\n",
		"b/b.go":      "package b\n",
		"c/c.go":      "// This is c.\npackage c\n",
		"cmd/d/d.go":  "// Saldo is fine.\npackage main\n",
		"e/a_test.go": "package e\n",
	}); len(got) != 2 {
		t.Errorf("undocumented finds %q, want b and c", got)
	}
	if got := sameNumber(map[string]string{
		"docs/decisions/0001-a.md": "", "docs/decisions/0002-b.md": "", "docs/decisions/0002-c.md": "",
	}); len(got) != 1 {
		t.Errorf("sameNumber finds %q, want 0002", got)
	}
}

// tracked returns the text of every file that git tracks; without git, of every file below the module's root that
// is neither hidden nor in dist.
func tracked(t *testing.T) map[string]string {
	root := filepath.Join("..", "..")
	// The test cache notes which files a test looks at; it cannot see what git does.
	os.Stat(filepath.Join(root, ".git", "index"))
	var names []string
	if list, err := exec.Command("git", "-C", root, "ls-files", "-z").Output(); err == nil {
		names = strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	} else {
		names = walk(t, root)
	}
	files := map[string]string{}
	for _, name := range names {
		info, err := os.Lstat(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // removed but not yet committed; a link
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(name)] = string(text)
	}
	if files["go.mod"] == "" {
		t.Fatalf("go.mod is not among the %d files found: this is not the root", len(files))
	}
	return files
}

func walk(t *testing.T, root string) (names []string) {
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "dist"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		name, err = filepath.Rel(root, name)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// shipped says whether name is a Go file of a program, neither a test nor a test's data.
func shipped(name string) bool {
	return path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") && !strings.Contains("/"+name, "/testdata/")
}

// part returns the part of the module that a package belongs to: store/embedded, but ledger for ledger/ledgertest.
func part(dir string) string {
	elements := strings.Split(dir, "/")
	if first := elements[0]; len(elements) > 1 && (first == "store" || first == "dialect") {
		return first + "/" + elements[1]
	}
	return elements[0]
}

func firstElement(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

// grep returns one line for each line of text that is bad.
func grep(text string, bad func(line string) bool, why string) (problems []string) {
	for i, line := range strings.Split(text, "\n") {
		if bad(line) {
			problems = append(problems, fmt.Sprintf("line %d: %s: %s", i+1, why, strings.TrimSpace(line)))
		}
	}
	return problems
}
