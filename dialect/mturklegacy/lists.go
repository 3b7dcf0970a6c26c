package mturklegacy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"saldo/dialect"
	"saldo/dialect/mturk"
	"saldo/ledger"
)

// Lists have numbered pages, sorted as is asked. A list of up to sortable is read
// and sorted as a whole. A longer one comes in the order that the ledger has it
// in: HITs with the oldest first where they are asked for by CreationTime, Ascending,
// else with the newest first. The reference says not to rely on any order beyond
// the first hundred. Where a page of it ended is
// remembered for a while, so that the next one begins there, in the same time
// wherever it is; who asks for another page has it counted off from the start.
const (
	sortable   = 1000
	mostSkip   = 10_000
	mostPlaces = 4096
	placeLives = 10 * time.Minute
	mostPage   = 1_000_000_000
)

// A paging is which page is asked for, in what order.
type paging struct {
	page, size int64
	property   string
	descending bool
}

// at is how many come before the page.
func (p *paging) at() int64 { return (p.page - 1) * p.size }

// paging reads the parameters of a list that is sorted by one of some properties,
// by the first if it is not said. Without properties it is not sorted.
func (in *input) paging(properties ...string) paging {
	p := paging{page: in.int("PageNumber", 1, 1, mostPage), size: in.int("PageSize", 10, 1, 100)}
	if len(properties) > 0 {
		p.property = in.oneOf("SortProperty", properties[0], properties...)
		p.descending = in.oneOf("SortDirection", "Ascending", "Ascending", "Descending") == "Descending"
	}
	return p
}

// cut returns a page of what is all there.
func cut[T any](all []T, p *paging) []T {
	from := min(p.at(), int64(len(all)))
	return all[from:min(from+p.size, int64(len(all)))]
}

// sorted sorts a list, as it is asked. What is equal stays in its order.
func sorted[T any](all []T, p *paging, compare func(a, b T) int) {
	slices.SortStableFunc(all, func(a, b T) int {
		if p.descending {
			return compare(b, a)
		}
		return compare(a, b)
	})
}

// A run is a part of a list that is not sorted, or all of it.
type run[T any] struct {
	name  string // whose it is, and of what
	count int64  // how many are in it; of the last run it may be more than there are
	read  func(mturk.Page) (items []T, next string, err error)
}

// paged returns a page of runs, one after another.
func paged[T any](s *server, p *paging, runs ...run[T]) (items []T, err error) {
	at, want := p.at(), int(p.size)
	for _, r := range runs {
		if at >= r.count {
			at -= r.count
			continue
		}
		page, ok := s.places.page(r.name, at, want, s.o.Now())
		if !ok {
			return nil, refuse(codeTooFar, p.page, mostSkip)
		}
		some, next, err := r.read(page)
		if err != nil {
			return nil, err
		}
		items, want = append(items, some...), want-len(some)
		if next != "" {
			s.places.remember(r.name, at+int64(len(some)), next, s.o.Now())
		}
		if at = 0; want == 0 {
			break
		}
	}
	return items, nil
}

// places remembers where pages ended.
type places struct {
	sync.Mutex
	found map[position]ended
}

// A position is a list, and how many are before.
type position struct {
	list string
	at   int64
}

type ended struct {
	after string
	since time.Time
}

// page returns what to read so many items from a place on; false: it is too far
// from any that is known.
func (p *places) page(list string, at int64, limit int, now time.Time) (mturk.Page, bool) {
	p.Lock()
	e, found := p.found[position{list, at}]
	p.Unlock()
	switch {
	case found && now.Sub(e.since) < placeLives:
		return mturk.Page{After: e.after, Limit: limit}, true
	case at > mostSkip:
		return mturk.Page{}, false
	}
	return mturk.Page{Skip: int(at), Limit: limit}, true
}

// remember notes where a place is. Of too many any is forgotten.
func (p *places) remember(list string, at int64, after string, now time.Time) {
	p.Lock()
	defer p.Unlock()
	if p.found == nil {
		p.found = map[position]ended{}
	}
	for k := range p.found {
		if len(p.found) < mostPlaces {
			break
		}
		delete(p.found, k)
	}
	p.found[position{list, at}] = ended{after, now}
}

// counts begins the result of a list. By SOAP the order is that of the schema; by
// query the one that was captured.
func (c *call) counts(b []byte, p *paging, n int, total int64) []byte {
	if c.soap && c.op.name != "GetBonusPayments" {
		b = appendNumber(b, "PageNumber", p.page)
		b = appendNumber(b, "NumResults", int64(n))
		return appendNumber(b, "TotalNumResults", total)
	}
	b = appendNumber(b, "NumResults", int64(n))
	if c.soap {
		b = appendNumber(b, "PageNumber", p.page)
		return appendNumber(b, "TotalNumResults", total)
	}
	b = appendNumber(b, "TotalNumResults", total)
	return appendNumber(b, "PageNumber", p.page)
}

