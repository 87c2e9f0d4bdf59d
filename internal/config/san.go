package config

import "mtlsplan/internal/pki"

// SANs are the subject alternative names of the user's certificate.
func (u *User) SANs() []pki.SAN {
	if u.Subject.Email == "" {
		return nil
	}
	return []pki.SAN{{Type: pki.SANEmail, Value: u.Subject.Email}}
}
