package input

import "context"

type urgentKey struct{}

// WithUrgency gives a context that also knows when whoever has interrupted the run does
// not wait any longer: then urgent ends. Programs that an interrupt alone does not end are
// ended by that.
func WithUrgency(ctx, urgent context.Context) context.Context {
	return context.WithValue(ctx, urgentKey{}, urgent)
}

// Urgent is the context of [WithUrgency], and else one that does not end.
func Urgent(ctx context.Context) context.Context {
	if urgent, ok := ctx.Value(urgentKey{}).(context.Context); ok {
		return urgent
	}
	return context.Background()
}
