package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/spf13/pflag"

	"saldo/dialect/native"
)

// testConfig returns the settings that flags make, on a directory of the test's.
func testConfig(t *testing.T, flags ...string) *config {
	t.Helper()
	dir := t.TempDir()
	f := newFlags(t, append([]string{"--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0"}, flags...)...)
	c, err := readConfig(func(name string) string { return map[string]string{"HOME": dir}[name] }, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newFlags returns the flags of settings as they are given.
func newFlags(t *testing.T, flags ...string) *pflag.FlagSet {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	configFlags(f)
	if err := f.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return f
}

// A running is a node that serves for a test.
type running struct {
	*node
	*front
	reload chan struct{}
}

func startNode(t *testing.T, c *config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f, err := listen(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	n, err := openNode(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{n, f, make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- f.serve(ctx, n, r.reload) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *running) get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestFirstStart(t *testing.T) {
	c := testConfig(t)
	r := startNode(t, c)
	for name, mode := range map[string]os.FileMode{".": 0o700, "master.key": 0o600, tokenFile: 0o600} {
		info, err := os.Stat(filepath.Join(c.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, not %v", name, info.Mode().Perm(), mode)
		}
	}
	if token, err := readSecret(filepath.Join(c.Data, tokenFile)); err != nil || token != r.token || token == "" {
		t.Errorf("the file has %q, what was shown is %q: %v", token, r.token, err)
	}
	if status, body := r.get(t, r.url()+"/readyz"); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, body := r.get(t, r.url()+"/healthz"); status != 200 {
		t.Errorf("healthz: %d %s", status, body)
	}
}

func TestMetrics(t *testing.T) {
	r := startNode(t, testConfig(t))
	client := &native.Client{URL: r.url(), Token: r.token}
	a, err := client.Open(t.Context(), native.AccountRequest{Unit: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.TopUp(t.Context(), a.ID, native.TransferRequest{ID: "1", Amount: "5"}); err != nil {
		t.Fatal(err)
	}
	_, _ = client.Charge(t.Context(), a.ID, native.TransferRequest{ID: "2", Amount: "6"})
	if err := r.store.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, body := r.get(t, r.url()+"/metrics")
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for _, want := range []string{`saldo_build_info{`, `saldo_commands_total{kind="topup",outcome="ok"} 1`,
		`saldo_commands_total{kind="refused",outcome="insufficient_funds"} 1`, `saldo_http_requests_total{code="402",dialect="native",operation="charge"} 1`,
		`saldo_commit_events_bucket`, `saldo_commit_duration_seconds_bucket`, `saldo_index_lag_events 0`, `saldo_journal_events_total `, `saldo_disk_bytes `,
		`saldo_commands_waiting 0`} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Beyond loopback, metrics ask for a credential that may read everything.
func TestMetricsBehindProxy(t *testing.T) {
	r := startNode(t, testConfig(t, "--plaintext-behind-proxy", "--trusted-proxies", "127.0.0.1"))
	if status, _ := r.get(t, r.url()+"/metrics"); status != 401 {
		t.Errorf("without a credential: %d", status)
	}
	if status, _ := r.get(t, r.url()+"/metrics", "Authorization", "Bearer "+r.token); status != 200 {
		t.Errorf("with the operator's: %d", status)
	}
	var issued struct{ Secret string }
	if err := r.client().Do(t.Context(), http.MethodPost, "/v1/credentials", object{"scopes": []string{"read", "admin"}}, &issued); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.get(t, r.url()+"/metrics", "Authorization", "Bearer "+issued.Secret); status != 403 {
		t.Errorf("with a tenant's: %d", status)
	}
	if status, body := r.get(t, r.url()+"/v1/heads", "Authorization", "Bearer nobody"); status != 401 || !strings.Contains(body, `"success":false`) {
		t.Errorf("a wrong credential: %d %s", status, body)
	}
}

func TestAdminListen(t *testing.T) {
	r := startNode(t, testConfig(t, "--admin-listen", "127.0.0.1:0"))
	for path, status := range map[string]int{"/metrics": 404, "/v1/tenants": 404, "/v1/heads": 404, "/v1/accounts": 200, "/readyz": 200} {
		if got, body := r.get(t, r.url()+path, "Authorization", "Bearer "+r.token); got != status {
			t.Errorf("customers' port, %s: %d, not %d: %s", path, got, status, body)
		}
		if got, body := r.get(t, r.adminURL()+path, "Authorization", "Bearer "+r.token); got != 200 {
			t.Errorf("admin's port, %s: %d: %s", path, got, body)
		}
	}
	// What is not served is not documented either.
	for url, has := range map[string]bool{r.url(): false, r.adminURL(): true} {
		_, doc := r.get(t, url+"/openapi.json")
		for _, word := range []string{`"/v1/tenants"`, `"/v1/backups"`, `"/v1/heads"`, `"/v1/verifications"`, `"listHeads"`} {
			if strings.Contains(doc, word) != has {
				t.Errorf("the document of %s has %s: %v", url, word, !has)
			}
		}
		if !strings.Contains(doc, `"/v1/accounts"`) || !strings.Contains(doc, `"/v1/sources"`) {
			t.Errorf("the document of %s is short", url)
		}
	}
}

// TestAdministration makes the calls about the server's own store: as the other
// calls of the API are made, and as they are documented.
func TestAdministration(t *testing.T) {
	r := startNode(t, testConfig(t))
	client := r.client()
	_, doc := r.get(t, r.url()+"/openapi.json")
	for _, word := range []string{`"createBackup"`, `"listHeads"`, `"verify"`, `"VerificationRequest"`, `"Heads"`} {
		if !strings.Contains(doc, word) {
			t.Errorf("the document has no %s", word)
		}
	}
	var made struct {
		ID, Path string
		Heads    []object
	}
	if err := client.Do(t.Context(), http.MethodPost, "/v1/backups", object{"name": "monday"}, &made); err != nil || made.ID != "monday" || !isThere(made.Path) || len(made.Heads) == 0 {
		t.Errorf("a backup is %+v, %v", made, err)
	}
	refused := func(code string, status int, method, path string, in any) {
		t.Helper()
		var e *native.Error
		if err := client.Do(t.Context(), method, path, in, nil); !errors.As(err, &e) || e.Code != code || e.Status != status {
			t.Errorf("%s %s %v: %v, want %s", method, path, in, err, code)
		}
	}
	refused(native.CodeExists, 409, http.MethodPost, "/v1/backups", object{"name": "monday"})
	refused(native.CodeValidation, 400, http.MethodPost, "/v1/backups", object{"name": "../monday"})
	refused(native.CodeValidation, 400, http.MethodPost, "/v1/backups", object{"name": "tuesday", "withkey": true})
	refused(native.CodeValidation, 400, http.MethodPost, "/v1/verifications", object{"expect": []string{"x"}})
	refused(native.CodeValidation, 400, http.MethodPost, "/v1/verifications?incremental=true", object{})
	refused(native.CodeMethod, 405, http.MethodDelete, "/v1/heads", nil)
	var proof struct {
		Proved bool
		Heads  []object
	}
	if err := client.Do(t.Context(), http.MethodPost, "/v1/verifications", object{}, &proof); err != nil || !proof.Proved || len(proof.Heads) == 0 {
		t.Errorf("a proof is %+v, %v", proof, err)
	}
	var heads struct{ Items []object }
	if err := client.Do(t.Context(), http.MethodGet, "/v1/heads", nil, &heads); err != nil || len(heads.Items) != len(proof.Heads) {
		t.Errorf("the heads are %+v, %v", heads, err)
	}
	if status, body := r.get(t, r.url()+"/v1/heads", "Authorization", "Bearer "+r.token, "Accept", "application/problem+json"); status != 200 || !strings.Contains(body, `"success":true`) {
		t.Errorf("%d %s", status, body)
	}
	var issued struct{ Secret string }
	if err := client.Do(t.Context(), http.MethodPost, "/v1/credentials", object{"scopes": []string{"read", "admin"}}, &issued); err != nil {
		t.Fatal(err)
	}
	client.Token = issued.Secret
	refused(native.CodeForbidden, 403, http.MethodGet, "/v1/heads", nil)
	refused(native.CodeForbidden, 403, http.MethodPost, "/v1/backups", object{"name": "wednesday"})
	if status, body := r.get(t, r.url()+"/metrics"); status != 200 || !strings.Contains(body, `operation="createBackup"`) || !strings.Contains(body, `code="403",dialect="native",operation="listHeads"`) {
		t.Errorf("the metrics do not count them: %d", status)
	}
}

// A certificate that is replaced is used from SIGHUP on; a broken one is not.
func TestTLSReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	makeCertificate(t, cert, key, 1)
	r := startNode(t, testConfig(t, "--tls-cert", cert, "--tls-key", key))
	serial := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", r.front.customers.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	if code, _, errs := call(t, "unit", "list", "--address", r.url(), "--token-file", filepath.Join(r.config.Data, tokenFile)); code != exitUsage || !strings.Contains(errs, "SSL_CERT_FILE") {
		t.Errorf("an authority that nobody knows: %d %s", code, errs)
	}
	makeCertificate(t, cert, key, 2)
	r.reload <- struct{}{}
	r.reload <- struct{}{} // the first was done
	if got := serial(); got != 2 {
		t.Errorf("after a reload: serial %d, not 2", got)
	}
	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.reload <- struct{}{}
	if got := serial(); got != 2 {
		t.Errorf("after a broken reload: serial %d, not 2", got)
	}
}

func makeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "saldo"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.7", "192.0.2.1"}, // not a trusted proxy
		{"10.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:5", "203.0.113.9, 198.51.100.7, 10.2.3.4", "198.51.100.7"},
		{"10.0.0.1:5", "203.0.113.9, nonsense", "10.0.0.1"},
		{"10.0.0.1:5", "", "10.0.0.1"},
		{"[::1]:5", "2001:db8::7", "2001:db8::7"},
		{"[::ffff:10.0.0.1]:5", "10.9.9.9", "10.9.9.9"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientAddr(trusted)(r).String(); got != c.want {
			t.Errorf("from %s, forwarded for %q: %s, not %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "512": 512, "1K": 1 << 10, "256MB": 256 << 20, "2GiB": 2 << 30, "1tb": 1 << 40} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1.5GB", "1XB", "99999999999TB", "1 MB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is taken as %d", text, got)
		}
	}
}

// Every setting is in the manual, with its default.
func TestSettingsAreDocumented(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if !bytes.Contains(b, []byte("| `"+s.key+"` |")) {
			t.Errorf("docs/operating.md has no row of `%s`", s.key)
		}
	}
}
