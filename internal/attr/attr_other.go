//go:build !linux

// Package attr knows what keeps a file from being changed beside its mode and its owner.
package attr

// Fixed cannot tell here.
func Fixed(string) string { return "" }

// Mounted cannot tell here.
func Mounted(string) bool { return false }
