package spec

import "mtlsplan/internal/config"

// The values of a spec. Their types are in a package that reads no file and no
// secret, so that decisions can be functions of them.
type (
	Config = config.Config
	CA     = config.CA
	User   = config.User
	Guard  = config.Guard
	Site   = config.Site
)
