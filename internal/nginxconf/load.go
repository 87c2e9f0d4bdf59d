package nginxconf

import (
	"path/filepath"
	"strings"
)

// Files gives the files that an include names, by absolute path or as far as the
// site's own path goes.
type Files interface {
	Read(path string) ([]byte, error)
	// Glob gives the files that a pattern stands for, in their order; none is no error.
	Glob(pattern string) ([]string, error)
}

const (
	mostIncludes = 10   // files that include each other; the eleventh is an error
	mostFiles    = 1000 // in all
)

// Load parses a file, whose text has been read, and puts the directives of included
// files in the place of their include. A relative path in an include is relative to
// prefix, the directory of nginx.conf. What cannot be read is an error of its include,
// and does not end the reading.
func Load(file string, text []byte, prefix string, files Files) ([]*Directive, []*Error) {
	l := &loader{prefix: prefix, files: files}
	return l.file(file, text, 0), l.errors
}

type loader struct {
	prefix string
	files  Files
	errors []*Error
	read   int
}

func (l *loader) file(name string, text []byte, depth int) []*Directive {
	list, errs := Parse(name, text)
	l.errors = append(l.errors, errs...)
	return l.expand(list, depth)
}

// expand replaces the includes in a list and in all blocks.
func (l *loader) expand(list []*Directive, depth int) []*Directive {
	var out []*Directive
	for _, d := range list {
		if d.Name == "include" && !d.Opens && len(d.Args) == 1 {
			out = append(out, l.include(d, depth)...)
			continue
		}
		d.Block = l.expand(d.Block, depth)
		out = append(out, d)
	}
	return out
}

func (l *loader) include(d *Directive, depth int) []*Directive {
	path := d.Args[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.prefix, path)
	}
	if depth >= mostIncludes {
		l.fail(d, "too many files include each other here, perhaps in a circle; NGINX would not start")
		return nil
	}
	paths := []string{path}
	if strings.ContainsAny(path, "*?[") { // as in ngx_conf_include
		var err error
		if paths, err = l.files.Glob(path); err != nil {
			l.fail(d, "the included "+path+" is no pattern: "+err.Error())
		}
	}
	var out []*Directive
	for _, p := range paths {
		if l.read++; l.read > mostFiles {
			if l.read == mostFiles+1 {
				l.fail(d, "more than 1000 files are included, and the rest was not read")
			}
			break
		}
		text, err := l.files.Read(p)
		if err != nil {
			l.fail(d, "the included "+p+" cannot be read, so it was not examined: "+err.Error())
			continue
		}
		out = append(out, l.file(p, text, depth+1)...)
	}
	return out
}

func (l *loader) fail(d *Directive, text string) {
	l.errors = append(l.errors, &Error{d.Place, text})
}
