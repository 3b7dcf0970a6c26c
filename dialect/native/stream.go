package native

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"saldo/ledger"
)

const (
	streamPoll  = 50 * time.Millisecond // between looks at the head of the book
	streamPing  = 15 * time.Second      // after which an idle stream says that it lives
	streamCheck = time.Second           // between looks at the credential
	streamBatch = 200                   // events written at once
)

// streamEvents writes events as they happen, as server-sent events whose id is
// the seq, so that a browser that connects again goes on where it was.
func (q *request) streamEvents(book *ledger.Book, after uint64, given bool) (reply, error) {
	s := q.s
	leave, err := s.join(q.cred.Number)
	if err != nil {
		return reply{}, err
	}
	head, err := s.ledger.Head(q.ctx, book.Number)
	if err != nil {
		leave()
		return reply{}, err
	}
	if !given {
		after = head.Seq
	}
	return reply{stream: func(w http.ResponseWriter) error {
		defer leave()
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = noSniff
		h.Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		if q.Method == http.MethodHead {
			return nil
		}
		return q.stream(w, book, after)
	}}, nil
}

// join takes one of the streams that there may be, of which no credential gets
// many.
func (s *server) join(credential uint64) (leave func(), err error) {
	found, _ := s.streaming.LoadOrStore(credential, new(atomic.Int32))
	own := found.(*atomic.Int32)
	leave = func() { s.streams.Add(-1); own.Add(-1) }
	switch all, its := s.streams.Add(1), own.Add(1); {
	case its > maxStreamsEach:
		leave()
		return nil, refuse(CodeBusy, "%d streams are open already with this credential", maxStreamsEach)
	case all > maxStreams:
		leave()
		return nil, refuse(CodeBusy, "%d streams are open already; try again", maxStreams)
	}
	return leave, nil
}

func (q *request) stream(w http.ResponseWriter, book *ledger.Book, after uint64) error {
	s := q.s
	ctx, cancel := context.WithTimeout(q.Request.Context(), s.o.StreamFor)
	defer cancel()
	q.ctx = ctx
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{}) // it would end the request's context
	tick := time.NewTicker(streamPoll)
	defer tick.Stop()
	spoke, checked := time.Now(), time.Now()
	ew := eventWriter{q: q, book: book}
	q.b = append(q.b[:0], ": "+book.Name+"\n\n"...)
	for {
		if len(q.b) > 0 {
			control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := w.Write(q.b); err != nil {
				return nil // the client is gone
			}
			if err := control.Flush(); err != nil {
				return nil
			}
			q.b, spoke = q.b[:0], time.Now()
		}
		head, err := s.ledger.Head(ctx, book.Number)
		if err != nil {
			return nil
		}
		if ew.head = head; after < head.Seq {
			if after, err = ew.frames(after); err != nil {
				return nil
			}
			if len(q.b) > 0 || after < head.Seq {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.o.Done:
			return nil
		case <-tick.C:
		}
		if time.Since(checked) > streamCheck {
			checked = time.Now()
			if _, err := q.bearer(ctx); err != nil {
				return nil // it was revoked, or who used it has signed out
			}
		}
		if time.Since(spoke) > streamPing {
			q.b = append(q.b, ": still here\n\n"...)
		}
	}
}

// frames writes the next events, each in a frame.
func (w *eventWriter) frames(after uint64) (uint64, error) {
	q := w.q
	query := ledger.Query{List: ledger.ListEvents, Book: w.book.Number, After: after, Limit: streamBatch}
	for row, err := range q.s.ledger.Scan(q.ctx, query) {
		if err != nil {
			return after, err
		}
		after = row.Event.Seq
		if ok, err := w.mine(row.Event); err != nil {
			return after, err
		} else if !ok {
			continue
		}
		q.b = append(q.b, "id: "...)
		q.b = strconv.AppendUint(q.b, after, 10)
		q.b = append(q.b, "\ndata: "...)
		if err := w.event(row.Event); err != nil {
			return after, err
		}
		q.b = append(q.b, "\n\n"...)
		if len(q.b) > fullPage {
			break
		}
	}
	return after, nil
}
