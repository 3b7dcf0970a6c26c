package mturklegacy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// What is refused in XML beyond what is not well-formed. SOAP 1.1 forbids
// document types and processing instructions in messages, and so no entity is
// ever declared.
var (
	errDocType     = errors.New("it has a document type")
	errInstruction = errors.New("it has a processing instruction")
	errDeep        = errors.New("its elements are too deep in each other")
	errMany        = errors.New("it has too many elements")
	errNoElement   = errors.New("it has no element")
	errOutside     = errors.New("something stands outside of its element")
	errEncoding    = errors.New("it is not in UTF-8")
)

// An element is one that is open.
type element struct {
	xml.Name
	Attr []xml.Attr
	text strings.Builder
	leaf bool  // it has no elements in it
	node *node // it is kept as
}

// scan reads an XML document and calls start and end, either of which may be
// nil, with the elements from the outermost to the one that starts or ends. Text
// is that of an element without others in it, and "" of one that has some.
func scan(document []byte, start func(path []*element) error, end func(path []*element, text string) error) error {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(document, []byte("\ufeff"))))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errEncoding }
	var path []*element
	elements := 0
	for first, done := true, false; ; first = false {
		token, err := d.Token()
		if err == io.EOF && done {
			return nil
		}
		if err == io.EOF {
			return errNoElement
		}
		if err != nil {
			if errors.Is(err, errEncoding) {
				return errEncoding // without the decoder's own words
			}
			return err
		}
		switch token := token.(type) {
		case xml.Directive:
			return errDocType
		case xml.ProcInst:
			if !first || token.Target != "xml" {
				return errInstruction
			}
		case xml.CharData:
			if n := len(path); n > 0 {
				path[n-1].text.Write(token)
			} else if len(bytes.TrimSpace(token)) > 0 {
				return errOutside
			}
		case xml.StartElement:
			if done {
				return errOutside
			}
			if len(path) == maxDepth {
				return errDeep
			}
			if elements++; elements > maxElements {
				return errMany
			}
			if n := len(path); n > 0 {
				path[n-1].leaf = false
			}
			path = append(path, &element{Name: token.Name, Attr: token.Attr, leaf: true})
			if start != nil {
				if err := start(path); err != nil {
					return err
				}
			}
		case xml.EndElement:
			last := path[len(path)-1]
			text := ""
			if last.leaf {
				text = last.text.String()
			}
			if end != nil {
				if err := end(path, text); err != nil {
					return err
				}
			}
			path = path[:len(path)-1]
			done = len(path) == 0
		}
	}
}

// is reports whether the innermost element of a path stands where names say,
// from its parent's parents inward, in whatever namespace.
func is(path []*element, names ...string) bool {
	if len(path) < len(names) {
		return false
	}
	for i, e := range path[len(path)-len(names):] {
		if e.Local != names[i] {
			return false
		}
	}
	return true
}

// appendText appends text as it stands in an element. What XML cannot say
// becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '\r':
			b = append(b, "&#xD;"...)
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			b = append(b, "\ufffd"...)
		default:
			b = append(b, string(r)...) // what is not UTF-8 is U+FFFD already
		}
	}
	return b
}
