package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"saldo/auth"
	"saldo/dialect"
	"saldo/dialect/native"
	"saldo/ledger"
)

// The exit codes. They are documented and do not change.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // funds, state, conflict
	exitDenied  = 4
	exitRetry   = 5
)

// A usageError is a command that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// A silent error was told already.
type silent struct{ error }

func (e silent) Unwrap() error { return e.error }

// exitCode says which code an error ends the program with.
func exitCode(err error) int {
	var usage *usageError
	var refused *native.Error
	var ledgers *ledger.Error
	var network net.Error
	var vendor *dialect.Error
	var found foundError
	var file *fs.PathError
	var listening *net.OpError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &found):
		return found.code
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.As(err, &refused):
		return refusalCode(refused.LedgerCode(), refused.Retryable)
	case errors.As(err, &ledgers):
		return refusalCode(ledgers.Code, ledgers.Code.Retryable())
	case errors.As(err, &vendor):
		switch {
		case vendor.Reason == dialect.Unauthorized, vendor.Reason == dialect.Forbidden:
			return exitDenied
		case vendor.Reason.Retryable():
			return exitRetry
		}
		return exitFailed
	case errors.Is(err, auth.ErrUnauthorized):
		return exitDenied
	case errors.As(err, &file), errors.As(err, &listening) && listening.Op == "listen":
		return exitFailed // their errors of the system have the methods of a net.Error
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		return exitRetry
	}
	return exitFailed
}

func refusalCode(code ledger.Code, retryable bool) int {
	switch {
	case code == ledger.Denied:
		return exitDenied
	case retryable:
		return exitRetry
	case code == ledger.Invalid:
		return exitUsage
	case code == ledger.Internal, code == ledger.NotFound:
		return exitFailed
	}
	return exitRefused
}

// explain is what a person is told of an error.
func explain(err error) string {
	var refused *native.Error
	if !errors.As(err, &refused) {
		return err.Error()
	}
	text := refused.Error()
	if refused.Spendable != "" {
		text += fmt.Sprintf("\nrequired %s %s, spendable %s %s", refused.Required, refused.Unit, refused.Spendable, refused.Unit)
		if refused.LimitSource != "" {
			text += " (" + refused.LimitSource + " of " + refused.Account + ")"
		}
	}
	return text
}
