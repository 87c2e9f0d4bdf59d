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
	CutToCA        Code = "cut-to-ca"
	ClockBehind    Code = "clock-behind"
)

// Codes of failures; [Unreadable] and [ClockBehind] are among them too.
const (
	PassphraseWrong       Code = "passphrase-wrong"
	PassphraseUnavailable Code = "passphrase-unavailable"
	FileError             Code = "file-error"
	DatabaseInconsistent  Code = "database-inconsistent"
	CSRInvalid            Code = "csr-invalid"
	KeyReused             Code = "key-reused"
	CAUnavailable         Code = "ca-unavailable"
	CRLUnavailable        Code = "crl-unavailable"
	SelfCheck             Code = "self-check"
	NotJudged             Code = "failed"
)

// NoteCodes are the codes of notes, for the reference.
func NoteCodes() []CodeDoc { return noteCodes }

var noteCodes = []CodeDoc{
	{NextGeneration, "", "The CA's subject or key differs from the spec; a new one comes with the next generation."},
	{NextRenewal, "", "The validity differs from the spec; the next renewal has the new one."},
	{OldGeneration, "", "Certificates of an earlier CA generation are still valid."},
	{SharedSerial, "", "A departed user holds a serial that somebody else still needs."},
	{ReasonKept, "", "The certificate was revoked for another reason than the spec's, which stays."},
	{CacheUnusable, "", "The cache can be neither read nor written."},
	{Orphaned, "", "mtlsplan has written the file, and no site of the spec has it any more."},
	{CutToCA, "", "Certificates end with the CA's, earlier than the spec asks."},
	{ClockBehind, "", "The clock is behind dates that the directory records as its own past."},
}

// FailureCodes are the codes of failures, for the reference.
func FailureCodes() []CodeDoc { return failureCodes }

var failureCodes = []CodeDoc{
	{PassphraseWrong, "", "No passphrase at hand opens the key."},
	{PassphraseUnavailable, "", "A passphrase cannot be read from its source."},
	{FileError, "", "A file of the owner cannot be read."},
	{Unreadable, "", "The key file holds no key that can be read."},
	{DatabaseInconsistent, "", "index.txt and issued.pem do not tell the same."},
	{CSRInvalid, "", "The user's CSR cannot be used."},
	{KeyReused, "", "The CSR holds a key that must not be certified for this user."},
	{CAUnavailable, "", "The CA cannot sign now."},
	{CRLUnavailable, "", "The CRL of a CA generation cannot be signed."},
	{SelfCheck, "", "What was made did not stand its check; nothing of it was written."},
	{NotJudged, "", "Any other failure; the message tells."},
}

// Error is an error with the code that its failure gets.
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

// FailureOf is the failure of an owner: its code is that of the outermost
// [Error] in err, and [NotJudged] without one.
func FailureOf(owner Owner, err error) Failure {
	f := Failure{Owner: owner, Code: NotJudged, Message: err.Error()}
	if coded, ok := errors.AsType[*Error](err); ok {
		f.Code = coded.Code
	}
	return f
}
