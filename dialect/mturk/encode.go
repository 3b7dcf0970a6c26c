package mturk

import (
	"strconv"

	"saldo/ledger"
)

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// An object is a JSON object in the making. Members that are empty are left out,
// as the service did.
type object []byte

func (o *object) key(name string) {
	if b := *o; b[len(b)-1] != '{' {
		*o = append(*o, ',')
	}
	*o = append(append(append(*o, '"'), name...), `":`...)
}

func (o *object) text(name, s string) {
	if s != "" {
		o.key(name)
		*o = appendString(*o, s)
	}
}

func (o *object) int(name string, n int64) {
	o.key(name)
	*o = appendInt(*o, n)
}

func (o *object) amount(name string, c Cents) {
	o.key(name)
	*o = append(c.AppendText(append(*o, '"')), '"')
}

func (o *object) time(name string, t ledger.Time) {
	if t != 0 {
		o.key(name)
		*o = appendTime(*o, t)
	}
}

func appendHIT(dst []byte, h *HIT) []byte {
	o := object(append(dst, '{'))
	t := h.Type
	o.text("HITId", h.ID)
	o.text("HITTypeId", t.ID)
	o.text("HITGroupId", h.GroupID)
	o.text("HITLayoutId", h.LayoutID)
	o.time("CreationTime", h.Created)
	o.text("Title", t.Title)
	o.text("Description", t.Description)
	o.text("Question", h.Question)
	o.text("Keywords", t.Keywords)
	o.text("HITStatus", h.Status.String())
	o.int("MaxAssignments", h.MaxAssignments)
	o.amount("Reward", t.Reward)
	o.int("AutoApprovalDelayInSeconds", seconds64(t.AutoApprovalDelay))
	o.time("Expiration", h.Expires)
	o.int("AssignmentDurationInSeconds", seconds64(t.AssignmentDuration))
	o.text("RequesterAnnotation", h.Annotation)
	o.qualifications(t.Qualifications)
	o.text("HITReviewStatus", "NotReviewed")
	o.int("NumberOfAssignmentsPending", h.Pending)
	o.int("NumberOfAssignmentsAvailable", h.Available)
	o.int("NumberOfAssignmentsCompleted", h.Completed)
	return append(o, '}')
}

func (o *object) qualifications(list []Qualification) {
	o.key("QualificationRequirements")
	*o = append(*o, '[')
	for i := range list {
		if i > 0 {
			*o = append(*o, ',')
		}
		q := &list[i]
		one := object(append(*o, '{'))
		one.text("QualificationTypeId", q.TypeID)
		one.text("Comparator", q.Comparator)
		if q.Integers != nil {
			one.key("IntegerValues")
			for i, n := range q.Integers {
				one = appendInt(append(one, "[,"[min(i, 1)]), n)
			}
			one = append(one, ']')
		}
		if q.Locales != nil {
			one.key("LocaleValues")
			for i, l := range q.Locales {
				of := object(append(one, "[,"[min(i, 1)], '{'))
				of.text("Country", l.Country)
				of.text("Subdivision", l.Subdivision)
				one = append(of, '}')
			}
			one = append(one, ']')
		}
		if q.RequiredToPreview != nil {
			one.key("RequiredToPreview")
			one = strconv.AppendBool(one, *q.RequiredToPreview)
		}
		one.text("ActionsGuarded", q.ActionsGuarded)
		*o = append(one, '}')
	}
	*o = append(*o, ']')
}

func appendAssignment(dst []byte, a *Assignment) []byte {
	o := object(append(dst, '{'))
	o.text("AssignmentId", a.ID)
	o.text("WorkerId", a.WorkerID)
	o.text("HITId", a.HITID)
	o.text("AssignmentStatus", a.Status.String())
	o.time("AutoApprovalTime", a.AutoApproval)
	o.time("AcceptTime", a.Accepted)
	o.time("SubmitTime", a.Submitted)
	o.time("ApprovalTime", a.Approved)
	o.time("RejectionTime", a.Rejected)
	o.time("Deadline", a.Deadline)
	o.text("Answer", a.Answer)
	o.text("RequesterFeedback", a.Feedback)
	return append(o, '}')
}

func appendBonus(dst []byte, b *Bonus) []byte {
	o := object(append(dst, '{'))
	o.text("WorkerId", b.WorkerID)
	o.amount("BonusAmount", b.Amount)
	o.text("AssignmentId", b.AssignmentID)
	o.text("Reason", b.Reason)
	o.time("GrantTime", b.Granted)
	return append(o, '}')
}
