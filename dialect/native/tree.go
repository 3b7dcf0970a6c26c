package native

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A node is a place in the tree of paths: what may follow, and what is here.
// The tree stands where a ServeMux could, which answers unknown paths, wrong
// methods and double slashes in words of its own, and with redirects.
type node struct {
	next   map[string]*node
	any    *node // {name}
	routes []*route
}

func (n *node) add(r *route) {
	for part := range strings.SplitSeq(r.path[1:], "/") {
		if part[0] == '{' {
			if n.any == nil {
				n.any = new(node)
			}
			n = n.any
			continue
		}
		if n.next == nil {
			n.next = make(map[string]*node)
		}
		if n.next[part] == nil {
			n.next[part] = new(node)
		}
		n = n.next[part]
	}
	n.routes = append(n.routes, r)
}

// find returns the route of a request and notes what its path names.
func (n *node) find(q *request) (*route, error) {
	path, escaped := q.URL.Path, false
	if q.URL.RawPath != "" {
		path, escaped = q.URL.RawPath, true
	}
	params := 0
	for more := true; more; {
		var part string
		if path == "" || path[0] != '/' {
			return nil, refuse(CodeNotFound, "There is nothing at this path")
		}
		path = path[1:]
		if end := strings.IndexByte(path, '/'); end >= 0 {
			part, path = path[:end], path[end:]
		} else {
			part, path, more = path, "", false
		}
		if next := n.next[part]; next != nil {
			n = next
			continue
		}
		if escaped {
			var err error
			if part, err = url.PathUnescape(part); err != nil {
				part = ""
			}
		}
		if n.any == nil || part == "" {
			return nil, refuse(CodeNotFound, "There is nothing at this path")
		}
		n = n.any
		q.params[params] = part
		params++
	}
	method := q.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, r := range n.routes {
		if r.method == method {
			return r, nil
		}
	}
	if len(n.routes) == 0 {
		return nil, refuse(CodeNotFound, "There is nothing at this path")
	}
	var allow []string
	for _, r := range n.routes {
		allow = append(allow, r.method)
		if r.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	e := refuse(CodeMethod, "")
	e.allow = strings.Join(allow, ", ")
	return nil, e
}
