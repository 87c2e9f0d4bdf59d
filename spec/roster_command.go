package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/input"
)

// rosterTime is how long a program may take that prints a roster: enough for a large
// directory, or for a person to type a PIN.
const rosterTime = 5 * time.Minute

// RosterVariables are those that the program of a roster gets, beside LC_* and XDG_*:
// what it needs to find its files, its tickets and its way through the network. Others
// may hold passphrases, so it gets none.
var RosterVariables = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "KRB5CCNAME", "KRB5_CONFIG",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}

func rosterVariable(name string) bool {
	return slices.Contains(RosterVariables, name) || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_")
}

// nameOfOutput is what the output of a program is called in messages.
func (l *loader) nameOfOutput(args []string) string {
	name := "output of " + cut(strings.Join(args, " "))
	for n := 2; l.src.files[name] != nil; n++ {
		name = fmt.Sprintf("output of %s (%d)", cut(strings.Join(args, " ")), n)
	}
	return name
}

// runRoster runs the program of a roster, and reports why it gave no list. No message
// has any of its words, which could hold a secret.
func (l *loader) runRoster(s *rosterBlock) ([]byte, bool) {
	args := s.command.value
	text, err := input.Run(l.ctx, input.Program{Args: args, Dir: l.cfg.Dir, Keep: rosterVariable, Most: maxSize, Limit: rosterTime})
	byHand := fmt.Sprintf(" Run it by hand in %s to find out why.", l.cfg.Dir) + kept
	exit, ended := errors.AsType[*input.ExitError](err)
	switch {
	case err == nil:
		return text, true
	case l.ctx.Err() != nil:
		l.error(s.command.at, "Interrupted", fmt.Sprintf("%s was ended because the run was.", args[0])+kept)
	case errors.Is(err, input.ErrTooLarge):
		l.error(s.command.at, "Roster too large", fmt.Sprintf("A roster has at most %d MiB, and %s prints more.", maxSize>>20, args[0])+kept)
	case errors.Is(err, input.ErrSlow):
		l.error(s.command.at, "Program that does not end", fmt.Sprintf("%s did not end within %s.", args[0], rosterTime)+byHand)
	case errors.Is(err, input.ErrHeld):
		l.error(s.command.at, "Program that does not end", fmt.Sprintf("%s ended, but a process that it started keeps its output open, so nothing tells whether the list is whole. Name a program whose processes end.", args[0])+kept)
	case ended:
		l.error(s.command.at, "Program that failed", fmt.Sprintf("%s ended with %s.", args[0], exit)+byHand)
	default:
		remedy := "Install it, or name it by its path."
		if errors.Is(err, fs.ErrPermission) {
			remedy = "M" + input.NotExecutable[1:] + "."
		}
		l.error(s.command.at, "Program that cannot be started", fmt.Sprintf("%s cannot be started in %s: %v. %s", args[0], l.cfg.Dir, err, remedy)+kept)
	}
	return nil, false
}
