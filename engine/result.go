package engine

import (
	"crypto"
	"crypto/x509"
	"io/fs"
	"math/big"
	"slices"

	"mtlsplan/internal/facts"
	"mtlsplan/internal/ledger"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/policy"
	"mtlsplan/internal/seal"
	"mtlsplan/internal/secret"
)

// result is what a task comes to, in memory: nothing of it is on disk yet.
type result struct {
	task    *policy.Task
	serial  *big.Int // of the certificate that is to be issued, nil for none
	issued  []*x509.Certificate
	request pki.UserRequest // what a user's issued one was asked to be
	asked   pki.CARequest   // the same of the CA's
	before  []string        // files that go before the new ones come (I5)
	puts    []put
	sealed  map[string][]string // to whom those of puts are sealed that are
	after   []string            // files that go last
	moves   []move              // files that go to db/retired
	changes []ledger.Change
	then    func() // what follows for the rest of the run, once all is proven
	err     error  // the owner is left as it was
	again   bool   // the step was done and reported before
}

type put struct {
	name  string
	data  []byte
	mode  fs.FileMode
	proof proof
}

type move struct{ from, to string }

func (r *result) put(kind plan.Kind, path facts.Path, data []byte, p proof) {
	r.puts = append(r.puts, put{path.String(), data, facts.ModeOf(kind), p})
}

// passphrase is the one that the owner's files get: the one at hand, or a new one when the
// task asks for it. Where the task says so it is stored, sealed to recipients if there are
// any.
func (r *result) passphrase(now secret.Value, recipients []string, path func(plan.Kind) facts.Path) (secret.Value, error) {
	kind := facts.PassKind(recipients)
	if !r.task.MustMake(kind) {
		return now, nil
	}
	pass := now
	if r.task.NewPass {
		pass = secret.Random()
	}
	if kind == plan.KindPass {
		r.put(kind, path(kind), []byte(pass.Reveal()+"\n"), provesPassphrase(pass))
		return pass, nil
	}
	data, err := seal.Seal(pass, recipients)
	if err != nil {
		return pass, err
	}
	r.sealed = map[string][]string{path(kind).String(): recipients}
	r.put(kind, path(kind), data, provesSealed(recipients))
	return pass, nil
}

// key encrypts a key and puts it.
func (r *result) key(path facts.Path, key crypto.Signer, pass secret.Value, iterations int, first *firsts) error {
	keys := pki.NewKeys(pass)
	data, err := pki.EncryptKey(key, keys, iterations)
	if err == nil {
		r.put(plan.KindKey, path, data, provesKey(key.Public(), keys, pass, iterations, first))
	}
	return err
}

// retire moves the files that the task removes to db/retired, the passphrase
// behind the key.
func (r *result) retire(free func(name string) string) {
	for _, last := range []bool{false, true} {
		for _, f := range r.task.Removes {
			if facts.IsPass(f.Kind) == last {
				r.moves = append(r.moves, move{f.Name(), free(f.Name())})
			}
		}
	}
}

// names are the files that are replaced or go.
func (r *result) names() []string {
	names := slices.Concat(r.before, r.after)
	for _, p := range r.puts {
		names = append(names, p.name)
	}
	for _, m := range r.moves {
		names = append(names, m.from, m.to)
	}
	return names
}

// content is what was put, by name.
func (r *result) content() map[string][]byte {
	files := make(map[string][]byte, len(r.puts))
	for _, p := range r.puts {
		files[p.name] = p.data
	}
	return files
}
