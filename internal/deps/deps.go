// Package deps pins modules while the packages that import them are written.
package deps

import (
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/youmark/pkcs8"
	_ "github.com/zmap/zlint/v3"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "golang.org/x/text/unicode/norm"
	_ "golang.org/x/net/idna"
	_ "gopkg.in/yaml.v3"
	_ "pgregory.net/rapid"
	_ "software.sslmate.com/src/go-pkcs12"
	_ "github.com/smallstep/certinfo"
	_ "github.com/hashicorp/hcl/v2/hclwrite"
	_ "github.com/agext/levenshtein"
	_ "github.com/pmezard/go-difflib/difflib"
)
