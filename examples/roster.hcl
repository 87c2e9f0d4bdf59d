# A company. Another system writes the list of its people; the list of its
# devices is kept by hand.

output = "../build/roster"

ca "company" {
  subject {
    country      = "DE"
    locality     = "Berlin"
    organization = "Example GmbH"
    common_name  = "Example company CA"
    email        = "it@example.com"
  }
  key = "ecdsa-p384"
}

# Defaults for attributes that a list does not have.
defaults {
  validity = "180d"
}

# Each row is a user, each column an attribute of a user block. An empty cell
# leaves the default. When a row is removed, the next apply revokes the user.
roster "staff" {
  file = "staff.csv"
}

# A list in YAML. JSON can be read, too.
roster "devices" {
  file = "devices.yaml"
}

# A user in neither list can have a block.
user "auditor" {
  email    = "auditor@example.org"
  validity = "14d"

  subject {
    organization = "Example Audit KG"
  }
}

# An export that was cut short must not lock everybody out. A run that would
# leave more users than this without a certificate is refused as a whole. A list
# that is missing, empty or malformed is an error in any case.
guard {
  max_revocations = 2
}

nginx "intranet" {
  application     = "generic"
  server_name     = ["intranet.example.com"]
  upstream        = ["127.0.0.1:8080"]
  certificate     = "/etc/letsencrypt/live/intranet.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/intranet.example.com/privkey.pem"
}
