package mturklegacy

import (
	"time"

	"saldo/dialect"
	"saldo/dialect/mturk"
)

// Bounds of parameters, as the reference of 2014-08-15 has them.
const (
	leastTime      = 30 * time.Second
	mostTime       = 365 * 24 * time.Hour
	leastExtension = time.Minute // documented is an hour; programs sent less
	mostAutomatic  = 30 * 24 * time.Hour
	mostWork       = 1_000_000_000 // assignments
	maxToken       = 64            // characters
)

// hitType reads the parameters that are a type's.
func (c *call) hitType() *mturk.HITType {
	in := c.in
	t := &mturk.HITType{
		Title:              in.need("Title"),
		Description:        in.need("Description"),
		Keywords:           in.text("Keywords"),
		Reward:             in.price("Reward", c.currency),
		AssignmentDuration: in.needSeconds("AssignmentDurationInSeconds", leastTime, mostTime),
		AutoApprovalDelay:  in.seconds("AutoApprovalDelayInSeconds", mturk.DefaultAutoApproval, 0, mostAutomatic),
	}
	in.each("QualificationRequirement", func(in *input) {
		q := mturk.Qualification{
			TypeID: in.id("QualificationTypeId"),
			Comparator: in.oneOf("Comparator", "", "LessThan", "LessThanOrEqualTo", "GreaterThan", "GreaterThanOrEqualTo", "EqualTo", "NotEqualTo",
				"Exists", "DoesNotExist", "In", "NotIn"),
			RequiredToPreview: in.bool("RequiredToPreview"),
		}
		in.id("Comparator")
		for _, n := range in.all("IntegerValue") {
			q.Integers = append(q.Integers, in.number(n, 0, -1<<31, 1<<31-1))
		}
		in.each("LocaleValue", func(in *input) {
			q.Locales = append(q.Locales, mturk.Locale{Country: in.id("Country"), Subdivision: in.word("Subdivision")})
		})
		t.Qualifications = append(t.Qualifications, q)
	})
	return t
}

func (s *server) registerHITType(x *dialect.Exchange, c *call) error {
	t := c.hitType()
	if err := c.in.err(); err != nil {
		return err
	}
	id, err := c.requester.CreateHITType(x.Context(), *t)
	if err != nil {
		return err
	}
	x.Out = appendElement(x.Out, "HITTypeId", id)
	return nil
}

// createHIT makes a HIT of a type or, without its id, of the type that the other
// parameters are; with an id those are passed over.
func (s *server) createHIT(x *dialect.Exchange, c *call) error {
	in := c.in
	n := mturk.NewHIT{TypeID: in.word("HITTypeId")}
	if n.TypeID == "" {
		n.Type = c.hitType()
	}
	n.Lifetime = in.needSeconds("LifetimeInSeconds", leastTime, mostTime)
	n.MaxAssignments = in.int("MaxAssignments", 1, 1, mostWork)
	n.Question, n.Annotation, n.LayoutID = in.text("Question"), in.text("RequesterAnnotation"), in.word("HITLayoutId")
	in.each("HITLayoutParameter", func(in *input) {
		n.LayoutParameters = append(n.LayoutParameters, mturk.LayoutParameter{Name: in.need("Name"), Value: in.text("Value")})
	})
	n.Token = in.token()
	for _, policy := range []string{"AssignmentReviewPolicy", "HITReviewPolicy"} {
		if len(in.all(policy)) > 0 {
			in.fail(codeNotServed, policy)
		}
	}
	groups := in.groups(0)
	if err := in.err(); err != nil {
		return err
	}
	h, err := c.requester.CreateHIT(x.Context(), n)
	if err != nil {
		return err
	}
	x.Out = c.appendHIT(x.Out, h, groups)
	return nil
}

// token reads a UniqueRequestToken.
func (in *input) token() string {
	s := in.text("UniqueRequestToken")
	if len([]rune(s)) > maxToken {
		in.fail(codeBadValue, shortened(s, 64), "UniqueRequestToken")
	}
	return s
}

func (s *server) getHIT(x *dialect.Exchange, c *call) error {
	id, groups := c.in.id("HITId"), c.in.groups(groupDetail|groupQuestion)
	if err := c.in.err(); err != nil {
		return err
	}
	h, err := c.requester.GetHIT(x.Context(), id)
	if err != nil {
		return err
	}
	x.Out = c.appendHIT(x.Out, h, groups)
	return nil
}

// done runs an operation that returns nothing, if its input is as it has to be.
func (c *call) done(run func() error) error {
	c.in.groups(0)
	if err := c.in.err(); err != nil {
		return err
	}
	return run()
}

