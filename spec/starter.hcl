# Who may come in, and through which door.
#
#   mtlsplan validate    checks this file
#   mtlsplan plan        shows what would be done
#   mtlsplan apply       does it; a second run changes nothing

# Where everything goes, relative to this file.
output = "pki"

# It lies in a git repository, from which a job renews. Passphrases then come from
# elsewhere, and every site says where the proxy's host has client_ca.
# version_control = true

# The authority that signs the users' certificates. Servers trust it for that
# and for nothing else.
ca "example" {
  subject {
    country      = "US"
    organization = "Example"
    common_name  = "Example Client CA"
    email        = "admin@example.com" # whom people can ask when they are refused
  }

  # These are the defaults.
  # key      = "rsa-4096"
  # validity = "3650d"

  # Where the passphrase of the CA's key is: { env = "VARIABLE" },
  # { file = "path" } or { command = ["pass", "show", "mtls/ca"] }. Without it,
  # one is made and kept in secrets/ of the output directory.
  # passphrase = { env = "MTLSPLAN_CA_PASSPHRASE" }
}

# What holds for every user that does not say otherwise.
defaults {
  key          = "ecdsa-p256"
  validity     = "365d"
  renew_before = "30d"
  p12          = ["compat"] # opens everywhere; "modern" is better protected
}

# One block for each person or device. Fields of the subject that are not given
# here come from the CA; the common name is the user's name.
user "alice" {
  email = "alice@example.com"
}

user "build-server" {
  key = "rsa-2048"
}

# Many users are better kept in a list: CSV, YAML or JSON.
# roster "staff" {
#   file = "staff.csv" # name,email
# }

# The site for NGINX, written to nginx/example in the output directory.
nginx "example" {
  server_name = ["www.example.com"]
  upstream    = ["127.0.0.1:8065"]

  # "mattermost" has that application's sizes, timeouts and WebSockets.
  application = "generic"

  # The server's own certificate comes from elsewhere.
  certificate     = "/etc/letsencrypt/live/www.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/www.example.com/privkey.pem"
}
