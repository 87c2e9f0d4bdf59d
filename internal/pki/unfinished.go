package pki

import (
	"crypto/x509"
	"errors"
	"io"
)

var errUnfinished = errors.New("unfinished")

type Mismatch struct{ Field, Have, Want string }

func UserUsage(cert, ca *x509.Certificate) []Mismatch { return nil }
func CAUsage(cert *x509.Certificate) []Mismatch       { return nil }

func WriteText(w io.Writer, cert *x509.Certificate) error { return errUnfinished }
