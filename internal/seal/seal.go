package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"mtlsplan/internal/secret"
)

// Seal encrypts a passphrase, with a line end behind it, to recipients in the form that
// [ParseRecipient] gives. The result is armored.
func Seal(pass secret.Value, recipients []string) ([]byte, error) {
	var to []age.Recipient
	for _, text := range recipients {
		r, err := recipient(text)
		if err != nil {
			return nil, err
		}
		to = append(to, r)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to...)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(w, pass.Reveal()+"\n")
	if err := errors.Join(err, w.Close(), text.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func recipient(text string) (age.Recipient, error) {
	if strings.HasPrefix(text, "age1") {
		return age.ParseX25519Recipient(text)
	}
	return agessh.ParseRecipient(text)
}

// ErrDamaged says that a file is no sealed passphrase, or was altered.
var ErrDamaged = errors.New("it is no file of age that can be read, or it was altered")

// ErrOther says that what is sealed is sealed to others than the identity.
var ErrOther = errors.New("it is sealed to others than the identity")

// Inspect reports whether a file can be one that [Seal] has written, as far as that can
// be told without an identity: the error is [ErrDamaged].
func Inspect(data []byte) error {
	if _, err := age.ExtractHeader(reader(data)); err != nil {
		return ErrDamaged
	}
	rest, err := io.ReadAll(reader(data))
	if err != nil || len(rest) == 0 {
		return ErrDamaged
	}
	return nil
}

// reader reads a file that may be armored; git may have given it other line ends.
func reader(data []byte) io.Reader {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(data))
	}
	return bytes.NewReader(data)
}

// Identity is what opens sealed passphrases: the private keys of one or more recipients.
type Identity struct {
	keys       func() []age.Identity // a function, so that nothing that prints an Identity prints a key
	recipients []string
}

// Recipients are those whose private keys it has, in the form of [ParseRecipient].
func (id *Identity) Recipients() []string { return id.recipients }

// Opens reports whether what is sealed to recipients can be opened.
func (id *Identity) Opens(recipients []string) bool {
	return slices.ContainsFunc(id.recipients, func(r string) bool { return slices.Contains(recipients, r) })
}

// Open opens a sealed passphrase. The error is [ErrOther] or [ErrDamaged].
func (id *Identity) Open(data []byte) (secret.Value, error) {
	if err := Inspect(data); err != nil {
		return secret.Value{}, err
	}
	r, err := age.Decrypt(reader(data), id.keys()...)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return secret.Value{}, ErrOther
	}
	if err != nil {
		return secret.Value{}, ErrDamaged
	}
	text, err := io.ReadAll(io.LimitReader(r, secret.MaxLen+3))
	if err != nil {
		return secret.Value{}, ErrDamaged
	}
	return secret.Line(text), nil
}

// ParseIdentity reads an identity: the file of age-keygen, with any number of keys and
// comments, or an SSH private key that is not encrypted; also several of them, one below
// the other. No error quotes what was read.
func ParseIdentity(text secret.Value) (*Identity, error) {
	var keys []age.Identity
	id := &Identity{keys: func() []age.Identity { return keys }}
	rest := strings.ReplaceAll(text.Reveal(), "\r\n", "\n")
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, armor.Header):
			return nil, errors.New("it is encrypted itself, and nobody is there to type its passphrase: name an unencrypted copy of it (age -d -o COPY KEY), and keep that where secrets are kept")
		case strings.HasPrefix(line, "-----BEGIN "):
			block, more, whole := strings.Cut(rest, "\n-----END ")
			if !whole {
				return nil, errors.New("it is an SSH key without its last line: copy the file as a whole")
			}
			end, more, _ := strings.Cut(more, "\n")
			rest = more
			key, public, err := sshIdentity(line + "\n" + block + "\n-----END " + strings.TrimSpace(end) + "\n")
			if err != nil {
				return nil, err
			}
			keys, id.recipients = append(keys, key), append(id.recipients, public)
		case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
			key, err := age.ParseX25519Identity(line)
			if err != nil {
				return nil, errors.New("it is a key of age that cannot be read: a character of it is missing, or is another than it should be")
			}
			keys, id.recipients = append(keys, key), append(id.recipients, key.Recipient().String())
		case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
			return nil, errors.New("it is a post-quantum key, to which nothing is sealed here: name one that age-keygen makes without -pq")
		case strings.HasPrefix(line, "AGE-PLUGIN-"):
			return nil, errors.New("it is in hardware, for a plugin of age, and mtlsplan runs no plugins: name a key of age-keygen whose recipient is in the spec too")
		case begins(line):
			return nil, errors.New("it is the public half of a key, a recipient: name the private one, the file of age-keygen or of ssh-keygen without .pub")
		default:
			return nil, errors.New("it is neither the file of age-keygen nor an SSH private key")
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key: name the file of age-keygen, or an SSH private key that is not encrypted")
	}
	return id, nil
}

// sshIdentity reads an SSH private key in PEM.
func sshIdentity(text string) (age.Identity, string, error) {
	key, err := ssh.ParseRawPrivateKey([]byte(text))
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		return nil, "", errors.New("it is an SSH key with a passphrase, and nobody is there to type that: make a key for this alone with age-keygen -o NEW, add its public half to recipients, and name NEW as identity; where something is sealed to the SSH key already, have apply run once before that with an unencrypted copy of it as identity, which seals all of it to both (cp KEY COPY; ssh-keygen -p -N '' -f COPY; after the run rm COPY)")
	}
	if err != nil {
		return nil, "", errors.New("it is a private key that cannot be read: copy the file of ssh-keygen as a whole")
	}
	var id age.Identity
	var public any
	switch k := key.(type) {
	case ed25519.PrivateKey: // of PKCS #8
		id, err = agessh.NewEd25519Identity(k)
		public = k.Public()
	case *ed25519.PrivateKey:
		id, err = agessh.NewEd25519Identity(*k)
		public = k.Public()
	case *rsa.PrivateKey:
		id, err = agessh.NewRSAIdentity(k)
		public = k.Public()
	default:
		return nil, "", errors.New("it is an SSH key of another type than ssh-ed25519 and ssh-rsa, and age seals only to those: name one of those, or a key of age-keygen")
	}
	if err != nil {
		return nil, "", fmt.Errorf("it is an SSH key that cannot be used: %w", err)
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, "", fmt.Errorf("it is an SSH key that cannot be used: %w", err)
	}
	return id, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))), nil
}
