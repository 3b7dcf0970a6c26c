package mturk

import "strings"

// plainXML returns the root element of a document that is of elements, attributes,
// text and CDATA alone, all of it in ASCII; false if it is not, or not well-formed:
// an XML decoder tells. Most questions are such documents, and this takes a tenth
// of its time. FuzzPlainXML holds it to the decoder.
func plainXML(doc string) (root string, ok bool) {
	var space [8]string
	open := space[:0]
	for at := 0; ; {
		text := strings.IndexByte(doc[at:], '<')
		if text < 0 {
			return root, root != "" && len(open) == 0 && isBlank(doc[at:])
		}
		if between := doc[at : at+text]; !plainText(between, ']', true) || len(open) == 0 && !isBlank(between) {
			return "", false
		}
		at += text + 1
		rest := doc[at:]
		switch {
		case len(open) == 0 && root != "": // what is after the root
			return "", false
		case strings.HasPrefix(rest, "/"):
			name := plainName(rest[1:])
			last := len(open) - 1
			if last < 0 || open[last] != name || !strings.HasPrefix(rest[1+len(name):], ">") {
				return "", false
			}
			open = open[:last]
			at += 2 + len(name)
		case strings.HasPrefix(rest, "![CDATA[") && len(open) > 0:
			text, _, closed := strings.Cut(rest[8:], "]]>")
			if !closed || !plainText(text, 0, false) {
				return "", false
			}
			at += 8 + len(text) + 3
		default:
			name := plainName(rest)
			n, empty := plainAttributes(rest[len(name):])
			if name == "" || n == 0 {
				return "", false
			}
			if root == "" {
				root = name
			}
			if !empty {
				open = append(open, name)
			}
			at += len(name) + n
		}
	}
}

// isBlank reports whether s is of XML's white space, as what is outside of a root has
// to be.
func isBlank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }

// plainAttributes returns how long the rest of a start tag is after its name, 0 if
// it is not plain; and whether it is its element's end too.
func plainAttributes(tag string) (n int, empty bool) {
	for {
		blank := len(tag[n:]) - len(strings.TrimLeft(tag[n:], " \t\r\n"))
		n += blank
		switch rest := tag[n:]; {
		case strings.HasPrefix(rest, ">"):
			return n + 1, false
		case strings.HasPrefix(rest, "/>"):
			return n + 2, true
		case blank == 0:
			return 0, false
		default:
			name := plainName(rest)
			rest = rest[len(name):]
			if name == "" || !strings.HasPrefix(rest, `="`) {
				return 0, false
			}
			value, _, closed := strings.Cut(rest[2:], `"`)
			if !closed || !plainText(value, '<', true) {
				return 0, false
			}
			n += len(name) + 2 + len(value) + 1
		}
	}
}

// plainName returns the letters and digits that s begins with, the first a letter.
func plainName(s string) string {
	for i := range len(s) {
		c := s[i]
		if letter := 'a' <= c|0x20 && c|0x20 <= 'z'; !letter && (i == 0 || c < '0' || c > '9') {
			return s[:i]
		}
	}
	return s
}

// plainText reports whether s is of printable ASCII and white space, and has no
// character of one kind and, where references are read, none but to XML's own
// entities.
func plainText(s string, without byte, references bool) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c > '~' || c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == without:
			return false
		case c == '&' && references && !plainReference(s[i+1:]):
			return false
		}
	}
	return true
}

func plainReference(s string) bool {
	for _, name := range [...]string{"amp;", "lt;", "gt;", "quot;", "apos;"} {
		if strings.HasPrefix(s, name) {
			return true
		}
	}
	return false
}
