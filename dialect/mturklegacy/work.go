package mturklegacy

import (
	"saldo/dialect"
	"saldo/dialect/mturk"
)

func (s *server) approveAssignment(x *dialect.Exchange, c *call) error {
	id, feedback := c.in.id("AssignmentId"), c.in.text("RequesterFeedback")
	return c.done(func() error { return c.requester.Approve(x.Context(), id, feedback, false) })
}

// approveRejected pays for work that was rejected, and for no other.
func (s *server) approveRejected(x *dialect.Exchange, c *call) error {
	id, feedback := c.in.id("AssignmentId"), c.in.text("RequesterFeedback")
	return c.done(func() error {
		if err := s.in(x, c, id, mturk.Rejected); err != nil {
			return err
		}
		return c.requester.Approve(x.Context(), id, feedback, true)
	})
}

func (s *server) rejectAssignment(x *dialect.Exchange, c *call) error {
	id, feedback := c.in.id("AssignmentId"), c.in.text("RequesterFeedback")
	return c.done(func() error { return c.requester.Reject(x.Context(), id, feedback) })
}

// in refuses work that is in none of some states. Where that matters it does not
// change behind the back of who asks: what was reviewed stays so, but for a
// rejection that is overridden.
func (s *server) in(x *dialect.Exchange, c *call, id string, states ...mturk.AssignmentStatus) error {
	a, _, err := c.requester.GetAssignment(x.Context(), id)
	if err != nil {
		return err
	}
	text := "This operation can be called with a status of: "
	for i, state := range states {
		if a.Status == state {
			return nil
		}
		if i > 0 {
			text += ","
		}
		text += state.String()
	}
	return &mturk.Refused{Code: codeAssignmentState, Text: text, State: a.Status.String()}
}

// grantBonus pays a bonus, for work that was reviewed.
func (s *server) grantBonus(x *dialect.Exchange, c *call) error {
	b := mturk.Bonus{WorkerID: c.in.id("WorkerId"), Amount: c.in.price("BonusAmount", c.currency),
		AssignmentID: c.in.id("AssignmentId"), Reason: c.in.need("Reason")}
	token := c.in.token()
	return c.done(func() error {
		if err := s.in(x, c, b.AssignmentID, mturk.Approved, mturk.Rejected); err != nil {
			return err
		}
		return c.requester.SendBonus(x.Context(), b, token)
	})
}

func (s *server) getAssignment(x *dialect.Exchange, c *call) error {
	id, groups := c.in.id("AssignmentId"), c.in.groups(groupDetail|groupQuestion)
	if err := c.in.err(); err != nil {
		return err
	}
	a, h, err := c.requester.GetAssignment(x.Context(), id)
	if err != nil {
		return err
	}
	x.Out = appendAssignment(x.Out, a, groups)
	x.Out = appendOpen(x.Out, "HIT")
	x.Out = c.appendHIT(x.Out, h, groups)
	x.Out = appendClose(x.Out, "HIT")
	return nil
}

// appendAssignment appends an assignment, in the order of the schema of
// 2012-03-25. Its Deadline was not sent of work that was submitted.
func appendAssignment(b []byte, a *mturk.Assignment, groups group) []byte {
	b = appendOpen(b, "Assignment")
	b = appendElement(b, "AssignmentId", a.ID)
	b = appendElement(b, "WorkerId", a.WorkerID)
	b = appendElement(b, "HITId", a.HITID)
	b = appendElement(b, "AssignmentStatus", a.Status.String())
	b = appendTime(b, "AutoApprovalTime", a.AutoApproval)
	b = appendTime(b, "AcceptTime", a.Accepted)
	b = appendTime(b, "SubmitTime", a.Submitted)
	b = appendTime(b, "ApprovalTime", a.Approved)
	b = appendTime(b, "RejectionTime", a.Rejected)
	b = appendUnlessEmpty(b, "Answer", a.Answer)
	if groups&groupFeedback != 0 {
		b = appendUnlessEmpty(b, "RequesterFeedback", a.Feedback)
	}
	return appendClose(b, "Assignment")
}

func (c *call) appendBonus(b []byte, bonus *mturk.Bonus) []byte {
	b = appendOpen(b, "BonusPayment")
	b = appendElement(b, "WorkerId", bonus.WorkerID)
	b = c.appendPrice(b, "BonusAmount", bonus.Amount)
	b = appendElement(b, "AssignmentId", bonus.AssignmentID)
	b = appendElement(b, "Reason", bonus.Reason)
	b = appendTime(b, "GrantTime", bonus.Granted)
	return appendClose(b, "BonusPayment")
}