func (s *server) extendHIT(x *dialect.Exchange, c *call) error {
	id := c.in.id("HITId")
	n := c.in.int("MaxAssignmentsIncrement", 0, 1, mostWork)
	by := c.in.seconds("ExpirationIncrementInSeconds", 0, leastExtension, mostTime)
	if n == 0 && by == 0 {
		c.in.fail(codeMissingAny, "MaxAssignmentsIncrement or ExpirationIncrementInSeconds")
	}
	token := c.in.token()
	return c.done(func() error { return c.requester.Extend(x.Context(), id, n, by, token) })
}

func (s *server) forceExpireHIT(x *dialect.Exchange, c *call) error {
	id := c.in.id("HITId")
	return c.done(func() error { return c.requester.UpdateExpiration(x.Context(), id, 0) })
}

func (s *server) disableHIT(x *dialect.Exchange, c *call) error {
	id := c.in.id("HITId")
	return c.done(func() error { return c.requester.DisableHIT(x.Context(), id) })
}

func (s *server) disposeHIT(x *dialect.Exchange, c *call) error {
	id := c.in.id("HITId")
	return c.done(func() error { return c.requester.DeleteHIT(x.Context(), id) })
}

func (s *server) changeHITType(x *dialect.Exchange, c *call) error {
	id, typeID := c.in.id("HITId"), c.in.id("HITTypeId")
	return c.done(func() error { return c.requester.SetHITType(x.Context(), id, typeID) })
}

func (s *server) setReviewing(x *dialect.Exchange, c *call) error {
	id, revert := c.in.id("HITId"), c.in.bool("Revert")
	return c.done(func() error { return c.requester.SetReviewing(x.Context(), id, revert == nil || !*revert) })
}

// appendHIT appends what is in a HIT, in the order of the schema of 2012-03-25.
func (c *call) appendHIT(b []byte, h *mturk.HIT, groups group) []byte {
	t := h.Type
	b = appendElement(b, "HITId", h.ID)
	b = appendElement(b, "HITTypeId", t.ID)
	detail := groups&groupDetail != 0
	if detail {
		if c.edition.layouts {
			b = appendElement(b, "HITGroupId", h.GroupID)
			b = appendUnlessEmpty(b, "HITLayoutId", h.LayoutID)
		}
		b = appendTime(b, "CreationTime", h.Created)
		b = appendElement(b, "Title", t.Title)
		b = appendElement(b, "Description", t.Description)
	}
	if groups&groupQuestion != 0 {
		b = appendUnlessEmpty(b, "Question", h.Question)
	}
	if detail {
		b = appendUnlessEmpty(b, "Keywords", t.Keywords)
		b = appendElement(b, "HITStatus", h.Status.String())
		b = appendNumber(b, "MaxAssignments", h.MaxAssignments)
		b = c.appendPrice(b, "Reward", t.Reward)
		b = appendNumber(b, "AutoApprovalDelayInSeconds", int64(t.AutoApprovalDelay/time.Second))
		b = appendTime(b, "Expiration", h.Expires)
		b = appendNumber(b, "AssignmentDurationInSeconds", int64(t.AssignmentDuration/time.Second))
		b = appendUnlessEmpty(b, "RequesterAnnotation", h.Annotation)
		for i := range t.Qualifications {
			b = appendQualification(b, &t.Qualifications[i])
		}
		b = appendElement(b, "HITReviewStatus", "NotReviewed")
	}
	if groups&groupSummary != 0 {
		b = appendNumber(b, "NumberOfAssignmentsPending", h.Pending)
		b = appendNumber(b, "NumberOfAssignmentsAvailable", h.Available)
		b = appendNumber(b, "NumberOfAssignmentsCompleted", h.Completed)
	}
	return b
}

func appendQualification(b []byte, q *mturk.Qualification) []byte {
	b = appendOpen(b, "QualificationRequirement")
	b = appendElement(b, "QualificationTypeId", q.TypeID)
	b = appendElement(b, "Comparator", q.Comparator)
	for _, n := range q.Integers {
		b = appendNumber(b, "IntegerValue", n)
	}
	for _, l := range q.Locales {
		b = appendOpen(b, "LocaleValue")
		b = appendElement(b, "Country", l.Country)
		b = appendUnlessEmpty(b, "Subdivision", l.Subdivision)
		b = appendClose(b, "LocaleValue")
	}
	if q.RequiredToPreview != nil {
		b = appendElement(b, "RequiredToPreview", map[bool]string{true: "true", false: "false"}[*q.RequiredToPreview])
	}
	return appendClose(b, "QualificationRequirement")
}
