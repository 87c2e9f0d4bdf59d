package spec

import "mtlsplan/internal/config"

// What a spec comes to. The types are in a package of their own, which reads no
// file and no secret, so that decisions can be functions of them.
type (
	Config = config.Config
	CA     = config.CA
	User   = config.User
	Guard  = config.Guard
	Site   = config.Site
)