func (s *server) searchHITs(x *dialect.Exchange, c *call) error {
	p := c.in.paging("CreationTime", "Title", "Reward", "Expiration", "Enumeration")
	groups := c.in.groups(groupDetail | groupSummary)
	if err := c.in.err(); err != nil {
		return err
	}
	n, err := c.requester.Counts(x.Context())
	if err != nil {
		return err
	}
	return s.listHITs(x, c, &p, groups, 0, "", n.HITs, true)
}

// reviewableHITs returns HITs with their ids alone, unless more is asked for.
func (s *server) reviewableHITs(x *dialect.Exchange, c *call) error {
	p := c.in.paging("Expiration", "Title", "Reward", "CreationTime", "Enumeration")
	typeID, groups := c.in.word("HITTypeId"), c.in.groups(0)
	name := c.in.oneOf("Status", mturk.Reviewable.String(), mturk.Reviewable.String(), mturk.Reviewing.String())
	if err := c.in.err(); err != nil {
		return err
	}
	n, err := c.requester.Counts(x.Context())
	if err != nil {
		return err
	}
	status, count := mturk.Reviewable, n.Reviewable
	if name == mturk.Reviewing.String() {
		status, count = mturk.Reviewing, n.Reviewing
	}
	return s.listHITs(x, c, &p, groups, status, typeID, count, typeID == "")
}

// listHITs answers with a page of HITs, of which there are so many: exactly, or
// at most.
func (s *server) listHITs(x *dialect.Exchange, c *call, p *paging, groups group, status mturk.HITStatus, typeID string, total int64, exactly bool) error {
	read := func(page mturk.Page) ([]mturk.Head, string, error) {
		return c.requester.Heads(x.Context(), status, typeID, page)
	}
	var heads []mturk.Head
	short := total <= sortable
	if short || !exactly {
		all, next, err := read(mturk.Page{Limit: sortable})
		if err != nil {
			return err
		}
		if short = next == ""; short {
			total = int64(len(all))
			sortHeads(all, p)
			heads = cut(all, p)
		}
	}
	if !short {
		oldest := p.property == "CreationTime" && !p.descending
		name := strings.Join([]string{"HITs", c.requester.Account.String(), status.String(), typeID, strconv.FormatBool(oldest)}, "\x00")
		inOrder := func(page mturk.Page) ([]mturk.Head, string, error) {
			page.Reverse = oldest
			return read(page)
		}
		var err error
		if heads, err = paged(s, p, run[mturk.Head]{name, total, inOrder}); err != nil {
			return err
		}
	}
	x.Out = c.counts(x.Out, p, len(heads), total)
	for i := range heads {
		x.Out = appendOpen(x.Out, "HIT")
		if groups == 0 && status != 0 {
			x.Out = appendElement(x.Out, "HITId", heads[i].ID) // and no HITTypeId
		} else {
			h, err := c.requester.GetHIT(x.Context(), heads[i].ID)
			if err != nil {
				return err
			}
			x.Out = c.appendHIT(x.Out, h, groups)
		}
		x.Out = appendClose(x.Out, "HIT")
	}
	return nil
}

// sortHeads sorts HITs, which come with the newest first.
func sortHeads(all []mturk.Head, p *paging) {
	switch p.property {
	case "Enumeration":
		return
	case "CreationTime":
		if !p.descending {
			slices.Reverse(all)
		}
		return
	}
	sorted(all, p, func(a, b mturk.Head) int {
		switch p.property {
		case "Title":
			return strings.Compare(a.Title, b.Title)
		case "Reward":
			return cmp.Compare(a.Reward, b.Reward)
		}
		return cmp.Compare(a.Expires, b.Expires)
	})
}

