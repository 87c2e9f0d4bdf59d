package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"

	"mtlsplan/internal/secret"
)

var (
	ErrPassphrase = errors.New("the passphrase does not open it")
	ErrDamaged    = errors.New("damaged")
	errUnfinished = errors.New("unfinished")
)

func (t KeyType) Generate() (crypto.Signer, error) { return nil, errUnfinished }
func KeyTypeOf(pub crypto.PublicKey) KeyType       { return "" }
func PublicID(pub crypto.PublicKey) string         { return "" }
func EncryptKey(key crypto.Signer, pass secret.Value, iterations int) ([]byte, error) {
	return nil, errUnfinished
}
func InspectKey(pem []byte) (KeyInfo, error) { return KeyInfo{}, errUnfinished }
func OpenKey(pem []byte, pass secret.Value) (crypto.Signer, error) {
	return nil, errUnfinished
}

func (s Subject) DER() ([]byte, error) { return nil, errUnfinished }
func ParseSubject(der []byte) (s Subject, rest []string, err error) {
	return s, nil, errUnfinished
}
func NameString(der []byte) string  { return "" }
func NameOneLine(der []byte) string { return "" }

type FieldProblem struct{ Field, Summary, Detail string }

func (s Subject) Problems() []FieldProblem { return nil }
func CheckEmail(email string) error        { return nil }

func NewSerial() *big.Int              { return nil }
func SerialHex(serial *big.Int) string { return "" }

func SignCA(r CARequest, key crypto.Signer) ([]byte, error) { return nil, errUnfinished }
func SignUser(r UserRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	return nil, errUnfinished
}
func SignCRL(r CRLRequest, ca *x509.Certificate, caKey crypto.Signer) ([]byte, error) {
	return nil, errUnfinished
}

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

func EncodeCertificate(der []byte) []byte { return nil }
func EncodeCSR(der []byte) []byte         { return nil }
func EncodeCRL(der []byte) []byte         { return nil }
func ParseCertificates(pem []byte) ([]*x509.Certificate, error) {
	return nil, errUnfinished
}
func ParseCRLs(pem []byte) ([]*x509.RevocationList, error) { return nil, errUnfinished }

type Mismatch struct{ Field, Have, Want string }

func UserUsage(cert, ca *x509.Certificate) []Mismatch { return nil }
func CAUsage(cert *x509.Certificate) []Mismatch       { return nil }

type Reason struct {
	Name string
	Code int
}

var Reasons []Reason

func ReasonCode(name string) (int, bool) { return 0, false }
func ReasonName(code int) string         { return "" }

func WriteText(w io.Writer, cert *x509.Certificate) error { return errUnfinished }
