package mturk

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"saldo/auth"
	"saldo/dialect/dialecttest"
	"saldo/ledger"
	"saldo/money"
)

// A sink is a ResponseWriter that keeps the status alone.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// body is a request's body that can be read again.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

func bench(b *testing.B, request func(issued auth.Issued) string, handler func(*dialecttest.World) http.Handler) {
	w := dialecttest.Open(b)
	issued := w.Issue(auth.MTurk, w.Account("USD", "100"), auth.Read)
	h, r := handler(w), dialecttest.Request(b, request(issued))
	sent, err := io.ReadAll(r.Body)
	must(b, err)
	reader := body{bytes.NewReader(sent)}
	r.Body = reader
	out := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(out.header)
		reader.Reset(sent)
		h.ServeHTTP(out, r)
		if out.status != 200 {
			b.Fatalf("answered %d", out.status)
		}
	}
}

func BenchmarkBalance(b *testing.B) {
	bench(b, func(k auth.Issued) string { return sign(b, balanceRequest, k.Credential.ID, k.Secret, time.Now()) },
		func(w *dialecttest.World) http.Handler { return New(w.Ledger, w.Auth, Options{}) })
}

func BenchmarkPlainBalance(b *testing.B) {
	bench(b, func(k auth.Issued) string { return basic(k.Credential.ID, k.Secret) },
		func(w *dialecttest.World) http.Handler { return NewRequester(w.Ledger, w.Auth, Options{}) })
}

func BenchmarkSigningKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		signingKey([]byte(exampleSecret), "20260901", "us-east-1")
	}
}

// busy is a desk that many ask at once, of an account that has enough.
func busy(b *testing.B) *office {
	w := dialecttest.Open(b)
	o := &office{World: w, desk: NewDesk(w.Ledger, DeskOptions{})}
	o.r = o.requester(w.Account("USD", "1000000000"))
	b.SetParallelism(128)
	b.ReportAllocs()
	return o
}

// BenchmarkCharge is what the others are held to: a charge a command.
func BenchmarkCharge(b *testing.B) {
	o := busy(b)
	var n atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			_, err := o.Ledger.Post(b.Context(), &ledger.Command{Tenant: o.r.tenant, Book: o.r.book, ID: strconv.FormatInt(n.Add(1), 10), Ops: []ledger.Op{
				&ledger.Transfer{Kind: ledger.Charge, From: o.r.Account, To: ledger.SystemID(o.r.book, o.r.unit, ledger.Revenue), Amount: money.New(1)}}})
			must(b, err)
		}
	})
}

func (o *office) newHIT() (*HIT, error) {
	r := *o.r
	return r.CreateHIT(o.T.Context(), NewHIT{Type: aType(5), Content: Content{Question: question}, MaxAssignments: 1, Lifetime: 24 * time.Hour})
}

func BenchmarkCreateHIT(b *testing.B) {
	o := busy(b)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			_, err := o.newHIT()
			must(b, err)
		}
	})
}

func BenchmarkApproveAssignment(b *testing.B) {
	o := busy(b)
	work := make([]string, b.N)
	each := func(do func(i int)) {
		var next atomic.Int64
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				do(int(next.Add(1)) - 1)
			}
		})
	}
	each(func(i int) {
		h, err := o.newHIT()
		must(b, err)
		work[i] = o.work(h.ID, "A"+strconv.Itoa(i%100))
	})
	b.ResetTimer()
	each(func(i int) {
		r := *o.r
		must(b, r.Approve(b.Context(), work[i], "", false))
	})
}

// many makes HITs that wait for review, as many to a command as there may be, and
// returns the id of the one in the middle.
func (o *office) many(b *testing.B, n int) (middle string) {
	const atOnce = ledger.MaxRecords
	typeID, err := o.r.CreateHITType(b.Context(), *aType(5))
	must(b, err)
	began, err := o.Ledger.Now()
	must(b, err)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = newID(o.Ledger.NewID(), began.Add(time.Duration(i)*time.Microsecond), o.r.book, true)
	}
	var group sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		group.Go(func() {
			for at := int(next.Add(atOnce)) - atOnce; at < n; at = int(next.Add(atOnce)) - atOnce {
				c := o.r.change(began, false, "")
				for _, id := range ids[at:min(at+atOnce, n)] {
					h := &hit{id: id, account: o.r.Account, typeID: typeID, created: began, expires: began, quiet: began, expired: true, max: 1, first: 1}
					c.write(ledger.RecordWrite{Kind: kindHIT, Key: id, Data: h.pack(), Index: h.index(), Deadline: h.deadline(began, o.desk.o.KeepFor)})
				}
				_, err := o.Ledger.Post(b.Context(), &c.Command)
				must(b, err)
			}
		})
	}
	group.Wait()
	return ids[n/2]
}

