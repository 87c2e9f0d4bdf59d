package config

import "slices"

// SourceKind says where a secret is kept. The zero kind means that none was named.
type SourceKind uint8

const (
	NoSource    SourceKind = iota
	Generated              // made by mtlsplan once per owner, kept in secrets/ of the output directory
	FromEnv                // an environment variable
	FromFile               // a file
	FromCommand            // the standard output of a program
)

// Source names where a secret is. It never holds one, so it may be printed,
// compared and logged.
type Source struct {
	Kind    SourceKind
	Env     string   // name of the variable
	File    string   // absolute path
	Command []string // program and arguments
	Dir     string   // where Command runs: the spec's directory
}

// IsZero reports whether no source was named.
func (s Source) IsZero() bool { return s.Kind == NoSource }

// Same reports whether both name the same source.
func (s Source) Same(t Source) bool {
	return s.Kind == t.Kind && s.Env == t.Env && s.File == t.File &&
		s.Dir == t.Dir && slices.Equal(s.Command, t.Command)
}

// String describes the source for people, without what may be private in a
// program's arguments.
func (s Source) String() string {
	switch s.Kind {
	case Generated:
		return "generated"
	case FromEnv:
		return "environment variable " + s.Env
	case FromFile:
		return "file " + s.File
	case FromCommand:
		if len(s.Command) > 0 {
			return "command " + s.Command[0]
		}
		return "command"
	}
	return "no source"
}
