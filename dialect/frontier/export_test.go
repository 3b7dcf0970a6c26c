package frontier

import "net/http"

// Gathers sets how long a list may be that has to be one message in memory.
func Gathers(h http.Handler, bytes int) { h.(*server).gathers = bytes }
