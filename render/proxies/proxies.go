// Package proxies is the table of the proxies that sites can be rendered for.
// It stands apart from package render because every proxy imports that one.
package proxies

import (
	"mtlsplan/render"
	"mtlsplan/render/nginx"
)

// All are the proxies, one row each.
var All = []*render.Proxy{nginx.Proxy}