// BenchmarkLists reads pages of ten of many HITs: by cursor, the newest and from
// the middle on; and at the farthest that a page number may skip to.
func BenchmarkLists(b *testing.B) {
	for _, n := range []int{10_010, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			o := busy(b)
			middle := o.many(b, n)
			for _, list := range []struct {
				name string
				read func(p Page) (int, string, error)
			}{
				{"hits", func(p Page) (int, string, error) {
					hits, next, err := o.r.ListHITs(b.Context(), p)
					return len(hits), next, err
				}},
				{"reviewable", func(p Page) (int, string, error) {
					ids, next, err := o.r.ReviewableIDs(b.Context(), Reviewable, "", p)
					return len(ids), next, err
				}},
			} {
				for _, from := range []struct {
					name string
					page Page
				}{{"newest", Page{Limit: 10}}, {"middle", Page{Limit: 10, After: middle}}, {"skip-10000", Page{Limit: 10, Skip: 10_000}}} {
					b.Run(list.name+"/"+from.name, func(b *testing.B) {
						p := from.page
						for b.Loop() {
							got, next, err := list.read(p)
							if must(b, err); got != 10 && next != "" { // the last one may have fewer
								b.Fatalf("a page of %d", got)
							}
							if p.Skip == 0 {
								p.After = next
							}
							if next == "" {
								p = from.page
							}
						}
					})
				}
			}
		})
	}
}

// cpuTime is what this process has used of the processors: other programs do not
// count.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// asked sends requests to a server, many at a time.
func asked(b *testing.B, url string, request func(n int64) *http.Request) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	before := cpuTime()
	defer func() { b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op") }()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			r := request(n.Add(1))
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", strings.TrimPrefix(url, "http://"), ""
			resp, err := client.Do(r)
			must(b, err)
			text, err := io.ReadAll(resp.Body)
			must(b, errors.Join(err, resp.Body.Close()))
			if resp.StatusCode/100 != 2 {
				b.Fatalf("answered %d %s", resp.StatusCode, text)
			}
		}
	})
}

// BenchmarkHTTP is what a server answers: native charges, one a request, and
// HITs beside them.
func BenchmarkHTTP(b *testing.B) {
	b.Run("charge", func(b *testing.B) {
		w := dialecttest.Open(b)
		path := "/v1/accounts/" + w.Account("USD", "1000000000").String() + "/charges"
		asked(b, w.Native.URL, func(n int64) *http.Request {
			r := httptest.NewRequest("POST", path, strings.NewReader(`{"id":"`+strconv.FormatInt(n, 10)+`","amount":"0.000001"}`))
			r.Header.Set("Authorization", "Bearer "+w.Native.Token)
			r.Header.Set("Saldo-Tenant", "main")
			r.Header.Set("Content-Type", "application/json")
			return r
		})
	})
	open := func(b *testing.B) (w *dialecttest.World, o *office, url string, request func(operation, body string) *http.Request) {
		w = dialecttest.Open(b)
		o = &office{World: w, desk: NewDesk(w.Ledger, DeskOptions{})}
		o.r = o.requester(w.Account("USD", "1000000000"))
		key := w.Issue(auth.MTurk, o.r.Account, auth.Read|auth.Charge)
		url = w.Serve(New(w.Ledger, w.Auth, Options{Desk: o.desk}))
		return w, o, url, func(operation, body string) *http.Request {
			return dialecttest.Request(b, sign(b, strings.Replace(hitRequest(operation, body), exampleHost, strings.TrimPrefix(url, "http://"), 1), key.Credential.ID, key.Secret, time.Now()))
		}
	}
	b.Run("CreateHIT", func(b *testing.B) {
		_, _, url, request := open(b)
		body := strings.Replace(exampleHIT, `,"UniqueRequestToken":"hit-0001"`, "", 1)
		signed := request("CreateHIT", body)
		asked(b, url, func(int64) *http.Request {
			r := signed.Clone(b.Context())
			r.Body = io.NopCloser(strings.NewReader(body))
			return r
		})
	})
	b.Run("ApproveAssignment", func(b *testing.B) {
		_, o, url, request := open(b)
		requests := make([]*http.Request, b.N)
		var group sync.WaitGroup
		for k := range 64 {
			group.Go(func() {
				for i := k; i < b.N; i += 64 {
					h, err := o.newHIT()
					must(b, err)
					requests[i] = request("ApproveAssignment", `{"AssignmentId":"`+o.work(h.ID, "A"+strconv.Itoa(k))+`"}`)
				}
			})
		}
		group.Wait()
		asked(b, url, func(n int64) *http.Request { return requests[n-1] })
	})
}
