package plan

import (
	"errors"
	"fmt"
)

// Codes of notes.
const (
	NextGeneration Code = "next-generation"
	NextRenewal    Code = "next-renewal"
	OldGeneration  Code = "old-generation"
	SharedSerial   Code = "shared-serial"
	ReasonKept     Code = "reason-kept"
	CacheUnusable  Code = "cache-unusable"
	Orphaned       Code = "orphaned"
	SetAside       Code = "set-aside"
	CutToCA        Code = "cut-to-ca"
	CRLEnds        Code = "crl-ends"

	CompromisedTrusted Code = "compromised-trusted"
	ClockBehind        Code = "clock-behind"
	WeakPassphrase     Code = "weak-passphrase"
	NotProbed          Code = "not-probed"
	NotDeployed        Code = "not-deployed"
	Stranger           Code = "stranger"
	ParentRenews       Code = "parent-renews"
	WeakCA             Code = "weak-ca"
	NotForBrowsers     Code = "not-for-browsers"
	MovedDone          Code = "moved-done"
	NamedBySerial      Code = "named-by-serial"
	HandoutsDamaged    Code = "handouts-damaged"
	SealedToOthers     Code = "sealed-to-others"
	NotSealedAnew      Code = "not-sealed-anew"
	RecipientRemoved   Code = "recipient-removed"
	RetiredInClear     Code = "retired-in-clear"
)

// Codes of failures; [Unreadable] is among them too.
const (
	PassphraseWrong       Code = "passphrase-wrong"
	PassphraseUnavailable Code = "passphrase-unavailable"
	FileError             Code = "file-error"
	DatabaseInconsistent  Code = "database-inconsistent"
	CSRInvalid            Code = "csr-invalid"
	KeyReused             Code = "key-reused"
	KeyCompromised        Code = "key-compromised"
	CAUnavailable         Code = "ca-unavailable"
	CRLUnavailable        Code = "crl-unavailable"
	SelfCheck             Code = "self-check"
	DeployFailed          Code = "deploy-failed"
	NotReady              Code = "not-ready"
	TargetExists          Code = "target-exists"
	Failed                Code = "failed"
)

// Codes of errors; [Interrupted], [ClockBehind] and every code of a failure are among them too.
const (
	SpecInvalid  Code = "spec-invalid"
	Usage        Code = "usage"
	UnknownOwner Code = "unknown-owner"
	Locked       Code = "locked"
	Rehearsed    Code = "rehearsed"
	Refused      Code = "refused"
	Outdated     Code = "outdated"
	Declined     Code = "declined"
)

// NoteCodes are the codes of notes, for the reference.
func NoteCodes() []CodeDoc { return noteCodes }

var noteCodes = []CodeDoc{
	{NextGeneration, "", "The CA's subject or type of key differs from the spec; the next generation has the spec's."},
	{NextRenewal, "", "The validity, or the spelling of an e-mail address in upper and lower case, differs from the spec; the next renewal has the spec's."},
	{OldGeneration, "", "Certificates of an earlier CA generation are still valid."},
	{ParentRenews, "", "A CA above this one has to renew its certificate, or has a certificate that ends soon itself."},
	{NamedBySerial, "", "Certificates that were adopted name the CA certificate by its serial number, so that it is not issued anew yet."},
	{WeakCA, "", "The CA has a key that TLS refuses today, so that nobody gets in with what it issues."},
	{NotForBrowsers, "", "A user who has made the key is issued a certificate for an Ed25519 key, which browsers cannot use."},
	{SharedSerial, "", "A departed user holds a serial that another user still needs, so it is not revoked yet."},
	{ReasonKept, "", "The certificate was revoked for another reason than the spec gives; the recorded reason stays."},
	{CacheUnusable, "", "The cache can be neither read nor written, so runs take longer."},
	{Orphaned, "", "mtlsplan has written a file for a site that is no longer in the spec."},
	{SetAside, "", "Another program has written a file of the CA database that cannot be read; it is kept beside the database."},
	{CutToCA, "", "Certificates end with the CA certificate, earlier than the spec asks."},
	{CRLEnds, "", "The key of an earlier CA generation is lost, so its CRL ends and cannot be signed again."},
	{CompromisedTrusted, "", "A compromised CA generation is still trusted, because this run makes no new one."},
	{ClockBehind, "", "The clock is behind dates that the directory records as past, or behind the release of the program; apply would stop."},
	{MovedDone, "", "A moved block has nothing left to do: the former name is not in the CA database. It is a warning where a user who is about to be revoked has a name like it."},
	{HandoutsDamaged, "", "What users were given cannot be read, or not all of it, so some of them count as users who wait for their newest .p12."},
	{SealedToOthers, "", "The identity that the spec names opens none of the passphrases that are sealed for these owners."},
	{NotSealedAnew, "", "The recipients in the spec are others than those that passphrases are sealed to, and without an identity they stay sealed as they are."},
	{RecipientRemoved, "", "A passphrase was sealed anew to fewer recipients; those who were removed have read it."},
	{RetiredInClear, "", "Passphrases are sealed, and those of users who left before lie in clear in db/retired."},
	{WeakPassphrase, "", "The CA's passphrase was chosen, and is easy to guess."},
	{Stranger, "", "A certificate of the CA lies in the directory, of a user whom neither the spec nor the CA database knows. Only with --adopt; verify finds it too."},
	{NotDeployed, "", "The proxy may not serve a site as the directory has it: its last deployment has failed or was interrupted, or is still to come. The next apply does it."},
	{NotProbed, "", "Somebody who should be asked about at the running site has no key at hand, so the probe says nothing of them."},
}

