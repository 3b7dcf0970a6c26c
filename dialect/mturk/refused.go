package mturk

import (
	"fmt"

	"saldo/ledger"
)

// A Refused is why the rules of HITs say no. What is the ledger's own (it is
// busy, it failed) comes as its *[ledger.Error].
type Refused struct {
	// Code is the TurkErrorCode, "" where none is known.
	Code string
	// Text is for people, and as the service had it where that was captured.
	// Programs match it. It has no milliseconds at its end.
	Text string
	// Parameter is whose value it is, if it could not be used.
	Parameter string
	// State is what the HIT or the assignment is in, if that is why.
	State string
}

func (r *Refused) Error() string { return r.Text }

// LedgerCode says what a caller can do about it, in the ledger's words.
func (r *Refused) LedgerCode() ledger.Code {
	switch r.Code {
	case codeHITDoesNotExist, codeHITTypeDoesNotExist, codeAssignmentMissing:
		return ledger.NotFound
	case codeAssignmentExists, codeHITAlreadyExists:
		return ledger.Exists
	case codeInvalidHITState, codeAssignmentState:
		return ledger.Changed
	case codePermissionDenied:
		return ledger.Frozen
	case codeInsufficientFunds:
		return ledger.Insufficient
	}
	return ledger.Invalid
}

// The codes of the family that the legacy SDKs of the service map to exceptions,
// and that programs of 2017 branch on.
const (
	codeInsufficientFunds    = "AWS.MechanicalTurk.InsufficientFunds"
	codePermissionDenied     = "AWS.MechanicalTurk.PermissionDenied"
	codeHITAlreadyExists     = "AWS.MechanicalTurk.HitAlreadyExists" // as documented in 2017; HITAlreadyExists before
	codeHITDoesNotExist      = "AWS.MechanicalTurk.HITDoesNotExist"
	codeHITTypeDoesNotExist  = "AWS.MechanicalTurk.HITTypeDoesNotExist"
	codeInvalidHITState      = "AWS.MechanicalTurk.InvalidHITState"
	codeInvalidIncrease      = "AWS.MechanicalTurk.InvalidMaximumAssignmentsIncrease"
	codeAssignmentMissing    = "AWS.MechanicalTurk.AssignmentDoesNotExist"
	codeAssignmentExists     = "AWS.MechanicalTurk.AssignmentAlreadyExists"
	codeAssignmentState      = "AWS.MechanicalTurk.InvalidAssignmentState"
	codeInvalidParameter     = "AWS.MechanicalTurk.InvalidParameterValue"
	codeXMLParse             = "AWS.MechanicalTurk.XMLParseError"
	codeNotServed            = "AWS.MechanicalTurk.NotServed" // ours
	textInsufficientFunds    = "This Requester has insufficient funds in their account to complete this transaction. Please visit https://requester.mturk.com/prepayments/new to purchase Prepaid HITs."
	textNotAuthorized        = "This user is not authorized to perform the requested operation."
	textStatusOf             = "This operation can be called with a status of: "
	textTokenUsed            = "The idempotency token \"%s\" has already been processed."
	textAssignmentNotPresent = "Assignment %s does not exist."
)

func noHIT(id string) *Refused {
	return &Refused{Code: codeHITDoesNotExist, Text: fmt.Sprintf("Hit %s does not exist.", id)}
}

func noHITType(id string) *Refused {
	return &Refused{Code: codeHITTypeDoesNotExist, Text: fmt.Sprintf("HITType %s does not exist.", id)}
}

func noAssignment(id string) *Refused {
	return &Refused{Code: codeAssignmentMissing, Text: fmt.Sprintf(textAssignmentNotPresent, id)}
}

// otherCurrency refuses an account that is not in the currency of the desk.
func otherCurrency() *Refused {
	return &Refused{Code: faults[faultCurrency].turk, Text: faults[faultCurrency].message}
}

// notValid refuses a value that is well formed and cannot be used.
func notValid(parameter string, value any) *Refused {
	return &Refused{Code: codeInvalidParameter, Parameter: parameter,
		Text: fmt.Sprintf("The value \"%v\" is not valid for the parameter %s.", value, parameter)}
}

// hitState refuses what a HIT's state does not allow
// (https://github.com/boto/boto3/issues/2107; the two blanks are the service's).
func hitState(h *hit, allowed string) *Refused {
	state := h.status().String()
	return &Refused{Code: codeInvalidHITState, State: state,
		Text: fmt.Sprintf("This HIT is currently in the state '%s'.  %s%s", state, textStatusOf, allowed)}
}

// assignmentState refuses what an assignment's state does not allow.
func assignmentState(a *assignment, allowed string) *Refused {
	return &Refused{Code: codeAssignmentState, State: a.status.String(), Text: textStatusOf + allowed}
}

// refusedBy makes a Refused of what the ledger says about money and accounts.
// Anything else passes through.
func refusedBy(err error) error {
	switch ledger.CodeOf(err) {
	case ledger.Insufficient, ledger.Overflow: // nobody has what does not fit
		return &Refused{Code: codeInsufficientFunds, Text: textInsufficientFunds}
	case ledger.Frozen, ledger.Closed:
		return &Refused{Code: codePermissionDenied, Text: textNotAuthorized}
	}
	return err
}
