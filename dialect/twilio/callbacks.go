package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"saldo/auth"
	"saldo/dialect"
	"saldo/ledger"
)

// callers is how many callbacks are made at once.
const callers = 8

// pauses are how long is waited after each try that failed; after the last it is
// given up.
var pauses = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// claim is how long who makes a call keeps others from it.
const claim = time.Minute

// stopping is how long what became of a call may take to write, also when the
// server stops.
const stopping = 5 * time.Second

// hand gives a firing that is due to a caller that has time. If none has, it is
// due again a moment later.
func (s *Server) hand(_ context.Context, r *ledger.Record) (*ledger.Command, error) {
	select {
	case s.due <- r:
	default:
	}
	return nil, nil
}

// deliver makes the call of a firing. Its deadline is moved first, so that nobody
// else makes it meanwhile, and it is made again should this process end; that a
// call is one that was made before, its IdempotencyToken says.
func (s *Server) deliver(ctx context.Context, r *ledger.Record) {
	f, err := readFiring(r)
	if err != nil {
		s.Logger.Error("a callback cannot be made", "dialect", auth.Twilio, "firing", r.Key, "error", err)
		return
	}
	now, err := s.ledger.Now()
	if err != nil || r.Deadline > now {
		return
	}
	f.Tries++
	w := ledger.RecordWrite{Kind: kindFiring, Key: r.Key, Expect: r.Version, Data: encode(f), Deadline: now.Add(claim)}
	t, err := s.triggerOf(ctx, r.Book, f)
	if err != nil {
		s.failedCall(r, f, err)
		return // what is there cannot be read now
	}
	if t == nil {
		w.Delete, w.Data, w.Deadline = true, nil, 0
		s.settle(ctx, r, w)
		return // it was deleted
	}
	claimed, err := s.post(ctx, t.account, w)
	if err != nil {
		if raced(err) != nil && ctx.Err() == nil {
			s.failedCall(r, f, err)
		}
		return
	}
	err = s.call(ctx, t, f)
	w.Expect = claimed.Event.Records[0].Version
	switch {
	case err == nil:
		w.Delete, w.Data, w.Deadline = true, nil, 0
	case ctx.Err() != nil: // this server stops: another has it at once
		w.Deadline = now
	case f.Tries > len(s.pauses):
		s.failedCall(r, f, fmt.Errorf("it is given up: %w", err))
		w.Delete, w.Data, w.Deadline = true, nil, 0
	default:
		s.failedCall(r, f, err)
		w.Deadline = now.Add(s.pauses[f.Tries-1])
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
	defer cancel()
	s.settle(ctx, r, w)
}

func (s *Server) failedCall(r *ledger.Record, f *firing, err error) {
	s.Logger.Warn("the callback of a usage trigger failed", "dialect", auth.Twilio, "firing", r.Key, "tries", f.Tries, "error", err)
}

// settle writes what became of a firing.
func (s *Server) settle(ctx context.Context, r *ledger.Record, w ledger.RecordWrite) {
	head, err := s.ledger.Head(ctx, r.Book)
	if err == nil {
		_, err = s.ledger.Post(ctx, &ledger.Command{Tenant: head.Tenant, Book: r.Book, Records: []ledger.RecordWrite{w}})
	}
	if raced(err) != nil && ctx.Err() == nil {
		s.Logger.Warn("what became of a callback could not be written; it is made again", "dialect", auth.Twilio, "firing", r.Key, "error", err)
	}
}

// triggerOf returns the trigger that has fired, or nil if it is there no more.
func (s *Server) triggerOf(ctx context.Context, book ledger.BookID, f *firing) (*trigger, error) {
	r, err := s.ledger.Record(ctx, ledger.RecordKey{Book: book, Kind: kindTrigger, Key: f.Trigger})
	if err != nil || r == nil {
		return nil, err
	}
	t, err := readTrigger(r)
	if err == nil {
		t.account, err = s.ledger.Account(ctx, t.account.ID)
	}
	return t, err
}

// call tells a URL that a trigger has fired. Any answer of 2xx is taken.
func (s *Server) call(ctx context.Context, t *trigger, f *firing) error {
	sid, err := s.sidOf(ctx, t.account.ID)
	if err != nil {
		return err
	}
	c, err := s.tokenOf(ctx, t.account, sid)
	if err != nil {
		return err
	}
	if c == nil {
		return errors.New("the account has no auth token to sign with")
	}
	secrets, err := s.auth.Reveal(ctx, c.ID)
	if err != nil || len(secrets) == 0 {
		return errors.Join(errors.New("the account's auth token cannot be read"), err)
	}
	r, err := callback(ctx, t, f, sid, secrets[0])
	if err != nil {
		return err
	}
	resp, err := s.callbacks.Do(r)
	if err != nil {
		return dialect.WithoutAddress(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	return nil
}

// callback makes the request, signed as the vendor's are: X-Twilio-Signature is
// the base64 of HMAC-SHA1, under the auth token, of the URL and then of each
// parameter of a form, in order of name, name and value.
func callback(ctx context.Context, t *trigger, f *firing, sid string, token []byte) (*http.Request, error) {
	values := url.Values{
		"AccountSid": {sid}, "UsageTriggerSid": {t.sid}, "DateFired": {date(f.At)}, "Recurring": {t.Recurring},
		"UsageCategory": {t.Category}, "TriggerBy": {t.By}, "TriggerValue": {t.Value}, "CurrentValue": {f.Value},
		"UsageRecordUri":   {version + "/Accounts/" + sid + "/Usage/Records.json?Category=" + escape(t.Category)},
		"IdempotencyToken": {idempotencyToken(f)},
	}
	to, _, _ := strings.Cut(t.URL, "#")
	var body io.Reader
	if t.Method == http.MethodGet { // then the parameters are part of the URL
		glue := "?"
		if strings.Contains(to, "?") {
			glue = "&"
		}
		to, values = to+glue+values.Encode(), nil
	} else {
		body = strings.NewReader(values.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, t.Method, to, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("User-Agent", "saldo")
	r.Header.Set("X-Twilio-Signature", signature(to, values, token))
	return r, nil
}

func signature(to string, values url.Values, token []byte) string {
	mac := hmac.New(sha1.New, token)
	io.WriteString(mac, to)
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		io.WriteString(mac, name+values.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// idempotencyToken is the same for every call about one crossing, and of no other.
func idempotencyToken(f *firing) string {
	sum := sha256.Sum256([]byte(f.Trigger + "/" + f.Crossing))
	return hex.EncodeToString(sum[:16])
}

// direct returns the client that makes callbacks where there is no other. It
// calls no link-local address, where clouds keep what is secret.
func direct() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if ip := to.Addr().Unmap(); err == nil && (ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()) {
			err = errors.New("an address of this kind is not called")
		}
		return err
	}}
	return &http.Client{
		Timeout:       15 * time.Second,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
