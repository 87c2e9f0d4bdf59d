// Command dist makes what a release consists of: packages, archives, a container image,
// bills of materials and checksums. It is a module of its own, so that none of its
// libraries is one of mtlsplan's.
//
// The same commit gives the same bytes: all times are that of the commit, and nothing of
// the builder's machine is written. Run it in the repository through make dist.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// platforms are those that a release is made for.
const platforms = "linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64"

func main() {
	var r release
	flag.StringVar(&r.root, "C", ".", "the repository `dir`ectory")
	flag.StringVar(&r.out, "o", "build/dist", "`dir`ectory for what is made; an earlier release in it is removed, and one that holds anything else is refused")
	flag.StringVar(&r.version, "version", "", "version; that of the commit, by its tags, when not given")
	flag.StringVar(&r.maintainer, "maintainer", "The mtlsplan authors <mtlsplan@localhost>", "who answers for the packages, as `NAME <ADDRESS>`")
	wanted := flag.String("for", platforms, "`platforms` as GOOS/GOARCH, with blanks between")
	kinds := flag.String("kinds", "deb rpm archive sbom image", "what to make, with blanks between")
	flag.Parse()
	r.kinds = strings.Fields(*kinds)
	if err := r.make(strings.Fields(*wanted)); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}
