// Package dash is the dashboard: pages for people, which are a client of the
// native API and know nothing that it does not tell.
//
// There is one HTML page and a tree of ES modules, all embedded. The page is
// the same for every address; what is shown is decided in the browser. Modules
// have the hash of the whole tree in their path, so a browser keeps them for
// good and never mixes two versions. Nothing comes from another host, and the
// policy of the page says so to the browser: no inline script, no other origin.
package dash

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed page
var tree embed.FS

// assets is the folder that everything but the page is served from.
const assets = "/assets/"

// pages is the first part of every address that shows the page.
var pages = []string{"", "accounts", "vendors", "rules", "webhooks", "journal"}

// policy lets the page use what this server sends, and nothing else.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// A file is what is served at one path, whole and compressed.
type file struct {
	contentType string
	etag        string
	plain, gzip []byte // gzip is nil if it is no shorter
}

// A dashboard serves the page and its files, and leaves all else to next.
type dashboard struct {
	next  http.Handler
	page  *file
	files map[string]*file // by path
}

// New returns the dashboard over an API: it answers what a browser asks of the
// page's addresses and of its files, and next answers the rest.
func New(next http.Handler) http.Handler {
	d := &dashboard{next: next, files: map[string]*file{}}
	sources, version := read()
	for name, text := range sources {
		if name == "index.html" {
			continue
		}
		d.files[assets+version+"/"+name] = newFile(name, text)
	}
	index := strings.ReplaceAll(string(sources["index.html"]), "{assets}", assets+version)
	d.page = newFile("index.html", []byte(index))
	return d
}

// read returns the embedded files by name, and the hash of them all.
func read() (sources map[string][]byte, version string) {
	sources = map[string][]byte{}
	sum := sha256.New()
	err := fs.WalkDir(tree, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := tree.ReadFile(name)
		name = strings.TrimPrefix(name, "page/")
		sources[name] = text
		sum.Write([]byte(name + "\x00" + strconv.Itoa(len(text)) + "\x00"))
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return sources, hex.EncodeToString(sum.Sum(nil)[:8])
}

func newFile(name string, text []byte) *file {
	sum := sha256.Sum256(text)
	f := &file{contentType: contentTypes[path.Ext(name)], etag: hex.EncodeToString(sum[:8]), plain: text}
	var short bytes.Buffer
	w, _ := gzip.NewWriterLevel(&short, gzip.BestCompression) // the level is one there is
	w.Write(text)
	w.Close()
	if short.Len() < len(text) {
		f.gzip = short.Bytes()
	}
	return f
}

func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		d.next.ServeHTTP(w, r)
		return
	}
	if f := d.files[r.URL.Path]; f != nil {
		f.serve(w, r, "public, max-age=31536000, immutable")
		return
	}
	if !isPage(r.URL.Path) || !wantsHTML(r) {
		d.next.ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Add("Vary", "Accept")
	d.page.serve(w, r, "no-cache")
}

// isPage reports whether an address is one of the page's.
func isPage(name string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return slices.Contains(pages, first)
}

// wantsHTML reports whether a person asks: programs do not say that they take
// HTML, and get the API's answer.
func wantsHTML(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// serve writes a file, compressed where that is understood.
func (f *file) serve(w http.ResponseWriter, r *http.Request, caching string) {
	body, etag := f.plain, f.etag
	h := w.Header()
	if f.gzip != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r) {
			body, etag = f.gzip, etag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
	}
	etag = `"` + etag + `"`
	h.Set("Cache-Control", caching)
	h.Set("Content-Type", f.contentType)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("ETag", etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// takesGzip reports whether Accept-Encoding names gzip and does not forbid it.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

// matches reports whether If-None-Match has an entity tag.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
