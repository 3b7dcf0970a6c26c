package twilio

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxForm is how long the body of a request may be.
const maxForm = 64 << 10

// params returns what a request asks for, in its body and its query.
func (q *request) params() (url.Values, error) {
	values, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return nil, invalidParameter("The query cannot be read")
	}
	if q.Method != http.MethodPost {
		return values, nil
	}
	if err := q.ReadBody(maxForm); err != nil {
		return nil, invalidParameter("The body cannot be read, or is longer than 64 KiB")
	}
	body, err := url.ParseQuery(string(q.Body))
	if err != nil {
		return nil, invalidParameter("The body is not application/x-www-form-urlencoded")
	}
	for name, of := range body {
		values[name] = of
	}
	return values, nil
}

// checkText says what is wrong with a text for people.
func checkText(name, value string, most int) error {
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > most || strings.ContainsFunc(value, isControl) {
		return invalidParameter(name + " has to be up to " + strconv.Itoa(most) + " characters, without control characters")
	}
	return nil
}

// escape spells a value as it stands in an address.
func escape(value string) string { return url.QueryEscape(value) }

func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff }

// Records of a page: of those that are not asked for, and the most.
const (
	pageSize = 50
	maxPage  = 1000
)

// A page is what a request asks for of a list. A PageToken is opaque to its
// readers: where the page begins, after where the page before it did.
type page struct {
	size   int
	number int
	from   string // where it begins; "": at the start
	before string // where the page before it began
	back   bool   // there is a page before it, which begins there
}

// A listing is what a list answers.
type listing struct {
	key     string // of the records, in JSON
	element string // of one record, in XML
	path    string // without the extension
	filters url.Values
	records []resource
	next    string // where the next page begins; "": there is none
}

// page reads what a request asks for of a list.
func (q *request) page(v url.Values) (p page, err error) {
	p.size = pageSize
	if text := v.Get("PageSize"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n == 0 {
			return p, invalidParameter("PageSize has to be a number from 1 to 1000")
		}
		p.size = min(int(n), maxPage)
	}
	if text := v.Get("Page"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return p, invalidParameter("Page has to be a number")
		}
		p.number = int(n)
	}
	token := v.Get("PageToken")
	if token == "" {
		if p.number > 0 {
			return p, invalidParameter("Pages are found by the PageToken of next_page_uri")
		}
		return p, nil
	}
	if !p.read(token) {
		return p, invalidParameter("PageToken is none that this list has given")
	}
	return p, nil
}

const maxToken = 2048

// token spells where a page begins:
//
//	0 | from, or
//	1 | u length of before | before | from
func (p *page) token() string {
	b := []byte{0}
	if p.back {
		b = binary.AppendUvarint([]byte{1}, uint64(len(p.before)))
		b = append(b, p.before...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, p.from...))
}

func (p *page) read(token string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(token) > maxToken || len(b) < 1 || b[0] > 1 {
		return false
	}
	p.back, b = b[0] == 1, b[1:]
	if p.back {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return false
		}
		p.before, b = string(b[k:k+int(n)]), b[k+int(n):]
	}
	p.from = string(b)
	return p.from != ""
}

// uri spells the address of a page.
func (l *listing) uri(q *request, p *page) string {
	var b strings.Builder
	b.WriteString(l.path + q.extension + "?")
	for _, name := range filterNames {
		if value := l.filters.Get(name); value != "" {
			b.WriteString(name + "=" + url.QueryEscape(value) + "&")
		}
	}
	b.WriteString("PageSize=" + strconv.Itoa(p.size) + "&Page=" + strconv.Itoa(p.number))
	if p.from != "" {
		b.WriteString("&PageToken=" + p.token())
	}
	return b.String()
}

// filterNames are the parameters that say which records a list has, in the order
// in which they stand in the addresses of pages.
var filterNames = []string{"FriendlyName", "Status", "Category", "StartDate", "EndDate", "IncludeSubaccounts", "Recurring", "TriggerBy", "UsageCategory"}

// giveList answers with a page of a list. An SDK takes every key of JSON that it
// does not know for the records, so there is one such key.
func (q *request) giveList(l *listing, p *page) {
	start := p.number * p.size
	end := start + max(len(l.records), 1) - 1
	if len(l.records) == 0 {
		start, end = 0, 0
	}
	first, next, previous := page{size: p.size}, "", ""
	if l.next != "" {
		after := page{size: p.size, number: p.number + 1, from: l.next, before: p.from, back: p.from != ""}
		next = l.uri(q, &after)
	}
	switch {
	case p.back:
		previous = l.uri(q, &page{size: p.size, number: max(p.number, 1) - 1, from: p.before})
	case p.number == 1:
		previous = l.uri(q, &first)
	}
	envelope := []field{
		{name: "end", value: strconv.Itoa(end), is: number},
		{name: "first_page_uri", value: l.uri(q, &first)},
		optional("next_page_uri", next),
		{name: "page", value: strconv.Itoa(p.number), is: number},
		{name: "page_size", value: strconv.Itoa(p.size), is: number},
		optional("previous_page_uri", previous),
		{name: "start", value: strconv.Itoa(start), is: number},
		{name: "uri", value: l.uri(q, p)},
	}
	q.Status = http.StatusOK
	q.Header()["Content-Type"] = typeOf[q.form]
	q.Out = q.form.appendList(q.Out, l, envelope)
}

// appendList appends a page: in XML what describes it are attributes, without
// underscores; CSV has the records alone.
func (f form) appendList(b []byte, l *listing, envelope []field) []byte {
	switch f {
	case asJSON:
		b = appendJSON(b, false, envelope)
		b = append(b[:len(b)-1], `, "`...)
		b = append(append(b, l.key...), `": [`...)
		for i := range l.records {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendJSON(b, false, l.records[i].fields)
		}
		return append(b, "]}"...)
	case asCSV:
		for i := range l.records {
			if i == 0 {
				b = appendCSVNames(b, l.records[i].fields)
			}
			b = appendCSVLine(b, l.records[i].fields)
		}
		return b
	}
	b = appendCamel(append(append(b, xmlStart...), '<'), l.key)
	for i := range envelope {
		b = append(append(b, ' '), strings.ReplaceAll(envelope[i].name, "_", "")...)
		b = append(appendXMLText(append(b, `="`...), envelope[i].value), '"')
	}
	b = append(b, '>')
	for i := range l.records {
		b = appendXML(b, l.element, l.records[i].fields)
	}
	return append(append(appendCamel(append(b, "</"...), l.key), '>'), xmlEnd...)
}
