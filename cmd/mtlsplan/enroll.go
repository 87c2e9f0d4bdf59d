package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mtlsplan/internal/config"
	"mtlsplan/internal/enroll"
	"mtlsplan/internal/input"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
	"mtlsplan/internal/secret"
	"mtlsplan/internal/ui"
)

// enrollFlags are the flags of request and bundle.
type enrollFlags struct {
	out       string
	passFile  string
	generate  bool
	key       string
	profile   string
	overwrite bool
}

// certificatesMost is the longest file of certificates that is read, in bytes.
const certificatesMost = 1 << 20

func (a *app) requestCmd() *cobra.Command {
	var f enrollFlags
	cmd := &cobra.Command{
		Use:   "request NAME -o DIR",
		Short: "Make your own key, and a request to send to the administrator",
		Long: `For users who keep their key to themselves. It makes DIR/NAME.key, encrypted with
a passphrase, and DIR/NAME.csr, which goes to the administrator, who writes
csr = "NAME.csr" into the block of the user. The certificate that comes back and
the key become a .p12 with mtlsplan bundle. It needs no spec.

The passphrase is asked for at a terminal, read from --passphrase-file, or made
with --generate and put into DIR/NAME.pass. A key that is there is kept, and
nothing is overwritten: for another key name another DIR. NAME may be written as
an owner, as in user.ann.`,
		Example: `  mtlsplan request ann -o ~/certificate
  mtlsplan request ann -o ~/certificate --generate`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.request(cmd, args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "write into `DIR`, which is made if it is missing")
	flags.StringVar(&f.passFile, "passphrase-file", "", "take the passphrase from `FILE`")
	flags.BoolVar(&f.generate, "generate", false, "make a passphrase and put it into DIR/NAME.pass")
	flags.StringVar(&f.key, "key", string(pki.ECDSAP256), "make a key of this `TYPE`: "+orList(pki.KeyTypes))
	_ = cmd.RegisterFlagCompletionFunc("key", cobra.FixedCompletions(wordsOf(pki.KeyTypes), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) bundleCmd() *cobra.Command {
	var f enrollFlags
	cmd := &cobra.Command{
		Use:   "bundle NAME CERTIFICATE -o DIR",
		Short: "Make a .p12 of your own key and the certificate that came back",
		Long: `For users who have made their key with mtlsplan request. It makes DIR/NAME.p12 of
DIR/NAME.key and CERTIFICATE, the file that the administrator sent back. It opens
with the passphrase of the key, which is taken from DIR/NAME.pass, from
--passphrase-file, or asked for at a terminal. It needs no spec.`,
		Example: `  mtlsplan bundle ann ann-mattermost.crt -o ~/certificate
  mtlsplan bundle ann renewed.crt -o ~/certificate --overwrite`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("takes a NAME and the file CERTIFICATE, not %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.bundle(cmd, args[0], args[1], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "the `DIR` of mtlsplan request, where the .p12 goes")
	flags.StringVar(&f.passFile, "passphrase-file", "", "take the passphrase of the key from `FILE`")
	flags.StringVar(&f.profile, "p12", string(pki.Compat), "make a .p12 of this `PROFILE`: "+orList(pki.Profiles))
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace the .p12 of an earlier certificate")
	_ = cmd.RegisterFlagCompletionFunc("p12", cobra.FixedCompletions(wordsOf(pki.Profiles), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("takes one NAME, not %d arguments", len(args))
	}
	return nil
}

func wordsOf[T ~string](words []T) (list []string) {
	for _, w := range words {
		list = append(list, string(w))
	}
	return list
}

// home is the directory of a user's own files. The name may be that of an owner.
func home(cmd *cobra.Command, name, out string) (enroll.Home, error) {
	name = strings.TrimPrefix(name, "user.")
	if !config.ValidName(name) {
		return enroll.Home{}, usageError("%s: %q cannot be the name of a user: give 1 to 64 letters, digits and . _ @ + -, a letter or digit first", cmd.Name(), name)
	}
	if out == "" {
		return enroll.Home{}, usageError("%s: give -o DIR, the directory of your key", cmd.Name())
	}
	dir, err := filepath.Abs(out)
	return enroll.Home{Dir: dir, Name: name}, err
}

func (a *app) request(cmd *cobra.Command, name string, f enrollFlags) error {
	h, err := home(cmd, name, f.out)
	if err != nil {
		return err
	}
	typ := pki.KeyType(f.key)
	switch {
	case !slices.Contains(pki.KeyTypes, typ):
		return usageError("--key %q: give %s", f.key, orList(pki.KeyTypes))
	case f.generate && f.passFile != "":
		return usageError("--generate makes a passphrase, and --passphrase-file names one: leave one of them out")
	}
	anew := !h.HasKey()
	pass, generated, err := a.passphrase(cmd.Context(), h, f, anew)
	if err != nil {
		return interruption(cmd, err, "interrupted: nothing was written")
	}
	if anew && !generated && secret.Weak(pass) {
		ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), []plan.Note{{Warning: true, Code: plan.WeakPassphrase, Message: "this passphrase is easy to guess for whoever has the file; --generate makes one that is not"}})
	}
	if anew && typ == pki.Ed25519 {
		ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), []plan.Note{{Warning: true, Code: plan.NotForBrowsers, Message: "no browser offers a client certificate with an Ed25519 key: it is fine for programs such as curl; for a browser make another key in another DIR, with --key ecdsa-p256"}})
	}
	made, err := h.Request(typ, cmd.Flags().Changed("key"), pass, f.generate)
	if err != nil {
		return err
	}
	doc := plan.RequestDocument{FormatVersion: plan.FormatVersion, Key: made.Key, KeyKept: made.KeptKey, CSR: made.CSR, SPKISHA256: made.SPKI}
	if generated {
		doc.PassphraseFile = h.Path("pass")
	}
	if a.documents() {
		return a.answer(doc)
	}
	short := shortPath()
	line := func(what, path string) { fmt.Fprintf(a.stdout, "%-11s %s\n", what, ui.Clean(short(path))) }
	if made.KeptKey {
		line("key kept", doc.Key)
	} else {
		line("key", doc.Key)
	}
	line("request", doc.CSR)
	if generated {
		line("passphrase", doc.PassphraseFile)
	}
	fmt.Fprintf(a.stdout, "%-11s %s (SHA-256)\n\n", "fingerprint", made.SPKI)
	fmt.Fprintf(a.stdout, "Send %s to your administrator, and nothing else of this. When the certificate is back:\n  mtlsplan bundle %s CERTIFICATE -o %s\n",
		ui.Clean(short(doc.CSR)), h.Name, ui.Clean(short(h.Dir)))
	return nil
}

func (a *app) bundle(cmd *cobra.Command, name, file string, f enrollFlags) error {
	h, err := home(cmd, name, f.out)
	if err != nil {
		return err
	}
	profile := pki.Profile(f.profile)
	if !slices.Contains(pki.Profiles, profile) {
		return usageError("--p12 %q: give %s", f.profile, orList(pki.Profiles))
	}
	data, _, err := input.Read(cmd.Context(), file, certificatesMost)
	if err != nil {
		return plan.Errorf(plan.FileError, "%s cannot be read: %w", file, cause(err))
	}
	certs, err := enroll.Certificates(data)
	switch {
	case errors.Is(err, enroll.ErrKey):
		return plan.Errorf(plan.FileError, "%s %w", file, err)
	case err != nil:
		return plan.Errorf(plan.FileError, "%s: %w", file, err)
	}
	if !h.HasKey() {
		return plan.Errorf(plan.FileError, "%s is not there: name the directory of mtlsplan request with -o", h.Path("key"))
	}
	pass, _, err := a.passphrase(cmd.Context(), h, f, false)
	if err != nil {
		return interruption(cmd, err, "interrupted: nothing was written")
	}
	b, err := h.Bundle(certs, profile, pass, f.overwrite)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b.Cert.Raw)
	doc := plan.BundleDocument{FormatVersion: plan.FormatVersion, P12: b.P12, Serial: pki.SerialHex(b.Cert.SerialNumber), SHA256: hex.EncodeToString(sum[:]), NotAfter: plan.Seconds(b.Cert.NotAfter)}
	if a.documents() {
		return a.answer(doc)
	}
	if a.started.After(b.Cert.NotAfter) {
		ui.Notes(a.stderr, ui.StyleFor(a.stderr, a.lookupEnv), []plan.Note{{Warning: true, Message: "the certificate has ended: ask for a new one"}})
	}
	_, err = fmt.Fprintf(a.stdout, "%s is the file to import; it opens with the passphrase of the key. The certificate is good until %s.\n",
		ui.Clean(shortPath()(b.P12)), b.Cert.NotAfter.UTC().Format(time.DateOnly))
	return err
}

// passphrase is that of a user's own key: the one that was generated before, from a file,
// new, or typed at a terminal, twice where it is to be a new one. generated reports
// whether it lies in NAME.pass, or is to.
func (a *app) passphrase(ctx context.Context, h enroll.Home, f enrollFlags, anew bool) (pass secret.Value, generated bool, err error) {
	if f.passFile != "" {
		data, _, err := input.Read(ctx, f.passFile, secret.MaxLen+2)
		if err != nil {
			return pass, false, plan.Errorf(plan.PassphraseUnavailable, "--passphrase-file %s cannot be read: %w", f.passFile, cause(err))
		}
		return checked(data, f.passFile)
	}
	kept, err := h.Generated()
	switch {
	case err != nil:
		return pass, false, err
	case !kept.IsZero() && (f.generate || !anew):
		return kept, true, nil
	case f.generate && !anew:
		return pass, false, usageError("--generate: %s is there and has a passphrase already: leave --generate out, or name another directory with -o", h.Path("key"))
	case f.generate:
		return secret.Random(), true, nil
	}
	prompt := "Passphrase of " + ui.Clean(shortPath()(h.Path("key"))) + ":"
	if anew {
		prompt = "Choose a passphrase for the key:"
	}
	text, err := ui.AskSecret(ctx, a.stdin, a.stderr, prompt)
	if errors.Is(err, ui.ErrNoTerminal) {
		return pass, false, plan.Errorf(plan.PassphraseUnavailable, "there is no terminal to ask for the passphrase at: give --passphrase-file FILE%s", map[bool]string{true: ", or --generate"}[anew])
	}
	if err != nil {
		return pass, false, err
	}
	if anew {
		again, err := ui.AskSecret(ctx, a.stdin, a.stderr, "Once more:")
		if err != nil {
			return pass, false, err
		}
		if !bytes.Equal(text, again) {
			return pass, false, usageError("the two passphrases differ: try again")
		}
	}
	return checked(text, "")
}

// checked is a passphrase that can be one; file names it in errors.
func checked(text []byte, file string) (secret.Value, bool, error) {
	pass := secret.Line(text)
	if err := secret.Check(pass); err != nil {
		if file != "" {
			return pass, false, plan.Errorf(plan.PassphraseUnavailable, "--passphrase-file %s: %w", file, err)
		}
		return pass, false, usageError("%w", err)
	}
	return pass, false, nil
}