// assignmentsForHIT returns the work that was submitted for a HIT.
func (s *server) assignmentsForHIT(x *dialect.Exchange, c *call) error {
	id := c.in.id("HITId")
	p := c.in.paging("SubmitTime", "AcceptTime", "Answer", "AssignmentStatus")
	groups := c.in.groups(0)
	var states []mturk.AssignmentStatus
	for _, name := range c.in.list("AssignmentStatus") {
		at := slices.IndexFunc(reviewStates, func(a mturk.AssignmentStatus) bool { return a.String() == name })
		if at < 0 {
			c.in.fail(codeEnumeration, shortened(name, 64))
			break
		}
		if !slices.Contains(states, reviewStates[at]) {
			states = append(states, reviewStates[at])
		}
	}
	if len(states) == 0 {
		states = reviewStates
	}
	if err := c.in.err(); err != nil {
		return err
	}
	list, total, err := s.work(x, c, id, states, &p)
	if err != nil {
		return err
	}
	x.Out = c.counts(x.Out, &p, len(list), total)
	for _, a := range list {
		if err := c.requester.FillIn(x.Context(), a); err != nil {
			return err
		}
		x.Out = appendAssignment(x.Out, a, groups)
	}
	return nil
}

// reviewStates are the states of work that a requester sees.
var reviewStates = []mturk.AssignmentStatus{mturk.Submitted, mturk.Approved, mturk.Rejected}

// work returns a page of a HIT's work in some states, and how much there is.
func (s *server) work(x *dialect.Exchange, c *call, id string, states []mturk.AssignmentStatus, p *paging) (list []*mturk.Assignment, total int64, err error) {
	submitted, approved, rejected, err := c.requester.AssignmentCounts(x.Context(), id)
	if err != nil {
		return nil, 0, err
	}
	var runs []run[*mturk.Assignment]
	for _, state := range states {
		count := map[mturk.AssignmentStatus]int64{mturk.Submitted: submitted, mturk.Approved: approved, mturk.Rejected: rejected}[state]
		total += count
		name := strings.Join([]string{"work", c.requester.Account.String(), id, state.String()}, "\x00")
		runs = append(runs, run[*mturk.Assignment]{name, count, func(page mturk.Page) ([]*mturk.Assignment, string, error) {
			return c.requester.WorkHeads(x.Context(), id, state, page)
		}})
	}
	if total > sortable {
		list, err = paged(s, p, runs...)
		return list, total, err
	}
	for _, r := range runs {
		some, _, err := r.read(mturk.Page{Limit: sortable})
		if err != nil {
			return nil, 0, err
		}
		list = append(list, some...)
	}
	sortWork(list, p)
	return cut(list, p), int64(len(list)), nil
}

// sortWork sorts work. By Answer is as it was accepted.
func sortWork(all []*mturk.Assignment, p *paging) {
	slices.SortFunc(all, func(a, b *mturk.Assignment) int { return strings.Compare(a.ID, b.ID) }) // as it was accepted
	sorted(all, p, func(a, b *mturk.Assignment) int {
		switch p.property {
		case "SubmitTime":
			return cmp.Compare(a.Submitted, b.Submitted)
		case "AssignmentStatus":
			return strings.Compare(a.Status.String(), b.Status.String())
		}
		return cmp.Compare(a.Accepted, b.Accepted)
	})
}

// bonusPayments returns the bonuses of a HIT or of an assignment, the earliest
// first. Of more than can be counted at once there is said to be one more page.
func (s *server) bonusPayments(x *dialect.Exchange, c *call) error {
	hit, work := c.in.word("HITId"), c.in.word("AssignmentId")
	p := c.in.paging()
	if hit == "" && work == "" {
		c.in.fail(codeMissingAny, "HITId or AssignmentId")
	}
	if hit != "" && work != "" {
		c.in.fail(codeBadValue, shortened(work, 64), "AssignmentId")
	}
	c.in.groups(0)
	if err := c.in.err(); err != nil {
		return err
	}
	read := func(page mturk.Page) ([]*mturk.Bonus, string, error) {
		return c.requester.ListBonuses(x.Context(), hit, work, page)
	}
	all, next, err := read(mturk.Page{Limit: sortable})
	if err != nil {
		return err
	}
	list, total := cut(all, &p), int64(len(all))
	if next != "" {
		name := strings.Join([]string{"bonuses", c.requester.Account.String(), hit, work}, "\x00")
		if list, err = paged(s, &p, run[*mturk.Bonus]{name, 1 << 62, read}); err != nil {
			return err
		}
		if total = p.at() + int64(len(list)); int64(len(list)) == p.size {
			total += p.size
		}
	}
	x.Out = c.counts(x.Out, &p, len(list), total)
	for _, b := range list {
		x.Out = c.appendBonus(x.Out, b)
	}
	return nil
}

// appendTime appends a time in whole seconds, unless there is none.
func appendTime(b []byte, name string, t ledger.Time) []byte {
	if t == 0 {
		return b
	}
	b = appendOpen(b, name)
	b = time.UnixMicro(int64(t)).UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	return appendClose(b, name)
}
