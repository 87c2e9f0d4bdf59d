package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"

	"mtlsplan/internal/secret"
)

func NewSerial() *big.Int              { return nil }
func SerialHex(serial *big.Int) string { return "" }

func SignCA(r CARequest, key crypto.Signer) ([]byte, error) { return nil, errUnfinished }
func SignUser(r UserRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	return nil, errUnfinished
}
func SignCRL(r CRLRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	return nil, errUnfinished
}

var errUnfinished = errors.New("unfinished")

type CSR struct {
	Subject   []byte
	Emails    []string
	Public    crypto.PublicKey
	Challenge secret.Value
	Raw       []byte
}

func MakeCSR(subject []byte, emails []string, challenge secret.Value, key crypto.Signer) ([]byte, error) {
	return nil, errUnfinished
}
func ParseCSR(pem []byte) (*CSR, error) { return nil, errUnfinished }

func EncodeP12(p Profile, key crypto.Signer, cert *x509.Certificate, chain []*x509.Certificate, pass secret.Value, iterations int) ([]byte, error) {
	return nil, errUnfinished
}
func InspectP12(der []byte) (P12Info, error)              { return P12Info{}, errUnfinished }
func OpenP12(der []byte, pass secret.Value) (*P12, error) { return nil, errUnfinished }

type Mismatch struct{ Field, Have, Want string }

func UserUsage(cert, ca *x509.Certificate) []Mismatch { return nil }
func CAUsage(cert *x509.Certificate) []Mismatch       { return nil }

func WriteText(w io.Writer, cert *x509.Certificate) error { return errUnfinished }
