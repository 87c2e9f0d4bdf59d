package secret

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mtlsplan/internal/input"
)

// ownPrefix begins the names of the variables that are meant for mtlsplan alone.
const ownPrefix = "MTLSPLAN_"

// commandTime is how long a program may take: enough for a person to type a PIN, but
// limited, since the run holds the lock meanwhile.
const commandTime = 5 * time.Minute

func (r Ref) readCommand(ctx context.Context, hide []string) ([]byte, error) {
	if len(r.Command) == 0 || r.Command[0] == "" {
		return nil, errors.New("command: the list is empty: name a program")
	}
	b, err := input.Run(ctx, input.Program{
		Args: r.Command,
		Dir:  r.Dir,
		Keep: func(name string) bool {
			return !strings.HasPrefix(name, ownPrefix) && !slices.Contains(hide, name)
		},
		Most:  readLimit,
		Limit: commandTime,
	})
	switch {
	case err == nil:
		return dropLineEnd(b), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", r, ctx.Err())
	case errors.Is(err, input.ErrTooLarge):
		return nil, err
	case errors.Is(err, input.ErrSlow):
		return nil, fmt.Errorf("%s did not end within %s: run it by hand in %s to find out why", r, commandTime, r.Dir)
	case errors.Is(err, input.ErrHeld):
		return nil, fmt.Errorf("%s ended, but a process that it started keeps its output open: name a program whose processes end", r)
	}
	if exit, ok := errors.AsType[*input.ExitError](err); ok {
		return nil, fmt.Errorf("%s ended with %s: run it by hand in %s to find out why", r, exit, r.Dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s cannot be started: %w: %s", r, err, input.NotExecutable)
	}
	return nil, fmt.Errorf("%s cannot be started: %w: install it, or name another source", r, err)
}
