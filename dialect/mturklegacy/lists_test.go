package mturklegacy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"saldo/dialect"
	"saldo/dialect/mturk"
)

// all returns the texts of an element of an answer.
func all(body, element string) (texts []string) {
	for {
		_, after, found := strings.Cut(body, "<"+element+">")
		if !found {
			return texts
		}
		text, rest, _ := strings.Cut(after, "</")
		texts, body = append(texts, text), rest
	}
}

func (c *counter) list(element, operation string, pairs ...string) string {
	c.t.Helper()
	_, body := do(c.t, c.h, ask(operation, pairs...))
	return strings.Join(all(body, "TotalNumResults"), "") + ": " + strings.Join(all(body, element), " ")
}

// pass moves the clock by a second.
func (c *counter) pass() { c.Clock.Set(c.Clock.Now().Add(time.Second)) }

// TestSorting has every order that lists come in.
func TestSorting(t *testing.T) {
	c := openCounter(t, "100")
	for _, h := range []struct{ title, reward, lifetime string }{{"B", "0.03", "300"}, {"C", "0.01", "200"}, {"A", "0.02", "100"}, {"B", "0.03", "400"}} {
		c.says(ask("CreateHIT", replaced(replaced(newHIT(h.reward, "RequesterAnnotation", h.title+h.lifetime), "Title", h.title), "LifetimeInSeconds", h.lifetime)...), "HITId")
		c.pass()
	}
	for _, tt := range []struct{ property, ascending, descending string }{
		{"CreationTime", "B300 C200 A100 B400", "B400 A100 C200 B300"},
		{"Title", "A100 B400 B300 C200", "C200 B400 B300 A100"}, // what is equal has the newest first
		{"Reward", "C200 A100 B400 B300", "B400 B300 A100 C200"},
		{"Expiration", "A100 C200 B300 B400", "B400 B300 C200 A100"},
		{"Enumeration", "B400 A100 C200 B300", "B400 A100 C200 B300"},
	} {
		for direction, want := range map[string]string{"Ascending": tt.ascending, "Descending": tt.descending, "": tt.ascending} {
			pairs := []string{"SortProperty", tt.property}
			if direction != "" {
				pairs = append(pairs, "SortDirection", direction)
			}
			if got := c.list("RequesterAnnotation", "SearchHITs", pairs...); got != "4: "+want {
				t.Errorf("by %s %s: %s, want %s", tt.property, direction, got, want)
			}
		}
	}
	for page, want := range map[string]string{"1": "4: B300 C200 A100", "2": "4: B400", "3": "4: ", "1000000000": "4: "} {
		if got := c.list("RequesterAnnotation", "SearchHITs", "PageSize", "3", "PageNumber", page); got != want {
			t.Errorf("page %s: %s, want %s", page, got, want)
		}
	}

	hit := c.says(ask("CreateHIT", newHIT("0.02", "MaxAssignments", "4")...), "HITId")
	jobs := map[string]string{}
	for _, worker := range []string{"A1", "A2", "A3"} {
		c.pass()
		jobs[worker] = c.accept(hit, worker)
	}
	for _, worker := range []string{"A2", "A3", "A1"} {
		c.pass()
		if _, err := c.desk.Submit(t.Context(), c.Tenant.Number, jobs[worker], worker, ""); err != nil {
			t.Fatal(err)
		}
	}
	c.says(ask("ApproveAssignment", "AssignmentId", jobs["A3"]), "IsValid")
	c.says(ask("RejectAssignment", "AssignmentId", jobs["A2"]), "IsValid")
	for _, tt := range []struct{ property, ascending, descending string }{
		{"SubmitTime", "A2 A3 A1", "A1 A3 A2"},
		{"AcceptTime", "A1 A2 A3", "A3 A2 A1"},
		{"Answer", "A1 A2 A3", "A3 A2 A1"},
		{"AssignmentStatus", "A3 A2 A1", "A1 A2 A3"},
	} {
		for direction, want := range map[string]string{"Ascending": tt.ascending, "Descending": tt.descending} {
			if got := c.list("WorkerId", "GetAssignmentsForHIT", "HITId", hit, "SortProperty", tt.property, "SortDirection", direction); got != "3: "+want {
				t.Errorf("by %s %s: %s, want %s", tt.property, direction, got, want)
			}
		}
	}
	for _, pairs := range [][]string{{"AssignmentStatus", "Approved,Rejected"}, {"AssignmentStatus.1", "Approved", "AssignmentStatus.2", "Rejected"}} {
		if got := c.list("WorkerId", "GetAssignmentsForHIT", append(pairs, "HITId", hit)...); got != "2: A2 A3" {
			t.Errorf("%v: %s", pairs, got)
		}
	}
}

