package main

import (
	"io"
	"log/slog"
)

// logger returns where a server's log goes: text on a terminal, JSON elsewhere.
func (a *app) logger(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // checked with the settings
	o := &slog.HandlerOptions{Level: least}
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
