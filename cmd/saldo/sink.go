package main

import (
	"log/slog"
	"net"
	"net/url"

	"saldo/dialect/gateway360"
)

// sinkLog is the sink that writes messages to the log.
const sinkLog = "log"

// fillSink reads what messages of Gateway360's API cost, and where they go.
func (c *config) fillSink(r *reader) {
	var err error
	if c.Gateway360Prices, err = gateway360.ParsePrices(r.list("gateway360-prices")); err != nil {
		r.fail("gateway360-prices", "is wrong: %v", err)
	}
	c.Gateway360Sink, c.Gateway360SinkKey = r.text("gateway360-sink"), r.text("gateway360-sink-key")
	to, err := url.Parse(c.Gateway360Sink)
	switch {
	case c.Gateway360Sink == "":
	case len(c.Gateway360Prices) == 0:
		r.fail("gateway360-sink", "needs gateway360-prices: what a message costs")
	case c.Gateway360Sink == sinkLog:
	case err != nil || to.Host == "" || to.User != nil || to.Scheme != "https" && to.Scheme != "http":
		r.fail("gateway360-sink", "has to be log, or a URL without a path, as %s", gateway360.DefaultURL)
	case to.Scheme == "http" && !isLoopback(net.JoinHostPort(to.Hostname(), "80")):
		r.fail("gateway360-sink", "has to begin with https: the key and the messages could be read on the way")
	case c.Gateway360SinkKey == "":
		r.fail("gateway360-sink", "needs an api_key: set SALDO_GATEWAY360_SINK_KEY, or SALDO_GATEWAY360_SINK_KEY_FILE to a file that has it")
	}
}

// sink returns where messages of Gateway360's API go, or nil.
func (c *config) sink(log *slog.Logger) gateway360.Sink {
	switch c.Gateway360Sink {
	case "":
		return nil
	case sinkLog:
		return gateway360.LogSink{Logger: log}
	}
	return &gateway360.Client{URL: c.Gateway360Sink, APIKey: c.Gateway360SinkKey}
}
