package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"saldo/ledger"
	"saldo/watch"
)

// watchedFile is what the file of settings has to watch, as it was last read.
type watchedFile struct {
	config  *watchConfig
	sources []*watch.Source
}

// reread reads the file of settings again, for the sources and endpoints in it. A
// file that cannot be used changes nothing.
func (n *node) reread(ctx context.Context, log *slog.Logger) {
	next, err := n.config.again()
	if err == nil && next.File != n.config.File {
		err = fmt.Errorf("it was %s, and now it is %s", firstOf(n.config.File, "none"), firstOf(next.File, "none"))
	}
	var changes []any
	if err == nil {
		changes, err = n.rewatch(ctx, next.Watch)
	}
	switch {
	case err != nil:
		log.Error("the file of settings cannot be read again; what is watched stays as it was", "error", err)
	case next.File == "":
		log.Info("there is no file of settings to read again")
	case len(changes) == 0:
		log.Info("the file of settings was read again: it has nothing new to watch; other settings are read when the server starts", "file", next.File)
	default:
		log.Info("the file of settings was read again", append([]any{"file", next.File}, changes...)...)
	}
}

// rewatch watches what a file has now, and says what is new, other or gone.
// What is as it was goes on as if nothing had happened.
func (n *node) rewatch(ctx context.Context, next *watchConfig) (changes []any, err error) {
	t, err := n.ledger.TenantByName(ctx, ledger.FirstBook)
	if err != nil {
		return nil, err
	}
	was := n.file
	sources, endpoints, err := next.made(t.Number)
	if err != nil {
		return nil, err
	}
	before, after := was.config.contents(), next.contents()
	for i, s := range sources {
		if key := "source " + s.Name; reflect.DeepEqual(before[key], after[key]) {
			sources[i] = was.sources[slices.IndexFunc(was.sources, func(o *watch.Source) bool { return o.Name == s.Name })]
		}
	}
	if err := n.watch.Replace(ctx, sources, endpoints); err != nil {
		return nil, err
	}
	n.file = watchedFile{next, sources}
	said := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		switch was, there := before[key]; {
		case !there:
			said["added"] = append(said["added"], key)
		case !reflect.DeepEqual(was, after[key]):
			said["changed"] = append(said["changed"], key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, there := after[key]; !there {
			said["removed"] = append(said["removed"], key)
		}
	}
	for _, what := range []string{"added", "changed", "removed"} {
		if said[what] != nil {
			changes = append(changes, what, said[what])
		}
	}
	return changes, nil
}

// contents is what a file has to watch, by kind and name.
func (c *watchConfig) contents() map[string]any {
	all := map[string]any{}
	if c == nil {
		return all
	}
	for i, s := range c.sources {
		all["source "+s.Name] = [2]any{s, c.secrets[i]}
	}
	for _, e := range c.endpoints {
		all["endpoint "+e.Name] = *e
	}
	return all
}