// TestLongList has more HITs than are sorted.
func TestLongList(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a thousand HITs")
	}
	many := sortable + 55
	c, ask := openNow(t, "1000")
	r, err := c.desk.Requester(t.Context(), c.account(), mturk.Call{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.CreateHITType(t.Context(), mturk.HITType{Title: "t", Description: "d", Reward: 1, AssignmentDuration: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	one := mturk.NewHIT{TypeID: id, Content: mturk.Content{LayoutID: "3L"}, MaxAssignments: 1, Lifetime: time.Hour}
	var made sync.WaitGroup
	for i := range 50 {
		made.Go(func() {
			for j := i; j < many; j += 50 {
				r := *r // a call each
				if _, err := r.CreateHIT(t.Context(), one); err != nil {
					t.Error(err)
				}
			}
		})
	}
	made.Wait()
	direction := "Ascending"
	page := func(n int) (ids []string, total string) {
		_, body := do(t, c.h, ask("SearchHITs", "PageSize", "100", "PageNumber", fmt.Sprint(n), "ResponseGroup", "Minimal", "SortDirection", direction))
		return all(body, "HITId"), strings.Join(all(body, "TotalNumResults"), "")
	}
	for _, direction = range []string{"Ascending", "Descending"} {
		seen := map[string]bool{}
		last := ""
		for n := 1; ; n++ {
			ids, total := page(n)
			if total != fmt.Sprint(many) {
				t.Fatalf("page %d says that there are %s", n, total)
			}
			for _, id := range ids { // a newer one has a smaller id
				if seen[id] || last != "" && (id < last) != (direction == "Ascending") {
					t.Fatalf("%s: page %d has %s after %s, seen %t", direction, n, id, last, seen[id])
				}
				seen[id], last = true, id
			}
			if len(ids) < 100 {
				break
			}
			if n == 3 { // what is new does not move what comes after
				if _, err := r.CreateHIT(t.Context(), one); err != nil {
					t.Fatal(err)
				}
				many++
			}
		}
		want := many // the new one is the last
		if direction == "Descending" {
			want-- // it would have been on the first page
		}
		if len(seen) != want {
			t.Errorf("%s: %d of %d HITs were listed", direction, len(seen), want)
		}
	}
	// Any other server counts them off.
	c.h = New(c.Ledger, c.Auth, Options{Desk: c.desk})
	fresh, _ := page(5)
	for n := 1; n < 5; n++ {
		page(n)
	}
	if again, _ := page(5); len(fresh) != 100 || strings.Join(again, " ") != strings.Join(fresh, " ") {
		t.Errorf("page 5 is %v, then %v", fresh, again)
	}
	if ids, _ := page(1_000_000); len(ids) != 0 {
		t.Errorf("after the end there are %v", ids)
	}
}

// TestPlaces sees that they are forgotten: in time, and when there are many.
func TestPlaces(t *testing.T) {
	var p places
	now := time.Unix(1e9, 0)
	p.remember("a", 100, "x", now)
	if got, ok := p.page("a", 100, 10, now.Add(placeLives-1)); !ok || got != (mturk.Page{After: "x", Limit: 10}) {
		t.Errorf("%+v, %t", got, ok)
	}
	for list, at := range map[string]time.Time{"a": now.Add(placeLives), "b": now} {
		if got, ok := p.page(list, 100, 10, at); !ok || got != (mturk.Page{Skip: 100, Limit: 10}) {
			t.Errorf("%s: %+v, %t", list, got, ok)
		}
	}
	if _, ok := p.page("a", mostSkip+1, 10, now); ok {
		t.Error("so many are counted off")
	}
	numbers := run[int]{"numbers", 1 << 40, func(page mturk.Page) (list []int, next string, err error) {
		from := page.Skip
		fmt.Sscan(page.After, &from)
		for i := range page.Limit {
			list = append(list, from+i)
		}
		return list, fmt.Sprint(from + page.Limit), nil
	}}
	s := &server{o: dialect.Options{}.Filled()}
	for _, page := range []int64{1, 2, 101, 102, 103, 2, 103, 104} { // each from where it is known, or not too far
		list, err := paged(s, &paging{page: page, size: 100}, numbers)
		if err != nil || len(list) != 100 || list[0] != int(page-1)*100 {
			t.Errorf("page %d: %v, %v", page, list, err)
		}
	}
	var far *refusal
	if _, err := paged(s, &paging{page: 200, size: 100}, numbers); !errors.As(err, &far) || far.code != codeTooFar {
		t.Errorf("a page that nobody came near to: %v", err)
	}
	two := run[int]{"two", 2, func(mturk.Page) ([]int, string, error) { return []int{1, 2}, "", nil }}
	if list, err := paged(s, &paging{page: 1, size: 5}, two, numbers); err != nil || fmt.Sprint(list) != "[1 2 0 1 2]" {
		t.Errorf("two runs: %v, %v", list, err)
	}
	if list, err := paged(s, &paging{page: 2, size: 5}, two, numbers); err != nil || fmt.Sprint(list) != "[3 4 5 6 7]" {
		t.Errorf("two runs, page 2: %v, %v", list, err)
	}
	for i := range int64(3 * mostPlaces) {
		p.remember("a", i, "x", now)
	}
	if len(p.found) > mostPlaces {
		t.Errorf("%d places are remembered", len(p.found))
	}
}
