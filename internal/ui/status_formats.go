package ui

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mtlsplan/internal/plan"
)

// StatusCSV is how owners stand as CSV (RFC 4180), with a header. Times are RFC 3339 in
// UTC. A text that a spreadsheet would take for a formula begins with an apostrophe.
func StatusCSV(s *plan.Status) []byte {
	const daysColumn = 6 // a number, which may be negative
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"owner", "state", "departed", "serial", "key", "not_after", "days_left", "generation", "next_event", "next_at", "email", "handed_out", "still_in"}}
	for _, o := range s.Owners {
		row := []string{string(o.Owner), o.State, strconv.FormatBool(o.Departed), o.Serial, o.Key, "", "", "", "", "", o.Email, "", strconv.FormatBool(o.StillIn)}
		if o.NotAfter != nil {
			row[5], row[daysColumn] = o.NotAfter.UTC().Format(time.RFC3339), strconv.Itoa(*o.DaysLeft)
		}
		if o.Generation > 0 {
			row[7] = strconv.Itoa(o.Generation)
		}
		if o.Next != nil {
			row[8], row[9] = o.Next.Event, o.Next.At.UTC().Format(time.RFC3339)
		}
		if o.HandedOut != nil {
			row[11] = strconv.FormatBool(*o.HandedOut)
		}
		for i := range row {
			if row[i] = Clean(row[i]); i != daysColumn {
				row[i] = noFormula(row[i])
			}
		}
		rows = append(rows, row)
	}
	_ = w.WriteAll(rows) // into memory
	return b.Bytes()
}

// noFormula is a text that no spreadsheet calculates (OWASP, CSV injection).
func noFormula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// StatusMetrics is how owners stand in the text format of Prometheus: the ends of all
// certificates that count and of the CRL, what apply would do, what is not in place on
// the proxy, and when apply ended well last. Times are seconds since 1970.
func StatusMetrics(s *plan.Status) []byte {
	var b bytes.Buffer
	family := func(name, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	}
	const crt, crl, pending, deployment, success = "mtlsplan_certificate_not_after_timestamp_seconds", "mtlsplan_crl_next_update_timestamp_seconds",
		"mtlsplan_pending_steps", "mtlsplan_deployment_pending", "mtlsplan_last_success_timestamp_seconds"
	family(crt, "When the certificate of an owner ends; owners who are to have none are left out.")
	for _, o := range s.Owners {
		if o.Serial != "" && o.NotAfter != nil && o.State != plan.StateRevoked {
			fmt.Fprintf(&b, "%s{owner=%s,serial=%s} %d\n", crt, labelValue(string(o.Owner)), labelValue(o.Serial), o.NotAfter.Unix())
		}
	}
	family(crl, "When the CRL of a CA ends, the first of several.")
	for _, o := range s.Owners {
		if ca, ok := strings.CutPrefix(string(o.Owner), "crl."); ok && o.NotAfter != nil {
			fmt.Fprintf(&b, "%s{ca=%s} %d\n", crl, labelValue(ca), o.NotAfter.Unix())
		}
	}
	family(pending, "Steps that apply would take, as far as that can be told without a passphrase.")
	counts := s.Plan.Summary()
	for _, a := range plan.Actions {
		fmt.Fprintf(&b, "%s{action=%s} %d\n", pending, labelValue(string(a)), counts[a])
	}
	if len(s.Deployments) > 0 {
		family(deployment, "1 where the proxy may not serve a site as the directory has it: its deployment has failed or is still to come.")
	}
	for _, d := range s.Deployments {
		value := 1
		if d.State == plan.DeploymentCurrent {
			value = 0
		}
		fmt.Fprintf(&b, "%s{owner=%s} %d\n", deployment, labelValue(string(d.Owner)), value)
	}
	if !s.LastGood.IsZero() {
		family(success, "When an apply ended last that did everything.")
		fmt.Fprintf(&b, "%s %d\n", success, s.LastGood.Unix())
	}
	return b.Bytes()
}

// labelValue quotes the value of a label.
func labelValue(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(Clean(text)) + `"`
}
