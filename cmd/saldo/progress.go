package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress shows on a terminal how far something is; elsewhere it shows
// nothing.
type progress struct {
	app  *app
	what string
	bar  *progressbar.ProgressBar
}

func (a *app) progress(what string) *progress { return &progress{app: a, what: what} }

// bytes is told how many bytes of how many are done.
func (p *progress) bytes(done, total int64) { p.set(done, total, true) }

// events is told how many events of how many are done.
func (p *progress) events(done, total uint64) { p.set(int64(done), int64(total), false) }

func (p *progress) set(done, total int64, bytes bool) {
	if p.app.plain(p.app.stderr) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.app.stderr), progressbar.OptionSetDescription(p.what),
			progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	p.bar.ChangeMax64(total)
	_ = p.bar.Set64(done) // a bar that cannot be drawn is no failure
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
