package engine

import "mtlsplan/internal/plan"

// The words of a plan, by the names that they have here.
type (
	Owner   = plan.Owner
	Action  = plan.Action
	Code    = plan.Code
	Reason  = plan.Reason
	Step    = plan.Step
	Note    = plan.Note
	Failure = plan.Failure
	Plan    = plan.Plan

	Details      = plan.Details
	FileDetail   = plan.FileDetail
	FileFact     = plan.FileFact
	IssuedDetail = plan.IssuedDetail
)

const (
	Repair            = plan.Repair
	Rebuild           = plan.Rebuild
	Reissue           = plan.Reissue
	Rekey             = plan.Rekey
	Create            = plan.Create
	Adopt             = plan.Adopt
	Revoke            = plan.Revoke
	Retire            = plan.Retire
	Refuse            = plan.Refuse
	Missing           = plan.Missing
	Damaged           = plan.Damaged
	Mode              = plan.Mode
	KeyMismatch       = plan.KeyMismatch
	SubjectChanged    = plan.SubjectChanged
	SANChanged        = plan.SANChanged
	KeyChanged        = plan.KeyChanged
	UsageChanged      = plan.UsageChanged
	PassphraseChanged = plan.PassphraseChanged
	EncodingChanged   = plan.EncodingChanged
	SettingsChanged   = plan.SettingsChanged
	Expiring          = plan.Expiring
	Expired           = plan.Expired
	IssuerChanged     = plan.IssuerChanged
	Upstream          = plan.Upstream
	Revoked           = plan.Revoked
	Unrecorded        = plan.Unrecorded
	Unreadable        = plan.Unreadable
	Interrupted       = plan.Interrupted
	Removed           = plan.Removed
	ReplaceAsked      = plan.ReplaceAsked
	OverlapOver       = plan.OverlapOver
)

var Actions = plan.Actions