// FailureCodes are the codes of failures, for the reference.
func FailureCodes() []CodeDoc { return failureCodes }

var failureCodes = []CodeDoc{
	{PassphraseWrong, "", "None of the passphrases that the spec names opens the key."},
	{PassphraseUnavailable, "", "A passphrase cannot be read from its source."},
	{FileError, "", "A file cannot be read or written."},
	{Unreadable, "", "The key file holds no key that can be read."},
	{DatabaseInconsistent, "", "index.txt and issued.pem contradict each other."},
	{CSRInvalid, "", "The user's CSR cannot be used."},
	{KeyReused, "", "The CSR holds a key that must not be certified for this user."},
	{KeyCompromised, "", "The CSR holds a key that somebody else has: a certificate for it was revoked for keyCompromise."},
	{CAUnavailable, "", "The CA cannot sign."},
	{CRLUnavailable, "", "The CRL of a CA generation cannot be signed."},
	{DeployFailed, "", "A site could not be put into place, or the proxy did not refuse or let in whom it should; what was there before is back, and apply exits with 1."},
	{NotReady, "", "There is nothing to hand out to the user yet, or no longer."},
	{TargetExists, "", "The directory for the user's handout holds other files of these names, or others can read it."},
	{SelfCheck, "", "A new file did not pass its check, so none of it was put into place."},
	{Failed, "", "Any other failure; the message says which."},
}

// ErrorCodes are the codes of errors, for the reference. An error may also have
// the code of a failure.
func ErrorCodes() []CodeDoc { return errorCodes }

var errorCodes = []CodeDoc{
	{SpecInvalid, "", "The spec is invalid; diagnostics says where and why."},
	{Usage, "", "The flags or arguments are wrong."},
	{UnknownOwner, "", "A name on the command line is no owner, or could be several."},
	{Locked, "", "Another run holds the lock."},
	{Interrupted, "", "A signal ended the run; what was finished is in place."},
	{ClockBehind, "", "The clock is behind dates that the directory records as past, or behind the release of the program."},
	{Rehearsed, "", "The output directory was rehearsed in, so only --rehearsal goes on in it."},
	{Refused, "", "Apply refuses the CA of the directory, whose database may lack revocations or cannot be read, so nothing is answered that rests on it; plan says the same; the exit code is 4."},
	{Outdated, "", "A saved plan is not applied, because what it was made from has moved on; the exit code is 4."},
	{Declined, "", "Apply asked at a terminal before it revoked anybody, and the answer was not yes."},
}

// Error is an error with its code.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error]; format and args are those of [fmt.Errorf].
func Errorf(code Code, format string, args ...any) error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// CodeOf is the code of the outermost [Error] in err, and [Failed] without one.
func CodeOf(err error) Code {
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Code
	}
	return Failed
}

// FailureOf is the failure of an owner, with the code of err.
func FailureOf(owner Owner, err error) Failure {
	return Failure{Owner: owner, Code: CodeOf(err), Message: err.Error()}
}
