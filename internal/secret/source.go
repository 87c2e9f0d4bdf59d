package secret

import (
	"context"
	"errors"
)

func (r Ref) Read(ctx context.Context, lookupEnv func(string) (string, bool), hide []string) (Value, error) {
	return Value{}, errors.New("unfinished")
}
func Check(v Value) error     { return nil }
func (r Ref) String() string  { return "" }
func (r Ref) Same(s Ref) bool { return false }
func Random() Value           { return Value{} }
